"""Intervals of proportions, and p-values of many comparisons.

    Wilson            (p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
    Clopper-Pearson   r successes in k fixed attempts: Beta(r, k - r + 1) and Beta(r + 1, k - r)
    inverse sampling  attempts until the r-th success, at the k-th: Beta(r, k - r + 1) and Beta(r, k - r)
    Benjamini-Hochberg  in descending order min over j >= i of m p_j / j

Source: Wilson 1927; Clopper and Pearson 1934; Benjamini and Hochberg 1995. Under inverse sampling the upper bound differs from
Clopper and Pearson's, since more than k attempts for r successes are fewer than r successes in k.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from rung.arrays import Array


def wilson(share: float, count: float, level: float = 0.9) -> tuple[float, float]:
    """Wilson's interval of a proportion.

    Args:
        share: The observed proportion, in 0 to 1.
        count: How many items; the effective number where they are correlated.
        level: Coverage.

    >>> [round(end, 4) for end in wilson(0.5, 10, 0.95)]
    [0.2366, 0.7634]
    """
    z = normal_quantile((1 + level) / 2)
    centre = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = ((centre + sign * half) / (1 + z**2 / count) for sign in (-1, 1))
    return float(max(low, 0.0)), float(min(high, 1.0))


def clopper_pearson(successes: int, attempts: int, level: float = 0.9) -> tuple[float, float]:
    """The exact interval of a proportion from a fixed number of attempts.

    >>> [round(end, 4) for end in clopper_pearson(0, 10, 0.95)]
    [0.0, 0.3085]
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, attempts - successes + 1))
    high = 1.0 if successes == attempts else float(beta.ppf(1 - tail, successes + 1, attempts - successes))
    return low, high


def inverse_sampling(successes: int, attempts: int, level: float = 0.9) -> tuple[float, float]:
    """The exact interval of a proportion whose last attempt was the success that ended the sampling."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, attempts - successes + 1))
    high = 1.0 if successes == attempts else float(beta.ppf(1 - tail, successes, attempts - successes))
    return low, high


def benjamini_hochberg(p_values: Sequence[float] | Array) -> Array:
    """p-values adjusted so that those below q hold at most a share q of false discoveries (m,); nan stays nan.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    values = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known])[::-1]]
    ranks = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum.accumulate(np.minimum(values[order] * len(order) / ranks, 1.0))
    return adjusted


def normal_quantile(share: float) -> float:
    """The quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(share)
