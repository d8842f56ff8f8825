"""Heineman et al. 2025, arXiv:2508.13144: benchmarks whose signal stands above their noise decide and forecast better."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.papers.claims import FULL, SMALLER, Claim, not_checked
from rung.papers.tables import Tables
from rung.runs import read_runs
from rung.skill import quality

_SURE = 0.05
_SCORES = ("len_norm", "acc")
"""Endings of the columns of a thresholded score, in the order in which they are taken."""


def check(tables: Tables) -> list[Claim]:
    """The claims on the published table of 24 benchmarks, and bits per byte beside right answers on a public ladder."""
    return [*_published(tables), _bits(tables)]


def _published(tables: Tables) -> list[Claim]:
    what = {
        "error": "benchmarks of more signal to noise (at 1B) are forecast with less error by a ladder: rank correlation over 24 benchmarks",
        "decision": "benchmarks of more signal to noise decide better between recipes at small sizes: rank correlation of both columns of one size",
    }
    try:
        table = pl.read_csv(tables.path("signal_noise_published.csv"))
    except RungError as why:
        return [not_checked(one, "", why) for one in what.values()]
    error = [_rank(table["snr_1b"], table[f"ladder_error_{size}_pct"]) for size in ("7b", "13b")]
    decision = [
        _rank(table[f"snr_{size}"], table[f"decision_accuracy_{size}_pct"]) for size in ("150m", "300m", "750m")
    ]
    return [
        Claim(
            what=what["error"],
            asked="below 0 at 7B and 13B, p below 0.05",
            measured=_told(error, ("7B", "13B")),
            scale=FULL,
            held=all(value < 0 and p < _SURE for value, p in error),
        ),
        Claim(
            what=what["decision"],
            published="R = 0.791 over the 30 benchmarks of the paper",
            measured=_told(decision, ("150M", "300M", "750M")) + ", of the table that stands beside the paper's code",
            scale=FULL,
            held=all(value > 0 and p < _SURE for value, p in decision),
        ),
    ]


def _rank(one: pl.Series, other: pl.Series) -> tuple[float, float]:
    from scipy.stats import spearmanr

    found = spearmanr(one.to_numpy(), other.to_numpy(), nan_policy="omit")
    return float(found.statistic), float(found.pvalue)


def _told(found: list[tuple[float, float]], names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {value:+.2f} (p = {p:.2g})" for name, (value, p) in zip(names, found, strict=True))


def _bits(tables: Tables) -> Claim:
    what = "bits per byte of the right answer have more signal to noise than the share of right answers, task by task of a public ladder"
    try:
        table = pl.read_parquet(tables.path("olmo_ladder.parquet")).filter(pl.col("is_rerun") == 0)
    except RungError as why:
        return not_checked(what, "", why)
    runs = read_runs(table, {"run": "run_name"})
    tasks = sorted({name.rsplit("_5shot_", 1)[0] for name in table.columns if name.endswith("_val_rc_5shot_bpb")})
    ratios = []
    for task in tasks:
        score = next(name for ending in _SCORES if (name := f"{task}_5shot_{ending}") in table.columns)
        by = {one.metric: one.ratio for one in quality(runs, [f"{task}_5shot_bpb", score]).measures}
        ratios.append(by[f"{task}_5shot_bpb"] / by[score])
    more = sum(ratio > 1 for ratio in ratios)
    return Claim(
        what=what,
        asked="on three tasks of four",
        measured=f"on {more} of {len(ratios)}; {np.median(ratios):.1f} times as much, median",
        scale=SMALLER,
        held=more >= 0.75 * len(ratios),
    )
