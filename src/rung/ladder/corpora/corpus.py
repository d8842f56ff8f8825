"""What a corpus is: items in a fixed order for each seed, and items held out."""

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
"""Where the orders of held-out items begin: no run has so many items."""

Items = tuple[NDArray[Any], ...]
"""Arrays of as many items each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Items that no run trains on.

    Attributes:
        items: The items.
        floor: The lowest loss that any model can have on them, in the family's unit; None where it is not known.
    """

    items: Items
    floor: float | None = None


class Data(Protocol):
    """A corpus made ready for a family."""

    @property
    def identity(self) -> str:
        """A fingerprint of what is read from files; nothing for what is made from a seed."""
        ...

    @property
    def unique_items(self) -> int | None:
        """Items before the first comes again; None where there is no end."""
        ...

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        """Items number `first` to `first + count` of the order that belongs to a key: the same for the same key, first and count."""
        ...

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        """Held-out items by the name of their set, the corpus's own under ""."""
        ...


class Corpus(Protocol):
    """Where items come from; its dataclass fields are its options."""

    @property
    def data(self) -> str:
        """What its items are: a family of the same `data` learns from them."""
        ...

    def open(self, family: Family, keep: Path | None) -> Data:
        """The items in the shape that a family takes; what is slow to make is kept in a folder.

        Raises:
            LadderError: There is nothing to read, too little of it, or it does not suit the family.
        """
        ...


def places(key: tuple[int, ...], first: int, count: int, unique: int) -> NDArray[np.int64]:
    """Which of `unique` items an order names at `first` to `first + count`: each once before any comes again."""
    parts = []
    while count:
        epoch, at = divmod(first, unique)
        taken = min(count, unique - at)
        parts.append(_order(key, epoch, unique)[at : at + taken])
        first, count = first + taken, count - taken
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


_ORDERS: dict[tuple[tuple[int, ...], int, int], NDArray[np.int64]] = {}


def _order(key: tuple[int, ...], epoch: int, unique: int) -> NDArray[np.int64]:
    """The order of one epoch; the last one asked for is kept, since it is asked for at every step."""
    wanted = (key, epoch, unique)
    if wanted not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[wanted] = np.random.default_rng((*key, epoch) if epoch else key).permutation(unique)
    return _ORDERS[wanted]


def require_vocab(family: Family, needed: int, what: str) -> None:
    """Refuse a family that knows fewer tokens than a corpus has.

    Raises:
        LadderError: It does.
    """
    vocab = getattr(family, "vocab", needed)
    if vocab < needed:
        raise LadderError(
            f"{what} has {needed} tokens, the family knows vocab = {vocab}. Set vocab = {needed} in [family]."
        )
