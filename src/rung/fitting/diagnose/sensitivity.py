"""How much an answer hangs on choices: the objective, and values borrowed from elsewhere."""

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
"""Rows beyond the coefficients without which a change of objective says nothing."""

_SHIFT = 2.0
"""Standard errors by which a coefficient may move with the objective before it is said."""


def _other(objective: Objective) -> Objective:
    """The objective at the other end: squares for a robust one, Huber's for squares."""
    if objective.loss == "squares":
        return OBJECTIVES[{"log": "log-huber", "plain": "huber", "logit": "logit-huber"}[objective.residual]]
    return OBJECTIVES[{"log": "log-squares", "plain": "squares", "logit": "logit-squares"}[objective.residual]]


def objective_findings(problem: Problem, optimum: Optimum, curvature: Curvature) -> list[Finding]:
    """The coefficient that moves most when squares take the place of a robust loss, or the reverse, if it moves far."""
    if problem.design.rows > MOST_ROWS or curvature.spare < _SPARE:
        return []
    objective = _other(problem.objective)
    if objective.loss == "huber" and objective.residual == "plain":
        # Huber's delta for plain residuals must follow the size of theirs.
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
            f"with {other.objective.name} instead of {problem.objective.name}, {names_of(problem)[index]} is {format_value(after)} instead "
            f"of {format_value(before)}, {shift[index]:.0f} standard errors away: a few rows decide. Look at the largest residuals.",
        )
    ]
