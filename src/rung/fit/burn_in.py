"""The start of runs, left out where it spoils forecasts: a rule that the table itself decides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rung.errors import FitError
from rung.fit.cuts import choose_cuts, score
from rung.fit.search import QUICK, search
from rung.fit.setup import Setup, scale_of, set_up
from rung.laws import Law
from rung.runs import Runs

SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Starts that are tried, as shares of the longest run's tokens."""

_GOOD_ENOUGH = 1.1
"""The shortest start wins whose error is within this factor of the lowest."""


def drop_start(
    runs: Runs,
    law: Law,
    *,
    target: str | None = None,
    objective: str | None = None,
    delta: float | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Runs:
    """The table without the start of its runs, where leaving it out forecasts larger scales better.

    The law is fitted without the first 0, 0.5, 1, 2, 5, 10 and 20 % of the longest run's tokens, each below the same
    cuts and scored on the same rows beyond them; the shortest start within 10 % of the lowest error is left out.

    Raises:
        FitError: The table has no tokens, or too few scales to score on.
    """
    tokens = runs.numbers("tokens", "--drop-tokens auto")
    if not np.all(np.isfinite(tokens)):
        raise FitError(f"{runs.source}: tokens is missing in some rows, so where runs start cannot be told.")
    longest = float(np.max(tokens))
    setups: list[tuple[float, Setup]] = []
    for share in SHARES:
        kept = runs.take(tokens > share * longest)
        if setups and len(kept) == len(setups[-1][1].table):
            continue
        try:
            setup = set_up(kept, law, objective=objective, delta=delta, target=target, weights=weights, fix=fix)
        except FitError:
            if not setups:
                raise
            break
        setups.append((share * longest, setup))
    strictest = setups[-1][1]
    found = scale_of(strictest, None)
    cuts = choose_cuts(strictest.problem, found[1]) if found else np.empty(0)
    if not len(cuts):
        raise FitError(
            f"{runs.source} has too few scales to tell how much of each run's start to leave out. Give a number of tokens."
        )
    tried = []
    judged = set(strictest.problem.design.row.tolist())
    for least, setup in setups:
        scale = scale_of(setup, None)
        assert scale is not None
        rng = np.random.default_rng(seed)
        with np.errstate(all="ignore"):
            internal = search(setup.problem, rng, effort=QUICK).internal
            scored = score(setup.problem, scale[1], cuts, internal, rng)
        if scored is None:
            continue
        wanted = np.isin(setup.problem.design.row[scored.row], list(judged))
        errors = [np.mean(np.abs(scored.error[wanted & (scored.cut == cut)])) for cut in np.unique(scored.cut[wanted])]
        tried.append((least, float(np.mean(errors))))
    lowest = min(error for _, error in tried)
    chosen = next(least for least, error in tried if error <= _GOOD_ENOUGH * lowest)
    return runs.drop_tokens(chosen) if chosen else runs
