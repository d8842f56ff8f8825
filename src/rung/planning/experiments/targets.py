"""Targets: what is to become sharper. Forecasts at points, and the best size at a compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.laws import Law, symbol_of
from rung.units import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is to become sharper, Q targets.

    Attributes:
        names: In words (Q,).
        columns: Each variable at the points where the law is to be known.
        decision: The best size that is to be known, the last of the targets; None without one.
    """

    names: tuple[str, ...]
    columns: Mapping[str, Array]
    decision: Decision | None = None

    @property
    def points(self) -> int:
        """How many of the targets are forecasts at points."""
        return len(self.names) - (self.decision is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The best size at a compute.

    Attributes:
        flops: The compute.
        log_params: Logarithm of the best size.
        slopes: Its derivatives by the unconstrained parameters of the law (K,).
    """

    flops: float
    log_params: float
    slopes: Array


def make_targets(
    variables: Sequence[str], points: Sequence[Mapping[str, float]], decision: Decision | None = None
) -> Targets:
    """Targets at points of a law's variables, and a decision.

    Args:
        variables: The law's variables, by symbol.
        points: A value of each, by symbol or column.
        decision: The best size that is to be known.

    Raises:
        PlanError: A point lacks a variable, has one that the law has not, or one that is not positive.
    """
    read = [_point(variables, one) for one in points]
    names = ["loss at " + ", ".join(f"{name}={format_count(value)}" for name, value in one.items()) for one in read]
    if decision is not None:
        names.append(f"best N at C={format_count(decision.flops)}")
    columns = {name: np.array([one[name] for one in read], dtype=float) for name in variables}
    return Targets(names=tuple(names), columns=columns, decision=decision)


def _point(variables: Sequence[str], given: Mapping[str, float]) -> dict[str, float]:
    named = {symbol_of(name): float(value) for name, value in given.items()}
    missing = [name for name in variables if name not in named]
    unknown = [name for name in named if name not in variables]
    if missing or unknown:
        what = f"missing {', '.join(missing)}" if missing else f"unknown {', '.join(unknown)}"
        raise PlanError(f"a target needs a value for each of {', '.join(variables)}: {what}.")
    for name, value in named.items():
        if not (np.isfinite(value) and value > 0):
            raise PlanError(f"the target's {name}={value:g} must be positive.")
    return {name: named[name] for name in variables}


def ratios_of(columns: Mapping[str, Array]) -> tuple[float, float] | None:
    """Between which D / N nine in ten of some rows lie; None without N and D."""
    if not {"N", "D"} <= set(columns) or not len(columns["N"]):
        return None
    low, high = np.quantile(columns["D"] / columns["N"], [0.05, 0.95])
    return float(low), float(high)


Reach = tuple[float | None, float | None]
"""How far an interval reaches below and above its value, in logarithms; None where the profile does not say."""


@dataclass(frozen=True, slots=True)
class Present:
    """How far the present intervals of a target reach.

    Attributes:
        law: Those of the law.
        run: Those of a new run; None for a decision, and where only the law is known.
    """

    law: Reach = (None, None)
    run: Reach | None = None


def no_decision() -> PlanError:
    return PlanError(
        "--decide needs a fit of runs that were made: rung fit RUNS -o fit.json. With few runs or a law of the book, plan for a "
        "--target."
    )


def require_no_groups(law: Law) -> None:
    if law.groups:
        raise PlanError(
            "planning needs a law without groups, and this one has coefficients of its own for each "
            f"{', '.join(law.groups)}. Keep the group that the runs are for: --where."
        )
