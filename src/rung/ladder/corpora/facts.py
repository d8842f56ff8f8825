"""Facts with a known entropy in bits: keys with values (bioD), and people with attributes (bioS)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.features.spec import Memoriser
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.corpus import Data, HeldOut, Items, places, require_vocab
from rung.units import BITS_PER_NAT


def bits_of_choice(among: int, chosen: int) -> float:
    """Bits that determine an unordered choice: log2 of the binomial coefficient (among over chosen) [bit]."""
    nats = math.lgamma(among + 1) - math.lgamma(chosen + 1) - math.lgamma(among - chosen + 1)
    return nats * BITS_PER_NAT


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValues:
    """Keys, each with values drawn from a uniform distribution: bioD with one chunk and one token per value.

    Source: Allen-Zhu and Li 2024, arXiv:2404.05405, definition 2.2 (C = L = 1).

    Attributes:
        facts: Keys that have values, drawn from the keys of the family [count].
        seed: Seed of the facts.
    """

    facts: int = 1000
    seed: int = 0

    @property
    def data(self) -> str:
        return "facts"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        assert isinstance(family, Memoriser)
        if not 1 <= self.facts <= family.keys:
            raise LadderError(f"facts = {self.facts} must lie between 1 and the family's keys = {family.keys}.")
        return KeyValuesData(self, family)


class KeyValuesData:
    """Every fact once per epoch, which is one exposure; the loss measures how well these same facts are known."""

    def __init__(self, corpus: KeyValues, family: Memoriser) -> None:
        rng = np.random.default_rng((corpus.seed, corpus.facts))
        self.keys = rng.permutation(family.keys)[: corpus.facts].astype(np.int32)
        self.values = rng.integers(family.values, size=(corpus.facts, family.attributes)).astype(np.int32)
        self.bits = corpus.facts * family.attributes * math.log2(family.values)
        """Entropy of all values: facts * attributes * log2(values) [bit]."""

    identity = ""

    @property
    def unique_items(self) -> int:
        return len(self.keys)

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        which = places(key, first, count, len(self.keys))
        return self.keys[which], self.values[which]

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        del count
        return {"": HeldOut(items=(self.keys, self.values), floor=0.0)}


POOLS: dict[str, int] = {
    "first name": 400,
    "middle name": 400,
    "last name": 1000,
    "birth month": 12,
    "birth day": 28,
    "birth year": 200,
    "birth city": 200,
    "university": 300,
    "major": 100,
    "employer": 263,
    "pronoun": 2,
}
"""Number of values from which each part of a biography is drawn [count].

Source: Allen-Zhu and Li 2024, arXiv:2404.05405, section 2.1."""

_NAME = 3
"""Parts of a name: the first of POOLS [count]."""
_DATE = 3
"""Parts of a date of birth: those after the name [count]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Biographies with one token per part: a name, then the attributes in a new random order at each exposure.

    Source: Allen-Zhu and Li 2024, arXiv:2404.05405, definition 2.1 (bioS, without its sentences).

    Attributes:
        people: People [count].
        seed: Seed of their names and attributes.
    """

    people: int = 1000
    seed: int = 0

    @property
    def data(self) -> str:
        return "tokens"

    @property
    def bits(self) -> float:
        """Entropy of all people: of the choice of names, and of every attribute of each person [bit]."""
        pools = list(POOLS.values())
        return bits_of_choice(math.prod(pools[:_NAME]), self.people) + self.people * math.log2(math.prod(pools[_NAME:]))

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        require_vocab(family, sum(POOLS.values()) + 1, "bioS")
        return PeopleData(self, family.item_tokens)


class PeopleData:
    """Windows of whole biographies with an end token after each; every person once per epoch."""

    def __init__(self, corpus: People, context: int) -> None:
        sizes = np.array(list(POOLS.values()))
        self.starts = np.concatenate([[0], sizes.cumsum()])
        rng = np.random.default_rng((corpus.seed, corpus.people))
        names = rng.choice(int(sizes[:_NAME].prod()), size=corpus.people, replace=False)
        parts = [names // int(sizes[1] * sizes[2]), names // int(sizes[2]) % int(sizes[1]), names % int(sizes[2])]
        parts += [rng.integers(size, size=corpus.people) for size in sizes[_NAME:]]
        self.people = (np.stack(parts, axis=1) + self.starts[:-1]).astype(np.int32)
        """Tokens of each person: name, date, attributes (people, 11)."""
        self.length = len(sizes) + 1
        self.context = context
        self.per_window = (context + 1) // self.length
        if not self.per_window:
            raise LadderError(
                f"bioS: a biography has {self.length} tokens, and context = {context} is too short for it."
            )

    identity = ""

    @property
    def unique_items(self) -> int:
        return -(-len(self.people) // self.per_window)

    def written(self, who: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int32]:
        """Tokens of biographies, with the date as one of the attributes in random order (n, 12)."""
        person = self.people[who]
        attributes = person[:, _NAME + _DATE :]
        order = rng.random((len(who), attributes.shape[1] + 1)).argsort(axis=1)
        out = np.empty((len(who), self.length), np.int32)
        out[:, :_NAME] = person[:, :_NAME]
        out[:, -1] = self.starts[-1]
        position = np.full(len(who), _NAME)
        rows = np.arange(len(who))
        for column in order.T:
            date = column == 0
            for part in range(_DATE):
                out[rows[date], position[date] + part] = person[date, _NAME + part]
            out[rows[~date], position[~date]] = attributes[rows[~date], column[~date] - 1]
            position += np.where(date, _DATE, 1)
        return out

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        who = places(key, first * self.per_window, count * self.per_window, len(self.people))
        windows = self.written(who, rng).reshape(count, -1)
        return (np.pad(windows, ((0, 0), (0, self.context + 1 - windows.shape[1])), constant_values=self.starts[-1]),)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        """Biographies of the same people: the loss measures knowledge, and no model can know other people."""
        return {"": HeldOut(items=self.batch((0, 1), 0, min(count, self.unique_items)))}
