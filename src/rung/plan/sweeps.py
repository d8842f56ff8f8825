"""Sweeps over learning rate and batch: grids, rules fitted to them, and what a rule loses on a grid.

Shapes: `n` runs of one grid, `G` grids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rung.errors import PlanError
from rung.laws.tree import Array
from rung.runs import Runs

PLATEAU = 0.0025
"""Share above a grid's lowest loss within which the published procedure keeps a run.

Source: Li et al. 2025, arXiv:2503.04715."""

BOWL = 0.005
"""Share above a grid's lowest loss within which the surface is fitted: beyond, it is no bowl."""

_LEAST_RUNS = 8
_RESAMPLES = 1000


class Proposer(Protocol):
    """Anything that proposes a learning rate and a batch."""

    def propose(self, params: float, tokens: float, /) -> tuple[float, float]:
        """Peak learning rate and batch in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Runs of one size on one count of tokens, over learning rate and batch.

    Attributes:
        params: N.
        tokens: D.
        log_rate: Logarithm of the peak learning rate (n,).
        log_batch: Logarithm of the batch in tokens (n,).
        loss: Loss (n,).
    """

    params: float
    tokens: float
    log_rate: Array
    log_batch: Array
    loss: Array

    @property
    def lowest(self) -> float:
        return float(np.min(self.loss))

    def regret(self, rate: float, batch: float) -> float:
        """The loss at a point, interpolated over triangles of the grid, over its lowest, less one; nan outside the grid."""
        from scipy.interpolate import LinearNDInterpolator

        if not (rate > 0 and batch > 0):
            return float("nan")
        surface = LinearNDInterpolator(np.column_stack([self.log_rate, self.log_batch]), self.loss)
        return float(surface(np.log(rate), np.log(batch))) / self.lowest - 1


def read_sweeps(runs: Runs, target: str = "loss") -> list[Grid]:
    """The grids of a table: runs that share params and tokens.

    Raises:
        RunsError: A column is missing.
        PlanError: No grid has enough runs over learning rate and batch.
    """
    columns = {name: runs.numbers(name, "a sweep") for name in ("params", "tokens", "lr", "batch_tokens", target)}
    for name, values in columns.items():
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(bad):
            raise PlanError(
                f"{runs.row_name(int(bad[0]))}: {name} is {values[bad[0]]:g}, and must be positive. Leave such rows out: --where."
            )
    grids = []
    for params, tokens in np.unique(np.column_stack([columns["params"], columns["tokens"]]), axis=0):
        rows = np.flatnonzero((columns["params"] == params) & (columns["tokens"] == tokens))
        rate, batch = np.log(columns["lr"][rows]), np.log(columns["batch_tokens"][rows])
        if len(rows) >= _LEAST_RUNS and len(np.unique(rate)) > 2 and len(np.unique(batch)) > 2:
            grids.append(
                Grid(
                    params=float(params),
                    tokens=float(tokens),
                    log_rate=rate,
                    log_batch=batch,
                    loss=columns[target][rows],
                )
            )
    if not grids:
        raise PlanError(
            f"{runs.source}: no size and count of tokens has {_LEAST_RUNS} runs over three learning rates and three batches. A sweep "
            "varies lr and batch_tokens at the same params and tokens; map them: --map lr=COLUMN."
        )
    return grids


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
    """The loss surface itself: bowls of one shape whose bottoms go by power laws, and a lowest loss for each grid.

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
    member = np.concatenate([np.full(int(kept.sum()), place) for place, (_, kept) in enumerate(parts)])

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
    for place, grid in enumerate(grids):
        rule = fit([other for at, other in enumerate(grids) if at != place])
        found.append(grid.regret(*rule.propose(grid.params, grid.tokens)))
    return np.array(found)


def regrets(grids: Sequence[Grid], rule: Proposer) -> Array:
    """The regret of a rule on each grid (G,); nan where it proposes a point outside the grid."""
    return np.array([grid.regret(*rule.propose(grid.params, grid.tokens)) for grid in grids])
