"""Linear systems whose solution stays within limits, many at once."""

from __future__ import annotations

import numpy as np

from rung.arrays import Array

_FEW = 12
"""Numbers that are held one by one where their steps go beyond their limits; of more, several at once."""


def solve_within(matrices: Array, right: Array, limits: Array) -> Array:
    """Solve each system within |step| <= limit: the number furthest beyond is held there and the others solved again.

    Far steps in flat directions run to where the law has lost a term and its derivatives are zero. They drag the
    other numbers along: those must not be held for it, nor shortened with it, before they were solved without it.
    """
    step = _solve_each(matrices, right)
    size = step.shape[1]
    held = np.zeros(step.shape, dtype=bool)
    unit = np.eye(size)
    together = 1.0 if size <= _FEW else 0.5
    for _ in range(min(size, _FEW)):
        beyond = np.where(held, 0.0, np.abs(step) / limits)
        worst = np.max(beyond, axis=1)
        lanes = np.flatnonzero(worst > 1)
        if not len(lanes):
            break
        held[lanes] |= beyond[lanes] >= np.maximum(1.0, together * worst[lanes, None])
        free = ~held[lanes]
        fixed = np.where(free, 0.0, np.clip(step[lanes], -limits[lanes], limits[lanes]))
        rest = right[lanes] - np.matmul(matrices[lanes], fixed[:, :, None])[:, :, 0]
        among = np.where(free[:, :, None] & free[:, None, :], matrices[lanes], unit)
        step[lanes] = _solve_each(among, np.where(free, rest, fixed))
    return np.clip(step, -limits, limits)


def descend_within(matrices: Array, right: Array, limits: Array) -> Array:
    """A step within |step| <= limit that descends for certain: one number after the other, three times over."""
    step = np.zeros_like(right)
    rest = right.copy()
    for _ in range(3):
        for k in range(step.shape[1]):
            moved = np.clip(step[:, k] + rest[:, k] / matrices[:, k, k], -limits[:, k], limits[:, k])
            rest -= matrices[:, :, k] * (moved - step[:, k])[:, None]
            step[:, k] = moved
    return step


def _solve_each(matrices: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(matrices, right[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        # One lane is exactly singular: a trace of ridge is far below the damping that it gets next.
        size = matrices.shape[1]
        return np.asarray(np.linalg.solve(matrices + 1e-10 * np.eye(size), right[:, :, None])[:, :, 0])
