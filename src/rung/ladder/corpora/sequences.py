"""Languages with known truth: an order-k Markov chain, a stream of items that recur, and arithmetic with worked steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.corpus import HELD_FIRST, Data, HeldOut, Items, require_vocab


@dataclass(frozen=True, slots=True, kw_only=True)
class Markov:
    """A language whose next token depends on the last `order`, by probabilities drawn once; its entropy is exact.

    Attributes:
        symbols: Tokens [count].
        order: Tokens that the next depends on [count].
        concentration: Of the Dirichlet distribution of each row: small is predictable.
        seed: Of the probabilities.
    """

    symbols: int = 16
    order: int = 2
    concentration: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.symbols < 2 or self.order < 1 or not self.concentration > 0:
            raise LadderError("markov: symbols must be at least 2, order at least 1, concentration positive.")
        if self.symbols**self.order > 1 << 20:
            raise LadderError(f"markov: {self.symbols} symbols of order {self.order} are more states than 2^20.")

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        require_vocab(family, self.symbols, "the Markov language")
        return MarkovData(self, family.item_tokens)


class MarkovData:
    """Windows of a Markov language, each from the stationary distribution on."""

    unique_items = None
    identity = ""

    def __init__(self, corpus: Markov, context: int) -> None:
        self.corpus, self.context = corpus, context
        self.states = corpus.symbols**corpus.order
        rng = np.random.default_rng((corpus.seed, corpus.order, corpus.symbols))
        self.rows = rng.dirichlet(np.full(corpus.symbols, corpus.concentration), self.states)
        self._cumulated = self.rows.cumsum(axis=1)

    @cached_property
    def stationary(self) -> NDArray[np.float64]:
        """Share of time in each state, by repeated steps."""
        symbols = self.corpus.symbols
        share = np.full(self.states, 1 / self.states)
        for _ in range(100_000):
            # State = the last `order` tokens as digits, the oldest first; a step drops the oldest and adds one.
            after = (share[:, None] * self.rows).reshape(symbols, -1, symbols).sum(axis=0).ravel()
            if np.abs(after - share).max() < 1e-15:
                break
            share = after
        return share

    def entropies(self) -> NDArray[np.float64]:
        """Entropy of token t of a window given those before it, t from 1 to `context` [nats]; the last is the rate."""
        symbols, order = self.corpus.symbols, self.corpus.order
        blocks = [0.0]
        for length in range(1, order + 1):
            share = self.stationary.reshape(symbols**length, -1).sum(axis=1)
            blocks.append(_entropy(share))
        with np.errstate(divide="ignore", invalid="ignore"):
            each = -np.where(self.rows > 0, self.rows * np.log(self.rows), 0.0).sum(axis=1)
        rate = float(self.stationary @ each)
        starting = [blocks[t + 1] - blocks[t] for t in range(1, order)]
        return np.array((starting + [rate] * self.context)[: self.context])

    @property
    def floor(self) -> float:
        """The lowest mean loss on windows [nats/token]."""
        return float(self.entropies().mean())

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        symbols, order = self.corpus.symbols, self.corpus.order
        state = rng.choice(self.states, size=count, p=self.stationary)
        out = np.empty((count, max(self.context + 1, order)), np.int32)
        for place in range(order):
            out[:, place] = state // symbols ** (order - 1 - place) % symbols
        draws = rng.random((self.context + 1, count))
        for place in range(order, self.context + 1):
            token = (draws[place][:, None] > self._cumulated[state, :-1]).sum(axis=1)
            out[:, place] = token
            state = state * symbols % self.states + token
        return (out[:, : self.context + 1],)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {"": HeldOut(items=self.batch((self.corpus.seed,), HELD_FIRST, count), floor=self.floor)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStream:
    """A user's items one after another: each recurs by how often it came, or is new by its popularity (a Polya urn).

    Attributes:
        items: Items [count].
        novelty: Weight of what is new, in items seen.
        skew: Popularity falls as rank to minus this.
    """

    items: int = 512
    novelty: float = 10.0
    skew: float = 1.0

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        require_vocab(family, self.items, "the stream of items")
        return ItemStreamData(self, family.item_tokens)


class ItemStreamData:
    """Windows, each a user of its own."""

    unique_items = None
    identity = ""

    def __init__(self, corpus: ItemStream, context: int) -> None:
        self.corpus, self.context = corpus, context
        popularity = np.arange(1, corpus.items + 1) ** -corpus.skew
        self.popularity = popularity / popularity.sum()

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        new = rng.choice(self.corpus.items, size=(count, self.context + 1), p=self.popularity).astype(np.int32)
        back = rng.random((count, self.context + 1))
        again = rng.random((count, self.context + 1))
        out = new.copy()
        for place in range(1, self.context + 1):
            old = again[:, place] * (self.corpus.novelty + place) >= self.corpus.novelty
            earlier = (back[:, place] * place).astype(int)
            out[old, place] = out[old, earlier[old]]
        return (out,)

    def oracle(self, items: NDArray[np.int32]) -> float:
        """Mean loss of who knows how the stream is made, on these windows [nats/token]."""
        told = 0.0
        for place in range(1, self.context + 1):
            seen = (items[:, :place] == items[:, place : place + 1]).sum(axis=1)
            chance = self.corpus.novelty * self.popularity[items[:, place]] + seen
            told -= float(np.log(chance / (self.corpus.novelty + place)).mean())
        return told / self.context

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        items = self.batch((0,), HELD_FIRST, count)
        return {"": HeldOut(items=items, floor=self.oracle(items[0]))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Chains of k sums and products modulo a prime, with every step worked out or only the answer.

    A problem is `a op b op c = s1 s2`: operands and operators are chance, steps follow from those before them.

    Attributes:
        modulus: Numbers are 0 to modulus - 1.
        steps: Operations in a chain [count].
        worked: Whether each step's result is written, or only the last.
    """

    modulus: int = 23
    steps: int = 3
    worked: bool = True

    def __post_init__(self) -> None:
        if self.modulus < 2 or self.steps < 1:
            raise LadderError("arithmetic: modulus must be at least 2 and steps at least 1.")

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        require_vocab(family, self.modulus + 4, "arithmetic")
        return ArithmeticData(self, family.item_tokens)


class ArithmeticData:
    """Windows of whole problems, one after another."""

    unique_items = None
    identity = ""

    def __init__(self, corpus: Arithmetic, context: int) -> None:
        self.corpus, self.context = corpus, context
        self.length = 2 * corpus.steps + 2 + (corpus.steps if corpus.worked else 1) + 1
        if context + 1 < self.length:
            raise LadderError(
                f"arithmetic: a problem has {self.length} tokens, context = {context} is too short for it."
            )

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        modulus, steps = self.corpus.modulus, self.corpus.steps
        problems = -(-(self.context + 1) // self.length)
        shape = (count, problems)
        operands = rng.integers(modulus, size=(*shape, steps + 1))
        times = rng.random((*shape, steps)) < 0.5
        results = np.empty((*shape, steps), np.int64)
        value = operands[..., 0]
        for place in range(steps):
            value = (
                np.where(times[..., place], value * operands[..., place + 1], value + operands[..., place + 1])
                % modulus
            )
            results[..., place] = value
        out = np.empty((*shape, self.length), np.int32)
        out[..., 0 : 2 * steps + 1 : 2] = operands
        out[..., 1 : 2 * steps + 1 : 2] = np.where(times, modulus + 1, modulus)
        out[..., 2 * steps + 1] = modulus + 2
        out[..., 2 * steps + 2 : -1] = results if self.corpus.worked else results[..., -1:]
        out[..., -1] = modulus + 3
        return (out.reshape(count, -1)[:, : self.context + 1],)

    @property
    def floor(self) -> float:
        """The lowest mean loss on windows: chance of operands and operators alone [nats/token]."""
        steps = self.corpus.steps
        one = np.zeros(self.length)
        one[0 : 2 * steps + 1 : 2] = math.log(self.corpus.modulus)
        one[1 : 2 * steps + 1 : 2] = math.log(2)
        problems = -(-(self.context + 1) // self.length)
        return float(np.tile(one, problems)[1 : self.context + 1].mean())

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {"": HeldOut(items=self.batch((0,), HELD_FIRST, count), floor=self.floor)}


def _entropy(share: NDArray[np.float64]) -> float:
    positive = share[share > 0]
    return float(-(positive * np.log(positive)).sum())
