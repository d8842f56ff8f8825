"""Linear systems H step = g whose solution stays within |step| <= limit, many at once.

Shapes: `L` lanes, `K` unconstrained parameters; matrices (L, K, K), right-hand sides and limits (L, K).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array

_MOST_HELD_SINGLY = 12
"""Most parameters for which components beyond their limits are held one at a time; with more, several are held at
once. Also the most rounds of holding."""


_FEWEST_LEVELS = 12
"""Levels from which a system is solved by its arrow: below, one dense solution is as fast."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """The parameters of a system of which those of different levels of a group do not touch each other.

    With the levels in blocks B_1, ..., B_M along the diagonal, the system has the shape of an arrow, and its solution costs
    as much per level, whatever their number: with the border F between shared and level parameters,

        (S - F B^-1 F') x_shared = g_shared - F B^-1 g_levels,    x_levels = B^-1 (g_levels - F' x_shared).

    Attributes:
        levels: The parameters of each level (M, g).
        shared: All others (S,).
    """

    levels: NDArray[np.intp]
    shared: NDArray[np.intp]


def solve_within(matrices: Array, right: Array, limits: Array, arrow: Arrow | None = None) -> Array:
    """Solve each system within |step| <= limit: hold the component furthest beyond its limit, solve the rest again.

    With the held set A at its limits and the free set F, the rest solves H_FF step_F = g_F - H_FA step_A.

    A long step in a flat direction leads to where the law has lost a term and its derivatives are zero, and it moves
    the other components too. So those are first solved without it, before any of them is held or shortened.
    """
    step = _solve_each(matrices, right, arrow)
    size = step.shape[1]
    held = np.zeros(step.shape, dtype=bool)
    unit = np.eye(size)
    hold_share = 1.0 if size <= _MOST_HELD_SINGLY else 0.5
    for _ in range(min(size, _MOST_HELD_SINGLY)):
        beyond = np.where(held, 0.0, np.abs(step) / limits)
        worst = np.max(beyond, axis=1)
        lanes = np.flatnonzero(worst > 1)
        if not len(lanes):
            break
        held[lanes] |= beyond[lanes] >= np.maximum(1.0, hold_share * worst[lanes, None])
        free = ~held[lanes]
        fixed = np.where(free, 0.0, np.clip(step[lanes], -limits[lanes], limits[lanes]))
        remaining = right[lanes] - np.matmul(matrices[lanes], fixed[:, :, None])[:, :, 0]
        free_system = np.where(free[:, :, None] & free[:, None, :], matrices[lanes], unit)
        step[lanes] = _solve_each(free_system, np.where(free, remaining, fixed), arrow)
    return np.clip(step, -limits, limits)


def descend_within(matrices: Array, right: Array, limits: Array) -> Array:
    """A step within |step| <= limit that certainly descends, by three sweeps of projected coordinate descent.

    Each update is step_k <- clip(step_k + (g - H step)_k / H_kk, -limit_k, limit_k).
    """
    step = np.zeros_like(right)
    remaining = right.copy()
    for _ in range(3):
        for k in range(step.shape[1]):
            moved = np.clip(step[:, k] + remaining[:, k] / matrices[:, k, k], -limits[:, k], limits[:, k])
            remaining -= matrices[:, :, k] * (moved - step[:, k])[:, None]
            step[:, k] = moved
    return step


def _solve_each(matrices: Array, right: Array, arrow: Arrow | None = None) -> Array:
    try:
        if arrow is not None and len(arrow.levels) >= _FEWEST_LEVELS:
            return _solve_arrow(matrices, right, arrow)
        return np.asarray(np.linalg.solve(matrices, right[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        # One lane is exactly singular. This small ridge is far below the damping that the lane gets next.
        size = matrices.shape[1]
        return np.asarray(np.linalg.solve(matrices + 1e-10 * np.eye(size), right[:, :, None])[:, :, 0])


def _solve_arrow(matrices: Array, right: Array, arrow: Arrow) -> Array:
    levels, shared = arrow.levels, arrow.shared
    lanes, width = len(matrices), levels.shape[1]
    blocks = matrices[:, levels[:, :, None], levels[:, None, :]]
    border = matrices[:, levels.ravel()][:, :, shared].reshape(lanes, len(levels), width, len(shared))
    both = np.concatenate([border, right[:, levels][..., None]], axis=3)
    solved = both / blocks if width == 1 else np.linalg.solve(blocks, both)
    flat = border.reshape(lanes, -1, len(shared)).transpose(0, 2, 1)
    carried = np.matmul(flat, solved.reshape(lanes, -1, len(shared) + 1))
    step = np.empty_like(right)
    inner = matrices[:, shared[:, None], shared] - carried[:, :, :-1]
    step[:, shared] = np.linalg.solve(inner, (right[:, shared] - carried[:, :, -1])[:, :, None])[:, :, 0]
    rest = solved[..., -1] - np.matmul(solved[..., :-1], step[:, None, shared, None])[..., 0]
    step[:, levels.ravel()] = rest.reshape(lanes, -1)
    return step
