"""Runs bought one after another, each for what it takes off the variance of the aims over a power of its cost.

Shapes: `M` candidates, `Q` aims, `X` points: the candidates and then the aims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rung.laws.tree import Array
from rung.plan.belief import Belief

_LEAST_GAIN = 1e-4
"""Share of the variance left under which a further run is not worth making."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One plan.

    Attributes:
        power: The power of the cost.
        chosen: Places of the candidates, in order.
        variance: Mean variance of the aims before the plan and after each run (one more than places).
        known: Variance of each aim of the first belief by what is believed, before and after.
        stray: What the law strays by there, before and after.
    """

    power: float
    chosen: Array
    variance: tuple[float, ...]
    known: tuple[Array, Array]
    stray: tuple[Array, Array]


@dataclass(slots=True)
class _Open:
    """A belief while runs are bought."""

    belief: Belief
    variance: Array
    with_aims_QM: Array
    largest: float
    bought: list[Array] = field(default_factory=list)

    @staticmethod
    def of(belief: Belief) -> _Open:
        count = belief.candidates
        aims = range(count, len(belief.mean))
        return _Open(
            belief=belief,
            variance=belief.variance(),
            with_aims_QM=np.array([belief.with_point(at)[:count] for at in aims]),
            largest=belief.straying.largest,
        )

    @property
    def known(self) -> Array:
        return self.variance[self.belief.candidates :]

    @property
    def stray(self) -> Array:
        return self.belief.straying.at(self.largest)

    def gains(self) -> Array:
        """What each candidate takes off the mean variance of the aims (M,)."""
        straying = self.belief.straying
        shrink = self.with_aims_QM**2 / (self.variance[: self.belief.candidates] + self.belief.noise)
        # A run larger than all so far shortens the way to the aims.
        nearer = self.stray - straying.at(np.maximum(straying.sizes, self.largest))
        return np.asarray(np.mean(shrink.T + nearer, axis=1))

    def buy(self, at: int) -> None:
        """Make one run, as far as variances go."""
        count = self.belief.candidates
        moved = self.belief.with_point(at) - sum((one * one[at] for one in self.bought), np.zeros(len(self.variance)))
        moved /= np.sqrt(max(float(self.variance[at]), 0.0) + self.belief.noise)
        self.bought.append(moved)
        self.variance = np.maximum(self.variance - moved**2, 0.0)
        self.with_aims_QM = self.with_aims_QM - np.outer(moved[count:], moved[:count])
        self.largest = max(self.largest, float(self.belief.straying.sizes[at]))


def buy(beliefs: Sequence[Belief], prices: Array, budget: float, power: float, most: int) -> Purchase:
    """Buy runs for a budget, at most so many.

    Args:
        beliefs: What is believed of each quantity that a run measures, over the same candidates.
        prices: What each candidate costs (M,).
        budget: What all may cost together.
        power: The power of the cost that gains are divided by.
        most: How many runs at most.
    """
    open_ = [_Open.of(belief) for belief in beliefs]
    first = open_[0]
    usable = np.all([np.isfinite(belief.mean[: belief.candidates]) for belief in beliefs], axis=0)
    left, chosen = budget, list[int]()
    before = first.known, first.stray
    told = [_mean(open_)]
    while len(chosen) < most:
        can = usable & (prices <= left)
        if not can.any():
            break
        gain = np.sum([one.gains() for one in open_], axis=0)
        at = int(np.argmax(np.where(can, gain / prices**power, -np.inf)))
        if gain[at] <= _LEAST_GAIN * told[-1] and chosen:
            break
        chosen.append(at)
        usable[at] = False
        left -= float(prices[at])
        for one in open_:
            one.buy(at)
        told.append(_mean(open_))
    return Purchase(
        power=power,
        chosen=np.array(chosen, dtype=int),
        variance=tuple(told),
        known=(before[0], first.known),
        stray=(before[1], first.stray),
    )


def _mean(open_: Sequence[_Open]) -> float:
    return float(np.sum([np.mean(one.known + one.stray) for one in open_]))
