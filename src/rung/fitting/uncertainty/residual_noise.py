"""Run-to-run noise: how a new run deviates from the law, as the residuals near the largest scale show it.

Residuals in the logarithm shrink with scale on most tables, and a new run is asked about at the top: rows count by
how near to it they are.
"""

from __future__ import annotations

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.design import Design

_NEARNESS = 2.0
"""How much more the largest scale counts than the smallest, as an exponent of e over the whole range."""

_POINTS = 999


def nearness(scale: Array) -> Array:
    """Weight of each row by how near its scale is to the largest (n,), with a mean of 1."""
    index = np.log(scale)
    span = float(np.ptp(index))
    if span == 0:
        return np.ones(len(scale))
    weights = np.exp(_NEARNESS * (index - index.max()) / span)
    return np.asarray(weights / np.mean(weights))


def noise_spread(design: Design, residuals: Array, near: Array) -> float:
    """Standard deviation of a new run about the law, widened for what the fit took from the residuals."""
    return float(np.sqrt(np.average(residuals**2, weights=design.weights * near))) * _widening(design)


def noise_quantiles(design: Design, residuals: Array, near: Array) -> Array:
    """Quantiles of a new run's deviation from the law.

    The residual that stands i-th of n is the quantile i / (n + 1) (Weibull's positions, here by weight), so that a
    new one is as likely to fall into any gap.
    """
    order = np.argsort(residuals)
    weights = (design.weights * near)[order]
    share = weights / np.mean(weights)
    positions = (np.cumsum(share) - share / 2 + 0.5) / (design.rows + 1)
    points = (np.arange(_POINTS) + 0.5) / _POINTS
    return np.asarray(np.interp(points, positions, residuals[order]) * _widening(design))


def _widening(design: Design) -> float:
    """The fit used up the freedom of as many runs as it has coefficients."""
    return float(np.sqrt(design.runs / max(design.runs - design.size, 1)))
