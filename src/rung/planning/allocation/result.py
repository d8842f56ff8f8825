"""The result of an allocation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from rung.findings import Finding
from rung.forecasting import Interval, shown_factor
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_percent, format_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One variable of an allocation.

    Attributes:
        value: The best value.
        interval: Confidence interval of the best value, from the uncertainty of the law; None for an unknown bound.
        flat: The bounds of the flat region: at equal cost, the loss between them is within the tolerance of the lowest.
    """

    value: float
    interval: Interval
    flat: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Allocation(Result):
    """What to train for a budget, or for a target loss.

    Attributes:
        choices: Each variable that was chosen, by column.
        given: Other variables and levels that were given.
        cost: The formula of the cost.
        budget: The cost [FLOP]: the budget, or the lowest cost that reaches the target loss.
        target_loss: The target loss; None for a budget.
        loss: What the law predicts for the best values.
        law_interval: Confidence interval of the law there.
        run_interval: Prediction interval of a new run there.
        tolerance: Share of the lowest loss by which the loss may exceed it in the flat region.
        extrapolation_factor: How far beyond the runs the best values lie.
        closed: Whether the solution has a closed form.
        limited: The columns whose best value lies at a limit.
        target: The column that the law predicts.
        level: Coverage of the intervals.
        warnings: Findings that speak against the allocation.
        sizes: Of a list of sizes, each that can be trained: its values by column, its cost and its loss.
        active_share: Of a mixture of experts, the share of its parameters that one token uses; None for a dense model.
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
    target: str
    level: float
    warnings: tuple[Finding, ...]
    sizes: tuple[Mapping[str, float], ...] = ()
    active_share: float | None = None

    @property
    def tokens_per_param(self) -> float | None:
        """D / N, where both are chosen."""
        if {"params", "tokens"} <= set(self.choices):
            return self.choices["tokens"].value / self.choices["params"].value
        return None

    def headline(self) -> str:
        """The best value of each variable, the cost and the loss."""
        chosen = ", ".join(f"{name} {format_count(choice.value)}" for name, choice in self.choices.items())
        return f"{chosen}; cost {format_count(self.budget)}, {self.target} {format_value(self.loss)}"

    def describe(self) -> Summary:
        """The question, the best value of each variable with its interval and flat region, the cost and the loss."""
        percent = f"{100 * self.level:g} %"
        wanted = (
            f"{format_count(self.budget)} by {self.cost}"
            if self.target_loss is None
            else f"{self.target} {format_value(self.target_loss)}, lowest cost by {self.cost}"
        )
        given = ", ".join(
            f"{name} {value if isinstance(value, str) else format_count(value)}" for name, value in self.given.items()
        )
        header = [
            "",
            "best",
            f"{percent} interval of the best",
            f"within {100 * self.tolerance:g} % of the lowest {self.target}",
        ]
        loss = (
            f"{self.target:<10} {format_value(self.loss)}; {percent}: the law {format_interval(*self.law_interval)}, a new run "
            f"{format_interval(*self.run_interval)}"
        )
        return Summary(
            [
                "\n".join([f"wanted     {wanted}", *([f"given      {given}"] if given else [])]),
                Table(header, self._rows()),
                f"cost       {format_count(self.budget)}\n{loss}",
                shown_factor(self.extrapolation_factor),
                *([self._sizes()] if self.sizes else []),
            ]
        )

    def _sizes(self) -> Table:
        """Each size of a list, with what it costs more than the best one: loss for a budget, cost for a target loss."""
        measure = "cost" if self.target_loss is not None else self.target
        lowest = min(one[measure] for one in self.sizes)
        names = [name for name in self.sizes[0] if name not in {"cost", self.target}]
        rows = [
            [
                *(format_count(one[name]) for name in (*names, "cost")),
                format_value(one[self.target]),
                format_percent(one[measure] / lowest - 1, signed=True),
            ]
            for one in self.sizes
        ]
        return Table([*names, "cost", self.target, f"{measure} over the lowest"], rows)

    def _rows(self) -> list[list[str]]:
        rows = [
            [
                name,
                format_count(choice.value),
                format_interval(*choice.interval, format_count)
                if choice.interval[0] != choice.interval[1] or choice.interval == (None, None)
                else "fixed",
                format_interval(*choice.flat, format_count),
            ]
            for name, choice in self.choices.items()
        ]
        if self.active_share is not None and "params" in self.choices:
            share, size = self.active_share, self.choices["params"]
            bounds = [None if bound is None else share * bound for bound in size.interval]
            flat = format_interval(share * size.flat[0], share * size.flat[1], format_count)
            interval = format_interval(bounds[0], bounds[1], format_count)
            rows.append(["params_active", format_count(share * size.value), interval, flat])
        if self.tokens_per_param is not None:
            params, tokens = self.choices["params"].flat, self.choices["tokens"].flat
            flat = format_interval(tokens[0] / params[1], tokens[1] / params[0], lambda x: format_value(x, 3))
            rows.append(["tokens per parameter", format_value(self.tokens_per_param, 3), "", flat])
        return rows

    def to_frame(self) -> pl.DataFrame:
        """One row per variable: its best value, interval and flat region."""
        return pl.DataFrame(
            [
                {
                    "variable": name,
                    "value": choice.value,
                    "low": choice.interval[0],
                    "high": choice.interval[1],
                    "flat_low": choice.flat[0],
                    "flat_high": choice.flat[1],
                }
                for name, choice in self.choices.items()
            ]
        )

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
            "target": self.target,
            "level": self.level,
            "warnings": [finding.to_dict() for finding in self.warnings],
            "sizes": [dict(one) for one in self.sizes],
            **({} if self.active_share is None else {"active_share": self.active_share}),
        }
