"""Runs of two recipes at the same scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array

_SAME = 0.02
"""Distance in the logarithm of every scale within which two runs count as matched."""


def matched(first_nV: Array, second_mV: Array) -> list[tuple[int, int]]:
    """Places of the runs that have one partner each, and are it to that.

    Args:
        first_nV: Scales of the first recipe's runs.
        second_mV: Those of the second's.
    """
    near = np.all(np.abs(np.log(first_nV)[:, None, :] - np.log(second_mV)[None, :, :]) < _SAME, axis=2)
    only = near & (near.sum(axis=0) == 1) & (near.sum(axis=1) == 1)[:, None]
    return [(int(a), int(b)) for a, b in zip(*np.nonzero(only), strict=True)]


def clusters(first: int, second: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """A number for each run, from 0 on, the second recipe's after the first's, that matched runs share."""
    labels = np.arange(first + second)
    for a, b in pairs:
        labels[first + b] = a
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)
