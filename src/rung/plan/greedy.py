"""Runs bought one after another, each for what it takes off the variance of the targets over a power of its cost.

Shapes: `M` candidates, `K` internal numbers of the coefficients, `Q` targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.laws.tree import Array
from rung.plan.knowledge import Knowledge

_LEAST_GAIN = 1e-4
"""Share of the variance left under which a further run is not worth making."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The runs that can be made.

    Attributes:
        slopes_KM: Derivatives of the law's logarithm by the internal numbers.
        prices: What each costs (M,).
        sizes: Logarithm of each one's scale (M,).
    """

    slopes_KM: Array
    prices: Array
    sizes: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What is to become sharper.

    Attributes:
        names: In words (Q,).
        values: Logarithm of the present estimate (Q,).
        slopes_QK: Derivatives of that by the internal numbers.
        sizes: Logarithm of the scale (Q,); -inf where the law's straying does not count.
    """

    names: tuple[str, ...]
    values: Array
    slopes_QK: Array
    sizes: Array

    def known(self, covariance_KK: Array) -> Array:
        """Variance of each by the coefficients (Q,)."""
        return np.asarray(np.einsum("qk,kl,ql->q", self.slopes_QK, covariance_KK, self.slopes_QK))

    def strays(self, stray: float, largest: Array | float) -> Array:
        """Variance of each by what the law strays beyond one largest run, or each of many (..., Q)."""
        top = np.asarray(largest)[..., None]
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isfinite(top) & np.isfinite(self.sizes), self.sizes - top, 0.0)
        return np.asarray(stray * np.maximum(distance, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One plan.

    Attributes:
        power: The power of the cost.
        chosen: Places of the candidates, in order.
        variance: Mean variance of the aims before the plan and after each run (one more than places).
        known: Variance of each aim by the coefficients, before and after.
        stray: What the law strays by there, before and after.
    """

    power: float
    chosen: Array
    variance: tuple[float, ...]
    known: tuple[Array, Array]
    stray: tuple[Array, Array]


def buy(before: Knowledge, runs: Candidates, aims: Aims, budget: float, power: float, most: int) -> Purchase:
    """Buy runs for a budget, at most so many."""
    covariance, left, largest = before.covariance_KK, budget, before.largest
    known, stray = aims.known(covariance), aims.strays(before.stray, largest)
    told = [float(np.mean(known + stray))]
    open_ = np.all(np.isfinite(runs.slopes_KM), axis=0)
    chosen: list[int] = []
    while len(chosen) < most:
        can = open_ & (runs.prices <= left)
        if not can.any():
            break
        moved = covariance @ runs.slopes_KM
        spread = before.variance + np.einsum("km,km->m", runs.slopes_KM, moved)
        shrink = (aims.slopes_QK @ moved) ** 2 / spread
        # A run larger than all so far shortens the way to the targets.
        nearer = aims.strays(before.stray, largest) - aims.strays(before.stray, np.maximum(runs.sizes, largest))
        gain = np.mean(shrink.T + nearer, axis=1)
        at = int(np.argmax(np.where(can, gain / runs.prices**power, -np.inf)))
        if gain[at] <= _LEAST_GAIN * told[-1] and chosen:
            break
        chosen.append(at)
        open_[at] = False
        left -= float(runs.prices[at])
        covariance = covariance - np.outer(moved[:, at], moved[:, at]) / spread[at]
        largest = max(largest, float(runs.sizes[at]))
        told.append(float(np.mean(aims.known(covariance) + aims.strays(before.stray, largest))))
    return Purchase(
        power=power,
        chosen=np.array(chosen, dtype=int),
        variance=tuple(told),
        known=(known, aims.known(covariance)),
        stray=(stray, aims.strays(before.stray, largest)),
    )
