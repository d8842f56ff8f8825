"""Intervals of coefficients, of derived quantities, and of the law at any point, by three methods.

The profile is the default. The sandwich is quick, and exact where the law is nearly linear. The bootstrap resamples
runs. Where runs have several rows, all three count runs, not rows.
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
"""Names of the methods, as `--interval` takes them."""

METHODS = (PROFILE, SANDWICH, BOOTSTRAP)
"""All methods, in the order in which messages list them."""

STATISTICAL = "statistical"
"""The default method, without the model discrepancy learnt from backtests."""

_SHARP = 4
"""Most stages of delta with which an objective is smooth enough to profile."""


def method_for(problem: Problem, wanted: str | None, draws: int) -> str:
    """The method of intervals: the requested one; by default the profile where the table allows it, else the sandwich.

    Raises:
        FitError: There is no such method, or this fit cannot use it.
    """
    if wanted is None:
        return PROFILE if problem.design.rows <= MOST_ROWS and not _sharp(problem) else SANDWICH
    if wanted not in METHODS:
        raise FitError(f"no interval {wanted!r}. Choose one: --interval {'|'.join((*METHODS, STATISTICAL))}.")
    if wanted == BOOTSTRAP and draws == 0:
        raise FitError("--interval bootstrap needs draws: leave out --draws 0.")
    if wanted == PROFILE and problem.design.rows > MOST_ROWS:
        raise FitError(
            f"--interval profile takes at most {MOST_ROWS:,} rows, and there are {problem.design.rows:,}. "
            "Use --interval sandwich or bootstrap."
        )
    return wanted


def _sharp(problem: Problem) -> bool:
    return problem.objective.loss == "absolute" or len(problem.deltas) > _SHARP


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Estimates of quantities with the bounds of their intervals.

    Attributes:
        value: The estimates (Q,).
        low: Lower bounds (Q,); -inf where the interval is open, nan where the data do not determine the quantity.
        high: Upper bounds (Q,); inf where the interval is open, nan likewise.
    """

    value: Array
    low: Array
    high: Array


def bounds_of(profiler: Profiler, quantities: Quantities, method: str, z: float) -> Bounds:
    """Intervals of quantities: the profile from signed root -z to z, or the sandwich, value +- z standard errors."""
    if method == PROFILE:
        value, low, high = profiler.bounds(quantities, z)
        return Bounds(value=value, low=low, high=high)
    values, derivatives = quantities.evaluate(profiler.optimum.unconstrained[None, :])
    half = z * profiler.curvature.std_errors(derivatives[:, 0])
    return Bounds(value=values[0], low=values[0] - half, high=values[0] + half)


def interval_of(profiler: Profiler, quantities: Quantities, method: str, level: float) -> Bounds:
    """As `bounds_of`, with z the (1 + level) / 2 quantile of Student's t."""
    return bounds_of(profiler, quantities, method, student_quantile((1 + level) / 2, profiler.curvature.degrees))


def coefficient_intervals(
    profiler: Profiler, method: str, level: float, values_BK: Array, undetermined: frozenset[int]
) -> tuple[Array, Array]:
    """Lower and upper bounds of every coefficient (K,), nan for the undetermined ones.

    A coefficient that reached a bound of its range has a one-sided interval: from that bound to where the data no
    longer allow the coefficient.
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
            # On a decreasing scale the bounds change places.
            bounds = np.sort(coefficient.to_value(np.array([inner.low[index], inner.high[index]])))
            low[index], high[index] = bounds
    if method == PROFILE:
        for index in curvature.inactive - undetermined:
            at_optimum, at_bound = profiler.optimum.unconstrained[index], profiler.far_end(index, z)
            if not np.isnan(at_bound):
                # At the optimum the parameter has run to the bound of its range on the other side.
                interval = numbers[index].to_value(np.array([np.copysign(np.inf, at_optimum - at_bound), at_bound]))
                low[index], high[index] = np.sort(interval)
    low[sorted(undetermined)] = high[sorted(undetermined)] = np.nan
    return low, high


def derived_intervals(
    profiler: Profiler, names: Sequence[str], method: str, level: float
) -> dict[str, tuple[float, float]]:
    """Intervals of params_exponent and tokens_exponent, where both exponents are positive and not both fixed."""
    ratio = exponents_ratio(profiler.problem.law, names)
    if ratio is None or method == BOOTSTRAP:
        return {}
    z = student_quantile((1 + level) / 2, profiler.curvature.degrees)
    found = bounds_of(profiler, Combinations(ratio.weights[None, :]), method, z)
    low, high = (float(1 / (1 + np.exp(-(bound[0] + ratio.offset)))) for bound in (found.low, found.high))
    return {"params_exponent": (low, high), "tokens_exponent": (1 - high, 1 - low)} if np.isfinite(low + high) else {}
