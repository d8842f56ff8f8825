"""The cuts of a backtest: the law is fitted to the scales up to a cut and scored on the larger ones.

Shapes: `n` rows, `m` scored rows over all cuts, `K` unconstrained parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting.estimate.initial_points import balanced_starts
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.curvature import curvature_at
from rung.fitting.uncertainty.residual_noise import nearness, noise_spread

CUTS = 6
"""Most cuts of a backtest, by default."""

SAME_SCALE = 1.1
"""Factor within which scales count as one."""

_LEAST_LEVELS = 3
"""Fewest distinct scales that a cut is fitted to."""

_FIRST_SHARE = 0.3
"""Smallest share of the rows that a cut is fitted to."""

_STARTS = 3
"""New starts of the solver for each cut, beside the optimum of all rows."""

_SPARE = 3
"""Fewest rows beyond the coefficients that a cut is fitted to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """Rows above a cut with their forecast by the law fitted below it, for all cuts together (m,).

    Attributes:
        cut: Index of the cut.
        row: Index of the row in the table.
        distance: Logarithm of the row's scale over the largest scale fitted.
        measured: The target on the residual's scale.
        forecast: The law's value on the same scale.
        gain: Absolute difference of the forecast from the law's mean at the largest scale fitted.
        law_error: Standard error of the law there; nan where the cut does not determine it.
        noise: Standard deviation of a run about the law, estimated from the cut's rows.
        last: Baseline: the mean target at the largest scale fitted.
        line: Baseline: a straight line in the logarithm of scale.
    """

    cut: NDArray[np.intp]
    row: NDArray[np.intp]
    distance: Array
    measured: Array
    forecast: Array
    gain: Array
    law_error: Array
    noise: Array
    last: Array
    line: Array

    @property
    def error(self) -> Array:
        """Measured minus forecast (m,)."""
        return self.measured - self.forecast

    def take(self, rows: NDArray[np.bool_]) -> ScoredRows:
        """Some of the scored rows."""
        return ScoredRows(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def scale_levels(scale: Array) -> Array:
    """The largest value of each distinct scale, ascending; it holds values up to 1.1 times its smallest."""
    ordered = np.sort(scale)
    largest, first = [], ordered[0]
    for before, here in itertools.pairwise(ordered):
        if here > first * SAME_SCALE:
            largest.append(before)
            first = here
    return np.array([*largest, ordered[-1]])


def choose_cuts(problem: Problem, scale: Array, cuts: int = CUTS) -> Array:
    """Up to `cuts` largest scales of fits, ascending and evenly over the rows; none for few rows or scales."""
    levels = scale_levels(scale)
    least = max(problem.design.size + _SPARE, _FIRST_SHARE * len(scale))
    fitted = np.searchsorted(np.sort(scale), levels, side="right")
    usable = np.flatnonzero((fitted >= least) & (np.arange(len(levels)) >= _LEAST_LEVELS - 1))
    usable = usable[usable < len(levels) - 1]
    if len(usable) <= cuts:
        return levels[usable]
    wanted = np.linspace(fitted[usable[0]], fitted[usable[-1]], cuts)
    return levels[np.unique(usable[[int(np.argmin(np.abs(fitted[usable] - share))) for share in wanted]])]


def score(
    problem: Problem, scale: Array, cuts: Array, unconstrained: Array, rng: np.random.Generator
) -> ScoredRows | None:
    """Fit below each cut and forecast the rows above it; None where no cut can be fitted.

    All cuts are solved together, from the optimum of all rows and from new starts; the best solution counts.

    Args:
        problem: The law over all rows.
        scale: Each row's scale (n,).
        cuts: The largest scale of each fit.
        unconstrained: Unconstrained parameters of the optimum on all rows (K,).
        rng: Random generator for the new starts.
    """
    parts = [
        part
        for index, (point, converged) in enumerate(_solved(problem, scale, cuts, unconstrained, rng))
        if (part := _scored(problem, scale, index, float(cuts[index]), point, converged=converged)) is not None
    ]
    if not parts:
        return None
    names = ScoredRows.__dataclass_fields__
    return ScoredRows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _solved(
    problem: Problem, scale: Array, cuts: Array, unconstrained: Array, rng: np.random.Generator
) -> Iterator[tuple[Array, bool]]:
    design = problem.design
    # Each stage of delta is a separate solve; an absolute loss has many stages, so it gets fewer starts.
    many = 1 + (_STARTS if len(problem.deltas) <= 4 else 2)
    starts = np.concatenate(
        [
            point
            for cut in cuts
            for below in [np.flatnonzero(scale <= cut)]
            for point in (unconstrained[None, :], balanced_starts(problem.law, design.take(below), many - 1, rng))
        ]
    )
    weights = np.repeat(design.weights * (scale <= cuts[:, None]), many, axis=0)
    found = problem.solve(starts, weights, scale=_student_scale(problem))
    for index in range(len(cuts)):
        jobs = slice(index * many, (index + 1) * many)
        best = int(np.argmin(found.objective_J[jobs])) + index * many
        yield found.unconstrained_JK[best], bool(np.isfinite(found.objective_J[best]))


def _fitted_levels(problem: Problem, below: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Rows whose group levels all have rows below the cut (n,)."""
    fitted = np.ones(problem.design.rows, dtype=bool)
    for codes in problem.design.groups.values():
        fitted &= np.isin(codes, codes[below])
    return fitted


def _student_scale(problem: Problem) -> float:
    """The scale of Student's t: 1 % of the target's standard deviation; 1 for other losses, without effect."""
    return 0.01 * problem.spread if problem.objective.loss == "student-t" else 1.0


def _scored(
    problem: Problem, scale: Array, index: int, cut: float, point: Array, *, converged: bool
) -> ScoredRows | None:
    """The rows above one cut with their forecast by the law fitted below it.

    None where the fit failed, no row is left to score, or the law has no value at some row.
    """
    if not converged:
        return None
    below = np.flatnonzero(scale <= cut)
    above = np.flatnonzero((scale > cut) & _fitted_levels(problem, below))
    if not len(above):
        return None
    prediction, jacobian = problem.workspace(1).evaluate(point[None, :])
    prediction, jacobian = prediction[0].copy(), jacobian[:, 0].copy()
    if not np.all(np.isfinite(prediction)):
        return None
    part = problem.part(below)
    residuals = problem.target[below] - prediction[below]
    optimum = Optimum(
        unconstrained=point,
        residuals=residuals,
        jacobian_Kn=jacobian[:, below],
        scale=_student_scale(problem),
        tried=1,
        agreed=1,
        converged=True,
    )
    curvature = curvature_at(part, optimum)
    top = scale[below] >= cut / SAME_SCALE
    log_scale = np.log(scale)
    slope, intercept = np.polyfit(log_scale[below], problem.target[below], 1)
    count = len(above)
    return ScoredRows(
        cut=np.full(count, index),
        row=above,
        distance=log_scale[above] - np.log(cut),
        measured=problem.target[above],
        forecast=prediction[above],
        gain=np.abs(prediction[above] - np.mean(prediction[below][top])),
        law_error=curvature.std_errors(jacobian[:, above]),
        noise=np.full(count, noise_spread(part.design, residuals, nearness(scale[below]))),
        last=np.full(count, np.mean(problem.target[below][top])),
        line=intercept + slope * log_scale[above],
    )
