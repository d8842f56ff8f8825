"""What to train for a budget, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.findings import Finding
from rung.forecasting import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One variable of an allocation.

    Attributes:
        value: The best value.
        interval: Where the best value lies, from the law's uncertainty; (None, None) where nothing is known.
        flat: The values between which the loss stays within the tolerance of the lowest, at equal cost.
    """

    value: float
    interval: Interval
    flat: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What to train for a budget, or for a target loss.

    Attributes:
        choices: Each variable, by column.
        given: Other variables and levels that were given.
        cost: The cost formula.
        budget: Its value [FLOP]: the budget, or the lowest cost of the target loss.
        target_loss: The target loss; None for a budget.
        loss: The law there.
        law_interval: Where the law lies there.
        run_interval: Where a new run would come out.
        tolerance: Share of the loss that the flat region allows.
        extrapolation_factor: How far beyond the runs this is.
        closed: Whether the solution has a closed form.
        limited: The columns that stand at a limit.
        warnings: What a user should know.
    """

    choices: Mapping[str, Choice]
    given: Mapping[str, float | str]
    cost: str
    budget: float
    target_loss: float | None
    loss: float
    law_interval: Interval
    run_interval: Interval
    tolerance: float
    extrapolation_factor: float
    closed: bool
    limited: tuple[str, ...]
    warnings: tuple[Finding, ...]

    @property
    def tokens_per_param(self) -> float | None:
        """D / N, where both are chosen."""
        if {"params", "tokens"} <= set(self.choices):
            return self.choices["tokens"].value / self.choices["params"].value
        return None

    def to_dict(self) -> dict[str, Any]:
        """The allocation as plain values."""
        return {
            "choices": {
                name: {"value": one.value, "interval": list(one.interval), "flat": list(one.flat)}
                for name, one in self.choices.items()
            },
            "tokens_per_param": self.tokens_per_param,
            "given": dict(self.given),
            "cost": self.cost,
            "budget": self.budget,
            "target_loss": self.target_loss,
            "loss": self.loss,
            "law_interval": list(self.law_interval),
            "run_interval": list(self.run_interval),
            "tolerance": self.tolerance,
            "extrapolation_factor": self.extrapolation_factor,
            "closed": self.closed,
            "limited": list(self.limited),
            "warnings": [finding.to_dict() for finding in self.warnings],
        }
