"""The noise of few runs: its variance, and a weight of each run's own noise, so that outliers count less.

The covariance of the rows about the law, in units of the noise variance s^2, is

    V = c K + (1 - c) diag(w)

with K the covariance of the model discrepancy, c its share and w the noise weights. With J the whitened derivatives and P
the precision of the coefficients before the runs, the effective number of coefficients is
tr[(J J' + s^2 P)^-1 J J'] (MacKay 1992, equation 4.9). The weights are the expectation step of Student's t.

Shapes: `n` runs, `K` unconstrained parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array

DISCREPANCY_SHARE = 0.9
"""Share c of the variance near a target that is model discrepancy; the rest is noise of single runs
(benchmarks/pools.py)."""

PRIOR_ROWS = 2.0
"""Rows that the prior noise counts for: two runs alone must not show a noise of zero."""

_LEAST_NOISE = 1e-16
"""Smallest variance of the noise, so that weights stay finite where a law meets every run."""

_STUDENT_DEGREES = 3.0
"""Degrees of freedom of a run's noise: tails as heavy as a finite variance allows."""

_LEAST_WEIGHT = 0.3
"""Smallest noise weight: below it one run would decide alone (benchmarks/pools.py)."""

_RIDGE = 1e-10
"""Added to the diagonal of V, for rows at one point."""


def row_covariance(shared_nn: Array, noise_weights: Array) -> Array:
    """Covariance V of rows about the law (n, n), in units of the noise variance."""
    return np.asarray(DISCREPANCY_SHARE * shared_nn + np.diag((1 - DISCREPANCY_SHARE) * noise_weights + _RIDGE))


def whitening_matrix(shared_nn: Array, noise_weights: Array) -> Array:
    """W with W V W' = 1 (n, n)."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(row_covariance(shared_nn, noise_weights))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualScale:
    """The rows about a law at its best coefficients.

    Attributes:
        residual: Target minus prediction (n,).
        slopes_Kn: Derivatives of the prediction.
        precision_KK: Inverse covariance of the unconstrained parameters before the runs.
        shared_nn: Covariance of the discrepancy, in units of its variance at the targets.
        noise_weights: Weight of each row's own noise (n,).
    """

    residual: Array
    slopes_Kn: Array
    precision_KK: Array
    shared_nn: Array
    noise_weights: Array

    def effective_coefficients(self, noise: float) -> float:
        """Effective number of coefficients that the runs determine."""
        J = self.slopes_Kn @ whitening_matrix(self.shared_nn, self.noise_weights).T
        informed = J @ J.T
        return float(np.trace(np.linalg.lstsq(informed + noise * self.precision_KK, informed, rcond=None)[0]))

    def noise(self, effective: float, prior: float) -> float:
        """Variance of the noise, given the effective number of coefficients and the prior variance."""
        r = whitening_matrix(self.shared_nn, self.noise_weights) @ self.residual
        found = float(r @ r + PRIOR_ROWS * prior) / (max(len(r) - effective, 0.0) + PRIOR_ROWS)
        return max(found, _LEAST_NOISE)

    def updated_weights(self, noise: float) -> Array:
        """Noise weights under which each row's own noise is Student's (n,)."""
        whitening = whitening_matrix(self.shared_nn, self.noise_weights)
        inverse = whitening.T @ whitening
        moved = inverse @ self.slopes_Kn.T
        held = self.slopes_Kn @ moved + noise * self.precision_KK
        free = inverse - moved @ np.linalg.lstsq(held, moved.T, rcond=None)[0]
        own = (1 - DISCREPANCY_SHARE) * self.noise_weights
        square = (own * (inverse @ self.residual)) ** 2 + noise * np.maximum(own - own**2 * np.diag(free), 0.0)
        weights = (_STUDENT_DEGREES + square / (noise * (1 - DISCREPANCY_SHARE))) / (_STUDENT_DEGREES + 1)
        return np.asarray(np.maximum(weights, _LEAST_WEIGHT))
