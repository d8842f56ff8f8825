"""Dunn's test of which groups differ, by their mean ranks. Source: Dunn 1964, Technometrics 6."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rung.arrays import Array, Indices
from rung.worth import holm


def dunn(values: Array, groups: Indices) -> dict[tuple[int, int], float]:
    """Dunn's two-sided p-value for each pair of groups, adjusted by Holm."""
    from scipy.stats import norm, rankdata

    ranks = rankdata(values)
    count = len(values)
    ties = np.unique(values, return_counts=True)[1]
    variance = count * (count + 1) / 12 - (ties**3 - ties).sum() / (12 * (count - 1))
    numbers = np.unique(groups)
    means = {int(one): (ranks[groups == one].mean(), (groups == one).sum()) for one in numbers}
    pairs = list(combinations(means, 2))
    p_values = []
    for one, other in pairs:
        error = np.sqrt(variance * (1 / means[one][1] + 1 / means[other][1]))
        p_values.append(float(2 * norm.sf(abs(means[one][0] - means[other][0]) / error)) if error > 0 else 1.0)
    return dict(zip(pairs, holm(p_values), strict=True))
