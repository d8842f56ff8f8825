"""What few runs say of a law: the modes of its coefficients' posterior under a weak prior.

A fit needs more runs than coefficients; here any number will do, from two on. The prior is what the law itself and
the values seen give: the spread of share-balanced starts, without those under which a run that could be made leaves
what was seen by far; and where the law is wanted, a value that is not far from what was seen. The law's error is a
smooth process (`misfit`), and the noise of a run Student's. Where several optima explain the runs about as well, each
is kept with its weight.

Source: arXiv:2604.22753 for modes with weights by what they explain. Differs: the prior is a normal of the starts and no
box, the error has a process of its own, and no value that was not measured is used.

Shapes: `P` modes, `K` internal numbers, `n` rows, `Q` places where the law is wanted, `J` starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.errors import FitError
from rung.fit.misfit import Misfit
from rung.fit.pull import Combinations, PulledLoss, PulledSpace
from rung.fit.search import Problem
from rung.fit.solver import RowLoss, Solutions, Space, solve
from rung.fit.starts import balanced_starts, projected_starts
from rung.laws.tape import Workspace
from rung.laws.tree import Array

MISFIT_SHARE = 0.9
"""Share of the variance near the target that is the law's error; the rest is noise of single runs."""

_NOISE = 0.02
"""Noise before any residual, in spreads of the values seen, with the weight of _ROWS rows."""
_ROWS = 2.0
_FIRST = 4.0
"""What the noise is begun at, in units of that."""
_LEAST_NOISE = 1e-16
_LEAST_SPREAD = 0.02
"""Least spread of the values seen, in the logarithm."""

_STUDENT_DEGREES = 3.0
_LEAST_INFLATION = 0.3
_ROUNDS = 5
"""Rounds of coefficients and then the noise and each row's inflation."""

_DRAWS = 256
_LEAST_DRAWS = 64
_FACTOR = np.log(3.0)
"""A draw under which many points lie further than this beyond what was seen is not believed; and the spread of a value
about what was seen, before any run tells it."""
_EXPONENT = 1 / 3
"""What that spread grows by for each factor of e away from the runs."""
_BELIEVED = 0.9
_LARGE = 40.0
_TAILS = 4.0
_LEAST_WIDTH = 0.3
_RIDGE = 0.2
"""Spread of an internal number beyond what the draws show."""
_HELD = 3.0
"""How much wider the prior is than the draws while there are fewer runs than coefficients."""
_FREE = 50.0
"""And with as many or more, which a narrow prior would draw real laws away from (benchmarks/pools.py)."""

_STARTS = 24
_PROJECTED = 6
_PROJECTED_CANDIDATES = 256
_MOST_MODES = 6
_APART = 0.3
"""Distance of two modes in prior standard deviations, under which they are one."""
_WORSE = 6.0
"""Log-posterior by which a mode may be worse than the best."""
_TOLERANCE = 1e-4
_STEEP = 1e6
"""Most that a derivative counts."""
_TINY = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """What is known of a law's coefficients.

    Attributes:
        internal_PK: Internal numbers at each mode, best first.
        weights: Posterior weight of each mode (P,).
        spread_PKK: Covariance of the internal numbers before the runs, at each mode.
        noise: Variance of a run about the law near the target, in the logarithm, error and noise together.
        inflation: What each row's own noise is multiplied by (n,); far above 1 for an odd run.
        degrees: Degrees of freedom of the noise.
    """

    internal_PK: Array
    weights: Array
    spread_PKK: Array
    noise: float
    inflation: Array
    degrees: int


@dataclass(frozen=True, slots=True)
class _Whitened:
    """Rows combined so that their errors are independent and of one size."""

    rows: Space
    root_nn: Array

    @property
    def lanes(self) -> int:
        return self.rows.lanes

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        prediction, jacobian = self.rows.evaluate(points_LK)
        return prediction @ self.root_nn.T, jacobian @ self.root_nn.T


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prior:
    """A normal of the internal numbers, and one of the law's values where it is wanted.

    Attributes:
        mean: Mean of the internal numbers (K,).
        root_KK: Root of their inverse covariance.
        value: Mean of the logarithms of the values (Q,).
        told: Inverse of their variances (Q,); all together count as one run.
    """

    mean: Array
    root_KK: Array
    value: Array
    told: Array

    def precision(self, slopes_KQ: Array) -> Array:
        """Inverse covariance (K, K) of the internal numbers where the values have these derivatives by them."""
        return np.asarray(self.root_KK.T @ self.root_KK + (slopes_KQ * self.told) @ slopes_KQ.T)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Runs, and the places where the law is wanted, for any prior.

    Attributes:
        problem: The law over the runs.
        space: The law over the runs and then the places.
        shared_nn: Covariance of the law's error over the runs, in units of its variance where it is wanted.
        least: What the noise is before any residual.
    """

    problem: Problem
    space: Workspace
    shared_nn: Array
    least: float

    def under(self, prior: _Prior, points_JK: Array) -> _Found:
        """What starts at these points end in.

        Raises:
            FitError: None has a value at every run and every place.
        """
        rows = self.problem.design.rows
        # Little noise at first: from much, a fit that leaves everything to the law's error would explain itself.
        noise, inflation = _FIRST * self.least, np.ones(rows)
        found = None
        for _ in range(_ROUNDS):
            solutions = self._solve(prior, noise, inflation, points_JK)
            points_JK = solutions.internal_JK
            if not np.isfinite(solutions.objective_J).any():
                raise FitError(
                    f"{self.problem.law.formula} has no positive, finite value at every run and every target, from any of "
                    f"{len(points_JK)} starts. Check the targets, or give coefficients ranges: `with A in (0, inf)`."
                )
            best = int(np.argmin(solutions.objective_J))
            prediction, jacobian = self.space.evaluate(points_JK[[best]])
            slopes = bounded(jacobian[:, 0])
            left = _Left(
                residual=self.problem.target - prediction[0, :rows],
                slopes_Kn=slopes[:, :rows],
                precision_KK=prior.precision(slopes[:, rows:]),
                shared_nn=self.shared_nn,
                inflation=inflation,
            )
            used = left.used(noise)
            noise = left.noise(used, self.least)
            inflation = left.inflated(noise)
            found = _Found(solutions=solutions, noise=noise, inflation=inflation, used=used)
        assert found is not None
        return found

    def _solve(self, prior: _Prior, noise: float, inflation: Array, points_JK: Array) -> Solutions:
        rows, places = self.problem.design.rows, len(prior.value)
        root = np.zeros((rows + places, rows + places))
        root[:rows, :rows] = _root(self.shared_nn, inflation)
        root[rows:, rows:] = np.diag(np.sqrt(noise * prior.told))
        weights = np.concatenate([np.ones(len(root)), np.full(len(prior.mean), noise)])
        target = root @ np.append(self.problem.target, prior.value)
        with np.errstate(all="ignore"):
            return solve(
                PulledSpace(_Whitened(self.space, root), Combinations(prior.root_KK)),
                points_JK,
                np.concatenate([target, prior.root_KK @ prior.mean]),
                weights[None, :],
                PulledLoss(RowLoss(), len(root)),
                reach=self.problem.reach,
                floor=0.0,
                tolerance=_TOLERANCE,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a search ended in.

    Attributes:
        solutions: Where each start ended.
        noise: Variance of a run about the law near the target.
        inflation: What each row's own noise is multiplied by (n,).
        used: How many coefficients the runs tell.
    """

    solutions: Solutions
    noise: float
    inflation: Array
    used: float


def find_modes(
    problem: Problem,
    misfit: Misfit,
    wanted: Mapping[str, Array],
    away: Array,
    watched: Workspace,
    rng: np.random.Generator,
) -> Modes:
    """The modes of a law's coefficients under a weak prior.

    Args:
        problem: The law over the runs made, with squares of logarithms as its objective.
        misfit: The law's error over the same rows.
        wanted: Each variable where the law is wanted (Q,).
        away: Way from there to the nearest run, in factors of e (Q,).
        watched: The law over points where a draw of the prior has to make sense.
        rng: Source of the starts.

    Raises:
        FitError: The law has no value at every run and every place, from any start.
    """
    drawn = _drawn(problem, watched, rng)
    starts = [drawn[:_STARTS]]
    if problem.design.rows > 2:
        projected = projected_starts(problem.law, problem.design, _PROJECTED, _PROJECTED_CANDIDATES, rng)
        starts.append(np.clip(projected, -_LARGE, _LARGE))
    points = np.concatenate(starts)
    rows = problem.design.rows
    everywhere = {name: np.append(column, wanted[name]) for name, column in problem.design.columns.items()}
    space = problem.design.at(everywhere, {}).workspace(problem.law, problem.objective.residual, len(points))
    search = _Search(
        problem=problem,
        space=space,
        shared_nn=misfit.between(misfit),
        least=(_NOISE * max(float(np.std(problem.target)), _LEAST_SPREAD)) ** 2,
    )
    spread = _FACTOR + _EXPONENT * away
    prior = _Prior(
        mean=np.median(drawn, axis=0),
        root_KK=_prior_root(drawn, _HELD if rows < drawn.shape[1] else _FREE),
        value=np.full(len(away), np.mean(problem.target)),
        told=spread**-2.0 / len(spread),
    )
    found = search.under(prior, points)
    ends = found.solutions
    chosen = _different(ends, _believed(problem, watched, ends.internal_JK) >= _BELIEVED, prior, found.noise)
    weights = np.exp(-(ends.objective_J[chosen] - ends.objective_J[chosen[0]]) / found.noise)
    precisions = [
        prior.precision(bounded(space.evaluate(ends.internal_JK[[place]])[1][:, 0, rows:])) for place in chosen
    ]
    return Modes(
        internal_PK=ends.internal_JK[chosen],
        weights=weights / weights.sum(),
        spread_PKK=np.asarray(np.linalg.inv(precisions)),
        noise=found.noise,
        inflation=found.inflation,
        degrees=max(round(rows - found.used + _ROWS), 1),
    )


def _drawn(problem: Problem, watched: Workspace, rng: np.random.Generator) -> Array:
    """Share-balanced draws of internal numbers, those that make the most sense first (J, K)."""
    drawn = balanced_starts(problem.law, problem.design, _DRAWS, rng)
    drawn = np.clip(np.where(np.isfinite(drawn), drawn, 0.0), -_LARGE, _LARGE)
    inside = _believed(problem, watched, drawn)
    kept = max(_LEAST_DRAWS, int(np.sum(inside >= _BELIEVED)))
    return np.asarray(drawn[np.argsort(-inside, kind="stable")[:kept]])


def _prior_root(drawn_JK: Array, width: float) -> Array:
    """Root of the inverse covariance of a normal so much wider than the draws."""
    away = drawn_JK - np.median(drawn_JK, axis=0)
    reach = _TAILS * np.maximum(1.4826 * np.median(np.abs(away), axis=0), _LEAST_WIDTH)
    away = np.clip(away, -reach, reach)
    spread = width**2 * (away.T @ away / len(away) + _RIDGE**2 * np.eye(drawn_JK.shape[1]))
    return np.asarray(np.linalg.cholesky(np.linalg.inv(spread)).T)


def _believed(problem: Problem, watched: Workspace, points_JK: Array) -> Array:
    """For each coefficient vector the share of the watched points at which the law is near what was seen (J,)."""
    low, high = np.min(problem.target) - _FACTOR, np.max(problem.target) + _FACTOR
    found = []
    with np.errstate(all="ignore"):
        for first in range(0, len(points_JK), watched.lanes):
            values = watched.evaluate(points_JK[first : first + watched.lanes])[0]
            found.append(np.mean((values > low) & (values < high), axis=1) * np.isfinite(values).all(axis=1))
    return np.concatenate(found)


def bounded(slopes: Array) -> Array:
    """Derivatives without those that have no end, beyond a pole of a law."""
    return np.asarray(np.clip(np.nan_to_num(slopes), -_STEEP, _STEEP))


def variance_of(shared_nn: Array, inflation: Array) -> Array:
    """Variance of rows about the law (n, n), in units of the noise."""
    return np.asarray(MISFIT_SHARE * shared_nn + np.diag((1 - MISFIT_SHARE) * inflation + _TINY))


def _root(shared_nn: Array, inflation: Array) -> Array:
    return np.asarray(np.linalg.inv(np.linalg.cholesky(variance_of(shared_nn, inflation))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What a law at its best coefficients leaves of the rows.

    Attributes:
        residual: Target minus prediction (n,).
        slopes_Kn: Derivatives of the prediction.
        precision_KK: Inverse covariance of the internal numbers before the runs.
        shared_nn: Covariance of the law's error, in units of its variance where it is wanted.
        inflation: What each row's own noise is multiplied by (n,).
    """

    residual: Array
    slopes_Kn: Array
    precision_KK: Array
    shared_nn: Array
    inflation: Array

    def used(self, noise: float) -> float:
        """How many coefficients the runs tell."""
        J = self.slopes_Kn @ _root(self.shared_nn, self.inflation).T
        told = J @ J.T
        return float(np.trace(np.linalg.lstsq(told + noise * self.precision_KK, told, rcond=None)[0]))

    def noise(self, used: float, least: float) -> float:
        """The noise anew, where so many coefficients are told."""
        r = _root(self.shared_nn, self.inflation) @ self.residual
        found = float(r @ r + _ROWS * least) / (max(len(r) - used, 0.0) + _ROWS)
        return max(found, _LEAST_NOISE)

    def inflated(self, noise: float) -> Array:
        """What each row's own noise is to be multiplied by, so that it is Student's: an odd run counts less."""
        root = _root(self.shared_nn, self.inflation)
        inverse = root.T @ root
        moved = inverse @ self.slopes_Kn.T
        held = self.slopes_Kn @ moved + noise * self.precision_KK
        free = inverse - moved @ np.linalg.lstsq(held, moved.T, rcond=None)[0]
        own = (1 - MISFIT_SHARE) * self.inflation
        square = (own * (inverse @ self.residual)) ** 2 + noise * np.maximum(own - own**2 * np.diag(free), 0.0)
        wanted = (_STUDENT_DEGREES + square / (noise * (1 - MISFIT_SHARE))) / (_STUDENT_DEGREES + 1)
        return np.asarray(np.maximum(wanted, _LEAST_INFLATION))


def _different(found: Solutions, believed: NDArray[np.bool_], prior: _Prior, noise: float) -> list[int]:
    """Places of the modes, best first: what makes no sense at the watched points is none, where anything else does."""
    believed = believed & np.isfinite(found.objective_J)
    values = np.where(believed, found.objective_J, np.inf) if believed.any() else found.objective_J
    order = np.argsort(values)
    chosen = [int(order[0])]
    for at in order[1:]:
        if len(chosen) == _MOST_MODES or not values[at] - values[chosen[0]] < _WORSE * noise:
            break
        away = prior.root_KK @ (found.internal_JK[at] - found.internal_JK[chosen]).T
        if np.min(np.max(np.abs(away), axis=0)) > _APART:
            chosen.append(int(at))
    return chosen
