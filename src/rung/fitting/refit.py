"""A fit opened again: its optimum with its rows, from which any quantity can be profiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.estimate.multistart import QUICK, Effort, Optimum, search
from rung.fitting.estimate.penalty import Prior
from rung.fitting.estimate.problem import Problem, make_problem
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.result import Fit
from rung.fitting.uncertainty.curvature import curvature_at
from rung.fitting.uncertainty.distributions import student_quantile, student_quantiles
from rung.fitting.uncertainty.intervals import bounds_of
from rung.fitting.uncertainty.profile import Predictions, Profiler


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """An optimum that can be profiled, without the report of a `Fit`.

    Attributes:
        problem: What was fitted.
        profiler: Profiles around the optimum.
    """

    problem: Problem
    profiler: Profiler


def fitted(
    runs: Any,
    law: str,
    *,
    target: str,
    objective: str,
    seed: int = 0,
    effort: Effort = QUICK,
    clusters: NDArray[np.intp] | None = None,
) -> Fitted:
    """Fit a law, for quantities that follow from its coefficients alone; see `fit` for the errors.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        law: A formula, or the name of a law in the law book.
        target: The column that the law predicts.
        objective: Name of what is minimised, in OBJECTIVES.
        seed: Seed of the starts.
        effort: How many starts the search runs.
        clusters: For each row, the index from 0 of the cluster whose rows share noise (n,); by default its run.
    """
    problem = set_up(runs, FitSpecification(law=law, target=target, objective=objective, seed=seed)).problem
    if clusters is not None:
        problem = replace(problem, design=replace(problem.design, run=clusters))
    with np.errstate(all="ignore"):
        optimum = search(problem, np.random.default_rng(seed), effort=effort)
        return Fitted(problem=problem, profiler=Profiler.of(problem, optimum, curvature_at(problem, optimum)))


def _prior_of(fit: Fit, problem: Problem) -> Prior | None:
    """The prior that a fit was made with: weight = noise / variance, where variance = (error / (d value / d u))^2."""
    if not fit.priors:
        return None
    parameters = problem.design.parameters(problem.law)
    mean, weight = np.zeros(len(parameters)), np.zeros(len(parameters))
    for index, coefficient in enumerate(parameters):
        if coefficient.name in fit.priors:
            value, error = fit.priors[coefficient.name]
            mean[index] = float(coefficient.to_unconstrained(value))
            weight[index] = fit.prior_noise * (float(coefficient.slope(mean[index])) / error) ** 2
    return Prior(mean=mean, weight=weight, noise=fit.prior_noise)


def reopen(fit: Fit) -> Profiler | None:
    """The optimum of a fit with its rows, ready for profiles; None where the fit has no rows, or no noise."""
    if fit.table is None or fit.status == "exact" or fit.rows <= len(fit.coefficients):
        return None
    problem = make_problem(fit.law, fit.table, fit.objective)
    problem = replace(problem, prior=_prior_of(fit, problem))
    unconstrained = problem.design.unconstrained(fit.law, fit.values.values())
    with np.errstate(all="ignore"):
        prediction, jacobian = problem.workspace(1).evaluate(unconstrained[None, :])
        optimum = Optimum(
            unconstrained=unconstrained,
            residuals=problem.target - prediction[0],
            jacobian_Kn=jacobian[:, 0].copy(),
            scale=fit.scale,
            tried=fit.starts_tried,
            agreed=fit.starts_agreed,
            converged=True,
        )
        if not (np.all(np.isfinite(optimum.residuals)) and np.all(np.isfinite(optimum.jacobian_Kn))):
            raise FitError(
                f"{fit.law.formula!r} has no finite value on the fit's own rows. Make the fit again with rung fit."
            )
        try:
            return Profiler.of(problem, optimum, curvature_at(problem, optimum))
        except np.linalg.LinAlgError:
            raise FitError(
                f"the curvature of {fit.law.formula!r} at the fit's coefficients has no inverse. Make the fit again "
                "with rung fit."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class LawBounds:
    """The law at m points, on the residual's scale, with the bounds of its intervals.

    Attributes:
        value: The law's values (m,).
        low: Lower bounds (m,); -inf where open, nan where the data do not determine the law.
        high: Upper bounds (m,); inf where open, nan likewise.
        z: The size of the signed root at both bounds, a quantile of Student's t.
        degrees: Degrees of freedom of that t.
    """

    value: Array
    low: Array
    high: Array
    z: float
    degrees: int

    def draws(self, index: int, count: int) -> Array:
        """Draws of the law at one point, ascending (count,): Student's t, with a width of its own on each side.

        value + t_i (high - value) / z for t_i >= 0, and value + t_i (value - low) / z for t_i < 0.
        """
        z_all = student_quantiles(count, max(self.degrees, 1)) / self.z
        below, above = self.value[index] - self.low[index], self.high[index] - self.value[index]
        return np.asarray(self.value[index] + np.where(z_all < 0, below, above) * z_all)


def law_bounds(profiler: Profiler, fit: Fit, variables: Mapping[str, Array], levels: Mapping[str, str]) -> LawBounds:
    """Intervals of the law at m points, for one level of each group."""
    design = profiler.problem.design
    points = max(np.size(values) for values in variables.values())
    columns = {name: np.broadcast_to(np.asarray(variables[name], dtype=float), (points,)) for name in fit.law.variables}
    groups: dict[str, NDArray[np.intp]] = {
        group: np.full(points, design.level_names[group].index(levels[group]), dtype=np.intp) for group in design.groups
    }
    space = design.at(columns, groups).workspace(fit.law, fit.objective.residual, points)
    z = student_quantile((1 + fit.level) / 2, profiler.curvature.degrees)
    with np.errstate(all="ignore"):
        found = bounds_of(profiler, Predictions(space), fit.interval, z)
    return LawBounds(value=found.value, low=found.low, high=found.high, z=z, degrees=profiler.curvature.degrees)
