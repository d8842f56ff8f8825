"""Profile intervals: how far a quantity can be pulled before the objective rises by more than noise explains.

A quantity, say a coefficient or a forecast, is pulled away from its estimate by an extra row with a squared loss:
the coefficients that then minimise the whole are those that fit best at the value where the quantity comes to rest,
so each pull gives one point of its profile. The rise of the objective there, in units of its noise, is the squared
signed root, which Student's t judges. Skewed and one-sided cases come out skewed and one-sided.

Source: quasi-likelihood ratio with Hall and Sheather's (1988) scale; the scale is taken per quantity from the
clustered sandwich where runs have several rows.

Shapes: `Q` quantities, `J` pulls, `K` internal numbers, `n` rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting.estimate.levenberg_marquardt import SolverOptions, solve
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.penalty import AugmentedSpace, Combinations, PenalisedLoss, Quantities
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.curvature import Curvature
from rung.laws import Workspace

MOST_ROWS = 20_000
"""Rows above which every pull would cost more than the resamples: intervals are then those of the sandwich."""

_STIFFNESS = 4.0
"""Pull of the extra row against that of the data at the optimum."""

_ROUNDS = 7
_CLOSE = 0.01
"""Relative distance from the wanted root within which a pull is not repeated."""

_LEAP = 3.0
"""The most by which one pull may go beyond the last, as a factor."""

_FIRST_MOVE = 2.0
_OPEN = 0.98
"""Share of the wanted root that the objective must reach; where it does not, the interval is open on that side."""

_BLOCK = 64
_LADDER = 24
_SEARCHED, _STRIDE = 128, 2.5
"""Steps to either side in which the effect of a number without any is looked for, and their size."""

_AWAKE = 1e-3
"""Effect, in spreads of the target, at which a coefficient that had none begins to count."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The law's values at other points than the rows, on the residual's scale."""

    space: Workspace

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        values, derivatives = [], []
        for first in range(0, len(points_LK), self.space.lanes):
            value, derivative = self.space.evaluate(points_LK[first : first + self.space.lanes])
            values.append(value.copy())
            derivatives.append(derivative.copy())
        return np.concatenate(values), np.concatenate(derivatives, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiler:
    """Profiles of quantities around one optimum.

    Attributes:
        problem: What was fitted.
        optimum: Where it ended.
        curvature: The curvature there.
        space: Buffers for the rows.
        lowest: The objective at the optimum.
        wakened: The optimum, where numbers without effect stand at the edge of having one: a pull may need them.
    """

    problem: Problem
    optimum: Optimum
    curvature: Curvature
    space: Workspace
    lowest: float
    wakened: Array

    @staticmethod
    def of(problem: Problem, optimum: Optimum, curvature: Curvature) -> Profiler:
        space = problem.workspace(_BLOCK)
        found = Profiler(
            problem=problem,
            optimum=optimum,
            curvature=curvature,
            space=space,
            lowest=0.0,
            wakened=optimum.unconstrained,
        )
        lowest = float(found.objective(optimum.unconstrained[None, :])[0])
        wakened = optimum.unconstrained.copy()
        for index in curvature.inactive:
            start = found.awakened(index)
            wakened[index] = wakened[index] if start is None else start
        return replace(found, lowest=lowest, wakened=wakened)

    def bounds(self, quantities: Quantities, z: float) -> tuple[Array, Array, Array]:
        """Estimates and the values below and above them at which the signed root is -root and root, each (Q,).

        An end that lies beyond every value is -inf or inf; a quantity that the data do not determine has nan.
        """
        values, derivatives = quantities.evaluate(self.optimum.unconstrained[None, :])
        spread = self.curvature.std_errors(derivatives[:, 0])
        low, high = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
        known = np.flatnonzero(np.isfinite(spread))
        for block in _blocks(known, _BLOCK // 2):
            part = _Pulls(self, quantities, values[0], derivatives[:, 0], spread, block, z)
            low[block], high[block] = part.bounds()
        return values[0], low, high

    def far_end(self, index: int, z: float) -> float:
        """The value of an internal number that had no effect, at which the objective has risen as far as root.

        The number starts where its effect begins to show and is carried away from the end that it ran to; -inf or inf
        where nothing stops it, nan where no value of it has an effect.
        """
        unit = np.zeros((1, self.problem.design.size))
        unit[0, index] = 1.0
        start = self.awakened(index)
        if start is None:
            return float("nan")
        side = float(np.sign(start - self.optimum.unconstrained[index]))
        point = self.optimum.unconstrained.copy()
        scale = self.curvature.noise_scale
        before = (0.0, start)
        for rung in range(_LADDER):
            aim = start + side * rung * (1.0 if rung < 8 else rung / 8)
            point[index] = aim
            found = self.pulled(Combinations(unit), point[None, :], np.array([[aim]]), np.array([[1e4 * scale]]))
            point = found[0]
            reached = float(np.sqrt(max(2 * (self.objective(found)[0] - self.lowest), 0.0) / scale))
            if reached >= z:
                share = (z - before[0]) / max(reached - before[0], 1e-12)
                return float(before[1] + share * (found[0, index] - before[1]))
            before = (reached, float(found[0, index]))
        return float(side * np.inf)

    def awakened(self, index: int) -> float | None:
        """The internal number at which a coefficient without effect begins to have one, towards either side."""
        here = self.optimum.unconstrained[index]
        points = np.tile(self.optimum.unconstrained, (2 * _SEARCHED, 1))
        steps = np.arange(1, _SEARCHED + 1) * _STRIDE
        points[:, index] = here + np.concatenate([steps, -steps])
        effects = []
        for first in range(0, len(points), self.space.lanes):
            jacobian = self.space.evaluate(points[first : first + self.space.lanes])[1][index]
            effects.append(np.max(np.abs(jacobian), axis=1))
        seen = np.nan_to_num(np.concatenate(effects), posinf=0.0) >= _AWAKE * self.problem.spread
        if not seen.any():
            return None
        # Back towards the middle first: farther out, rounding may look like an effect.
        inner = np.abs(points[:, index]) < abs(here)
        among = np.flatnonzero(seen & inner) if (seen & inner).any() else np.flatnonzero(seen)
        nearest = min(among.tolist(), key=lambda at: at % _SEARCHED)
        return float(points[nearest, index])

    def objective(self, points_LK: Array) -> Array:
        """The objective at many points (L,)."""
        loss = self.problem.loss(self.problem.deltas[-1], self.optimum.scale)
        weights = self.problem.design.weights[None, :]
        found = []
        for first in range(0, len(points_LK), self.space.lanes):
            residual = self.problem.target - self.space.evaluate(points_LK[first : first + self.space.lanes])[0]
            found.append(loss.terms(residual, weights, np.zeros(len(residual)))[0])
        prior = self.problem.prior
        return np.concatenate(found) + (prior.cost(points_LK) if prior else 0.0)

    def pulled(self, quantities: Quantities, starts_JK: Array, aims_JQ: Array, pulls_JQ: Array) -> Array:
        """The coefficients that fit best while quantities are pulled to aims (J, K)."""
        design = self.problem.design
        jobs = len(starts_JK)
        prior = self.problem.prior
        known = [] if prior is None else [prior]
        target, weights = (
            np.concatenate([*(np.broadcast_to(part, (jobs, len(part))) for part in parts), last], axis=1)
            for parts, last in (
                ([self.problem.target, *(one.mean for one in known)], aims_JQ),
                ([design.weights, *(one.weight for one in known)], pulls_JQ),
            )
        )
        rows = prior.space(self.space) if prior else self.space
        points = starts_JK
        for delta in self.problem.deltas:
            loss = self.problem.loss(delta, self.optimum.scale)
            points = solve(
                AugmentedSpace(rows, quantities),
                points,
                target,
                weights,
                PenalisedLoss(loss, design.rows),
                SolverOptions(reach=self.problem.reach, warm=True, tolerance=1e-7, max_iterations=60),
            ).unconstrained_JK
        return points


class _Pulls:
    """Both sides of some quantities, pulled until each has risen as far as wanted."""

    def __init__(
        self,
        profiler: Profiler,
        quantities: Quantities,
        values: Array,
        derivatives_KQ: Array,
        spread: Array,
        block: NDArray[np.intp],
        z: float,
    ) -> None:
        self.profiler, self.quantities, self.z = profiler, quantities, z
        self.block = block
        self.size = len(values)
        self.quantity = np.concatenate([block, block])
        self.side = np.repeat([-1.0, 1.0], len(block))
        self.middle = values[self.quantity]
        self.spread = spread[self.quantity]
        chosen = derivatives_KQ[:, self.quantity]
        self.noise = np.array([profiler.curvature.scale_of(column) for column in derivatives_KQ[:, block].T] * 2)
        inverse = profiler.curvature.inverse_KK
        # How stiffly the data hold each quantity, and the direction in which the numbers follow it.
        self.hold = np.einsum("kj,kl,lj->j", chosen, inverse, chosen)
        move = (self.side * z * np.sqrt(self.noise / self.hold))[:, None] * (inverse @ chosen).T
        size = np.max(np.abs(move), axis=1, keepdims=True)
        self.move = move * np.minimum(1.0, _FIRST_MOVE / np.maximum(size, 1e-300))

    def bounds(self) -> tuple[Array, Array]:
        jobs = len(self.quantity)
        distance = np.full(jobs, self.z)
        points = self.profiler.wakened + self.move
        inner_z, inner = np.zeros(jobs), self.middle.copy()
        outer_z, outer = np.full(jobs, np.inf), np.full(jobs, np.nan)
        best_z, best = np.zeros(jobs), self.middle.copy()
        active = np.arange(jobs)
        for _ in range(_ROUNDS):
            points[active] = self._pull(active, points[active], distance[active])
            z, value = self._measure(points[active], active)
            best_z[active], best[active] = z, value
            under = z < self.z
            inner_z[active] = np.where(under, z, inner_z[active])
            inner[active] = np.where(under, value, inner[active])
            outer_z[active] = np.where(under, outer_z[active], z)
            outer[active] = np.where(under, outer[active], value)
            off = np.abs(z / self.z - 1) > _CLOSE
            grown = np.clip(self.z / np.maximum(z, 1e-12), 1 / _LEAP, _LEAP)
            distance[active] *= grown
            active = active[off]
            if not len(active):
                break
        end = np.where(
            np.isfinite(outer),
            inner + (self.z - inner_z) / np.maximum(outer_z - inner_z, 1e-12) * (outer - inner),
            self.middle + (best - self.middle) * self.z / np.maximum(best_z, 1e-12),
        )
        end = np.where(np.isnan(outer) & (best_z < _OPEN * self.z), self.side * np.inf, end)
        half = len(self.block)
        return end[:half], end[half:]

    def _pull(self, jobs: NDArray[np.intp], starts_JK: Array, distance: Array) -> Array:
        aims = np.zeros((len(jobs), self.size))
        pulls = np.zeros((len(jobs), self.size))
        indices = (np.arange(len(jobs)), self.quantity[jobs])
        aims[indices] = self.middle[jobs] + self.side[jobs] * (1 + 1 / _STIFFNESS) * distance * self.step[jobs]
        pulls[indices] = _STIFFNESS / self.hold[jobs]
        used = np.unique(self.quantity[jobs])
        part = _Part(self.quantities, used)
        return self.profiler.pulled(part, starts_JK, aims[:, used], pulls[:, used])

    @property
    def step(self) -> Array:
        """One unit of the root, in the quantity."""
        return np.asarray(np.sqrt(self.noise * self.hold))

    def _measure(self, points_JK: Array, jobs: NDArray[np.intp]) -> tuple[Array, Array]:
        rise = self.profiler.objective(points_JK) - self.profiler.lowest
        values = self.quantities.evaluate(points_JK)[0][np.arange(len(jobs)), self.quantity[jobs]]
        return np.sqrt(np.maximum(2 * rise / self.noise[jobs], 0.0)), values


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the quantities."""

    whole: Quantities
    indices: NDArray[np.intp]

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        values, derivatives = self.whole.evaluate(points_LK)
        return values[:, self.indices], derivatives[:, :, self.indices]


def _blocks(indices: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]
