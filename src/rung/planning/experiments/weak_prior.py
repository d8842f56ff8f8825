"""A weak prior for a law with few runs: a normal distribution of its unconstrained parameters, and of its values at the targets.

The law itself gives the first: the spread of share-balanced starts, without those under which a run that could be made
lies far from the losses that were measured. The second expects at each target a loss that is not far from those.

Shapes: `J` draws, `K` unconstrained parameters, `Q` targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate import Problem, balanced_starts
from rung.laws import Workspace

PLAUSIBLE = 0.9
"""Share of the watched points at which a draw must be near the measured losses."""

_DRAWS = 256
_LEAST_DRAWS = 64
"""Draws that are kept at least, the most plausible first: their covariance needs some."""

_NEAR = np.log(3.0)
"""How far beyond the measured losses a plausible law may lie, in logarithms; also the standard deviation of a target's
loss about them, before distance: public studies span less than a factor of three."""

_GROWTH = 1 / 3
"""How much that standard deviation grows with each factor e of distance from the runs: a steep exponent."""

_LARGEST = 40.0
"""Largest unconstrained parameter: exp(40) is beyond any coefficient of the law book."""

_TAILS = 4.0
"""Robust standard deviations at which draws are cut off, so that a few far ones do not set the covariance."""

_LEAST_STD = 0.3
_RIDGE = 0.2
"""Standard deviation of an unconstrained parameter beyond what the draws show: no parameter is known beforehand."""

_FEW_RUNS_WIDTH = 3.0
_WIDTH = 50.0
"""How much wider the prior is than the draws: with fewer runs than coefficients, and with as many or more, where a
narrow prior would draw real laws away from their runs (benchmarks/pools.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPrior:
    """A normal distribution of unconstrained parameters, and one of the law's values at the targets.

    Attributes:
        mean: Mean of the unconstrained parameters (K,).
        factor_KK: Factor R of their inverse covariance R'R.
        value: Mean of the logarithm of the law at the targets (Q,).
        value_precision: Inverse variances of those (Q,); all together count as one run.
    """

    mean: Array
    factor_KK: Array
    value: Array
    value_precision: Array

    def precision(self, slopes_KQ: Array) -> Array:
        """Inverse covariance of the unconstrained parameters (K, K), where the values have these derivatives."""
        return np.asarray(self.factor_KK.T @ self.factor_KK + (slopes_KQ * self.value_precision) @ slopes_KQ.T)


def weak_prior(problem: Problem, draws_JK: Array, distance: Array) -> WeakPrior:
    """The prior of a law over a few runs.

    Args:
        problem: The law over the runs.
        draws_JK: Plausible draws of its unconstrained parameters.
        distance: Distance from each target to the nearest run, in factors of e (Q,).
    """
    few = problem.design.rows < draws_JK.shape[1]
    std = _NEAR + _GROWTH * distance
    return WeakPrior(
        mean=np.median(draws_JK, axis=0),
        factor_KK=_precision_factor(draws_JK, _FEW_RUNS_WIDTH if few else _WIDTH),
        value=np.full(len(distance), np.mean(problem.target)),
        value_precision=std**-2.0 / len(std),
    )


def plausible_draws(problem: Problem, watched: Workspace, rng: np.random.Generator) -> Array:
    """Share-balanced draws of unconstrained parameters, the most plausible first (J, K)."""
    draws = balanced_starts(problem.law, problem.design, _DRAWS, rng)
    draws = clipped(np.where(np.isfinite(draws), draws, 0.0))
    inside = plausibility(problem, watched, draws)
    kept = max(_LEAST_DRAWS, int(np.sum(inside >= PLAUSIBLE)))
    return np.asarray(draws[np.argsort(-inside, kind="stable")[:kept]])


def clipped(points_JK: Array) -> Array:
    """Unconstrained parameters within the largest that is meant."""
    return np.asarray(np.clip(points_JK, -_LARGEST, _LARGEST))


def plausibility(problem: Problem, watched: Workspace, points_JK: Array) -> Array:
    """For each coefficient vector, the share of the watched points at which the law is near the measured losses (J,)."""
    low, high = np.min(problem.target) - _NEAR, np.max(problem.target) + _NEAR
    found = []
    with np.errstate(all="ignore"):
        for first in range(0, len(points_JK), watched.lanes):
            values = watched.evaluate(points_JK[first : first + watched.lanes])[0]
            found.append(np.mean((values > low) & (values < high), axis=1) * np.isfinite(values).all(axis=1))
    return np.concatenate(found)


def _precision_factor(draws_JK: Array, width: float) -> Array:
    """Factor of the inverse covariance of a normal distribution `width` times as wide as the draws."""
    centred = draws_JK - np.median(draws_JK, axis=0)
    # 1.4826 turns the median absolute deviation of a normal distribution into its standard deviation.
    reach = _TAILS * np.maximum(1.4826 * np.median(np.abs(centred), axis=0), _LEAST_STD)
    centred = np.clip(centred, -reach, reach)
    covariance = width**2 * (centred.T @ centred / len(centred) + _RIDGE**2 * np.eye(draws_JK.shape[1]))
    return np.asarray(np.linalg.cholesky(np.linalg.inv(covariance)).T)
