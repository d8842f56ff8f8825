"""The protocol of a corpus: training items in a fixed order for each seed, and held-out items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.size import Family

HELD_FIRST = 1 << 40
"""Number of the first held-out item of a generator; no run has so many training items."""

Items = tuple[NDArray[Any], ...]
"""The parts of the items, such as inputs and targets, as arrays of equal length (items, ...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Held-out items.

    Attributes:
        items: The items.
        floor: The lowest loss that any model can reach on them, in the unit of the family; None if it is not known.
    """

    items: Items
    floor: float | None = None


class Data(Protocol):
    """A corpus prepared for a family."""

    @property
    def identity(self) -> str:
        """A fingerprint of the data that is read from files; "" for data generated from a seed."""
        ...

    @property
    def unique_items(self) -> int | None:
        """Distinct items, after which they repeat; None if they never repeat [count]."""
        ...

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        """Items `first` to `first + count` in the order of a key; the same arguments give the same items."""
        ...

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        """Held-out items by the name of their set; those of the corpus itself have the name ""."""
        ...


class Corpus(Protocol):
    """A source of items; its dataclass fields are its options."""

    @property
    def data(self) -> str:
        """The kind of its items: families with the same `data` learn from them."""
        ...

    def open(self, family: Family, keep: Path | None) -> Data:
        """The items in the shape that a family takes; data that are slow to prepare are kept in a folder.

        Raises:
            LadderError: There is nothing to read, too little of it, or it does not suit the family.
        """
        ...


def places(key: tuple[int, ...], first: int, count: int, unique: int) -> NDArray[np.int64]:
    """Indices of items `first` to `first + count` of an order: each epoch permutes all `unique` items anew."""
    parts = []
    while count:
        epoch, at = divmod(first, unique)
        taken = min(count, unique - at)
        parts.append(_order(key, epoch, unique)[at : at + taken])
        first, count = first + taken, count - taken
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


_ORDERS: dict[tuple[tuple[int, ...], int, int], NDArray[np.int64]] = {}
"""The last permutation, by key, epoch and number of items; every step needs it again."""


def _order(key: tuple[int, ...], epoch: int, unique: int) -> NDArray[np.int64]:
    """The permutation of one epoch, from the cache if it was the last one."""
    requested = (key, epoch, unique)
    if requested not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[requested] = np.random.default_rng((*key, epoch) if epoch else key).permutation(unique)
    return _ORDERS[requested]


def require_vocab(family: Family, needed: int, what: str) -> None:
    """Check that the vocabulary of a family is as large as that of a corpus.

    Raises:
        LadderError: The vocabulary of the family is smaller.
    """
    vocab = getattr(family, "vocab", needed)
    if vocab < needed:
        raise LadderError(
            f"{what} has a vocabulary of {needed} tokens, the family has vocab = {vocab}. Set vocab = {needed} in [family]."
        )
