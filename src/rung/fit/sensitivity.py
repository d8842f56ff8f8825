"""How much an answer hangs on choices: the objective, and values borrowed from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rung.errors import Caution
from rung.fit.covariance import Curvature
from rung.fit.diagnosis import names_of
from rung.fit.objective import OBJECTIVES, Objective
from rung.fit.search import Optimum, Problem, make_problem
from rung.units import format_value

_SHIFT = 2.0
"""Standard errors by which a coefficient may move with the objective before it is said."""


def _other(objective: Objective) -> Objective:
    """The objective at the other end: squares for a robust one, Huber's for squares."""
    if objective.loss == "squares":
        return OBJECTIVES[{"log": "log-huber", "plain": "huber", "logit": "logit-huber"}[objective.residual]]
    return OBJECTIVES[{"log": "log-squares", "plain": "squares", "logit": "logit-squares"}[objective.residual]]


def objective_caution(problem: Problem, optimum: Optimum, shape: Curvature) -> Caution | None:
    """The coefficient that moves most when squares take the place of a robust loss, or the reverse, if it moves far."""
    objective = _other(problem.objective)
    if objective.loss == "huber" and objective.residual == "plain":
        # Huber's delta for plain residuals must follow the size of theirs.
        objective = replace(objective, delta=max(float(np.median(np.abs(optimum.residuals))), 1e-6 * problem.unit))
    other = make_problem(problem.law, problem.design, objective)
    found = other.solve(optimum.internal[None, :], problem.design.weights[None, :], warm=False)
    errors = np.sqrt(np.diag(shape.covariance_KK))
    shift = np.abs(found.internal_JK[0] - optimum.internal) / errors
    if not found.converged_J[0] or not np.any(np.isfinite(shift)):
        return None
    place = int(np.nanargmax(np.where(np.isfinite(shift), shift, np.nan)))
    if shift[place] < _SHIFT:
        return None
    before, after = problem.design.values(problem.law, np.stack([optimum.internal, found.internal_JK[0]]))[:, place]
    return Caution(
        "objective_sensitive",
        f"with {other.objective.name} instead of {problem.objective.name}, {names_of(problem)[place]} is {format_value(after)} instead "
        f"of {format_value(before)}, {shift[place]:.0f} standard errors away: a few rows decide. Look at the largest residuals.",
    )
