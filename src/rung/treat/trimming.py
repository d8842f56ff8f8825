"""The size from which entries of a task vector are kept, found without holding the entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rung.arrays import Indices
from rung.models import Weights

PART = 1 << 20
"""Numbers of a tensor that are held at once."""

_BINS = 1 << 16


def least_kept(base: Weights, expert: Weights, names: Sequence[str], keep: float) -> float:
    """The size of the smallest entry among the largest share of a task vector over some tensors, exactly.

    Sizes of 32-bit floats are in the order of their bits, so two histograms of 16 bits each find it in two passes, without holding
    the entries. All entries of exactly that size are kept.
    """
    count = sum(base.tensors[name].count for name in names)
    rank = max(1, round(keep * count))

    def sizes() -> Iterator[Any]:
        for name in names:
            pair = zip(base.floats(name, PART), expert.floats(name, PART), strict=True)
            for before, after in pair:
                yield np.abs(after - before).view(np.uint32)

    upper = np.zeros(_BINS, dtype=np.int64)
    for bits in sizes():
        upper += np.bincount(bits >> 16, minlength=_BINS)
    above, bin_ = _place(upper, rank)
    lower = np.zeros(_BINS, dtype=np.int64)
    for bits in sizes():
        lower += np.bincount(bits[(bits >> 16) == bin_] & 0xFFFF, minlength=_BINS)
    _, last = _place(lower, rank - above)
    return float(np.array([(bin_ << 16) | last], dtype=np.uint32).view(np.float32)[0])


def _place(counts: Indices, rank: int) -> tuple[int, int]:
    """How many entries lie above the bin that holds the one of a rank from the largest, and which bin that is."""
    from_above = np.cumsum(counts[::-1])
    at = int(np.searchsorted(from_above, rank))
    return int(from_above[at] - counts[::-1][at]), len(counts) - 1 - at
