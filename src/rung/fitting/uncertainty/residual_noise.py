"""Run-to-run noise: how a new run deviates from the law, estimated from the residuals near the largest scale.

On most tables, residuals of the logarithm shrink with scale, and forecasts are made for the largest scales. So rows
count more, the nearer they are to the largest scale.
"""

from __future__ import annotations

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.design import Design

_NEARNESS = 2.0
"""Logarithm of the weight of the largest scale over that of the smallest."""

_POINTS = 999
"""Number of quantiles that represent the noise."""


def nearness(scale: Array) -> Array:
    """Weight of each row by how near its scale is to the largest (n,), with a mean of 1.

    weight_i is proportional to exp(2 (log s_i - log s_max) / (log s_max - log s_min)).
    """
    log_scale = np.log(scale)
    log_range = float(np.ptp(log_scale))
    if log_range == 0:
        return np.ones(len(scale))
    weights = np.exp(_NEARNESS * (log_scale - log_scale.max()) / log_range)
    return np.asarray(weights / np.mean(weights))


def noise_spread(design: Design, residuals: Array, near: Array) -> float:
    """Standard deviation of a new run about the law.

    sqrt(sum_i w_i r_i^2 / sum_i w_i), with w_i the row's weight times its nearness, times `_widening`: the fit has
    made the residuals smaller than the noise.
    """
    return float(np.sqrt(np.average(residuals**2, weights=design.weights * near))) * _widening(design)


def noise_quantiles(design: Design, residuals: Array, near: Array) -> Array:
    """Quantiles of a new run's deviation from the law, at the probabilities (k + 1/2) / 999 (999,).

    The i-th smallest of n residuals is the quantile i / (n + 1) (Weibull's plotting positions), so that a new one is
    equally likely to fall into any gap between them. With weights w (row weight times nearness, scaled to mean 1), in
    ascending order of residuals, the position is (w_1 + ... + w_i - w_i / 2 + 1/2) / (n + 1); equal weights give
    i / (n + 1).
    """
    order = np.argsort(residuals)
    weights = (design.weights * near)[order]
    share = weights / np.mean(weights)
    positions = (np.cumsum(share) - share / 2 + 0.5) / (design.rows + 1)
    points = (np.arange(_POINTS) + 0.5) / _POINTS
    return np.asarray(np.interp(points, positions, residuals[order]) * _widening(design))


def _widening(design: Design) -> float:
    """sqrt(G / (G - K)) for G runs and K coefficients: the fit uses one degree of freedom for each coefficient."""
    return float(np.sqrt(design.runs / max(design.runs - design.size, 1)))
