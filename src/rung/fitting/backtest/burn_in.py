"""The start of runs, left out where that improves forecasts: how much is decided by backtests of the table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.backtest.folds import choose_cuts, score
from rung.fitting.backtest.scale import scale_of
from rung.fitting.estimate.multistart import QUICK, search
from rung.fitting.estimate.setup import Setup, set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.runs import Runs, as_runs

SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Lengths of the start that are tried, as shares of the longest run's tokens."""

_GOOD_ENOUGH = 1.1
"""Factor of the lowest error within which the shortest start is chosen: the rows of a start are information too."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """A table without the first `tokens` tokens of its runs, ready to be fitted."""

    tokens: float
    setup: Setup


def drop_start(runs: Any, specification: FitSpecification) -> Runs:
    """The table without the start of its runs, where forecasts of larger scales are better without it.

    The law is fitted without the first 0, 0.5, 1, 2, 5, 10 and 20 % of the longest run's tokens, each time below the
    same cuts, and scored on the same rows beyond them. The shortest start whose error is within 10 % of the lowest is
    left out.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        specification: What is fitted to it.

    Raises:
        FitError: The table has no tokens, or too few scales to score on.
    """
    table = as_runs(runs)
    trials = _trials(table, specification)
    strictest = trials[-1].setup
    scale = scale_of(strictest, None)
    cuts = choose_cuts(strictest.problem, scale.values) if scale else np.empty(0)
    if not len(cuts):
        raise FitError(
            f"{table.source} has too few scales to decide how much of each run's start to leave out. Give a number of "
            "tokens: --drop-tokens."
        )
    judged = strictest.problem.design.row.tolist()
    errors = {trial.tokens: _error(trial.setup, cuts, judged, specification.seed) for trial in trials}
    lowest = min(error for error in errors.values() if error is not None)
    chosen = next(tokens for tokens, error in errors.items() if error is not None and error <= _GOOD_ENOUGH * lowest)
    return table.drop_tokens(chosen) if chosen else table


def _trials(table: Runs, specification: FitSpecification) -> list[_Trial]:
    """A trial for each share that leaves out more rows than the one before, as long as the law can be fitted."""
    tokens = table.numbers("tokens", "--drop-tokens auto")
    if not np.all(np.isfinite(tokens)):
        raise FitError(
            f"{table.source}: tokens is missing in some rows, so the start of a run is unknown. Fill it in, or leave "
            "those rows out (--where)."
        )
    longest = float(np.max(tokens))
    trials: list[_Trial] = []
    for share in SHARES:
        kept = table.take(tokens > share * longest)
        if trials and len(kept) == len(trials[-1].setup.table):
            continue
        try:
            setup = set_up(kept, specification)
        except FitError:
            if not trials:
                raise
            break
        trials.append(_Trial(share * longest, setup))
    return trials


def _error(setup: Setup, cuts: Array, judged: Collection[int], seed: int) -> float | None:
    """Mean absolute error over the cuts, on rows that every trial has; None where the law cannot be fitted."""
    scale = scale_of(setup, None)
    assert scale is not None
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        unconstrained = search(setup.problem, rng, effort=QUICK).unconstrained
        scored = score(setup.problem, scale.values, cuts, unconstrained, rng)
    if scored is None:
        return None
    wanted = np.isin(setup.problem.design.row[scored.row], list(judged))
    errors = [np.mean(np.abs(scored.error[wanted & (scored.cut == cut)])) for cut in np.unique(scored.cut[wanted])]
    return float(np.mean(errors))
