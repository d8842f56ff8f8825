"""Papers given as context: published decisions, checked with `allocate` and `tune`."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.fitting import Fit, fit
from rung.laws import law_book
from rung.papers.claims import FORM, FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.planning.allocation import allocate
from rung.planning.tuning import published_rules, read_sweeps, regrets
from rung.runs import read_runs

_DEMAND = 2e12
"""Tokens that the model will serve."""

_BUDGET = 1e23
"""Training compute [FLOPs]."""

_UNIQUE = 1e11
"""Unique tokens, where data are limited."""


def _surface() -> Fit:
    """The law of Besiroglu et al. as a fit, to noise-free losses of this law."""
    book = law_book()["besiroglu-2024"]
    params, tokens = (part.ravel() for part in np.meshgrid(np.geomspace(1e8, 1e11, 8), np.geomspace(2e9, 2e12, 8)))
    loss = book.law.value(book.constants, {"N": params, "D": tokens})
    return fit(pl.DataFrame({"params": params, "tokens": tokens, "loss": loss}), book.law, draws=0)


def inference_aware(tables: Tables) -> list[Claim]:
    """Sardana et al. 2024, arXiv:2401.00448: a model that will serve many tokens is best smaller and trained longer."""
    del tables
    surface = _surface()
    trained = allocate(surface, flops=_BUDGET)
    served = allocate(surface, loss=trained.loss, cost="6*N*D + 2*N*T", T=_DEMAND)
    before, after = ({name: one.choices[name].value for name in ("params", "tokens")} for one in (trained, served))

    def cost(point: dict[str, float]) -> float:
        return 6 * point["params"] * point["tokens"] + 2 * point["params"] * _DEMAND

    values = surface.values
    # At the optimum the loss falls per unit of cost as much by size as by data: (dL/dN) / (dC/dN) = (dL/dD) / (dC/dD).
    by_params = -values["A"] * values["alpha"] * after["params"] ** (-values["alpha"] - 1)
    by_tokens = -values["B"] * values["beta"] * after["tokens"] ** (-values["beta"] - 1)
    ratio = (by_params / (6 * after["tokens"] + 2 * _DEMAND)) / (by_tokens / (6 * after["params"]))
    return [
        Claim(
            what="for the same loss and 2e12 tokens to serve, the cheapest model is smaller and trained on more tokens than the compute-optimal one",
            published="smaller, trained longer, and cheaper in total",
            measured=f"{after['params'] / before['params']:.3f} times the size, {after['tokens'] / before['tokens']:.3f} times the tokens, "
            f"{cost(after) / cost(before):.4f} times the cost",
            scale=FORM,
            held=after["params"] < before["params"]
            and after["tokens"] > before["tokens"]
            and cost(after) < cost(before),
        ),
        Claim(
            what="at that point one more FLOP lowers the loss as much through size as through data",
            published="1",
            measured=f"{ratio:.7f}",
            scale=FORM,
            held=bool(abs(ratio - 1) < 1e-4),
        ),
    ]


def data_constrained(tables: Tables) -> list[Claim]:
    """Muennighoff et al. 2023, arXiv:2305.16264: with little data a budget is best spent on repeats, not size."""
    del tables
    surface = _surface()
    free = allocate(surface, flops=_BUDGET)
    short = allocate(surface, flops=_BUDGET, unique_tokens=_UNIQUE)
    epochs = short.choices["tokens"].value / _UNIQUE
    smaller = short.choices["params"].value / free.choices["params"].value
    return [
        Claim(
            what="with 1e11 unique tokens, 1e23 FLOPs are best spent on repeats and a smaller model, and reach a higher loss than with unlimited data",
            published="several epochs, a smaller model, a higher loss",
            measured=f"{epochs:.1f} epochs, {smaller:.2f} times the size, loss {short.loss:.4f} against {free.loss:.4f}",
            scale=FORM,
            held=epochs > 2 and smaller < 1 and short.loss > free.loss,
        )
    ]


def deepseek(tables: Tables) -> list[Claim]:
    """DeepSeek-AI 2024, arXiv:2401.02954: learning rate and batch from compute alone, on the grids of Step Law."""
    what, published = (
        "on Step Law's dense grids, its law of learning rate and batch has at least five times the regret of Step Law",
        "5",
    )
    try:
        runs = read_runs(tables.path("steplaw_dense.csv"), {"N": "params_non_embedding", "loss": "loss_smoothed"})
    except RungError as why:
        return [not_checked(what, published, why)]
    grids, rules = read_sweeps(runs), published_rules()
    step, deep = (float(np.nanmean(regrets(grids, rules[name]))) for name in ("step-law", "deepseek"))
    return [
        Claim(
            what=what,
            published=published,
            measured=f"{deep / step:.1f}: {100 * deep:.2f} % against {100 * step:.2f} % on {len(grids)} grids",
            scale=FULL,
            held=deep / step >= 5,
        )
    ]
