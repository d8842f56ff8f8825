"""Student's t and Fisher's F: the two tail probabilities that every fit needs.

SciPy has both, but importing it takes a third of the time of a whole `rung fit`. So they are written out here, and
tested against SciPy.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from rung.arrays import Array

_TERMS = 300
"""Most terms of the continued fraction."""

_TINY = 1e-300
"""Replaces a zero denominator in Lentz's method."""

_EPS = 1e-15
"""Relative change of the continued fraction at which it has converged."""


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's method on its continued fraction.

        I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) / (1 + d_1 / (1 + d_2 / (1 + ...))),
        d_2m = m (b - m) x / ((a + 2m - 1) (a + 2m)),  d_2m+1 = -(a + m) (a + b + m) x / ((a + 2m) (a + 2m + 1))

    It converges fast for x < (a + 1) / (a + b + 2); elsewhere I_x(a, b) = 1 - I_1-x(b, a).
    Source: DLMF 8.17.22, https://dlmf.nist.gov/8.17.
    """
    if not 0 < x < 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(b, a, 1 - x)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)) / a
    upper, lower, value = 1.0, 0.0, 1.0
    for term in range(_TERMS):
        half = term // 2
        if term == 0:
            step = 1.0
        elif term % 2:
            step = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            step = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        lower = 1 / ((1 + step * lower) or _TINY)
        upper = (1 + step / upper) or _TINY
        value *= upper * lower
        if abs(upper * lower - 1) < _EPS:
            break
    return front * (value - 1)


def f_sf(first: int, second: int, value: float) -> float:
    """P(F > f) for Fisher's F with p and q degrees of freedom: I_x(q / 2, p / 2) with x = q / (q + p f)."""
    return beta_share(second / 2, first / 2, second / (second + first * value)) if value > 0 else 1.0


@cache
def student_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t, by bisection of P(|t| > z) = I_x(v / 2, 1 / 2), x = v / (v + z^2)."""
    degrees = max(degrees, 1)
    if probability == 0.5:
        return 0.0
    tail = 2 * min(probability, 1 - probability)
    low, high = 0.0, 1e12
    for _ in range(200):
        middle = math.sqrt((low + 1e-12) * high) if high > 2 * low + 1 else (low + high) / 2
        if beta_share(degrees / 2, 0.5, degrees / (degrees + middle * middle)) > tail:
            low = middle
        else:
            high = middle
        if high - low <= 1e-14 * high:
            break
    return math.copysign((low + high) / 2, probability - 0.5)


@cache
def student_quantiles(count: int, degrees: int) -> Array:
    """Quantiles of Student's t at the probabilities (i + 1/2) / count (count,), by interpolation of its tail."""
    z_all = np.concatenate([np.linspace(0, 6, 400), np.geomspace(6.02, 6e5, 400)])
    tails = np.array([beta_share(degrees / 2, 0.5, degrees / (degrees + z * z)) / 2 for z in z_all])
    wanted = (np.arange(count) + 0.5) / count
    below = np.minimum(wanted, 1 - wanted)
    # Tails fall like a power far out and like a normal density near the middle; their logarithm is smooth.
    tails_up = np.maximum(tails[::-1], 1e-300)
    found = np.interp(np.log(below), np.log(tails_up), z_all[::-1])
    quantiles = np.asarray(np.where(wanted < 0.5, -found, found))
    quantiles.setflags(write=False)
    return quantiles
