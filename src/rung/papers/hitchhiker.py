"""Choshen et al. 2024, arXiv:2410.11840: checkpoints within runs improve a law, but the start of the runs harms it."""

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

_ALL = "a fit to all rows of the smaller OPT models misses the end of the 175B run"
_CUT = "without the first 10B tokens of each run the error is small"
_FINAL = "a fit to final rows alone is saturated, and its error is larger"
_RULE = "with the rule --drop-tokens auto the error is as small"


def check(tables: Tables) -> list[Claim]:
    """OPT of 30B and below forecasts the last 30 % of the 175B run: perplexity, by least squares as in the paper."""
    try:
        runs = read_runs(tables.path("opt_trajectories.csv"), {"run": "model_size"})
    except RungError as error:
        expected = {_ALL: "above 15 %", _CUT: "4 to 10 %", _FINAL: "flagged", _RULE: "at most 7.4 %"}
        return [not_checked(what, published, error) for what, published in expected.items()]
    size, tokens = runs.numbers("params"), runs.numbers("tokens")
    largest = size == size.max()
    small = runs.take(~largest)
    held_out = runs.take(largest & (tokens >= 0.7 * tokens[largest].max()))
    law = find_law("chinchilla", runs.columns)
    everything = _error(small, held_out)
    cut = _error(small.drop_tokens(10e9), held_out)
    kept = drop_start(small, FitSpecification(law=law, target="perplexity", objective="squares"))
    rule = _error(kept, held_out)
    last = small.last()
    fitted = fit_law(last, law, target="perplexity", objective="squares", draws=0)
    final = _error(last, held_out)
    dropped = (
        f"; leaves out {kept.notes[-1].rpartition(' ')[2]} tokens" if len(kept) < len(small) else "; leaves nothing out"
    )
    return [
        Claim(what=_ALL, published="above 15 %", measured=_percent(everything), scale=FULL, held=everything > 0.15),
        Claim(what=_CUT, published="4 to 10 %", measured=_percent(cut), scale=FULL, held=0.04 <= cut <= 0.10),
        Claim(
            what=_FINAL,
            published="flagged as saturated, error larger than with checkpoints",
            measured=f"{fitted.status}, {_percent(final)}",
            scale=FULL,
            held=fitted.status == "saturated" and final > cut,
        ),
        Claim(
            what=_RULE, published="at most 7.4 %", measured=_percent(rule) + dropped, scale=FULL, held=rule <= 0.0745
        ),
    ]


def _error(fitted: Runs, held_out: Runs) -> float:
    """Mean absolute relative error of the perplexity that a fit forecasts for the held-out rows."""
    fit = fit_law(fitted, "chinchilla", target="perplexity", objective="squares", draws=0)
    forecast = fit.law.value(fit.values, {"N": held_out.numbers("params"), "D": held_out.numbers("tokens")})
    measured = held_out.numbers("perplexity")
    return float(np.mean(np.abs(forecast - measured) / measured))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
