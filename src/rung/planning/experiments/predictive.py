"""The joint predictive distribution of the runs that could be made and of the targets, before any of them is made.

It is one normal distribution of logarithms: of the loss that each candidate would measure, and of each target. With
Phi the factor of the prior covariance (R'R = Sigma_prior) and S the part that the runs already made explain,

    Cov(x, y) = Phi_x . Phi_y - S_x . S_y + v k(x, y)

where v k is the model discrepancy. With several modes it is the moment-matched normal of their mixture, so that what a
run says about which mode holds counts with the rest.

Shapes: `M` candidates, `Q` targets, `X` points: the candidates and then the targets, `R` rows of a factor, `P` modes,
`n` runs made, `K` unconstrained parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate import Problem
from rung.planning.experiments.discrepancy_process import DiscrepancyProcess
from rung.planning.experiments.posterior_modes import Modes, bounded_slopes
from rung.planning.experiments.residual_scale import DISCREPANCY_SHARE, row_covariance

INTERVAL_INFLATION = 2.0
"""Factor by which intervals from few runs are wider than the normal distribution says. Real laws deviate more than
their few runs show: with this factor, nominal 90 % intervals hold about 90 % of the rows of five published pools
(benchmarks/pools.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDiscrepancy:
    """The model discrepancy beyond the largest run, as a random walk in the logarithm of scale.

    Used for a law known from a fit; a law known from few runs has a `DiscrepancyProcess` instead.

    Attributes:
        variance: Variance for each factor e of scale.
        largest: Logarithm of the largest scale that was run; -inf without runs.
        candidates: Logarithm of each candidate's scale (M,).
        targets: Logarithm of each target's scale (Q,); -inf where the discrepancy does not count.
    """

    variance: float
    largest: float
    candidates: Array
    targets: Array

    def at(self, largest: Array | float) -> Array:
        """Variance of each target beyond one largest run, or beyond each of many (..., Q)."""
        top = np.asarray(largest)[..., None]
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isfinite(top) & np.isfinite(self.targets), self.targets - top, 0.0)
        return np.asarray(self.variance * np.maximum(distance, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class JointPredictive:
    """One normal distribution of logarithms over candidates and targets.

    Attributes:
        mean: Expected value at each point (X,).
        prior_RX: Factor of the covariance without the discrepancy and without the runs made.
        explained_RX: Factor of the covariance that the runs made explain.
        discrepancy: The discrepancy over the points; None where `scale_discrepancy` takes its part.
        discrepancy_variance: Variance of the discrepancy at the targets.
        noise: Variance that a single run adds.
        inflation: Factor by which intervals are wider than the normal distribution says.
        degrees: Degrees of freedom of the intervals.
        scale_discrepancy: The discrepancy beyond the largest run.
    """

    mean: Array
    prior_RX: Array
    explained_RX: Array
    discrepancy: DiscrepancyProcess | None
    discrepancy_variance: float
    noise: float
    inflation: float
    degrees: int
    scale_discrepancy: ScaleDiscrepancy

    @property
    def candidates(self) -> int:
        return len(self.scale_discrepancy.candidates)

    def variance(self) -> Array:
        """Variance of each point (X,), without a run's own noise."""
        own = self.discrepancy_variance * self.discrepancy.std**2 if self.discrepancy is not None else 0.0
        found = np.sum(self.prior_RX**2, axis=0) + own - np.sum(self.explained_RX**2, axis=0)
        return np.asarray(np.maximum(found, 0.0))

    def covariance_with(self, at: int) -> Array:
        """Covariance of all points with one of them (X,)."""
        found = self.prior_RX.T @ self.prior_RX[:, at] - self.explained_RX.T @ self.explained_RX[:, at]
        if self.discrepancy is not None:
            here = self.discrepancy.take(np.array([at]))
            found = found + self.discrepancy_variance * self.discrepancy.covariance(here)[:, 0]
        return np.asarray(found)


def predictive_of_estimate(
    value_X: Array,
    slopes_KX: Array,
    covariance_KK: Array,
    *,
    noise: float,
    degrees: int,
    scale_discrepancy: ScaleDiscrepancy,
) -> JointPredictive:
    """The predictive distribution of a law known to a covariance about one optimum (the delta method)."""
    # A candidate where the law has no finite derivative cannot be judged.
    candidates = np.arange(len(value_X)) < len(scale_discrepancy.candidates)
    unusable = ~np.isfinite(slopes_KX).all(axis=0) & candidates
    return JointPredictive(
        mean=np.where(unusable, np.nan, value_X),
        prior_RX=_factor(covariance_KK) @ bounded_slopes(slopes_KX),
        explained_RX=np.empty((0, len(value_X))),
        discrepancy=None,
        discrepancy_variance=0.0,
        noise=noise,
        inflation=1.0,
        degrees=degrees,
        scale_discrepancy=scale_discrepancy,
    )


def predictive_of_modes(
    modes: Modes, problem: Problem, discrepancy: DiscrepancyProcess, columns: Mapping[str, Array], targets: int
) -> JointPredictive:
    """The predictive distribution that a few runs leave.

    Args:
        modes: The modes of the coefficients' posterior.
        problem: The law over the runs.
        discrepancy: The discrepancy over the runs made, and then the points.
        columns: Each variable at the points (X,).
        targets: How many of the points are targets.
    """
    rows, count = problem.design.rows, len(next(iter(columns.values())))
    here, there = discrepancy.take(np.arange(rows)), discrepancy.take(np.arange(rows, rows + count))
    past = problem.workspace(len(modes.weights)).evaluate(modes.unconstrained_PK)
    space = problem.design.at(columns, {}).workspace(problem.law, problem.objective.residual, len(modes.weights))
    with np.errstate(all="ignore"):
        future = space.evaluate(modes.unconstrained_PK)
    seen = problem.target
    cross_Xn = there.covariance(here)
    about_nn = modes.noise * row_covariance(here.covariance(here), modes.noise_weights)
    share = modes.noise * DISCREPANCY_SHARE
    means, factors, explained = [], [], []
    for mode, weight in enumerate(np.sqrt(modes.weights)):
        past_Kn, future_KX = (bounded_slopes(part[1][:, mode]) for part in (past, future))
        # The mean of a Gaussian process regression of the residuals, beside the law itself.
        error = share * cross_Xn @ np.linalg.solve(about_nn, seen - past[0][mode])
        means.append(np.nan_to_num(future[0][mode], nan=float(np.mean(seen))) + error)
        factor_KK = _factor(modes.covariance_PKK[mode])
        before, after = factor_KK @ past_Kn, factor_KK @ future_KX
        factors.append(weight * after)
        total_nn = before.T @ before + about_nn
        # The covariance is scaled to a correlation before its Cholesky factor is taken, with a trace of ridge.
        scale = np.sqrt(np.diag(total_nn))
        lower = np.linalg.cholesky(total_nn / np.outer(scale, scale) + 1e-9 * np.eye(rows))
        joint_Xn = after.T @ before + share * cross_Xn
        explained.append(weight * np.linalg.solve(lower, (joint_Xn / scale).T))
    means_PX = np.array(means)
    middle = modes.weights @ means_PX
    factors.append(np.sqrt(modes.weights)[:, None] * (means_PX - middle))
    return JointPredictive(
        mean=np.quantile(means_PX, 0.5, axis=0, weights=modes.weights, method="inverted_cdf"),
        prior_RX=np.concatenate(factors),
        explained_RX=np.concatenate(explained),
        discrepancy=there,
        discrepancy_variance=share,
        noise=modes.noise * (1 - DISCREPANCY_SHARE),
        inflation=INTERVAL_INFLATION,
        degrees=modes.degrees,
        scale_discrepancy=ScaleDiscrepancy(
            variance=0.0, largest=-np.inf, candidates=np.zeros(count - targets), targets=np.full(targets, -np.inf)
        ),
    )


def _factor(covariance_KK: Array) -> Array:
    """R with R'R the covariance."""
    size, vectors = np.linalg.eigh(covariance_KK)
    return np.asarray((vectors * np.sqrt(np.maximum(size, 0.0))).T)
