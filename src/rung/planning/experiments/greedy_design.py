"""A greedy design: runs chosen one after another by variance reduction over a power of their cost.

A candidate m takes from the variance of target q, with noise s^2 of a single run,

    Cov(m, q)^2 / (Var(m) + s^2)

and the design takes the candidate with the largest mean reduction over cost^p (V-optimality, weighted by cost).

Shapes: `M` candidates, `Q` targets, `X` points: the candidates and then the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rung.arrays import Array
from rung.planning.experiments.predictive import JointPredictive

_LEAST_REDUCTION = 1e-4
"""Share of the remaining variance below which another run is not worth making: far below what any figure shows."""

_LEAST_RATE = 0.05
"""Share of the remaining variance that a run must take for each budget's worth of cost: below it, the whole budget would
narrow the intervals by a fortieth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GreedyDesign:
    """A batch of runs.

    Attributes:
        power: The power of the cost.
        selected: Indices of the candidates, in order.
        variance: Mean variance of the targets before the design and after each run (one more than `selected`).
        coefficients: Variance of each target of the first distribution from the coefficients, before and after.
        discrepancy: Variance of the same targets from the discrepancy beyond the largest run, before and after.
    """

    power: float
    selected: Array
    variance: tuple[float, ...]
    coefficients: tuple[Array, Array]
    discrepancy: tuple[Array, Array]


@dataclass(slots=True)
class _Updated:
    """A predictive distribution while runs are added to it."""

    predictive: JointPredictive
    variance: Array
    with_targets_QM: Array
    largest: float
    updates: list[Array] = field(default_factory=list)

    @staticmethod
    def of(predictive: JointPredictive) -> _Updated:
        count = predictive.candidates
        targets = range(count, len(predictive.mean))
        return _Updated(
            predictive=predictive,
            variance=predictive.variance(),
            with_targets_QM=np.array([predictive.covariance_with(at)[:count] for at in targets]),
            largest=predictive.scale_discrepancy.largest,
        )

    @property
    def coefficients(self) -> Array:
        return self.variance[self.predictive.candidates :]

    @property
    def discrepancy(self) -> Array:
        return self.predictive.scale_discrepancy.at(self.largest)

    def reductions(self) -> Array:
        """By how much each candidate reduces the mean variance of the targets (M,)."""
        beyond = self.predictive.scale_discrepancy
        shrink = self.with_targets_QM**2 / (self.variance[: self.predictive.candidates] + self.predictive.noise)
        # A run larger than all so far shortens the extrapolation to the targets.
        nearer = self.discrepancy - beyond.at(np.maximum(beyond.candidates, self.largest))
        return np.asarray(np.mean(shrink.T + nearer, axis=1))

    def add(self, at: int) -> None:
        """Update the distribution as if one run had been made."""
        count = self.predictive.candidates
        earlier = sum((one * one[at] for one in self.updates), np.zeros(len(self.variance)))
        update = self.predictive.covariance_with(at) - earlier
        update /= np.sqrt(max(float(self.variance[at]), 0.0) + self.predictive.noise)
        self.updates.append(update)
        self.variance = np.maximum(self.variance - update**2, 0.0)
        self.with_targets_QM = self.with_targets_QM - np.outer(update[count:], update[:count])
        self.largest = max(self.largest, float(self.predictive.scale_discrepancy.candidates[at]))


def greedy_design(
    predictives: Sequence[JointPredictive],
    costs: Array,
    budget: float,
    power: float,
    most: int,
    *,
    all_of_them: bool = False,
) -> GreedyDesign:
    """Select runs for a budget, at most `most` of them.

    Args:
        predictives: The predictive distribution of each quantity that a run measures, over the same candidates.
        costs: Cost of each candidate (M,).
        budget: What all runs may cost together.
        power: The power of the cost that reductions are divided by.
        most: The largest number of runs.
        all_of_them: Whether runs are added that reduce nothing, too.
    """
    states = [_Updated.of(predictive) for predictive in predictives]
    first = states[0]
    usable = np.all([np.isfinite(predictive.mean[: predictive.candidates]) for predictive in predictives], axis=0)
    remaining, selected = budget, list[int]()
    before = first.coefficients, first.discrepancy
    variance = [_mean_variance(states)]
    while len(selected) < most:
        affordable = usable & (costs <= remaining)
        if not affordable.any():
            break
        reductions = [one.reductions() for one in states]
        reduction = np.sum(reductions, axis=0)
        at = int(np.argmax(np.where(affordable, reduction / costs**power, -np.inf)))
        # Of the quantity that it helps most: beside one that no run can tell, it would seem to help little.
        left = [max(float(np.mean(one.coefficients + one.discrepancy)), 1e-300) for one in states]
        share = max(float(part[at]) / whole for part, whole in zip(reductions, left, strict=True))
        if share <= max(_LEAST_REDUCTION, _LEAST_RATE * costs[at] / budget) and selected and not all_of_them:
            break
        selected.append(at)
        usable[at] = False
        remaining -= float(costs[at])
        for one in states:
            one.add(at)
        variance.append(_mean_variance(states))
    return GreedyDesign(
        power=power,
        selected=np.array(selected, dtype=int),
        variance=tuple(variance),
        coefficients=(before[0], first.coefficients),
        discrepancy=(before[1], first.discrepancy),
    )


def _mean_variance(states: Sequence[_Updated]) -> float:
    return float(np.sum([np.mean(one.coefficients + one.discrepancy) for one in states]))
