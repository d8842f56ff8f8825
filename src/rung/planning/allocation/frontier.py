"""Where a law is lowest at a given cost.

Along a curve of equal cost a variable is bought with the others; the law is lowest where one more unit of cost buys
the same in each. All derivatives are exact, and by logarithms.

Shapes: `L` lanes (one problem each), `K` internal numbers of the coefficients, `V` variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.laws import Surface
from rung.planning.allocation.repeats import Repeats, UsableSize

_At = Callable[[Array], tuple[Array, Array]]
"""From values of one variable to the points that spend the budget, and their pull."""

_GRID = 129
_BUDGETS = 49
_ROUNDS = 80
_CLOSE = 1e-13
_LEAP = 100.0
LOG_STEP = 1e-4
_SWEEPS = 60
_SWEPT = 1e-9
_HALVINGS = 40
_FIRST_STRIDE = 0.05
_STRIDES = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """A law over its variables, and what they cost.

    Attributes:
        variables: The variables that are chosen (V,); the last is the one that takes what the others leave of a budget.
        law: The law in its coefficients and the variables.
        cost: The cost in the variables.
        limits: Logarithms of the smallest and largest value of each variable (V, 2).
        ratio: The last variable over the first, where it is fixed.
        repeats: What repeated tokens are worth; None where every token counts in full.
    """

    variables: tuple[str, ...]
    law: Surface
    cost: Surface
    limits: Array
    ratio: float | None = None
    repeats: Repeats | None = None

    @property
    def tied(self) -> bool:
        """Whether the budget leaves nothing to choose."""
        return self.ratio is not None or len(self.variables) == 1

    def losses(self, theta_LK: Array, logs_LV: Array) -> tuple[Array, Array]:
        """The law (L,), and its slopes by the logarithm of each variable (V, L)."""
        seen, chain = (logs_LV, 1.0) if self.repeats is None else self.repeats.worth(theta_LK, logs_LV, self.variables)
        values, slopes = self.law.evaluate(np.concatenate([theta_LK, seen], axis=1))
        return values, slopes[theta_LK.shape[1] :] * np.transpose(chain)

    def usable_size(self, theta_K: Array, log_tokens: float) -> UsableSize:
        """The N that goes best with a D at a cost in proportion to N D, where both pay alike.

        Args:
            theta_K: Internal numbers of the coefficients, N and D the only variables.
            log_tokens: Logarithm of D.
        """
        size = len(theta_K)
        theta = theta_K + LOG_STEP * np.concatenate([np.zeros((1, size)), np.eye(size), -np.eye(size)])
        low, high = (np.full(len(theta), end) for end in self.limits[0])
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            points = np.column_stack([middle, np.full(len(theta), log_tokens)])
            params, tokens = self.losses(theta, points)[1]
            small = params < tokens
            low, high = np.where(small, middle, low), np.where(small, high, middle)
        return UsableSize(
            log_size=float(middle[0]),
            slopes=(middle[1 : size + 1] - middle[size + 1 :]) / (2 * LOG_STEP),
            theta=theta_K,
        )

    def costs(self, logs_LV: Array) -> tuple[Array, Array]:
        """Logarithm of the cost (L,), and its slopes by the logarithm of each variable (V, L)."""
        values, slopes = self.cost.evaluate(logs_LV)
        with np.errstate(all="ignore"):
            return np.log(values), slopes / values

    def project(self, logs_LV: Array, budget_L: Array) -> Array:
        """The points with their last variable (all, in proportion, where they are tied) set to spend the budget.

        Rows of nan where the others alone cost more.
        """
        points = np.array(logs_LV, dtype=float)
        moved = np.zeros(points.shape[1])
        moved[-1] = 1.0
        if self.ratio is not None:
            points[:, -1] = points[:, 0] + np.log(self.ratio)
            moved[0] = 1.0
        # The logarithm of a sum of powers is convex: Newton's steps come from above after the first.
        for _ in range(_ROUNDS):
            height, slopes = self.costs(points)
            slope = moved @ slopes
            with np.errstate(all="ignore"):
                step = (height - budget_L) / slope
            step = np.where(np.isfinite(step), step, np.inf)
            points -= np.where(np.isfinite(step), np.clip(step, -_LEAP, _LEAP), 0.0)[:, None] * moved
            if np.all(~(np.abs(step) > _CLOSE)):
                break
        height = self.costs(points)[0]
        low = points[:, -1] < self.limits[-1, 0] - 1e-9
        points[low | ~(np.abs(height - budget_L) < 1e-9)] = np.nan
        return points

    def slope_along_cost(self, theta_LK: Array, points_LV: Array, index: int) -> Array:
        """How the law rises along equal cost with the logarithm of one variable (L,); inf where nothing is left to spend."""
        loss = self.losses(theta_LK, points_LV)[1]
        cost = self.costs(points_LV)[1]
        with np.errstate(all="ignore"):
            rise = loss[index] - loss[-1] * cost[index] / cost[-1]
        return np.where(np.isnan(points_LV).any(axis=1), np.inf, rise)

    def best(self, theta_LK: Array, budget_L: Array, near: Array | None = None) -> Array:
        """Logarithms of the variables at which the law is lowest for a budget (L, V), a logarithm of the cost.

        Args:
            theta_LK: Internal numbers of the coefficients.
            budget_L: Logarithm of the budget.
            near: Where to begin (V,); by default everywhere between the limits.

        A row is nan where nothing can be bought.
        """
        lanes = len(theta_LK)
        start = np.tile(np.mean(self.limits, axis=1) if near is None else near, (lanes, 1))
        if self.tied:
            return self.project(start, budget_L)
        points = start
        chosen = range(len(self.variables) - 1)
        if len(chosen) > 1 and near is not None:
            points, settled = self._newton(theta_LK, budget_L, self.project(start, budget_L))
            if settled:
                return points
            points = start
        for sweep in range(_SWEEPS):
            before = points
            for index in chosen:
                points = self._along(theta_LK, budget_L, points, index, wide=near is None and sweep == 0)
            if len(chosen) == 1 or not np.nanmax(np.abs(points - before)) > _SWEPT:
                break
        return points

    def gradient(self, theta_LK: Array, points_LV: Array) -> Array:
        """`pull` of every variable but the last (V - 1, L)."""
        return np.stack([self.slope_along_cost(theta_LK, points_LV, index) for index in range(len(self.variables) - 1)])

    def hessian(self, theta_LK: Array, budget_L: Array, points_LV: Array) -> Array:
        """How each pull changes as each variable but the last moves at equal cost (L, V - 1, V - 1)."""
        size = len(self.variables) - 1
        found = np.empty((len(points_LV), size, size))
        for index in range(size):
            ends = []
            for side in (LOG_STEP, -LOG_STEP):
                moved = points_LV.copy()
                moved[:, index] += side
                ends.append(self.gradient(theta_LK, self.project(moved, budget_L)))
            found[:, :, index] = ((ends[0] - ends[1]) / (2 * LOG_STEP)).T
        return found

    def _newton(self, theta_LK: Array, budget_L: Array, points_LV: Array) -> tuple[Array, bool]:
        """All pulls brought to zero together, from near; and whether they came there inside the limits."""
        points = points_LV
        for _ in range(_ROUNDS // 4):
            with np.errstate(all="ignore"):
                hessian, gradient = self.hessian(theta_LK, budget_L, points), self.gradient(theta_LK, points)
                if not (np.all(np.isfinite(hessian)) and np.all(np.isfinite(gradient))):
                    return points, False
                step = np.clip(np.linalg.solve(hessian, gradient.T[:, :, None])[:, :, 0], -1, 1)
            moved = points.copy()
            moved[:, :-1] -= step
            points = self.project(moved, budget_L)
            if np.max(np.abs(step)) < _SWEPT:
                inside = (self.limits[:, 0] <= points) & (points <= self.limits[:, 1])
                return points, bool(np.all(inside) and np.all(np.linalg.eigvals(hessian).real > 0))
        return points, False

    def _along(self, theta_LK: Array, budget_L: Array, points_LV: Array, index: int, *, wide: bool) -> Array:
        """The best value of one variable, the others but the last held."""

        def at(x_L: Array) -> tuple[Array, Array]:
            moved = points_LV.copy()
            moved[:, index] = x_L
            spent = self.project(moved, budget_L)
            return spent, self.slope_along_cost(theta_LK, spent, index)

        low, high = self._bracket(theta_LK, budget_L, points_LV, index, at, wide=wide)
        low_pull, high_pull = at(low)[1], at(high)[1]
        # Where the law still falls at the upper limit, or rises from the lower one, that limit is the best.
        stuck_high, stuck_low = ~(high_pull > 0), ~(low_pull < 0)
        middle = np.full(len(low), np.nan)
        for _ in range(_ROUNDS):
            with np.errstate(all="ignore"):
                cut = high - high_pull * (high - low) / (high_pull - low_pull)
            before, middle = middle, np.where((cut > low) & (cut < high), cut, (low + high) / 2)
            if np.all(np.abs(middle - before) <= _CLOSE * np.maximum(np.abs(middle), 1)):
                break
            here = at(middle)[1]
            up = here > 0
            # Illinois: an end that stays counts half, so that both ends move.
            high, low = np.where(up, middle, high), np.where(up, low, middle)
            low_pull = np.where(up, low_pull / 2, here)
            high_pull = np.where(up, here, high_pull / 2)
        best = np.where(stuck_low, low, np.where(stuck_high, high, middle))
        return at(best)[0]

    def _bracket(
        self, theta_LK: Array, budget_L: Array, points_LV: Array, index: int, at: _At, *, wide: bool
    ) -> tuple[Array, Array]:
        bottom, top = self.limits[index]
        if not wide:
            here = points_LV[:, index]
            low, high = here - _FIRST_STRIDE, here + _FIRST_STRIDE
            stride = _FIRST_STRIDE
            for _ in range(_STRIDES):
                falls, rises = at(low)[1] < 0, at(high)[1] > 0
                if np.all((falls | (low <= bottom)) & (rises | (high >= top))):
                    break
                stride *= 2
                low, high = np.where(falls, low, low - stride), np.where(rises, high, high + stride)
            return np.maximum(low, bottom), np.minimum(high, top)
        grid = np.linspace(bottom, top, _GRID)
        lanes = len(theta_LK)
        spread = np.repeat(points_LV, _GRID, axis=0)
        spread[:, index] = np.tile(grid, lanes)
        spent = self.project(spread, np.repeat(budget_L, _GRID))
        values = self.losses(np.repeat(theta_LK, _GRID, axis=0), spent)[0].reshape(lanes, _GRID)
        lowest = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=1)
        return grid[np.maximum(lowest - 1, 0)], grid[np.minimum(lowest + 1, _GRID - 1)]

    def cheapest(self, theta_K: Array, target: float) -> float | None:
        """Logarithm of the lowest cost at which the law reaches a wish; None where it does not within the limits."""
        theta = theta_K[None, :]
        ends = self.costs(self.limits.T)[0]
        steps = np.linspace(ends[0], ends[1], _BUDGETS)
        wide = np.tile(theta, (_BUDGETS, 1))
        points = self.best(wide, steps)
        reached = np.flatnonzero(self.losses(wide, points)[0] <= target)
        if not len(reached):
            return None
        found = int(reached[0])
        budget, near = float(steps[found]), points[found]
        low, high = float(steps[max(found - 1, 0)]), budget
        if found == 0:
            return budget
        for _ in range(_ROUNDS):
            near = self.best(theta, np.array([budget]), near)[0]
            loss, slopes = self.losses(theta, near[None, :])
            gap = float(loss[0]) - target
            low, high = (low, budget) if gap <= 0 else (budget, high)
            # What the last variable buys for one more unit of cost is what any variable buys, at the best point.
            step = gap / float(slopes[-1, 0] / self.costs(near[None, :])[1][-1, 0])
            before, budget = budget, budget - step
            if not low <= budget <= high:
                budget = (low + high) / 2
            if abs(budget - before) <= _CLOSE * max(abs(budget), 1) or gap == 0:
                break
        return budget

    def flat(self, theta_K: Array, budget: float, best_V: Array, most: float) -> tuple[Array, Array]:
        """The points at equal cost, below and above the best in the first variable, where the law reaches `most` (V,) each.

        Where it does not before a limit, the point at that limit.
        """
        theta = theta_K[None, :]

        def point(x: float) -> Array:
            moved = best_V[None, :].copy()
            moved[:, 0] = x
            spent = self.project(moved, np.array([budget]))
            if len(self.variables) > 2 and np.all(np.isfinite(spent)):
                held = self.limits.copy()
                held[0] = x
                spent = replace(self, limits=held).best(theta, np.array([budget]), spent[0])
            return np.asarray(spent[0])

        def over(x: float) -> bool:
            here = point(x)
            return bool(np.isnan(here).any() or self.losses(theta, here[None, :])[0][0] > most)

        ends = []
        for limit in self.limits[0]:
            inside, stride = float(best_V[0]), 0.01 * float(np.sign(limit - best_V[0]))
            outside = float("nan")
            while stride:
                trial = inside + stride
                past = (trial - limit) * np.sign(stride) >= 0
                trial = float(limit) if past else float(trial)
                if over(trial):
                    outside = trial
                    break
                inside, stride = trial, 0.0 if past else stride * 1.6
            for _ in range(_HALVINGS if np.isfinite(outside) else 0):
                middle = (inside + outside) / 2
                inside, outside = (inside, middle) if over(middle) else (middle, outside)
            ends.append(point(inside))
        return ends[0], ends[1]


def log_limits(ranges: Mapping[str, tuple[float, float]], variables: tuple[str, ...]) -> Array:
    """How far each variable is looked for (V, 2): far beyond the runs to either side."""
    return np.log([[ranges[name][0] * 1e-6, ranges[name][1] * 1e12] for name in variables])
