"""The law ten times beyond the largest run: where coefficients that say little alone are judged together."""

from __future__ import annotations

import numpy as np

from rung.arrays import Array
from rung.findings import Finding
from rung.fitting.estimate.design import Design, coefficient_names
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.curvature import Curvature
from rung.fitting.uncertainty.distributions import student_quantile
from rung.laws import Scale

BEYOND = 10.0
"""Multiple of the largest run, as the product over variables."""

_WIDE = 1.0
"""Standard error of the logarithm of a coefficient from which it is called unknown by itself."""

_TOGETHER = 0.98
"""Correlation from which two coefficients are called one direction."""


def law_beyond(problem: Problem, unconstrained: Array) -> tuple[float, Array]:
    """The law on the residual's scale, and its derivatives by the internal numbers (K,), beyond the largest run.

    Every variable goes beyond its largest value by the same factor; groups stand at their first level.
    """
    design = problem.design
    space = _beyond(design).workspace(problem.law, problem.objective.residual, 1)
    with np.errstate(all="ignore"):
        value, derivatives = space.evaluate(unconstrained[None, :])
    return float(value[0, 0]), derivatives[:, 0, 0].copy()


def _beyond(design: Design) -> Design:
    share = BEYOND ** (1 / len(design.columns))
    here = {name: np.array([float(column.max()) * share]) for name, column in design.columns.items()}
    return design.at(here, {group: np.zeros(1, dtype=np.intp) for group in design.groups})


def determined_beyond(problem: Problem, curvature: Curvature, unconstrained: Array, level: float) -> str:
    """What the data say of the law beyond the largest run, as the end of a sentence; empty where nothing is known."""
    value, derivatives = law_beyond(problem, unconstrained)
    error = float(curvature.std_errors(derivatives[:, None])[0])
    if curvature.degrees <= 0 or not np.isfinite(value):
        return ""
    if not np.isfinite(error):
        return f" The law {BEYOND:g} times beyond the largest run is not determined either."
    half = student_quantile((1 + level) / 2, curvature.degrees) * error
    relative = half if problem.objective.residual == "log" else half / max(abs(value), 1e-300)
    return f" The law {BEYOND:g} times beyond the largest run is still determined to {100 * relative:.2g} %."


def trade_off_finding(problem: Problem, curvature: Curvature, unconstrained: Array, level: float) -> Finding | None:
    """The two coefficients that change places most freely, where one of them is unknown by itself."""
    numbers = problem.design.parameters(problem.law)
    errors = np.sqrt(np.maximum(np.diag(curvature.covariance_KK), 0.0))
    factors = np.array([number.scale is Scale.ABOVE for number in numbers])
    wide = np.flatnonzero(factors & np.isfinite(errors) & (errors > _WIDE))
    if not len(wide):
        return None
    correlation = curvature.covariance_KK[wide] / (errors[wide, None] * np.where(errors > 0, errors, np.inf))
    correlation[np.arange(len(wide)), wide] = 0.0
    size = np.nan_to_num(np.abs(correlation))
    first, second = np.unravel_index(int(np.argmax(size)), size.shape)
    if size[first, second] < _TOGETHER:
        return None
    names = coefficient_names(problem.law, problem.design.level_names)
    one, other = names[int(wide[first])], names[int(second)]
    apart = float(np.exp(2 * student_quantile((1 + level) / 2, curvature.degrees) * errors[wide[first]]))
    return Finding(
        "trade_off",
        f"{one} and {other} can trade against each other (correlation {correlation[first, second]:+.3f}): the ends of {one}'s "
        f"interval are a factor of {apart:.2g} apart.{determined_beyond(problem, curvature, unconstrained, level)} To know them apart, vary "
        f"the columns of their terms over a wider range, or fix one (--fix {other.partition('[')[0]}=...).",
    )
