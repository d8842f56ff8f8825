"""From an optimum to the coefficients of a fit, with intervals and standard errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.problem import Problem, names_of
from rung.fitting.uncertainty.curvature import Curvature, without_effect
from rung.fitting.uncertainty.derived import derived_quantities
from rung.fitting.uncertainty.estimate import Estimate
from rung.fitting.uncertainty.intervals import coefficient_intervals, derived_intervals
from rung.fitting.uncertainty.profile import Profiler


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalPlan:
    """How intervals are computed.

    Attributes:
        level: Nominal coverage.
        method: Name of the method; None where the fit has no noise and so no intervals.
        resampled: Whether the draws are refits, from which standard errors are computed.
        undetermined: Indices of coefficients that the data do not determine.
        hidden: Indices of coefficients that get no interval.
    """

    level: float
    method: str | None
    resampled: bool
    undetermined: frozenset[int]
    hidden: frozenset[int]


def estimate(
    problem: Problem, optimum: Optimum, curvature: Curvature, values_BK: Array, plan: IntervalPlan
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Every coefficient, and every derived quantity, with its interval and standard error."""
    values = problem.design.values(problem.law, optimum.unconstrained[None, :])[0]
    names = names_of(problem)
    scales = problem.design.parameters(problem.law)
    for index in without_effect(problem, optimum.jacobian_Kn):
        # A linear coefficient without effect has reached the bound of its range; where that is 0, the term is absent.
        if scales[index].name in problem.law.linear:
            values[index] = scales[index].end(optimum.unconstrained[index])
    found = {name: Estimate(value=float(value)) for name, value in zip(names, values, strict=True)}
    shares: dict[str, tuple[float, float]] = {}
    if plan.method is not None:
        profiler = Profiler.of(problem, optimum, curvature)
        low, high = coefficient_intervals(profiler, plan.method, plan.level, values_BK, plan.hidden)
        errors = _std_errors(problem, optimum, curvature, values_BK, plan)
        for index, name in enumerate(names):
            bounds = np.clip([low[index], high[index]], scales[index].low, scales[index].high)
            found[name] = replace(
                found[name],
                low=_finite_or_none(bounds[0]),
                high=_finite_or_none(bounds[1]),
                std_error=_finite_or_none(errors[index]),
            )
        shares = derived_intervals(profiler, names, plan.method, plan.level)
    derived = derived_quantities(
        problem.law, found, values_BK, plan.level, {names[index] for index in plan.undetermined}
    )
    for name, (low_share, high_share) in shares.items():
        if np.isfinite(derived[name].value):
            derived[name] = replace(derived[name], low=low_share, high=high_share)
    return found, derived


def _std_errors(
    problem: Problem, optimum: Optimum, curvature: Curvature, values_BK: Array, plan: IntervalPlan
) -> Array:
    """Standard errors: of the refits, or from the curvature as sqrt(C_kk) |d value / d u| (the delta method)."""
    if plan.resampled and len(values_BK):
        errors = np.std(values_BK, axis=0, ddof=1)
    else:
        slopes = [
            float(c.slope(u))
            for c, u in zip(problem.design.parameters(problem.law), optimum.unconstrained, strict=True)
        ]
        errors = np.sqrt(np.diag(curvature.covariance_KK)) * np.abs(slopes)
    # A coefficient at a bound of its range has a one-sided interval, and no standard error.
    errors[sorted(plan.hidden | curvature.inactive)] = np.nan
    return np.asarray(errors)


def _finite_or_none(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
