"""Rules for learning rate and batch, fitted to sweeps.

Shapes: `n` runs of all grids together, `G` grids.
"""

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
"""Share above a grid's lowest loss within which the surface is fitted; further up it is not quadratic."""

_NARROW = 2.0
"""Largest size, or number of tokens, over the smallest of the sweeps under which no slope in it is fitted."""

_RESAMPLES = 1000
"""Bootstrap resamples of the runs, over which the coefficients of the published procedure are averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRule:
    """Learning rate and batch as power laws of N and D.

        log lr = rate_0 + rate_1 log N + rate_2 log D,   log batch = batch_0 + batch_1 log N + batch_2 log D

    Attributes:
        rate: Intercept and slopes of log lr in log N and log D (3,).
        batch: The same for the logarithm of the batch in tokens (3,).
        name: How the rule was fitted: "procedure" or "surface".
    """

    rate: Array
    batch: Array
    name: str

    def propose(self, params: float, tokens: float) -> tuple[float, float]:
        """Peak learning rate and batch in tokens."""
        row = np.array([1.0, np.log(params), np.log(tokens)])
        return float(np.exp(row @ self.rate)), float(np.exp(row @ self.batch))


def trends(grids: Sequence[Grid]) -> list[int]:
    """The columns of (1, log N, log D) that vary enough over the grids for a slope; the intercept always."""
    spans = [max(values) / min(values) for values in ([one.params for one in grids], [one.tokens for one in grids])]
    return [0, *(column for column, span in enumerate(spans, 1) if span >= _NARROW)]


def fit_procedure(grids: Sequence[Grid], seed: int = 0) -> PowerRule:
    """The published procedure: least squares through all runs within PLATEAU of the lowest loss of their grid.

    log lr is linear in log N and log D, log batch in log D alone; a slope that the grids are too near each other for is 0
    (see `trends`). The coefficients are means over bootstrap resamples of the runs.

    Source: Li et al. 2025, arXiv:2503.04715.

    Args:
        grids: The sweeps.
        seed: Seed of the resamples.
    """
    design, rate, batch = [], [], []
    for grid in grids:
        kept = grid.loss / grid.lowest - 1 < PLATEAU
        design += [(1.0, np.log(grid.params), np.log(grid.tokens))] * int(kept.sum())
        rate += grid.log_rate[kept].tolist()
        batch += grid.log_batch[kept].tolist()
    x, y, z = np.array(design), np.array(rate), np.array(batch)
    rng = np.random.default_rng(seed)
    columns = trends(grids)
    of_batch = [column for column in columns if column != 1]
    rates, batches = np.zeros((_RESAMPLES, 3)), np.zeros((_RESAMPLES, 3))
    for index in range(_RESAMPLES):
        rows = rng.integers(len(x), size=len(x))
        rates[index, columns] = _least_squares(x[rows][:, columns], y[rows])
        batches[index, of_batch] = _least_squares(x[rows][:, of_batch], z[rows])
    return PowerRule(rate=rates.mean(axis=0), batch=batches.mean(axis=0), name="procedure")


def fit_surface(grids: Sequence[Grid]) -> PowerRule:
    """The loss surface itself: a quadratic bowl around each grid's best point, which follows power laws of N and D.

    With u = log lr - log lr*(N, D) and v = log batch - log batch*(D) the distances from the best point, the loss of a
    run in grid g over the lowest of that grid, less one, is

        c_g + a u^2 + b v^2 + 2 rho sqrt(a b) u v,   a > 0, b > 0, |rho| < 1.

    All grids share a, b, rho and the coefficients of lr* and batch*; c_g is the offset of each. The fit minimises a
    soft L1 loss over the runs within BOWL of the lowest loss of their grid.
    """
    from scipy.optimize import least_squares

    start = fit_procedure(grids)
    parts = [(grid, grid.loss / grid.lowest - 1 < BOWL) for grid in grids]
    # Columns 1, log N and log D, the last two centred.
    design = np.concatenate(
        [np.tile([1.0, np.log(grid.params), np.log(grid.tokens)], (int(kept.sum()), 1)) for grid, kept in parts]
    )
    middle = design.mean(axis=0) * np.array([0.0, 1.0, 1.0])
    design = design - middle
    x, y = (np.concatenate([getattr(grid, name)[kept] for grid, kept in parts]) for name in ("log_rate", "log_batch"))
    rise = np.concatenate([grid.loss[kept] / grid.lowest - 1 for grid, kept in parts])
    member = np.concatenate([np.full(int(kept.sum()), index) for index, (_, kept) in enumerate(parts)])

    columns = trends(grids)
    of_batch = [column for column in columns if column != 1]
    m, k = len(columns), len(columns) + len(of_batch)

    # theta: the coefficients of lr*, those of batch*, log a, log b, atanh rho, and the offset of each grid.
    def residual(theta: Array) -> Array:
        rate = design[:, columns] @ theta[:m]
        batch = design[:, of_batch] @ theta[m:k]
        a, b = np.exp(theta[k : k + 2])
        u, v = x - rate, y - batch
        bowl = a * u**2 + b * v**2 + 2 * np.tanh(theta[k + 2]) * np.sqrt(a * b) * u * v
        return np.asarray(bowl + theta[k + 3 + member] - rise)

    # Centring moves only the intercepts: those of the start are shifted here, those of the fit shifted back below.
    shift = np.array([1.0, 0.0, 0.0])
    first = np.concatenate(
        [
            (start.rate + shift * (middle @ start.rate))[columns],
            (start.batch + shift * (middle @ start.batch))[of_batch],
            [-4.0, -4.0, 0.0],
            np.zeros(len(grids)),
        ]
    )
    found = least_squares(residual, first, loss="soft_l1", f_scale=1e-3).x
    rate, batch = np.zeros(3), np.zeros(3)
    rate[columns], batch[of_batch] = found[:m], found[m:k]
    return PowerRule(rate=rate - shift * (middle @ rate), batch=batch - shift * (middle @ batch), name="surface")


def _least_squares(x: Array, y: Array) -> Array:
    """Coefficients of the least-squares fit of y by the columns of x."""
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0])


def held_out_regrets(grids: Sequence[Grid], fit: Callable[[Sequence[Grid]], PowerRule]) -> Array:
    """The regret, on each grid, of the rule fitted to all other grids (G,)."""
    found = []
    for index, grid in enumerate(grids):
        rule = fit([other for position, other in enumerate(grids) if position != index])
        found.append(grid.regret(*rule.propose(grid.params, grid.tokens)))
    return np.array(found)
