"""Intervals of coefficients, of quantities that follow from them, and of the law at any point, by three methods.

The profile is the default; the sandwich is the quick one, exact where the law is nearly linear; the bootstrap
resamples runs. All of them count runs, not rows, where runs have several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import FitError
from rung.fit.covariance import curvature
from rung.fit.derived import exponents_ratio
from rung.fit.profile import MOST_ROWS, Predictions, Profiler
from rung.fit.pull import Combinations, Prior, Quantities
from rung.fit.result import Fit
from rung.fit.search import QUICK, Effort, Optimum, Problem, make_problem, search
from rung.fit.setup import set_up
from rung.fit.student import student_quantile, student_quantiles
from rung.laws.tree import Array

PROFILE, SANDWICH, BOOTSTRAP = "profile", "sandwich", "bootstrap"
METHODS = (PROFILE, SANDWICH, BOOTSTRAP)
STATISTICAL = "statistical"
"""The default method, without what backtests say the law strays by."""

_SHARP = 4
"""Stages of delta beyond which the objective is too sharp to profile."""


def method_for(problem: Problem, wanted: str | None, draws: int) -> str:
    """The method of intervals: the wanted one, or the profile where the table allows it and the sandwich elsewhere.

    Raises:
        FitError: No such method, or one that this fit cannot use.
    """
    if wanted is None:
        return PROFILE if problem.design.rows <= MOST_ROWS and not _sharp(problem) else SANDWICH
    if wanted not in METHODS:
        raise FitError(f"no interval {wanted!r}. Choose one: --interval {'|'.join((*METHODS, STATISTICAL))}.")
    if wanted == BOOTSTRAP and draws == 0:
        raise FitError("--interval bootstrap needs draws: leave --draws 0 out.")
    if wanted == PROFILE and problem.design.rows > MOST_ROWS:
        raise FitError(
            f"--interval profile takes at most {MOST_ROWS:,} rows, and there are {problem.design.rows:,}. Take --interval "
            "sandwich or bootstrap."
        )
    return wanted


def _sharp(problem: Problem) -> bool:
    return problem.objective.loss == "absolute" or len(problem.deltas) > _SHARP


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Estimates and the ends of their intervals (Q,): -inf or inf where one is open, nan where nothing is known."""

    value: Array
    low: Array
    high: Array


def ends_of(profiler: Profiler, quantities: Quantities, method: str, root: float) -> Ends:
    """Intervals of some quantities by the profile or the sandwich."""
    if method == PROFILE:
        value, low, high = profiler.ends(quantities, root)
        return Ends(value=value, low=low, high=high)
    values, derivatives = quantities.evaluate(profiler.optimum.internal[None, :])
    half = root * profiler.shape.std_errors(derivatives[:, 0])
    return Ends(value=values[0], low=values[0] - half, high=values[0] + half)


def interval_of(profiler: Profiler, quantities: Quantities, method: str, level: float) -> Ends:
    """Intervals of quantities of the coefficients at a level, by the profile or the sandwich."""
    return ends_of(profiler, quantities, method, student_quantile((1 + level) / 2, profiler.shape.degrees))


def coefficient_intervals(
    profiler: Profiler, method: str, level: float, values_BK: Array, loose: frozenset[int]
) -> tuple[Array, Array]:
    """Low and high ends of every coefficient (K,), nan for the loose ones; an end of a range counts as reached.

    A coefficient that ran to an end of its range has a one-sided interval, from that end to where the data no longer
    allow it.
    """
    problem, shape = profiler.problem, profiler.shape
    numbers = problem.design.numbers(problem.law)
    root = student_quantile((1 + level) / 2, shape.degrees)
    low, high = np.full(len(numbers), np.nan), np.full(len(numbers), np.nan)
    if method == BOOTSTRAP:
        if len(values_BK):
            low, high = np.quantile(values_BK, [(1 - level) / 2, (1 + level) / 2], axis=0)
    else:
        inner = ends_of(profiler, Combinations(np.eye(len(numbers))), method, root)
        for place, coefficient in enumerate(numbers):
            # A falling scale turns the ends round.
            ends = np.sort(coefficient.to_value(np.array([inner.low[place], inner.high[place]])))
            low[place], high[place] = ends
    if method == PROFILE:
        for place in shape.gone - loose:
            stood, stopped = profiler.optimum.internal[place], profiler.far_end(place, root)
            if not np.isnan(stopped):
                # The number ran away from where it was stopped: to that end of its range.
                reached = numbers[place].to_value(np.array([np.copysign(np.inf, stood - stopped), stopped]))
                low[place], high[place] = np.sort(reached)
    low[sorted(loose)] = high[sorted(loose)] = np.nan
    return low, high


def derived_intervals(
    profiler: Profiler, names: Sequence[str], method: str, level: float
) -> dict[str, tuple[float, float]]:
    """Intervals of quantities that follow from the exponents, where those are positive and not both fixed."""
    ratio = exponents_ratio(profiler.problem.law, names)
    if ratio is None or method == BOOTSTRAP:
        return {}
    root = student_quantile((1 + level) / 2, profiler.shape.degrees)
    found = ends_of(profiler, Combinations(ratio.weights[None, :]), method, root)
    low, high = (float(1 / (1 + np.exp(-(end[0] + ratio.offset)))) for end in (found.low, found.high))
    return {"params_exponent": (low, high), "tokens_exponent": (1 - high, 1 - low)} if np.isfinite(low + high) else {}


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
    problem = set_up(runs, law, target=target, objective=objective).problem
    if clusters is not None:
        problem = replace(problem, design=replace(problem.design, run=clusters))
    with np.errstate(all="ignore"):
        optimum = search(problem, np.random.default_rng(seed), effort=effort)
        return Fitted(problem=problem, profiler=Profiler.of(problem, optimum, curvature(problem, optimum)))


def _prior_of(fit: Fit, problem: Problem) -> Prior | None:
    """The prior that a fit was made with."""
    if not fit.priors:
        return None
    numbers = problem.design.numbers(problem.law)
    mean, weight = np.zeros(len(numbers)), np.zeros(len(numbers))
    for place, coefficient in enumerate(numbers):
        if coefficient.name in fit.priors:
            value, error = fit.priors[coefficient.name]
            mean[place] = float(coefficient.to_internal(value))
            weight[place] = fit.prior_noise * (float(coefficient.slope(mean[place])) / error) ** 2
    return Prior(mean=mean, weight=weight, noise=fit.prior_noise)


def reopen(fit: Fit) -> Profiler | None:
    """The optimum of a fit with its rows, from which anything can be profiled; None where the fit keeps none."""
    if fit.table is None or fit.status == "exact" or fit.rows <= len(fit.coefficients):
        return None
    problem = make_problem(fit.law, fit.table, fit.objective)
    problem = replace(problem, prior=_prior_of(fit, problem))
    internal = problem.design.internal(fit.law, fit.values.values())
    with np.errstate(all="ignore"):
        prediction, jacobian = problem.workspace(1).evaluate(internal[None, :])
        optimum = Optimum(
            internal=internal,
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
            return Profiler.of(problem, optimum, curvature(problem, optimum))
        except np.linalg.LinAlgError:
            raise FitError(
                f"the curvature of {fit.law.formula!r} at the fit's coefficients has no inverse. Make the fit again with rung fit."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class LawEnds:
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
    root: float
    degrees: int

    def draws(self, place: int, count: int) -> Array:
        """Draws of the law at one point, ascending: Student's t, each side with its own width (count,)."""
        roots = student_quantiles(count, max(self.degrees, 1)) / self.root
        below, above = self.value[place] - self.low[place], self.high[place] - self.value[place]
        return np.asarray(self.value[place] + np.where(roots < 0, below, above) * roots)


def law_ends(profiler: Profiler, fit: Fit, variables: Mapping[str, Array], levels: Mapping[str, str]) -> LawEnds:
    """The interval of the law at points (m,) for one level of each group."""
    design = profiler.problem.design
    points = max(np.size(values) for values in variables.values())
    columns = {name: np.broadcast_to(np.asarray(variables[name], dtype=float), (points,)) for name in fit.law.variables}
    groups: dict[str, NDArray[np.intp]] = {
        group: np.full(points, design.level_names[group].index(levels[group]), dtype=np.intp) for group in design.groups
    }
    space = design.at(columns, groups).workspace(fit.law, fit.objective.residual, points)
    root = student_quantile((1 + fit.level) / 2, profiler.shape.degrees)
    with np.errstate(all="ignore"):
        found = ends_of(profiler, Predictions(space), fit.interval, root)
    return LawEnds(value=found.value, low=found.low, high=found.high, root=root, degrees=profiler.shape.degrees)
