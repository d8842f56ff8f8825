"""Runs of two recipes at the same scale, whatever their number of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array, Indices

_SAME = 0.02
"""Distance in the logarithm of every scale within which two runs count as matched."""


@dataclass(frozen=True, slots=True)
class Match:
    """One scale that both recipes ran.

    Attributes:
        first: Rows of the first recipe there.
        second: Rows of the second.
    """

    first: Indices
    second: Indices


def matched(first_nV: Array, second_mV: Array) -> list[Match]:
    """The scales that both recipes ran, each with all its runs.

    Args:
        first_nV: Scales of the runs of the first recipe (n, V).
        second_mV: Scales of the runs of the second recipe (m, V).
    """
    logs = np.log(np.concatenate([first_nV, second_mV]))
    # Rows of one scale are one point; a chain of near points is one scale, which the first of them names.
    points, at = np.unique(logs, axis=0, return_inverse=True)
    label = _chained(points)[at.ravel()]
    count = len(first_nV)
    found = []
    for scale in np.unique(label):
        rows = np.flatnonzero(label == scale)
        first, second = rows[rows < count], rows[rows >= count] - count
        if len(first) and len(second):
            found.append(Match(first, second))
    return found


def _chained(points_pV: Array) -> Indices:
    """For each of some points in ascending order, the first point of the chain of near ones that it belongs to (p,)."""
    label = np.arange(len(points_pV))
    # Points are sorted by their first scale, so those near one lie in a window around it.
    ends = np.searchsorted(points_pV[:, 0], points_pV[:, 0] + _SAME)
    for row, end in enumerate(ends.tolist()):
        near = row + np.flatnonzero(np.all(np.abs(points_pV[row:end] - points_pV[row]) < _SAME, axis=1))
        lowest = label[near].min()
        for old in np.unique(label[near]):
            if old != lowest:
                label[label == old] = lowest
    return label


def clusters(first: int, second: int, matches: Sequence[Match]) -> NDArray[np.intp]:
    """A cluster number for each run, counted from 0; the runs of one match share it.

    Args:
        first: Number of runs of the first recipe; they come first.
        second: Number of runs of the second recipe.
        matches: The scales that both ran, as from `matched`.
    """
    labels = np.arange(first + second)
    for match in matches:
        labels[match.first] = labels[first + match.second] = match.first[0]
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)
