"""The best variables for a budget as quantities of the coefficients, for profile intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.planning.allocation.frontier import LOG_STEP, Frontier


@dataclass(frozen=True, slots=True)
class Optima:
    """The best variables for one budget as quantities of the coefficients, for profile intervals.

    Attributes:
        frontier: The law and the cost.
        budget: Logarithm of the budget.
        near: Logarithms of the best variables at the estimate (V,).
        indices: Indices, among the fit's unconstrained parameters, of those that the law uses at the given levels (K,).
        free: Indices of the variables that are reported (Q,).
    """

    frontier: Frontier
    budget: float
    near: Array
    indices: tuple[int, ...]
    free: tuple[int, ...]

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        """Logarithms of the variables (L, Q), and their derivatives by the unconstrained parameters (K, L, Q)."""
        theta = points_LK[:, self.indices]
        lanes = len(theta)
        budget = np.full(lanes, self.budget)
        best = self.frontier.best(theta, budget, self.near)
        derivatives = np.zeros((points_LK.shape[1], lanes, len(self.free)))
        moved = self._implicit(theta, best, budget)
        for position, index in enumerate(self.indices):
            derivatives[index] = moved[position][:, self.free]
        return best[:, self.free], derivatives

    def _implicit(self, theta: Array, best: Array, budget: Array) -> Array:
        """Derivatives of the best point by each coefficient, from the implicit function theorem (K, L, V).

        As a coefficient moves, the gradient along equal cost stays zero, g(theta, x(theta)) = 0, and the cost stays the
        same, sum_v c_v dx_v = 0 with c_v = dlogC/dx_v. Hence

            dx_v/dtheta = -(H^-1 dg/dtheta)_v for v < V,   dx_V/dtheta = -sum_{v < V} (c_v / c_V) dx_v/dtheta,

        with H the Hessian along equal cost. A variable at a limit does not move.
        """
        frontier, (lanes, size) = self.frontier, theta.shape
        steps = np.concatenate([np.eye(size), -np.eye(size)]) * LOG_STEP
        wide = (theta[None, :, :] + steps[:, None, :]).reshape(-1, size)
        gradient = frontier.gradient(wide, np.tile(best, (2 * size, 1))).reshape(-1, 2, size, lanes)
        by_theta = (gradient[:, 0] - gradient[:, 1]) / (2 * LOG_STEP)
        cost = frontier.costs(best)[1]
        with np.errstate(all="ignore"):
            hessian = frontier.hessian(theta, budget, best)
            usable = np.all(np.isfinite(hessian), axis=(1, 2)) & (np.abs(np.linalg.det(np.nan_to_num(hessian))) > 0)
            safe = np.where(usable[:, None, None], hessian, np.eye(hessian.shape[1]))
            first = -np.linalg.solve(safe, by_theta.transpose(2, 0, 1))
        at_limit = np.any(np.abs(best[:, :-1, None] - frontier.limits[None, :-1]) < 1e-9, axis=2)
        first = np.where(at_limit[:, :, None] | ~usable[:, None, None], 0.0, first)
        last = -np.einsum("lvk,vl->lk", first, cost[:-1] / cost[-1])
        return np.concatenate([first, last[:, None, :]], axis=1).transpose(2, 0, 1)
