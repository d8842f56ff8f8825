"""A fit opened again: its optimum with its rows, from which anything can be profiled."""

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
    """An optimum to be profiled, without the story that a fit tells of it."""

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
    """Fit a law for what follows from its coefficients alone; see `fit` for the errors.

    Args:
        runs: See `fit`, and so the next three.
        law: See `fit`.
        target: See `fit`.
        objective: See `fit`.
        seed: Seed of the starts.
        effort: How many starts.
        clusters: For each row the place of the cluster that shares its noise, from 0 on; by default its run.
    """
    problem = set_up(runs, FitSpecification(law=law, target=target, objective=objective, seed=seed)).problem
    if clusters is not None:
        problem = replace(problem, design=replace(problem.design, run=clusters))
    with np.errstate(all="ignore"):
        optimum = search(problem, np.random.default_rng(seed), effort=effort)
        return Fitted(problem=problem, profiler=Profiler.of(problem, optimum, curvature_at(problem, optimum)))


def _prior_of(fit: Fit, problem: Problem) -> Prior | None:
    """The prior that a fit was made with."""
    if not fit.priors:
        return None
    numbers = problem.design.parameters(problem.law)
    mean, weight = np.zeros(len(numbers)), np.zeros(len(numbers))
    for index, coefficient in enumerate(numbers):
        if coefficient.name in fit.priors:
            value, error = fit.priors[coefficient.name]
            mean[index] = float(coefficient.to_unconstrained(value))
            weight[index] = fit.prior_noise * (float(coefficient.slope(mean[index])) / error) ** 2
    return Prior(mean=mean, weight=weight, noise=fit.prior_noise)


def reopen(fit: Fit) -> Profiler | None:
    """The optimum of a fit with its rows, from which anything can be profiled; None where the fit keeps none."""
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
                f"the curvature of {fit.law.formula!r} at the fit's coefficients has no inverse. Make the fit again with rung fit."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class LawBounds:
    """The law at some points, on the residual's scale, and the ends of its interval (m,).

    Attributes:
        value: The law's values.
        low: Lower ends; -inf where open, nan where the data do not determine the law there.
        high: Upper ends.
        root: The quantile of Student's t that both ends stand for.
        degrees: Its degrees of freedom.
    """

    value: Array
    low: Array
    high: Array
    z: float
    degrees: int

    def draws(self, index: int, count: int) -> Array:
        """Draws of the law at one point, ascending: Student's t, each side with its own width (count,)."""
        z_all = student_quantiles(count, max(self.degrees, 1)) / self.z
        below, above = self.value[index] - self.low[index], self.high[index] - self.value[index]
        return np.asarray(self.value[index] + np.where(z_all < 0, below, above) * z_all)


def law_bounds(profiler: Profiler, fit: Fit, variables: Mapping[str, Array], levels: Mapping[str, str]) -> LawBounds:
    """The interval of the law at points (m,) for one level of each group."""
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
