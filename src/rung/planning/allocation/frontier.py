"""Where a law is lowest at a given cost.

With x the logarithms of V variables, L the law and C the cost, the problem is

    minimise L(x)   subject to   log C(x) = b.

The Lagrange condition, dL/dx_v = lambda dlogC/dx_v for every v, says that one more unit of cost lowers the law by the
same amount whichever variable it is spent on. The last variable gives lambda, which leaves one equation for each other,

    g_v = dL/dx_v - dL/dx_V (dlogC/dx_v) / (dlogC/dx_V) = 0,   v < V,

the gradient of L along the surface of equal cost, on which the last variable follows from the others. The Hessian along
that surface is H_vw = dg_v/dx_w. `isocost` has the root finders.

Slopes of the law and of the cost are exact, with respect to logarithms; the Hessian is a central difference of them.

Shapes: `L` lanes (one problem each), `K` unconstrained parameters, `V` variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.laws import Surface
from rung.planning.allocation.isocost import (
    ITERATIONS,
    ROOT_TOLERANCE,
    STEP_TOLERANCE,
    bracket,
    illinois,
    newton,
)
from rung.planning.allocation.repeats import Repeats, UsableSize

LOG_STEP = 1e-4
"""Step of central differences, in logarithms of variables and in unconstrained parameters."""

_GRID = 129
"""Points between the limits of a variable, among which the lowest gives the first bracket."""

_BUDGETS = 49
"""Costs between those of the smallest and the largest values, among which a target loss is bracketed."""

_LARGEST_STEP = 100.0
"""Largest step in the logarithm of the last variable as it is set to spend the budget."""

_SWEEPS = 60
"""Most rounds over all variables, one after another."""

_HALVINGS = 40
"""Halvings of the interval that holds a bound of the flat region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """A law over its variables, and what they cost.

    Attributes:
        variables: The variables that are chosen (V,); the last one takes what the others leave of a budget.
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
        worth, chain = (logs_LV, 1.0) if self.repeats is None else self.repeats.worth(theta_LK, logs_LV, self.variables)
        values, slopes = self.law.evaluate(np.concatenate([theta_LK, worth], axis=1))
        return values, slopes[theta_LK.shape[1] :] * np.transpose(chain)

    def usable_size(self, theta_K: Array, log_tokens: float) -> UsableSize:
        """The compute-optimal N for a D, at a cost in proportion to N D.

        Both have the same elasticity of cost there, so the Lagrange condition is dL/dlog N = dL/dlog D: bisection in
        log N solves it, and central differences give its derivatives by the coefficients.

        Args:
            theta_K: Unconstrained parameters, of a law in N and D only.
            log_tokens: Logarithm of D.
        """
        size = len(theta_K)
        theta = theta_K + LOG_STEP * np.concatenate([np.zeros((1, size)), np.eye(size), -np.eye(size)])
        low, high = (np.full(len(theta), bound) for bound in self.limits[0])
        for _ in range(ITERATIONS):
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
        """The points with their last variable set to spend the budget; all in proportion where they are tied.

        A row is nan where the others alone cost more.
        """
        points = np.array(logs_LV, dtype=float)
        moved = np.zeros(points.shape[1])
        moved[-1] = 1.0
        if self.ratio is not None:
            points[:, -1] = points[:, 0] + np.log(self.ratio)
            moved[0] = 1.0
        # Newton on log C(x) = b along `moved`. The logarithm of a sum of powers is convex in x, so every step after the
        # first approaches the solution from above.
        for _ in range(ITERATIONS):
            log_cost, slopes = self.costs(points)
            slope = moved @ slopes
            with np.errstate(all="ignore"):
                step = (log_cost - budget_L) / slope
            step = np.where(np.isfinite(step), step, np.inf)
            points -= np.where(np.isfinite(step), np.clip(step, -_LARGEST_STEP, _LARGEST_STEP), 0.0)[:, None] * moved
            if np.all(~(np.abs(step) > ROOT_TOLERANCE)):
                break
        log_cost = self.costs(points)[0]
        below = points[:, -1] < self.limits[-1, 0] - 1e-9
        points[below | ~(np.abs(log_cost - budget_L) < 1e-9)] = np.nan
        return points

    def slope_along_cost(self, theta_LK: Array, points_LV: Array, index: int) -> Array:
        """The slope g_v of the law along equal cost by the logarithm of one variable (L,); inf where a point is nan.

        It is dL/dx_v - dL/dx_V (dlogC/dx_v) / (dlogC/dx_V): the last variable falls as this one rises.
        """
        loss = self.losses(theta_LK, points_LV)[1]
        cost = self.costs(points_LV)[1]
        with np.errstate(all="ignore"):
            slope = loss[index] - loss[-1] * cost[index] / cost[-1]
        return np.where(np.isnan(points_LV).any(axis=1), np.inf, slope)

    def best(self, theta_LK: Array, budget_L: Array, near: Array | None = None) -> Array:
        """Logarithms of the variables at which the law is lowest for a budget (L, V).

        Near a given point, Newton's method solves for several variables together. Where it fails, and without a point,
        one variable after another is set to its best value until none moves.

        Args:
            theta_LK: Unconstrained parameters of the law.
            budget_L: Logarithm of the budget.
            near: Where the search starts (V,); by default it covers everything between the limits.

        Returns:
            The points; a row is nan where the budget is too small for any point within the limits.
        """
        lanes = len(theta_LK)
        start = np.tile(np.mean(self.limits, axis=1) if near is None else near, (lanes, 1))
        if self.tied:
            return self.project(start, budget_L)
        points = start
        chosen = range(len(self.variables) - 1)
        if len(chosen) > 1 and near is not None:
            points, converged = self._newton(theta_LK, budget_L, self.project(start, budget_L))
            if converged:
                return points
            points = start
        for sweep in range(_SWEEPS):
            before = points
            for index in chosen:
                points = self._along(theta_LK, budget_L, points, index, wide=near is None and sweep == 0)
            if len(chosen) == 1 or not np.nanmax(np.abs(points - before)) > STEP_TOLERANCE:
                break
        return points

    def gradient(self, theta_LK: Array, points_LV: Array) -> Array:
        """The gradient g of the law along equal cost, by every variable but the last (V - 1, L)."""
        return np.stack([self.slope_along_cost(theta_LK, points_LV, index) for index in range(len(self.variables) - 1)])

    def hessian(self, theta_LK: Array, budget_L: Array, points_LV: Array) -> Array:
        """The Hessian of the law along equal cost, H_vw = dg_v/dx_w, by central differences (L, V - 1, V - 1)."""
        size = len(self.variables) - 1
        found = np.empty((len(points_LV), size, size))
        for index in range(size):
            gradients = []
            for side in (LOG_STEP, -LOG_STEP):
                moved = points_LV.copy()
                moved[:, index] += side
                gradients.append(self.gradient(theta_LK, self.project(moved, budget_L)))
            found[:, :, index] = ((gradients[0] - gradients[1]) / (2 * LOG_STEP)).T
        return found

    def _newton(self, theta_LK: Array, budget_L: Array, points_LV: Array) -> tuple[Array, bool]:
        """Newton's method for all variables together, and whether it reached a minimum inside the limits."""

        def derivatives(points: Array) -> tuple[Array, Array]:
            return self.gradient(theta_LK, points), self.hessian(theta_LK, budget_L, points)

        return newton(derivatives, lambda points: self.project(points, budget_L), self.limits, points_LV)

    def _along(self, theta_LK: Array, budget_L: Array, points_LV: Array, index: int, *, wide: bool) -> Array:
        """The points with one variable at its best value, the others but the last held."""

        def point(x_L: Array) -> Array:
            moved = points_LV.copy()
            moved[:, index] = x_L
            return self.project(moved, budget_L)

        def slope(x_L: Array) -> Array:
            return self.slope_along_cost(theta_LK, point(x_L), index)

        low, high = (
            self._bracket_on_grid(theta_LK, budget_L, points_LV, index)
            if wide
            else bracket(slope, points_LV[:, index], self.limits[index])
        )
        return point(illinois(slope, low, high))

    def _bracket_on_grid(self, theta_LK: Array, budget_L: Array, points_LV: Array, index: int) -> tuple[Array, Array]:
        """The neighbours of the lowest point of a grid over one variable between its limits (L,) each."""
        bottom, top = self.limits[index]
        grid = np.linspace(bottom, top, _GRID)
        lanes = len(theta_LK)
        points = np.repeat(points_LV, _GRID, axis=0)
        points[:, index] = np.tile(grid, lanes)
        spent = self.project(points, np.repeat(budget_L, _GRID))
        values = self.losses(np.repeat(theta_LK, _GRID, axis=0), spent)[0].reshape(lanes, _GRID)
        lowest = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=1)
        return grid[np.maximum(lowest - 1, 0)], grid[np.minimum(lowest + 1, _GRID - 1)]

    def cheapest(self, theta_K: Array, target: float) -> float | None:
        """Logarithm of the lowest cost at which the law reaches a target loss; None where none within the limits does.

        With L*(b) the lowest loss for a budget b, the envelope theorem gives its slope as the Lagrange multiplier,
        dL*/db = lambda = (dL/dx_V) / (dlogC/dx_V), and Newton's method solves L*(b) = target inside a bracket.
        """
        theta = theta_K[None, :]
        bounds = self.costs(self.limits.T)[0]
        budgets = np.linspace(bounds[0], bounds[1], _BUDGETS)
        wide = np.tile(theta, (_BUDGETS, 1))
        points = self.best(wide, budgets)
        reached = np.flatnonzero(self.losses(wide, points)[0] <= target)
        if not len(reached):
            return None
        found = int(reached[0])
        budget, near = float(budgets[found]), points[found]
        low, high = float(budgets[max(found - 1, 0)]), budget
        if found == 0:
            return budget
        for _ in range(ITERATIONS):
            near = self.best(theta, np.array([budget]), near)[0]
            loss, slopes = self.losses(theta, near[None, :])
            gap = float(loss[0]) - target
            low, high = (low, budget) if gap <= 0 else (budget, high)
            step = gap / float(slopes[-1, 0] / self.costs(near[None, :])[1][-1, 0])
            before, budget = budget, budget - step
            if not low <= budget <= high:
                budget = (low + high) / 2
            if abs(budget - before) <= ROOT_TOLERANCE * max(abs(budget), 1) or gap == 0:
                break
        return budget

    def flat(self, theta_K: Array, budget: float, best_V: Array, most: float) -> tuple[Array, Array]:
        """The bounds of the flat region: points at equal cost where the law reaches `most` (V,) each.

        The first lies below the best point in the first variable, the second above it; any further variables are at
        their best for it. Where the law stays below `most` up to a limit, the point is the one at that limit.
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

        bounds = []
        for limit in self.limits[0]:
            inside, stride = float(best_V[0]), 0.01 * float(np.sign(limit - best_V[0]))
            outside = float("nan")
            # Growing strides until one is over, then halving.
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
            bounds.append(point(inside))
        return bounds[0], bounds[1]


def log_limits(ranges: Mapping[str, tuple[float, float]], variables: tuple[str, ...]) -> Array:
    """Logarithms of the bounds between which each variable is searched (V, 2): far beyond the runs on either side."""
    return np.log([[ranges[name][0] * 1e-6, ranges[name][1] * 1e12] for name in variables])
