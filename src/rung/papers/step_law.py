"""Li et al. 2025, arXiv:2503.04715: laws of learning rate and batch, judged by their regret on the published grids."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import RungError
from rung.papers.claims import FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.planning.tuning import (
    Grid,
    fit_procedure,
    fit_surface,
    held_out_regrets,
    published_rules,
    read_sweeps,
    regrets,
)
from rung.runs import read_runs


def check(tables: Tables) -> list[Claim]:
    """The constants of the law, its regret beside that of refits on dense grids, and its regret on mixtures."""
    return [*_constants(tables), *_dense(tables), *_mixtures(tables)]


def _constants(tables: Tables) -> list[Claim]:
    what, published = (
        "the constants are the means of 1000 bootstrap fits",
        "lr 1.79 N^-0.713 D^0.307, batch 0.58 D^0.571",
    )
    try:
        fits = pl.read_csv(tables.path("steplaw_bootstrap_fits.csv")).mean().row(0, named=True)
    except RungError as why:
        return [not_checked(what, published, why)]
    found = (
        np.exp(fits["lr_intercept"]),
        fits["lr_coef_n"],
        fits["lr_coef_d"],
        np.exp(fits["bs_intercept"]),
        fits["bs_coef_d"],
    )
    wanted = (1.79, -0.713, 0.307, 0.58, 0.571)
    return [
        Claim(
            what=what,
            published=published,
            measured="lr {:.3f} N^{:.4f} D^{:.4f}, batch {:.4f} D^{:.4f}".format(*found),
            scale=FULL,
            held=all(abs(one - other) < 0.01 for one, other in zip(found, wanted, strict=True)),
        )
    ]


def _grids(tables: Tables, name: str, count: str, where: str | None = None) -> list[Grid]:
    runs = read_runs(tables.path(name), {"params": count, "loss": "loss_smoothed"})
    return read_sweeps(runs.where(where) if where else runs)


def _shown(values: Array) -> str:
    """Mean and maximum of regrets, and on how many grids the proposed point lies outside."""
    inside = values[np.isfinite(values)]
    outside = len(values) - len(inside)
    if not len(inside):
        return "outside every grid"
    return f"{100 * inside.mean():.3f} % on average, {100 * inside.max():.3f} % at worst" + (
        f", outside {outside}" if outside else ""
    )


def _dense(tables: Tables) -> list[Claim]:
    rules = published_rules()
    questions = (
        (
            "the law proposes points near the best of each dense grid",
            "0.126 % on average (17 grids; 15 are in the table), below 0.25 % everywhere",
        ),
        (
            "regret of refits by the published procedure, each grid left out in turn",
            "at most 0.12 % on average, 0.25 % at worst",
        ),
        ("regret of a directly fitted loss surface, each grid left out in turn", "at most 0.15 % on average"),
        ("DeepSeek's law has at least five times the regret", "0.83 % on average"),
    )
    try:
        grids = _grids(tables, "steplaw_dense.csv", "params_non_embedding")
    except RungError as why:
        return [not_checked(what, published, why) for what, published in questions]
    law, other = regrets(grids, rules["step-law"]), regrets(grids, rules["deepseek"])
    own, surface = (held_out_regrets(grids, way) for way in (fit_procedure, fit_surface))
    measured = (law, own, surface, other)
    held = (
        abs(law.mean() - 0.00126) <= 0.0002 and bool(law.max() < 0.0025),
        bool(own.mean() <= 0.0012 and own.max() <= 0.0025),
        bool(np.nanmean(surface) <= 0.0015 and not np.isnan(surface).any()),
        bool(np.nanmean(other) >= 5 * law.mean()),
    )
    return [
        Claim(
            what=what, published=published, measured=f"{_shown(found)} ({len(grids)} grids)", scale=FULL, held=bool(ok)
        )
        for (what, published), found, ok in zip(questions, measured, held, strict=True)
    ]


def _mixtures(tables: Tables) -> list[Claim]:
    what, published = (
        "for sparse mixtures of experts N counts all parameters",
        "total better than active parameters for 1 of 8, 1 of 89 and 2 of 88 experts",
    )
    try:
        families = {
            family: [
                _grids(tables, "steplaw_moe.csv", count, f"family = '{family}'")
                for count in ("params_total", "params_active")
            ]
            for family in ("1in8", "1in89", "2in88")
        }
    except RungError as why:
        return [not_checked(what, published, why)]
    law = published_rules()["step-law"]
    found = {family: [regrets(grids, law) for grids in pair] for family, pair in families.items()}
    better = [float(np.nanmean(total)) < float(np.nanmean(active)) for total, active in found.values()]
    return [
        Claim(
            what=what,
            published=published,
            measured="; ".join(
                f"{family}: total {100 * np.nanmean(total):.2f} %, active {100 * np.nanmean(active):.2f} %"
                for family, (total, active) in found.items()
            ),
            scale=FULL,
            held=all(better),
        )
    ]
