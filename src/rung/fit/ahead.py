"""The law ten times beyond the largest run: where coefficients that say little alone are judged together."""

from __future__ import annotations

import numpy as np

from rung.errors import Caution
from rung.fit.covariance import Curvature
from rung.fit.design import Design
from rung.fit.result import coefficient_names
from rung.fit.search import Problem
from rung.fit.student import student_quantile
from rung.laws.coefficients import Scale
from rung.laws.tree import Array

AHEAD = 10.0
"""Multiple of the largest run, as the product over variables."""

_WIDE = 1.0
"""Standard error of the logarithm of a coefficient from which it is called unknown by itself."""

_TOGETHER = 0.98
"""Correlation from which two coefficients are called one direction."""


def law_ahead(problem: Problem, internal: Array) -> tuple[float, Array]:
    """The law on the residual's scale, and its derivatives by the internal numbers (K,), beyond the largest run.

    Every variable goes beyond its largest value by the same factor; groups stand at their first level.
    """
    design = problem.design
    space = _beyond(design).workspace(problem.law, problem.objective.residual, 1)
    with np.errstate(all="ignore"):
        value, derivatives = space.evaluate(internal[None, :])
    return float(value[0, 0]), derivatives[:, 0, 0].copy()


def _beyond(design: Design) -> Design:
    share = AHEAD ** (1 / len(design.columns))
    here = {name: np.array([float(column.max()) * share]) for name, column in design.columns.items()}
    return design.at(here, {group: np.zeros(1, dtype=np.intp) for group in design.groups})


def determined_ahead(problem: Problem, shape: Curvature, internal: Array, level: float) -> str:
    """What the data say of the law beyond the largest run, as the end of a sentence; empty where nothing is known."""
    value, derivatives = law_ahead(problem, internal)
    error = float(shape.std_errors(derivatives[:, None])[0])
    if shape.degrees <= 0 or not np.isfinite(value):
        return ""
    if not np.isfinite(error):
        return f" The law {AHEAD:g} times beyond the largest run is not determined either."
    half = student_quantile((1 + level) / 2, shape.degrees) * error
    relative = half if problem.objective.residual == "log" else half / max(abs(value), 1e-300)
    return f" The law {AHEAD:g} times beyond the largest run is still determined to {100 * relative:.2g} %."


def trade_off_caution(problem: Problem, shape: Curvature, internal: Array, level: float) -> Caution | None:
    """The two coefficients that change places most freely, where one of them is unknown by itself."""
    numbers = problem.design.numbers(problem.law)
    errors = np.sqrt(np.maximum(np.diag(shape.covariance_KK), 0.0))
    factors = np.array([number.scale is Scale.ABOVE for number in numbers])
    wide = np.flatnonzero(factors & np.isfinite(errors) & (errors > _WIDE))
    if not len(wide):
        return None
    correlation = shape.covariance_KK[wide] / (errors[wide, None] * np.where(errors > 0, errors, np.inf))
    correlation[np.arange(len(wide)), wide] = 0.0
    size = np.nan_to_num(np.abs(correlation))
    first, second = np.unravel_index(int(np.argmax(size)), size.shape)
    if size[first, second] < _TOGETHER:
        return None
    names = coefficient_names(problem.law, problem.design.level_names)
    one, other = names[int(wide[first])], names[int(second)]
    apart = float(np.exp(2 * student_quantile((1 + level) / 2, shape.degrees) * errors[wide[first]]))
    return Caution(
        "trade_off",
        f"{one} and {other} can trade against each other (correlation {correlation[first, second]:+.3f}): the ends of {one}'s "
        f"interval are a factor of {apart:.2g} apart.{determined_ahead(problem, shape, internal, level)} To know them apart, vary "
        f"the columns of their terms over a wider range, or fix one (--fix {other.partition('[')[0]}=...).",
    )
