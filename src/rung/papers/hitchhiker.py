"""Choshen et al. 2024, arXiv:2410.11840: checkpoints inside runs help a law, and the start of runs spoils it."""

from __future__ import annotations

import numpy as np

from rung.errors import RungError
from rung.fitting import fit as fit_law
from rung.fitting.backtest import drop_start
from rung.fitting.estimate import FitSpecification
from rung.laws import find_law
from rung.papers.claims import FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.runs import Runs, read_runs

_ALL = "all rows of the smaller OPT models miss the end of the 175B run"
_CUT = "without the first 10B tokens they come near it"
_FINAL = "final rows alone are saturated, and worse"
_RULE = "the rule --drop-tokens auto comes as near"


def check(tables: Tables) -> list[Claim]:
    """OPT, 30B and below to the last 30 % of 175B, perplexity, plain least squares as the authors fit."""
    try:
        runs = read_runs(tables.path("opt_trajectories.csv"), {"run": "model_size"})
    except RungError as error:
        expected = {_ALL: "above 15 %", _CUT: "4 to 10 %", _FINAL: "flagged", _RULE: "at most 7.4 %"}
        return [not_checked(what, published, error) for what, published in expected.items()]
    size, tokens = runs.numbers("params"), runs.numbers("tokens")
    largest = size == size.max()
    small = runs.take(~largest)
    ahead = runs.take(largest & (tokens >= 0.7 * tokens[largest].max()))
    law = find_law("chinchilla", runs.columns)
    everything = _error(small, ahead)
    cut = _error(small.drop_tokens(10e9), ahead)
    kept = drop_start(small, FitSpecification(law=law, target="perplexity", objective="squares"))
    rule = _error(kept, ahead)
    last = small.last()
    fitted = fit_law(last, law, target="perplexity", objective="squares", draws=0)
    final = _error(last, ahead)
    left = (
        f"; leaves out {kept.notes[-1].rpartition(' ')[2]} tokens" if len(kept) < len(small) else "; leaves nothing out"
    )
    return [
        Claim(what=_ALL, published="above 15 %", measured=_percent(everything), scale=FULL, held=everything > 0.15),
        Claim(what=_CUT, published="4 to 10 %", measured=_percent(cut), scale=FULL, held=0.04 <= cut <= 0.10),
        Claim(
            what=_FINAL,
            published="flagged as saturated, error above that with checkpoints",
            measured=f"{fitted.status}, {_percent(final)}",
            scale=FULL,
            held=fitted.status == "saturated" and final > cut,
        ),
        Claim(what=_RULE, published="at most 7.4 %", measured=_percent(rule) + left, scale=FULL, held=rule <= 0.0745),
    ]


def _error(fitted: Runs, ahead: Runs) -> float:
    """Mean absolute relative error of the perplexity."""
    fit = fit_law(fitted, "chinchilla", target="perplexity", objective="squares", draws=0)
    said = fit.law.value(fit.values, {"N": ahead.numbers("params"), "D": ahead.numbers("tokens")})
    measured = ahead.numbers("perplexity")
    return float(np.mean(np.abs(said - measured) / measured))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
