"""arXiv:2505.16276: scores by groups of model size, plateaus, and siblings in reverse order."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.papers.claims import FORM, FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.skill import size_groups

_SIZES = (0.5e9, 1.5e9, 3e9, 4e9, 7e9, 8e9, 14e9, 20e9, 32e9, 34e9, 70e9, 72e9)
_SEEDS = 100
_ITEMS = {"ifeval": 541, "bbh": 5761, "math": 1324, "mmlu_pro": 12032, "gpqa": 1192, "musr": 756}
"""Items of each benchmark of the Open LLM Leaderboard v2."""


def check(tables: Tables) -> list[Claim]:
    """Planted plateaus and power laws, and a public leaderboard in the paper's groups of size."""
    return [_planted(), _leaderboard(tables)]


def _world(rng: np.random.Generator, *, saturating: bool) -> pl.DataFrame:
    """Fifty repetitions of 100 items by models of twelve sizes."""
    rows: list[tuple[float, float]] = []
    for params in _SIZES:
        top = 0.9 / (1 + np.exp(-1.5 * (np.log(min(params, 14e9)) - np.log(3e9))))
        p = top if saturating else 0.08 * (params / 0.5e9) ** 0.45
        rows += [(params, right / 100) for right in rng.binomial(100, p, 50)]
    return pl.DataFrame(rows, schema=["params", "score"], orient="row")


def _planted() -> Claim:
    plateaus = rising = 0
    for seed in range(_SEEDS):
        one = size_groups(_world(np.random.default_rng([seed, 0]), saturating=True), ["score"]).metrics[0]
        plateaus += (one.verdict, one.cheapest) == ("plateau", "8B to 33B")
        other = size_groups(_world(np.random.default_rng([seed, 1]), saturating=False), ["score"]).metrics[0]
        rising += other.verdict == "no plateau"
    return Claim(
        what="a score that saturates at 14B has a plateau from 8B to 33B, and a power law has none",
        asked="95 of 100 each",
        measured=f"{plateaus} and {rising} of {_SEEDS}",
        scale=FORM,
        held=min(plateaus, rising) >= 95,
    )


def _leaderboard(tables: Tables) -> Claim:
    what = "groups of size differ on every benchmark, and some larger siblings score less than smaller ones by more than the items explain"
    published = "p < 0.001 for all variants; inversions within families"
    try:
        table = pl.read_csv(tables.path("open_leaderboard_v2_models.csv"))
    except RungError as error:
        return not_checked(what, published, error)
    table = table.with_columns(
        params=pl.col("params_billion") * 1e9, **{f"items_metric_{name}": pl.lit(count) for name, count in _ITEMS.items()}
    )  # fmt: skip
    found = size_groups(table, [f"metric_{name}" for name in _ITEMS])
    largest = max(one.q_value for one in found.metrics)
    sure = [one for one in found.inversions if one.q_value < 0.05]
    said = ", ".join(f"{one.metric.removeprefix('metric_')} {one.verdict}" for one in found.metrics)
    first = (
        f", {sure[0].larger} below {sure[0].smaller} on {sure[0].metric.removeprefix('metric_')} first" if sure else ""
    )
    return Claim(
        what=what,
        published=published,
        measured=f"largest q {largest:.2g}; {said}; {len(found.inversions)} inversions of {found.siblings} pairs, {len(sure)} beyond the items{first}",
        scale=FULL,
        held=largest < 0.05 and bool(sure),
    )
