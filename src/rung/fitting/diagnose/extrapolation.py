"""The law ten times beyond the largest run: how well coefficients are determined together that are not one by one."""

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
"""How far beyond the largest run the law is judged: the product of the factors of all variables."""

_WIDE = 1.0
"""Standard error of a coefficient's logarithm above which it counts as unknown by itself."""

_TOGETHER = 0.98
"""Absolute correlation from which two coefficients count as one direction."""


def law_beyond(problem: Problem, unconstrained: Array) -> tuple[float, Array]:
    """The law on the residual's scale beyond the largest run, and its derivatives by the unconstrained parameters (K,).

    Each of the V variables is 10^(1/V) times its largest value; groups are at their first level.
    """
    design = problem.design
    space = _beyond(design).workspace(problem.law, problem.objective.residual, 1)
    with np.errstate(all="ignore"):
        value, derivatives = space.evaluate(unconstrained[None, :])
    return float(value[0, 0]), derivatives[:, 0, 0].copy()


def _beyond(design: Design) -> Design:
    factor = BEYOND ** (1 / len(design.columns))
    point = {name: np.array([float(column.max()) * factor]) for name, column in design.columns.items()}
    return design.at(point, {group: np.zeros(1, dtype=np.intp) for group in design.groups})


def determined_beyond(problem: Problem, curvature: Curvature, unconstrained: Array, level: float) -> str:
    """How well the data determine the law beyond the largest run, as a sentence that follows a space.

    It is empty where the law has no value there, or no degree of freedom is left. The number in it is the half width of
    the law's confidence interval relative to the law f, with the standard error s: t s where the residual is a
    logarithm, else t s / |f|, at the quantile t = t_((1 + level) / 2).
    """
    value, derivatives = law_beyond(problem, unconstrained)
    error = float(curvature.std_errors(derivatives[:, None])[0])
    if curvature.degrees <= 0 or not np.isfinite(value):
        return ""
    if not np.isfinite(error):
        return f" The law at {BEYOND:g} times the largest run is not determined either."
    half = student_quantile((1 + level) / 2, curvature.degrees) * error
    relative = half if problem.objective.residual == "log" else half / max(abs(value), 1e-300)
    return f" The law at {BEYOND:g} times the largest run is still determined to within {100 * relative:.2g} %."


def trade_off_finding(problem: Problem, curvature: Curvature, unconstrained: Array, level: float) -> Finding | None:
    """The two most correlated coefficients, of which at least one is unknown by itself.

    The bounds of the interval of a coefficient whose logarithm has the standard error s are a factor exp(2 t s) apart.
    """
    parameters = problem.design.parameters(problem.law)
    errors = np.sqrt(np.maximum(np.diag(curvature.covariance_KK), 0.0))
    logarithmic = np.array([parameter.scale is Scale.ABOVE for parameter in parameters])
    wide = np.flatnonzero(logarithmic & np.isfinite(errors) & (errors > _WIDE))
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
        f"{one} and {other} can trade off against each other (correlation {correlation[first, second]:+.3f}): the "
        f"bounds of {one}'s interval are a factor of {apart:.2g} "
        f"apart.{determined_beyond(problem, curvature, unconstrained, level)} To determine each of them, vary the "
        f"columns of their terms over a wider range, or fix one (--fix {other.partition('[')[0]}=...).",
    )
