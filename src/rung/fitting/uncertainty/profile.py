"""Profile intervals: how far a quantity can move before the objective rises by more than noise explains.

A penalty draws a quantity q(u), such as a coefficient or a forecast, away from its estimate (an augmented residual):

    u(t) = argmin_u  Q(u) + s / 2 (t - q(u))^2

u(t) also minimises the objective Q among all u with the same q(u), so each penalised fit gives one point of the
profile. The signed root of the rise of the objective there, in units of its noise, is

    z = sign(q(u) - q(u_0)) sqrt(2 (Q(u) - Q(u_0)) / noise)

for the optimum u_0. The bounds of an interval are where z is the quantile of Student's t. Intervals of skewed and
one-sided profiles are skewed and one-sided.

Source: quasi-likelihood ratio with Hall and Sheather's (1988) scale. Differs: noise that differs between rows, or is
shared by the rows of a run, gives each quantity a scale of its own, from the sandwich (`Curvature.scale_of`).

Shapes: `Q` quantities, `J` penalised fits, `K` unconstrained parameters, `n` rows.
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
"""Most rows for profiles: above, each penalised fit would cost more than the resamples, and the sandwich is used."""

_STIFFNESS = 4.0
"""Curvature of the penalty over the curvature of the profiled objective at the optimum."""

_ROUNDS = 7
"""Most penalised fits for one bound."""

_Z_TOLERANCE = 0.01
"""Relative difference from the wanted signed root within which a bound needs no further fit."""

_MOST_GROWTH = 3.0
"""Largest factor by which the distance to the target changes from one fit to the next."""

_FIRST_MOVE = 2.0
"""Most that an unconstrained parameter moves in the first guess, along the curvature."""

_OPEN_SHARE = 0.98
"""Share of the wanted signed root that must be reached; where it is not, the interval is open on that side."""

_BLOCK = 64
"""Penalised fits that are solved together."""

_FAR_STEPS = 24
"""Most steps away from the bound of a range in search of the other bound; the first eight are 1, later ones longer."""

_SEARCHED, _STRIDE = 128, 2.5
"""Number and size of the steps to either side in which an inactive parameter is searched for an effect."""

_VISIBLE_EFFECT = 1e-3
"""Effect, in standard deviations of the target, from which a parameter counts as active again."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The law's values at points other than the rows, on the residual's scale."""

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
        optimum: The optimum.
        curvature: The curvature at the optimum.
        space: The compiled law over the rows, with its buffers.
        lowest: The objective at the optimum.
        wakened: The optimum, with inactive parameters moved to where they begin to have an effect (K,): a penalised fit
            starts there, since it may need them.
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
        """Estimates, and the values below and above them at which the signed root is -z and z, each (Q,).

        A bound is -inf or inf where no value is excluded on that side; both are nan where the data do not determine the
        quantity.
        """
        values, derivatives = quantities.evaluate(self.optimum.unconstrained[None, :])
        std_errors = self.curvature.std_errors(derivatives[:, 0])
        low, high = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
        determined = np.flatnonzero(np.isfinite(std_errors))
        for block in _blocks(determined, _BLOCK // 2):
            part = _BoundSearch(self, quantities, values[0], derivatives[:, 0], block, z)
            low[block], high[block] = part.bounds()
        return values[0], low, high

    def far_end(self, index: int, z: float) -> float:
        """The value of an inactive parameter at which the signed root of the objective's rise is z.

        The parameter starts where its effect begins, and moves away from the bound of its range that it had reached.
        -inf or inf where the objective never rises that far, nan where no value of the parameter has an effect.
        """
        unit = np.zeros((1, self.problem.design.size))
        unit[0, index] = 1.0
        start = self.awakened(index)
        if start is None:
            return float("nan")
        side = float(np.sign(start - self.optimum.unconstrained[index]))
        point = self.optimum.unconstrained.copy()
        scale = self.curvature.noise_scale

        def signed_root(target: float) -> tuple[float, float]:
            point[index] = target
            found = self.penalised(Combinations(unit), point[None, :], np.array([[target]]), np.array([[1e4 * scale]]))
            point[:] = found[0]
            rise = float(self.objective(found)[0]) - self.lowest
            return float(np.sqrt(max(2 * rise / scale, 0.0))), float(found[0, index])

        inner = (0.0, start)
        for step in range(_FAR_STEPS):
            outer = signed_root(start + side * step * (1.0 if step < 8 else step / 8))
            if outer[0] >= z:
                break
            inner = outer
        else:
            return float(side * np.inf)
        # The profile bends upwards, so that one interpolation over a whole step would depend on where the steps lie.
        for _ in range(_ROUNDS):
            found = signed_root(inner[1] + (z - inner[0]) / max(outer[0] - inner[0], 1e-12) * (outer[1] - inner[1]))
            if abs(found[0] / z - 1) <= _Z_TOLERANCE:
                break
            inner, outer = (found, outer) if found[0] < z else (inner, found)
        return found[1]

    def awakened(self, index: int) -> float | None:
        """The value nearest on either side at which an inactive parameter has an effect; None where there is none."""
        here = self.optimum.unconstrained[index]
        points = np.tile(self.optimum.unconstrained, (2 * _SEARCHED, 1))
        steps = np.arange(1, _SEARCHED + 1) * _STRIDE
        points[:, index] = here + np.concatenate([steps, -steps])
        effects = []
        for first in range(0, len(points), self.space.lanes):
            jacobian = self.space.evaluate(points[first : first + self.space.lanes])[1][index]
            effects.append(np.max(np.abs(jacobian), axis=1))
        seen = np.nan_to_num(np.concatenate(effects), posinf=0.0) >= _VISIBLE_EFFECT * self.problem.spread
        if not seen.any():
            return None
        # Prefer values towards zero: farther out, rounding may look like an effect.
        inner = np.abs(points[:, index]) < abs(here)
        among = np.flatnonzero(seen & inner) if (seen & inner).any() else np.flatnonzero(seen)
        nearest = min(among.tolist(), key=lambda at: at % _SEARCHED)
        return float(points[nearest, index])

    def objective(self, points_LK: Array) -> Array:
        """The objective at many points, with the prior (L,)."""
        loss = self.problem.loss(self.problem.deltas[-1], self.optimum.scale)
        weights = self.problem.design.weights[None, :]
        found = []
        for first in range(0, len(points_LK), self.space.lanes):
            residual = self.problem.target - self.space.evaluate(points_LK[first : first + self.space.lanes])[0]
            found.append(loss.terms(residual, weights, np.zeros(len(residual)))[0])
        prior = self.problem.prior
        return np.concatenate(found) + (prior.cost(points_LK) if prior else 0.0)

    def penalised(self, quantities: Quantities, starts_JK: Array, targets_JQ: Array, penalties_JQ: Array) -> Array:
        """Minimise the objective plus penalties that draw quantities towards targets (J, K).

        u_j = argmin_u  Q(u) + 1/2 sum_q penalties_jq (targets_jq - q(u))^2

        Args:
            quantities: What is penalised.
            starts_JK: First points.
            targets_JQ: Targets of the quantities.
            penalties_JQ: Weights of the penalties; 0 for none.
        """
        design = self.problem.design
        jobs = len(starts_JK)
        prior = self.problem.prior
        priors = [] if prior is None else [prior]
        target, weights = (
            np.concatenate([*(np.broadcast_to(part, (jobs, len(part))) for part in parts), last], axis=1)
            for parts, last in (
                ([self.problem.target, *(one.mean for one in priors)], targets_JQ),
                ([design.weights, *(one.weight for one in priors)], penalties_JQ),
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


class _BoundSearch:
    """Search for both bounds of some quantities: penalised fits, until each reaches the wanted signed root."""

    def __init__(
        self,
        profiler: Profiler,
        quantities: Quantities,
        values: Array,
        derivatives_KQ: Array,
        block: NDArray[np.intp],
        z: float,
    ) -> None:
        self.profiler, self.quantities, self.z = profiler, quantities, z
        self.block = block
        self.size = len(values)
        self.quantity = np.concatenate([block, block])
        self.side = np.repeat([-1.0, 1.0], len(block))
        self.estimate = values[self.quantity]
        chosen = derivatives_KQ[:, self.quantity]
        self.noise = np.array([profiler.curvature.scale_of(column) for column in derivatives_KQ[:, block].T] * 2)
        inverse = profiler.curvature.inverse_KK
        # With derivatives g of a quantity: its inverse curvature g' H^-1 g, and the direction H^-1 g in which the
        # parameters follow it. The objective rises by (q - q_0)^2 / (2 g' H^-1 g) along it.
        self.inverse_curvature = np.einsum("kj,kl,lj->j", chosen, inverse, chosen)
        shift = (self.side * z * np.sqrt(self.noise / self.inverse_curvature))[:, None] * (inverse @ chosen).T
        largest = np.max(np.abs(shift), axis=1, keepdims=True)
        self.shift = shift * np.minimum(1.0, _FIRST_MOVE / np.maximum(largest, 1e-300))

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the block's quantities, each by interpolation between the fits around z.

        The distance to the target, in signed roots, is multiplied by z / z_reached after each fit.
        """
        jobs = len(self.quantity)
        distance = np.full(jobs, self.z)
        points = self.profiler.wakened + self.shift
        inner_z, inner = np.zeros(jobs), self.estimate.copy()
        outer_z, outer = np.full(jobs, np.inf), np.full(jobs, np.nan)
        best_z, best = np.zeros(jobs), self.estimate.copy()
        active = np.arange(jobs)
        for _ in range(_ROUNDS):
            points[active] = self._refit(active, points[active], distance[active])
            z, value = self._signed_roots(points[active], active)
            best_z[active], best[active] = z, value
            under = z < self.z
            inner_z[active] = np.where(under, z, inner_z[active])
            inner[active] = np.where(under, value, inner[active])
            outer_z[active] = np.where(under, outer_z[active], z)
            outer[active] = np.where(under, outer[active], value)
            off = np.abs(z / self.z - 1) > _Z_TOLERANCE
            grown = np.clip(self.z / np.maximum(z, 1e-12), 1 / _MOST_GROWTH, _MOST_GROWTH)
            distance[active] *= grown
            active = active[off]
            if not len(active):
                break
        bound = np.where(
            np.isfinite(outer),
            inner + (self.z - inner_z) / np.maximum(outer_z - inner_z, 1e-12) * (outer - inner),
            self.estimate + (best - self.estimate) * self.z / np.maximum(best_z, 1e-12),
        )
        bound = np.where(np.isnan(outer) & (best_z < _OPEN_SHARE * self.z), self.side * np.inf, bound)
        half = len(self.block)
        return bound[:half], bound[half:]

    def _refit(self, jobs: NDArray[np.intp], starts_JK: Array, distance: Array) -> Array:
        """One penalised fit for each job, towards the quantity at `distance` signed roots (J, K).

        With penalty weight s = _STIFFNESS / (g' H^-1 g), the quantity moves, to second order, by the share
        _STIFFNESS / (1 + _STIFFNESS) of the way to its target. So the target is 1 + 1 / _STIFFNESS times as far.
        """
        targets = np.zeros((len(jobs), self.size))
        penalty_weights = np.zeros((len(jobs), self.size))
        indices = (np.arange(len(jobs)), self.quantity[jobs])
        targets[indices] = self.estimate[jobs] + self.side[jobs] * (1 + 1 / _STIFFNESS) * distance * self.step[jobs]
        penalty_weights[indices] = _STIFFNESS / self.inverse_curvature[jobs]
        used = np.unique(self.quantity[jobs])
        part = _Subset(self.quantities, used)
        return self.profiler.penalised(part, starts_JK, targets[:, used], penalty_weights[:, used])

    @property
    def step(self) -> Array:
        """Change of the quantity for one unit of the signed root: sqrt(noise g' H^-1 g)."""
        return np.asarray(np.sqrt(self.noise * self.inverse_curvature))

    def _signed_roots(self, points_JK: Array, jobs: NDArray[np.intp]) -> tuple[Array, Array]:
        """Size of the signed root, sqrt(2 (Q - Q_0) / noise), and value of each job's quantity (J,)."""
        rise = self.profiler.objective(points_JK) - self.profiler.lowest
        values = self.quantities.evaluate(points_JK)[0][np.arange(len(jobs)), self.quantity[jobs]]
        return np.sqrt(np.maximum(2 * rise / self.noise[jobs], 0.0)), values


@dataclass(frozen=True, slots=True)
class _Subset:
    """Some of the quantities."""

    whole: Quantities
    indices: NDArray[np.intp]

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        values, derivatives = self.whole.evaluate(points_LK)
        return values[:, self.indices], derivatives[:, :, self.indices]


def _blocks(indices: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]
