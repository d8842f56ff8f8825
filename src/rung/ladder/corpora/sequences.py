"""Generated languages with a known entropy: an order-k Markov chain, a stream of recurring items, and arithmetic.

The default numbers of the options are assumptions, not tuned.
"""

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
    """A Markov chain: the next token depends on the last `order` tokens, so the entropy is known exactly.

    The transition probabilities of each state are drawn once, from a symmetric Dirichlet distribution.

    Attributes:
        symbols: Distinct tokens [count].
        order: Number of tokens that the next one depends on [count].
        concentration: Concentration of the Dirichlet distribution; the smaller, the more predictable is the language.
        seed: Seed of the probabilities.
    """

    symbols: int = 16
    order: int = 2
    concentration: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.symbols < 2 or self.order < 1 or not self.concentration > 0:
            raise LadderError("markov: symbols must be at least 2, order at least 1, concentration positive.")
        if self.symbols**self.order > 1 << 20:
            raise LadderError(f"markov: {self.symbols} symbols of order {self.order} give more than 2^20 states.")

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Data:
        del keep
        require_vocab(family, self.symbols, "the Markov language")
        return MarkovData(self, family.item_tokens)


class MarkovData:
    """Windows of a Markov language, each started from the stationary distribution."""

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
        """Stationary distribution over the states, by power iteration (states,)."""
        symbols = self.corpus.symbols
        share = np.full(self.states, 1 / self.states)
        for _ in range(100_000):
            # A state is the last `order` tokens as digits, the oldest first; a step drops the oldest and appends one.
            after = (share[:, None] * self.rows).reshape(symbols, -1, symbols).sum(axis=0).ravel()
            if np.abs(after - share).max() < 1e-15:
                break
            share = after
        return share

    def entropies(self) -> NDArray[np.float64]:
        """Entropy of token t of a window given the tokens before it, for t from 1 to `context` [nats] (context,).

        With H(n) the entropy of n tokens in a row, it is H(t + 1) - H(t) for t < order, and from then on the entropy
        rate -sum_s pi(s) sum_x p(x|s) log p(x|s), with pi the stationary distribution.
        """
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
        """The lowest possible mean loss on windows [nats/token]."""
        return float(self.entropies().mean())

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        rng = np.random.default_rng((*key, first))
        symbols, order = self.corpus.symbols, self.corpus.order
        state = rng.choice(self.states, size=count, p=self.stationary)
        out = np.empty((count, max(self.context + 1, order)), np.int32)
        for position in range(order):
            out[:, position] = state // symbols ** (order - 1 - position) % symbols
        draws = rng.random((self.context + 1, count))
        for position in range(order, self.context + 1):
            token = (draws[position][:, None] > self._cumulated[state, :-1]).sum(axis=1)
            out[:, position] = token
            state = state * symbols % self.states + token
        return (out[:, : self.context + 1],)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        return {"": HeldOut(items=self.batch((self.corpus.seed,), HELD_FIRST, count), floor=self.floor)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStream:
    """The items of a user in order, by a Polya urn.

    After n items, the next is a new draw by popularity with probability novelty / (novelty + n), and otherwise repeats
    one of the n at random.

    Attributes:
        items: Distinct items [count].
        novelty: Weight of a new draw, in units of items seen.
        skew: Popularity is proportional to rank^-skew.
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
    """Windows, each of a different user."""

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
        for position in range(1, self.context + 1):
            old = again[:, position] * (self.corpus.novelty + position) >= self.corpus.novelty
            earlier = (back[:, position] * position).astype(int)
            out[old, position] = out[old, earlier[old]]
        return (out,)

    def oracle(self, items: NDArray[np.int32]) -> float:
        """Mean loss on these windows under the distribution that generates them [nats/token].

        p(item | n items before it) = (novelty * popularity(item) + times seen) / (novelty + n).
        """
        total = 0.0
        for position in range(1, self.context + 1):
            seen = (items[:, :position] == items[:, position : position + 1]).sum(axis=1)
            weight = self.corpus.novelty * self.popularity[items[:, position]] + seen
            total -= float(np.log(weight / (self.corpus.novelty + position)).mean())
        return total / self.context

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        items = self.batch((0,), HELD_FIRST, count)
        return {"": HeldOut(items=items, floor=self.oracle(items[0]))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """Chains of sums and products modulo a number, with the result of every step or only the last one.

    A problem is `a op b op c = s1 s2`. Operands and operators are random; the results follow from them, evaluated from
    left to right.

    Attributes:
        modulus: Numbers are 0 to modulus - 1.
        steps: Operations in a chain [count].
        worked: Whether the result of each step is written, or only the last.
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
                f"arithmetic: a problem has {self.length} tokens, and context = {context} is too short for it."
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
        for step in range(steps):
            value = (
                np.where(times[..., step], value * operands[..., step + 1], value + operands[..., step + 1]) % modulus
            )
            results[..., step] = value
        out = np.empty((*shape, self.length), np.int32)
        out[..., 0 : 2 * steps + 1 : 2] = operands
        out[..., 1 : 2 * steps + 1 : 2] = np.where(times, modulus + 1, modulus)
        out[..., 2 * steps + 1] = modulus + 2
        out[..., 2 * steps + 2 : -1] = results if self.corpus.worked else results[..., -1:]
        out[..., -1] = modulus + 3
        return (out.reshape(count, -1)[:, : self.context + 1],)

    @property
    def floor(self) -> float:
        """The lowest possible mean loss on windows: the entropy of operands and operators only [nats/token].

        log(modulus) per operand and log(2) per operator; all other tokens follow from those before them.
        """
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
