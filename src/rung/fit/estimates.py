"""From an optimum to numbers with intervals, as a fit tells them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rung.fit.covariance import Curvature, without_effect
from rung.fit.derived import derived_quantities
from rung.fit.diagnosis import names_of
from rung.fit.intervals import coefficient_intervals, derived_intervals
from rung.fit.profile import Profiler
from rung.fit.result import Estimate
from rung.fit.search import Optimum, Problem
from rung.laws.tree import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How intervals are to be made.

    Attributes:
        level: Coverage that they aim at.
        method: How they are found; None where there is no noise to make any of.
        resampled: Whether the draws are refits, from which standard errors are taken.
        loose: Places of coefficients that the data do not determine.
        hidden: Places of coefficients that get no interval.
    """

    level: float
    method: str | None
    resampled: bool
    loose: frozenset[int]
    hidden: frozenset[int]


def estimate(
    problem: Problem, optimum: Optimum, shape: Curvature, values_BK: Array, sure: Certainty
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Every coefficient, and every quantity that follows from them, with interval and standard error."""
    values = problem.design.values(problem.law, optimum.internal[None, :])[0]
    names = names_of(problem)
    scales = problem.design.numbers(problem.law)
    for place in without_effect(problem, optimum.jacobian_Kn):
        # A linear coefficient that ran to an end of its range has reached it; where that is 0, the term is absent.
        if scales[place].name in problem.law.linear:
            values[place] = scales[place].end(optimum.internal[place])
    found = {name: Estimate(value=float(value)) for name, value in zip(names, values, strict=True)}
    shares: dict[str, tuple[float, float]] = {}
    if sure.method is not None:
        profiler = Profiler.of(problem, optimum, shape)
        low, high = coefficient_intervals(profiler, sure.method, sure.level, values_BK, sure.hidden)
        errors = _std_errors(problem, optimum, shape, values_BK, sure)
        for place, name in enumerate(names):
            ends = np.clip([low[place], high[place]], scales[place].low, scales[place].high)
            found[name] = replace(found[name], low=_told(ends[0]), high=_told(ends[1]), std_error=_told(errors[place]))
        shares = derived_intervals(profiler, names, sure.method, sure.level)
    derived = derived_quantities(problem.law, found, values_BK, sure.level, {names[place] for place in sure.loose})
    for name, (bottom, top) in shares.items():
        if np.isfinite(derived[name].value):
            derived[name] = replace(derived[name], low=bottom, high=top)
    return found, derived


def _std_errors(problem: Problem, optimum: Optimum, shape: Curvature, values_BK: Array, sure: Certainty) -> Array:
    if sure.resampled and len(values_BK):
        errors = np.std(values_BK, axis=0, ddof=1)
    else:
        slopes = [float(c.slope(u)) for c, u in zip(problem.design.numbers(problem.law), optimum.internal, strict=True)]
        errors = np.sqrt(np.diag(shape.covariance_KK)) * np.abs(slopes)
    # One that stands at an end of its range has an interval to one side, and no error to both.
    errors[sorted(sure.hidden | shape.gone)] = np.nan
    return np.asarray(errors)


def _told(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
