"""Root finding along surfaces of equal cost: the Illinois method in one variable, Newton's in several.

The law is lowest where its slope along equal cost is zero (`frontier` has the equations). The functions take that slope
as a callable and solve many problems at once.

Shapes: `L` lanes (one problem each), `V` variables.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rung.arrays import Array

ITERATIONS = 80
"""Most iterations of a root finder."""

ROOT_TOLERANCE = 1e-13
"""Change, relative to the larger of the value and 1, below which a root in one variable is found."""

STEP_TOLERANCE = 1e-9
"""Change of any logarithm below which several variables together have converged."""

_FIRST_STRIDE = 0.05
"""First half width of a bracket around a start, in the logarithm."""

_STRIDES = 14
"""Most doublings of that half width."""

_LARGEST_NEWTON_STEP = 1.0
"""Largest Newton step in any logarithm; it bounds steps where the Hessian is nearly singular."""


def bracket(slope: Callable[[Array], Array], start: Array, limits: Array) -> tuple[Array, Array]:
    """Widen an interval around a start until the slope is negative at its lower bound and positive at its upper one.

    Args:
        slope: From values of the variable (L,) to the slope of the law along equal cost (L,).
        start: Where the variable starts (L,).
        limits: Its smallest and largest value (2,), at which the interval is cut off.
    """
    bottom, top = limits
    low, high = start - _FIRST_STRIDE, start + _FIRST_STRIDE
    stride = _FIRST_STRIDE
    for _ in range(_STRIDES):
        falls, rises = slope(low) < 0, slope(high) > 0
        if np.all((falls | (low <= bottom)) & (rises | (high >= top))):
            break
        stride *= 2
        low, high = np.where(falls, low, low - stride), np.where(rises, high, high + stride)
    return np.maximum(low, bottom), np.minimum(high, top)


def illinois(slope: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The zero of a rising slope g between two bounds (L,), by the Illinois variant of regula falsi.

    Each iteration takes the zero of the secant through both bounds,

        x = high - g(high) (high - low) / (g(high) - g(low)),

    or the middle where that lies outside, and replaces the bound whose slope has the same sign. The slope at the bound
    that stays is halved, so that both bounds move. Where there is no zero between the bounds, the lowest loss is at one
    of them: the upper one where the law still falls there, the lower one where it rises from there.

    Differs: the usual method halves a slope only from the second time on that its bound stays.
    """
    low_slope, high_slope = slope(low), slope(high)
    best_at_high, best_at_low = ~(high_slope > 0), ~(low_slope < 0)
    middle = np.full(len(low), np.nan)
    for _ in range(ITERATIONS):
        with np.errstate(all="ignore"):
            secant = high - high_slope * (high - low) / (high_slope - low_slope)
        before, middle = middle, np.where((secant > low) & (secant < high), secant, (low + high) / 2)
        if np.all(np.abs(middle - before) <= ROOT_TOLERANCE * np.maximum(np.abs(middle), 1)):
            break
        here = slope(middle)
        positive = here > 0
        high, low = np.where(positive, middle, high), np.where(positive, low, middle)
        low_slope = np.where(positive, low_slope / 2, here)
        high_slope = np.where(positive, here, high_slope / 2)
    return np.where(best_at_low, low, np.where(best_at_high, high, middle))


def newton(
    derivatives: Callable[[Array], tuple[Array, Array]],
    project: Callable[[Array], Array],
    limits: Array,
    points_LV: Array,
) -> tuple[Array, bool]:
    """The points at which the gradient along equal cost is zero, from points near by.

    Each iteration is x <- x - H^-1 g in all variables but the last, which then takes what is left of the budget.

    Args:
        derivatives: From points to the gradient g (V - 1, L) and the Hessian H (L, V - 1, V - 1) along equal cost.
        project: From points to those with the last variable set to spend the budget.
        limits: Smallest and largest value of each variable (V, 2).
        points_LV: Where the iteration starts.

    Returns:
        The points, and whether all are minima (H positive definite) within the limits.
    """
    points = points_LV
    for _ in range(ITERATIONS // 4):
        with np.errstate(all="ignore"):
            gradient, hessian = derivatives(points)
            if not (np.all(np.isfinite(hessian)) and np.all(np.isfinite(gradient))):
                return points, False
            step = np.linalg.solve(hessian, gradient.T[:, :, None])[:, :, 0]
            step = np.clip(step, -_LARGEST_NEWTON_STEP, _LARGEST_NEWTON_STEP)
        moved = points.copy()
        moved[:, :-1] -= step
        points = project(moved)
        if np.max(np.abs(step)) < STEP_TOLERANCE:
            inside = (limits[:, 0] <= points) & (points <= limits[:, 1])
            return points, bool(np.all(inside) and np.all(np.linalg.eigvals(hessian).real > 0))
    return points, False
