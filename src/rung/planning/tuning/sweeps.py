"""Sweeps over learning rate and batch: grids, and the regret of a rule on them.

Shapes: `n` runs of one grid, `G` grids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.messages import listed
from rung.runs import Runs

_LEAST_RUNS = 8
"""Fewest runs of a grid; they must have three learning rates and three batches among them."""


_ALIKE = 0.001
"""Share above the lowest loss within which runs cannot be told apart: the seeds of one run differ by about as much."""


class Proposer(Protocol):
    """Anything that proposes a learning rate and a batch."""

    def propose(self, params: float, tokens: float, /) -> tuple[float, float]:
        """Peak learning rate and batch in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Runs over learning rate and batch at one size and one number of tokens.

    Attributes:
        params: Parameters N.
        tokens: Tokens D.
        log_rate: Logarithm of the peak learning rate of each run (n,).
        log_batch: Logarithm of the batch in tokens of each run (n,).
        loss: Loss of each run (n,).
    """

    params: float
    tokens: float
    log_rate: Array
    log_batch: Array
    loss: Array

    @property
    def lowest(self) -> float:
        """The lowest loss."""
        return float(np.min(self.loss))

    @property
    def at_edge(self) -> dict[str, str]:
        """The settings whose best value lies at the edge of the grid, with the side, "below" or "above".

        It does where all runs within 0.1 % of the lowest loss have the smallest, or the largest, value of the setting:
        the optimum then lies beyond.
        """
        best = self.loss / self.lowest - 1 <= _ALIKE
        found = {}
        for name, tried in (("lr", self.log_rate), ("batch_tokens", self.log_batch)):
            if np.all(tried[best] == tried.min()):
                found[name] = "below"
            elif np.all(tried[best] == tried.max()):
                found[name] = "above"
        return found

    def regret(self, rate: float, batch: float) -> float:
        """The loss at a point over the lowest of the grid, less one; nan outside the grid.

        The loss is interpolated linearly over triangles of the runs, in log lr and log batch.
        """
        from scipy.interpolate import LinearNDInterpolator

        if not (rate > 0 and batch > 0):
            return float("nan")
        surface = LinearNDInterpolator(np.column_stack([self.log_rate, self.log_batch]), self.loss)
        return float(surface(np.log(rate), np.log(batch))) / self.lowest - 1


def read_sweeps(runs: Runs, target: str = "loss") -> list[Grid]:
    """The grids of a table: runs that share params and tokens.

    Raises:
        RunsError: A column is missing.
        PlanError: A value is not positive, or no grid has enough runs over learning rate and batch.
    """
    columns = {name: runs.numbers(name, "a sweep") for name in ("params", "tokens", "lr", target)}
    if not runs.has("batch_tokens"):
        raise PlanError(
            f"{runs.source}: no column batch_tokens, and a rule for learning rate and batch needs both; found {listed(runs.file_columns, 12)}. "
            "Map it: --map batch_tokens=COLUMN, or --map 'batch_tokens=batch_size*seq_len'."
        )
    columns["batch_tokens"] = runs.numbers("batch_tokens", "a sweep")
    # A run that diverged has no loss, and is no optimum.
    measured = np.isfinite(columns[target])
    columns = {name: values[measured] for name, values in columns.items()}
    runs = runs.take(measured)
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
            f"{runs.source}: no size and number of tokens has {_LEAST_RUNS} runs over three learning rates and three batches. A sweep "
            "varies lr and batch_tokens at the same params and tokens; map them: --map lr=COLUMN."
        )
    return grids


def regrets(grids: Sequence[Grid], rule: Proposer) -> Array:
    """The regret of a rule on each grid (G,); nan where it proposes a point outside the grid."""
    return np.array([grid.regret(*rule.propose(grid.params, grid.tokens)) for grid in grids])
