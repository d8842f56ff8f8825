"""What few runs say of a law: the modes of its coefficients' posterior under a weak prior.

A fit needs more runs than coefficients; here any number will do, from two on. The prior is what the law itself and
the values seen give: the spread of share-balanced starts, without those under which a run that could be made leaves
what was seen by far. The law's error is a smooth process (`misfit`), the noise of a run Student's, and how much of
the variance is whose is taken from the likelihood. Where several optima explain the runs about as well, each is kept
with its weight.

Source: arXiv:2604.22753 for modes with weights by what they explain. Differs: the prior is a normal of the starts and no
box, the error has a process of its own, and no value that was not measured is used.

Shapes: `P` modes, `K` internal numbers, `n` rows, `J` starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.fit.misfit import Misfit
from rung.fit.pull import Combinations, PulledLoss, PulledSpace
from rung.fit.search import Problem
from rung.fit.solver import RowLoss, Solutions, Space, solve
from rung.fit.starts import balanced_starts, projected_starts
from rung.laws.tape import Workspace
from rung.laws.tree import Array

SHARES = (0.8, 0.9)
"""Shares of the variance near the target that may be the law's error; the rest is noise of single runs."""

_NOISE = 0.02
"""Noise before any residual, in spreads of the values seen, with the weight of _ROWS rows."""
_ROWS = 2.0
_FIRST = 4.0
"""What the noise is begun at, in units of that."""
_LEAST_NOISE = 1e-16
_LEAST_SPREAD = 0.02
"""Least spread of the values seen, in the logarithm."""

_STUDENT_DEGREES = 10.0
_LEAST_INFLATION = 0.3
_ROUNDS = 3
"""Rounds of coefficients and then shares, noise and each row's inflation."""

_DRAWS = 256
_LEAST_DRAWS = 64
_FACTOR = np.log(3.0)
"""A draw under which many points lie further than this beyond what was seen is not believed."""
_BELIEVED = 0.9
_LARGE = 40.0
_TAILS = 4.0
_LEAST_WIDTH = 0.3
_RIDGE = 0.2
"""Spread of an internal number beyond what the draws show."""
_WIDER = 3.0
"""How much wider the prior is than the draws: weak, and still one."""

_STARTS = 24
_FURTHER_STARTS = 6
_PROJECTED = 6
_PROJECTED_CANDIDATES = 256
_MOST_MODES = 6
_APART = 0.3
"""Distance of two modes in prior standard deviations, under which they are one."""
_WORSE = 6.0
"""Log-posterior by which a mode may be worse than the best."""
_TOLERANCE = 1e-4
_STEEP = 1e6
"""Most that a derivative counts: beyond a pole of a law it has no end."""
_TINY = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """What is known of a law's coefficients.

    Attributes:
        internal_PK: Internal numbers at each mode, best first.
        weights: Posterior weight of each mode (P,).
        spread_KK: Covariance of the prior.
        noise: Variance of a run about the law near the target, in the logarithm, error and noise together.
        share: Share of it that is the law's error.
        inflation: What each row's own noise is multiplied by (n,); far above 1 for an odd run.
        degrees: Degrees of freedom of the noise.
    """

    internal_PK: Array
    weights: Array
    spread_KK: Array
    noise: float
    share: float
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
    """A normal of the internal numbers, and starts drawn from what it was made of."""

    mean: Array
    spread_KK: Array
    root_KK: Array
    drawn_JK: Array


def find_modes(
    problem: Problem, misfit: Misfit, watched: Workspace, rng: np.random.Generator, before: Modes | None = None
) -> Modes:
    """The modes of a law's coefficients under a weak prior.

    Args:
        problem: The law over the runs made, with squares of logarithms as its objective.
        misfit: The law's error over the same rows.
        watched: The law over points where a draw of the prior has to make sense.
        rng: Source of the starts.
        before: The modes of fewer of these runs: fewer new starts are then made.
    """
    prior = _prior(problem, watched, rng)
    starts = [prior.drawn_JK[: _STARTS if before is None else _FURTHER_STARTS]]
    if problem.design.rows > 2:
        projected = projected_starts(problem.law, problem.design, _PROJECTED, _PROJECTED_CANDIDATES, rng)
        starts.append(np.clip(projected, -_LARGE, _LARGE))
    if before is not None:
        starts.append(before.internal_PK)
    points = np.concatenate(starts)
    space = problem.workspace(len(points))
    least = (_NOISE * max(float(np.std(problem.target)), _LEAST_SPREAD)) ** 2
    # Little noise at first: from much, a fit that leaves everything to the law's error would explain itself.
    noise, share = _FIRST * least, SHARES[-1]
    shared = misfit.between(misfit)
    inflation = np.ones(problem.design.rows)
    found, used = None, 0.0
    for _ in range(_ROUNDS):
        root = _root(shared, share, inflation)
        found = _solve(problem, _Whitened(space, root), prior, noise, points)
        best = found.internal_JK[int(np.argmin(found.objective_J))]
        prediction, jacobian = space.evaluate(best[None, :])
        left = _Left(
            residual=problem.target - prediction[0],
            slopes_Kn=np.clip(np.nan_to_num(jacobian[:, 0]), -_STEEP, _STEEP),
            prior=prior,
            shared_nn=shared,
            inflation=inflation,
        )
        noise, share, used = left.shared_out(noise, least)
        inflation = left.inflated(noise, share)
    assert found is not None
    chosen = _different(found, _believed(problem, watched, found.internal_JK) >= _BELIEVED, prior, noise)
    worse = (found.objective_J[chosen] - found.objective_J[chosen[0]]) / noise
    weights = np.exp(-worse)
    return Modes(
        internal_PK=found.internal_JK[chosen],
        weights=weights / weights.sum(),
        spread_KK=prior.spread_KK,
        noise=noise,
        share=share,
        inflation=inflation,
        degrees=max(round(problem.design.rows - used + _ROWS), 1),
    )


def _prior(problem: Problem, watched: Workspace, rng: np.random.Generator) -> _Prior:
    drawn = balanced_starts(problem.law, problem.design, _DRAWS, rng)
    drawn = np.clip(np.where(np.isfinite(drawn), drawn, 0.0), -_LARGE, _LARGE)
    inside = _believed(problem, watched, drawn)
    kept = max(_LEAST_DRAWS, int(np.sum(inside >= _BELIEVED)))
    drawn = drawn[np.argsort(-inside, kind="stable")[:kept]]
    mean = np.median(drawn, axis=0)
    away = drawn - mean
    reach = _TAILS * np.maximum(1.4826 * np.median(np.abs(away), axis=0), _LEAST_WIDTH)
    away = np.clip(away, -reach, reach)
    spread = _WIDER**2 * (away.T @ away / len(away) + _RIDGE**2 * np.eye(len(mean)))
    root = np.linalg.cholesky(np.linalg.inv(spread)).T
    return _Prior(mean=mean, spread_KK=spread, root_KK=root, drawn_JK=drawn)


def _believed(problem: Problem, watched: Workspace, points_JK: Array) -> Array:
    """For each coefficient vector the share of the watched points at which the law is near what was seen (J,)."""
    low, high = np.min(problem.target) - _FACTOR, np.max(problem.target) + _FACTOR
    found = []
    with np.errstate(all="ignore"):
        for first in range(0, len(points_JK), watched.lanes):
            values = watched.evaluate(points_JK[first : first + watched.lanes])[0]
            found.append(np.mean((values > low) & (values < high), axis=1) * np.isfinite(values).all(axis=1))
    return np.concatenate(found)


def variance_of(shared_nn: Array, share: float, inflation: Array) -> Array:
    """Variance of rows about the law (n, n), in units of the noise."""
    return np.asarray(share * shared_nn + np.diag((1 - share) * inflation + _TINY))


def _root(shared_nn: Array, share: float, inflation: Array) -> Array:
    return np.asarray(np.linalg.inv(np.linalg.cholesky(variance_of(shared_nn, share, inflation))))


def _solve(problem: Problem, space: _Whitened, prior: _Prior, noise: float, points_JK: Array) -> Solutions:
    rows = problem.design.rows
    weights = np.concatenate([np.ones(rows), np.full(len(prior.mean), noise)])
    with np.errstate(all="ignore"):
        return solve(
            PulledSpace(space, Combinations(prior.root_KK)),
            points_JK,
            np.concatenate([space.root_nn @ problem.target, prior.root_KK @ prior.mean]),
            weights[None, :],
            PulledLoss(RowLoss(), rows),
            reach=problem.reach,
            floor=0.0,
            tolerance=_TOLERANCE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What a law at its best coefficients leaves of the rows.

    Attributes:
        residual: Target minus prediction (n,).
        slopes_Kn: Derivatives of the prediction.
        prior: The prior of the coefficients.
        shared_nn: Covariance of the law's error, in units of its variance where it is wanted.
        inflation: What each row's own noise is multiplied by (n,).
    """

    residual: Array
    slopes_Kn: Array
    prior: _Prior
    shared_nn: Array
    inflation: Array

    def shared_out(self, noise: float, least: float) -> tuple[float, float, float]:
        """The noise, the law's share of it, and the coefficients used: the likelihood with those integrated out."""
        pull = noise * self.prior.root_KK.T @ self.prior.root_KK
        best = (-np.inf, noise, SHARES[0], 0.0)
        for share in SHARES:
            root = _root(self.shared_nn, share, self.inflation)
            r, J = root @ self.residual, self.slopes_Kn @ root.T
            told = J @ J.T
            held = told + pull
            used = float(np.trace(np.linalg.lstsq(held, told, rcond=None)[0]))
            free = max(len(r) - used, 0.0) + _ROWS
            found = float(r @ r + _ROWS * least) / free
            height = np.sum(np.log(np.diag(root))) - 0.5 * np.linalg.slogdet(held)[1] - 0.5 * free * np.log(found)
            if height > best[0]:
                best = (float(height), max(found, _LEAST_NOISE), share, used)
        return best[1:]

    def inflated(self, noise: float, share: float) -> Array:
        """What each row's own noise is to be multiplied by, so that it is Student's: an odd run counts less."""
        root = _root(self.shared_nn, share, self.inflation)
        inverse = root.T @ root
        moved = inverse @ self.slopes_Kn.T
        held = self.slopes_Kn @ moved + noise * self.prior.root_KK.T @ self.prior.root_KK
        free = inverse - moved @ np.linalg.lstsq(held, moved.T, rcond=None)[0]
        own = (1 - share) * self.inflation
        square = (own * (inverse @ self.residual)) ** 2 + noise * np.maximum(own - own**2 * np.diag(free), 0.0)
        wanted = (_STUDENT_DEGREES + square / (noise * (1 - share))) / (_STUDENT_DEGREES + 1)
        return np.asarray(np.maximum(wanted, _LEAST_INFLATION))


def _different(found: Solutions, believed: NDArray[np.bool_], prior: _Prior, noise: float) -> list[int]:
    """Places of the modes, best first: what makes no sense at the watched points is none, where anything else does."""
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
