"""Runs of two recipes at the same scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array

_SAME = 0.02
"""Distance in the logarithm of every scale within which two runs count as matched."""


def matched(first_nV: Array, second_mV: Array) -> list[tuple[int, int]]:
    """Index pairs of runs at the same scale, where each has exactly one partner.

    Args:
        first_nV: Scales of the runs of the first recipe (n, V).
        second_mV: Scales of the runs of the second recipe (m, V).
    """
    near = np.all(np.abs(np.log(first_nV)[:, None, :] - np.log(second_mV)[None, :, :]) < _SAME, axis=2)
    only = near & (near.sum(axis=0) == 1) & (near.sum(axis=1) == 1)[:, None]
    return [(int(a), int(b)) for a, b in zip(*np.nonzero(only), strict=True)]


def clusters(first: int, second: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """A cluster number for each run, counted from 0; matched runs share one.

    Args:
        first: Number of runs of the first recipe; they come first.
        second: Number of runs of the second recipe.
        pairs: Index pairs of matched runs, as from `matched`.
    """
    labels = np.arange(first + second)
    for a, b in pairs:
        labels[first + b] = a
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)
