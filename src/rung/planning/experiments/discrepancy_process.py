"""The model discrepancy near a target: a Gaussian process that neighbouring runs share and that grows away from it.

No law is exactly true. With x the logarithms of the law's variables and d the distance to the nearest target, the
error of the law is a normal process with covariance

    Cov(x, y) = s(x) s(y) [(1 - rho) prod_v (1 + sqrt(3) r_v) exp(-sqrt(3) r_v) + rho exp(-sum_v r_v)],
    r_v = |x_v - y_v| / l,   s(x) = (1 + d(x) / l)^g

smooth for the greater part (Matern 3/2) and rough for the share rho (Matern 1/2). A law fitted to be right at a target is
the further off the further a run lies from it, so rows far from the target, and rows close to each other, weigh less
than as many independent ones.

`fitting.backtest.discrepancy` has the other model of the same thing: a random walk along scale, learnt from backtests,
for laws with enough runs to make any. This one serves laws with too few.

Source: Kennedy and O'Hagan 2001, "Bayesian calibration of computer models", equation 5, for the law beside a process of
its discrepancy. Differs: the growth with distance is ours, chosen on the pools of benchmarks/pools.py.

Shapes: `X` points, `V` variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array, Indices, Mask

LENGTH = 3.0
"""Length scale l of the process along one variable, in factors of e (benchmarks/pools.py)."""

ROUGH = 0.4
"""Share rho of the variance that is rough: what one architecture or one setting has of its own (benchmarks/pools.py)."""

GROWTH = 2.0
"""Power g of the distance, in lengths, by which the standard deviation grows (benchmarks/pools.py)."""

_MOST = 8.0
"""Logarithm of the largest growth of the standard deviation: beyond it a row says nothing, and numbers stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyProcess:
    """The discrepancy at some points, in units of its standard deviation at the targets.

    Attributes:
        points_XV: Logarithms of the variables; a variable that is not positive everywhere spans LENGTH.
        std: Standard deviation at each point (X,); 1 at the point nearest to a target.
    """

    points_XV: Array
    std: Array

    def take(self, points: Indices) -> DiscrepancyProcess:
        """The process at some of its points."""
        return replace(self, points_XV=self.points_XV[points], std=self.std[points])

    def distance(self, points: DiscrepancyProcess) -> Array:
        """Distance from each point to the nearest of others, in factors of e over all variables together (X,)."""
        return np.asarray(np.min(self._apart(points).sum(axis=2), axis=1))

    def covariance(self, points: DiscrepancyProcess) -> Array:
        """Covariance between these points and others (X, other X)."""
        apart = self._apart(points) / LENGTH
        smooth = np.sqrt(3.0) * apart
        alike = (1 - ROUGH) * np.prod((1 + smooth) * np.exp(-smooth), axis=2) + ROUGH * np.exp(-np.sum(apart, axis=2))
        return np.asarray(alike * np.outer(self.std, points.std))

    def _apart(self, points: DiscrepancyProcess) -> Array:
        return np.asarray(np.abs(self.points_XV[:, None, :] - points.points_XV[None, :, :]))


def discrepancy_around(columns: Mapping[str, Array], targets: Mask) -> DiscrepancyProcess:
    """The process over some points, of which some are targets.

    Args:
        columns: Each variable at all points (X,).
        targets: Which of the points are targets (X,).
    """
    points = np.stack([_log_or_scaled(column) for column in columns.values()], axis=1)
    away = np.min(np.sum(np.abs(points[:, None, :] - points[None, targets, :]), axis=2), axis=1, initial=np.inf)
    # A target that no run comes near would leave no run that counts: distances start at the nearest run.
    away = np.maximum(away - np.min(away[~targets], initial=np.inf), 0.0) if np.any(~targets) else away
    std = np.exp(np.minimum(GROWTH * np.log1p(away / LENGTH), _MOST))
    return DiscrepancyProcess(points_XV=points, std=std)


def _log_or_scaled(column: Array) -> Array:
    if np.all(column > 0):
        return np.log(column)
    return np.asarray(LENGTH * column / (np.ptp(column) or 1.0))
