"""Intervals of coefficients, of quantities that follow from them, and of the law at any point, by three methods.

The profile is the default; the sandwich is the quick one, exact where the law is nearly linear; the bootstrap
resamples runs. All of them count runs, not rows, where runs have several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.estimate.penalty import Combinations, Quantities
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.derived import exponents_ratio
from rung.fitting.uncertainty.distributions import student_quantile
from rung.fitting.uncertainty.profile import MOST_ROWS, Profiler

PROFILE, SANDWICH, BOOTSTRAP = "profile", "sandwich", "bootstrap"
METHODS = (PROFILE, SANDWICH, BOOTSTRAP)
STATISTICAL = "statistical"
"""The default method, without what backtests say the law strays by."""

_SHARP = 4
"""Stages of delta beyond which the objective is too sharp to profile."""


def method_for(problem: Problem, wanted: str | None, draws: int) -> str:
    """The method of intervals: the wanted one, or the profile where the table allows it and the sandwich elsewhere.

    Raises:
        FitError: No such method, or one that this fit cannot use.
    """
    if wanted is None:
        return PROFILE if problem.design.rows <= MOST_ROWS and not _sharp(problem) else SANDWICH
    if wanted not in METHODS:
        raise FitError(f"no interval {wanted!r}. Choose one: --interval {'|'.join((*METHODS, STATISTICAL))}.")
    if wanted == BOOTSTRAP and draws == 0:
        raise FitError("--interval bootstrap needs draws: leave --draws 0 out.")
    if wanted == PROFILE and problem.design.rows > MOST_ROWS:
        raise FitError(
            f"--interval profile takes at most {MOST_ROWS:,} rows, and there are {problem.design.rows:,}. Take --interval "
            "sandwich or bootstrap."
        )
    return wanted


def _sharp(problem: Problem) -> bool:
    return problem.objective.loss == "absolute" or len(problem.deltas) > _SHARP


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Estimates and the ends of their intervals (Q,): -inf or inf where one is open, nan where nothing is known."""

    value: Array
    low: Array
    high: Array


def bounds_of(profiler: Profiler, quantities: Quantities, method: str, z: float) -> Bounds:
    """Intervals of some quantities by the profile or the sandwich."""
    if method == PROFILE:
        value, low, high = profiler.bounds(quantities, z)
        return Bounds(value=value, low=low, high=high)
    values, derivatives = quantities.evaluate(profiler.optimum.unconstrained[None, :])
    half = z * profiler.curvature.std_errors(derivatives[:, 0])
    return Bounds(value=values[0], low=values[0] - half, high=values[0] + half)


def interval_of(profiler: Profiler, quantities: Quantities, method: str, level: float) -> Bounds:
    """Intervals of quantities of the coefficients at a level, by the profile or the sandwich."""
    return bounds_of(profiler, quantities, method, student_quantile((1 + level) / 2, profiler.curvature.degrees))


def coefficient_intervals(
    profiler: Profiler, method: str, level: float, values_BK: Array, undetermined: frozenset[int]
) -> tuple[Array, Array]:
    """Low and high ends of every coefficient (K,), nan for the loose ones; an end of a range counts as reached.

    A coefficient that ran to an end of its range has a one-sided interval, from that end to where the data no longer
    allow it.
    """
    problem, curvature = profiler.problem, profiler.curvature
    numbers = problem.design.parameters(problem.law)
    z = student_quantile((1 + level) / 2, curvature.degrees)
    low, high = np.full(len(numbers), np.nan), np.full(len(numbers), np.nan)
    if method == BOOTSTRAP:
        if len(values_BK):
            low, high = np.quantile(values_BK, [(1 - level) / 2, (1 + level) / 2], axis=0)
    else:
        inner = bounds_of(profiler, Combinations(np.eye(len(numbers))), method, z)
        for index, coefficient in enumerate(numbers):
            # A falling scale turns the ends round.
            bounds = np.sort(coefficient.to_value(np.array([inner.low[index], inner.high[index]])))
            low[index], high[index] = bounds
    if method == PROFILE:
        for index in curvature.inactive - undetermined:
            stood, stopped = profiler.optimum.unconstrained[index], profiler.far_end(index, z)
            if not np.isnan(stopped):
                # The number ran away from where it was stopped: to that end of its range.
                reached = numbers[index].to_value(np.array([np.copysign(np.inf, stood - stopped), stopped]))
                low[index], high[index] = np.sort(reached)
    low[sorted(undetermined)] = high[sorted(undetermined)] = np.nan
    return low, high


def derived_intervals(
    profiler: Profiler, names: Sequence[str], method: str, level: float
) -> dict[str, tuple[float, float]]:
    """Intervals of quantities that follow from the exponents, where those are positive and not both fixed."""
    ratio = exponents_ratio(profiler.problem.law, names)
    if ratio is None or method == BOOTSTRAP:
        return {}
    z = student_quantile((1 + level) / 2, profiler.curvature.degrees)
    found = bounds_of(profiler, Combinations(ratio.weights[None, :]), method, z)
    low, high = (float(1 / (1 + np.exp(-(end[0] + ratio.offset)))) for end in (found.low, found.high))
    return {"params_exponent": (low, high), "tokens_exponent": (1 - high, 1 - low)} if np.isfinite(low + high) else {}
