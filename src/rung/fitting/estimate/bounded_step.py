"""Linear systems H step = g whose solution stays within |step| <= limit, many at once.

Shapes: `L` lanes, `K` unconstrained parameters; matrices (L, K, K), right-hand sides and limits (L, K).
"""

from __future__ import annotations

import numpy as np

from rung.arrays import Array

_MOST_HELD_SINGLY = 12
"""Most parameters for which components beyond their limits are held one at a time; with more, several are held at
once. Also the most rounds of holding."""


def solve_within(matrices: Array, right: Array, limits: Array) -> Array:
    """Solve each system within |step| <= limit: hold the component furthest beyond its limit, solve the rest again.

    With the held set A at its limits and the free set F, the rest solves H_FF step_F = g_F - H_FA step_A.

    A long step in a flat direction leads to where the law has lost a term and its derivatives are zero, and it moves
    the other components too. So those are first solved without it, before any of them is held or shortened.
    """
    step = _solve_each(matrices, right)
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
        step[lanes] = _solve_each(free_system, np.where(free, remaining, fixed))
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


def _solve_each(matrices: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(matrices, right[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        # One lane is exactly singular. This small ridge is far below the damping that the lane gets next.
        size = matrices.shape[1]
        return np.asarray(np.linalg.solve(matrices + 1e-10 * np.eye(size), right[:, :, None])[:, :, 0])
