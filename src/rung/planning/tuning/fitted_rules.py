"""Rules of learning rate and batch fitted to sweeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.planning.tuning.sweeps import Grid

PLATEAU = 0.0025
"""Share above a grid's lowest loss within which the published procedure keeps a run.

Source: Li et al. 2025, arXiv:2503.04715."""


BOWL = 0.005
"""Share above a grid's lowest loss within which the surface is fitted: beyond, it is no bowl."""


_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRule:
    """log lr and log batch, each linear in log N and log D.

    Attributes:
        rate: Intercept and slopes of the learning rate in N and D (3,).
        batch: The same of the batch (3,).
        name: How it was fitted.
    """

    rate: Array
    batch: Array
    name: str

    def propose(self, params: float, tokens: float) -> tuple[float, float]:
        """Peak learning rate and batch in tokens."""
        at = np.array([1.0, np.log(params), np.log(tokens)])
        return float(np.exp(at @ self.rate)), float(np.exp(at @ self.batch))


def fit_procedure(grids: Sequence[Grid], seed: int = 0) -> PowerRule:
    """The published procedure: least squares through all runs within a quarter of a percent of their grid's lowest.

    The learning rate goes with N and D, the batch with D alone; the prediction is the mean over resampled runs.
    """
    where, rate, batch = [], [], []
    for grid in grids:
        kept = grid.loss / grid.lowest - 1 < PLATEAU
        where += [(1.0, np.log(grid.params), np.log(grid.tokens))] * int(kept.sum())
        rate += grid.log_rate[kept].tolist()
        batch += grid.log_batch[kept].tolist()
    x, y, z = np.array(where), np.array(rate), np.array(batch)
    rng = np.random.default_rng(seed)
    rates, batches = [], []
    for _ in range(_RESAMPLES):
        rows = rng.integers(len(x), size=len(x))
        rates.append(_least_squares(x[rows], y[rows]))
        tokens = _least_squares(x[rows][:, [0, 2]], z[rows])
        batches.append([tokens[0], 0.0, tokens[1]])
    return PowerRule(rate=np.mean(rates, axis=0), batch=np.mean(batches, axis=0), name="procedure")


def fit_surface(grids: Sequence[Grid]) -> PowerRule:
    """The loss surface itself: bowls of one curvature whose bottoms go by power laws, and a lowest loss for each grid.

    Relative losses within BOWL of each grid's lowest are met by a quadratic in log lr and log batch; the bottom's
    learning rate goes with N and D, its batch with D.
    """
    from scipy.optimize import least_squares

    start = fit_procedure(grids)
    parts = [(grid, grid.loss / grid.lowest - 1 < BOWL) for grid in grids]
    at = np.concatenate(
        [np.tile([1.0, np.log(grid.params), np.log(grid.tokens)], (int(kept.sum()), 1)) for grid, kept in parts]
    )
    middle = at.mean(axis=0) * np.array([0.0, 1.0, 1.0])
    at = at - middle
    x, y = (np.concatenate([getattr(grid, name)[kept] for grid, kept in parts]) for name in ("log_rate", "log_batch"))
    rise = np.concatenate([grid.loss[kept] / grid.lowest - 1 for grid, kept in parts])
    member = np.concatenate([np.full(int(kept.sum()), index) for index, (_, kept) in enumerate(parts)])

    def residual(theta: Array) -> Array:
        rate = at @ theta[:3]
        batch = at[:, [0, 2]] @ theta[3:5]
        a, b = np.exp(theta[5:7])
        u, v = x - rate, y - batch
        bowl = a * u**2 + b * v**2 + 2 * np.tanh(theta[7]) * np.sqrt(a * b) * u * v
        return np.asarray(bowl + theta[8 + member] - rise)

    shift = np.array([1.0, 0.0, 0.0])
    first = np.concatenate(
        [
            start.rate + shift * (middle @ start.rate),
            (start.batch + shift * (middle @ start.batch))[[0, 2]],
            [-4.0, -4.0, 0.0],
            np.zeros(len(grids)),
        ]
    )
    found = least_squares(residual, first, loss="soft_l1", f_scale=1e-3).x
    rate = found[:3] - shift * (middle @ found[:3])
    slope = np.array([found[3], 0.0, found[4]])
    return PowerRule(rate=rate, batch=slope - shift * (middle @ slope), name="surface")


def _least_squares(x: Array, y: Array) -> Array:
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0])


def held_out_regrets(grids: Sequence[Grid], fit: Callable[[Sequence[Grid]], PowerRule]) -> Array:
    """The regret on each grid of the rule fitted to the others (G,)."""
    found = []
    for index, grid in enumerate(grids):
        rule = fit([other for at, other in enumerate(grids) if at != index])
        found.append(grid.regret(*rule.propose(grid.params, grid.tokens)))
    return np.array(found)
