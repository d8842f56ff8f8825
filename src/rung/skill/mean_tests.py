"""Tests of means: over groups of items, unpaired, and the intervals of a mean score."""

from __future__ import annotations

import numpy as np

from rung.arrays import Array, Indices
from rung.skill.proportions import normal_quantile, wilson
from rung.worth import standard_error


def items_needed(difference: float, error: float, count: int) -> float:
    """Items n with z_0.9 error sqrt(count / n) = difference: as many of the same kind, in groups of the same size."""
    if difference == 0 or not np.isfinite(error):
        return float("inf")
    return float(count * (normal_quantile(0.9) * error / difference) ** 2)


def jackknife(values: Array, groups: Indices | None) -> tuple[float, float]:
    """The standard error of a mean over groups of items, and its degrees of freedom; nan for a single group.

    Args:
        values: One value per item (n,).
        groups: The number of each item's group (n,); None where every item is its own.
    """
    if groups is None:
        count = len(values)
        return (float(np.std(values, ddof=1) / np.sqrt(count)), count - 1.0) if count > 1 else (float("nan"), 0.0)
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    count = len(sums)
    if count < 2:
        return float("nan"), 0.0
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    return float(np.sqrt((count - 1) / count * ((without - values.mean()) ** 2).sum())), count - 1.0


def two_sided(difference: float, error: float, degrees: float) -> float:
    """The two-sided p-value of a difference by Student's t; 1 where nothing differs, nan where no error is known."""
    from scipy.stats import t

    if not (np.isfinite(error) and degrees > 0):
        return float("nan")
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * t.sf(abs(difference) / error, degrees))


def welch(ours: Array, theirs: Array) -> tuple[float, float, float]:
    """Welch's two-sided p-value that two means agree, the standard error of their difference and its degrees of freedom."""
    if min(len(ours), len(theirs)) < 2:
        return float("nan"), float("nan"), 0.0
    error, degrees = standard_error(ours, theirs)
    return two_sided(float(theirs.mean() - ours.mean()), error, degrees), error, degrees


def mean_interval(values: Array, groups: Indices | None, level: float) -> tuple[float, float]:
    """The interval of a mean score: Wilson's for scores of 0 and 1, of the effective number of items; otherwise Student's t."""
    from scipy.stats import t

    mean = float(values.mean())
    error, degrees = jackknife(values, groups)
    if np.isin(values, (0.0, 1.0)).all():
        effective = mean * (1 - mean) / error**2 if groups is not None and error > 0 else float(len(values))
        return wilson(mean, max(min(effective, len(values)), 1.0), level)
    if not degrees:
        return float("nan"), float("nan")
    half = float(t.ppf((1 + level) / 2, degrees) * error)
    return mean - half, mean + half
