"""How much the coefficients depend on the choice of the objective."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rung.findings import Finding
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.objective import OBJECTIVES, Objective
from rung.fitting.estimate.problem import Problem, make_problem, names_of
from rung.fitting.uncertainty.curvature import Curvature
from rung.fitting.uncertainty.profile import MOST_ROWS
from rung.units import format_value

_SPARE = 5
"""Rows beyond the coefficients below which a change of the objective says nothing."""

_SHIFT = 2.0
"""Standard errors by which a coefficient must move with the objective to be reported."""


def _other(objective: Objective) -> Objective:
    """The opposite objective on the same residual: squares for a robust loss, Huber's loss for squares."""
    if objective.loss == "squares":
        return OBJECTIVES[{"log": "log-huber", "plain": "huber", "logit": "logit-huber"}[objective.residual]]
    return OBJECTIVES[{"log": "log-squares", "plain": "squares", "logit": "logit-squares"}[objective.residual]]


def objective_findings(problem: Problem, optimum: Optimum, curvature: Curvature) -> list[Finding]:
    """The coefficient that moves most when squares replace a robust loss, or the reverse, if it moves far.

    The shift of a parameter u with standard error s is |u_other - u| / s.
    """
    if problem.design.rows > MOST_ROWS or curvature.spare < _SPARE:
        return []
    objective = _other(problem.objective)
    if objective.loss == "huber" and objective.residual == "plain":
        # Plain residuals have a unit, so Huber's delta must follow their size.
        objective = replace(objective, delta=max(float(np.median(np.abs(optimum.residuals))), 1e-6 * problem.unit))
    other = make_problem(problem.law, problem.design, objective)
    found = other.solve(optimum.unconstrained[None, :], problem.design.weights[None, :], warm=False)
    errors = np.sqrt(np.diag(curvature.covariance_KK))
    shift = np.abs(found.unconstrained_JK[0] - optimum.unconstrained) / errors
    if not found.converged_J[0] or not np.any(np.isfinite(shift)):
        return []
    index = int(np.nanargmax(np.where(np.isfinite(shift), shift, np.nan)))
    if shift[index] < _SHIFT:
        return []
    before, after = problem.design.values(problem.law, np.stack([optimum.unconstrained, found.unconstrained_JK[0]]))[
        :, index
    ]
    return [
        Finding(
            "objective_sensitive",
            f"with {other.objective.name} instead of {problem.objective.name}, {names_of(problem)[index]} is "
            f"{format_value(after)} instead of {format_value(before)}, which is more than its uncertainty explains: a few "
            "rows decide its value. Look at the largest residuals.",
        )
    ]
