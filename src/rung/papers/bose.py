"""Chen et al. 2025, arXiv:2503.00812: stability and consistency of benchmarks by Kendall's tau."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.papers.claims import FORM, FULL, Claim, not_checked
from rung.papers.tables import Tables
from rung.skill import quality, tau_b

_SEEDS = 100
_SUFFIXES = {"bits per byte": "bpb", "log of the soft score": "soft_log", "length-normalised accuracy": "len_norm"}


def check(tables: Tables) -> list[Claim]:
    """Planted learning, the stability of measures on a public ladder, and public pairs of base and tuned models."""
    return [*_planted(), _stability(tables), _consistency(tables)]


def _course(rng: np.random.Generator, items: int) -> pl.DataFrame:
    """Sixty checkpoints of a latent skill that grows logistically: right answers among items, and their mean log score."""
    at = np.arange(60)
    latent = 2.5 / (1 + np.exp(-(at - 25) / 12)) - 1.2
    right = rng.binomial(items, 1 / (1 + np.exp(-latent))) / items
    soft = latent + rng.standard_normal(60) * 1.2 / np.sqrt(items)
    return pl.DataFrame({"run": ["run"] * 60, "step": at, "acc": right, "soft_log": soft})


def _expected(items: int) -> float:
    """Tau that the noise of binomial scores leaves: the mean over pairs of 2 P(the later is higher) - 1, ties counted by tau-b."""
    at = np.arange(60)
    p = 1 / (1 + np.exp(-(2.5 / (1 + np.exp(-(at - 25) / 12)) - 1.2)))
    i, j = np.triu_indices(60, 1)
    std = np.sqrt((p[i] * (1 - p[i]) + p[j] * (1 - p[j])) / items)
    from scipy.stats import norm

    half = 0.5 / items
    up, down = norm.sf((p[i] - p[j] + half) / std), norm.cdf((p[i] - p[j] - half) / std)
    return float((up - down).mean() / np.sqrt((up + down).mean()))


def _planted() -> list[Claim]:
    wins, found = 0, {100: [], 1000: []}  # type: tuple[int, dict[int, list[float]]]
    for seed in range(_SEEDS):
        rng = np.random.default_rng(seed)
        measured = {one.metric: one.stability for one in quality(_course(rng, 100), ["acc", "soft_log"]).measures}
        wins += measured["soft_log"] > measured["acc"]
        for items, taus in found.items():
            course = _course(rng, items)
            taus.append(tau_b(course["step"].to_numpy().astype(float), course["acc"].to_numpy()))
    means = {items: float(np.mean(taus)) for items, taus in found.items()}
    return [
        Claim(
            what="a continuous score is more stable than right answers to the same 100 items",
            asked="in 95 of 100 seeds",
            measured=f"{wins} of {_SEEDS}",
            scale=FORM,
            held=wins >= 95,
        ),
        Claim(
            what="stability grows with the number of items as binomial noise predicts",
            asked=f"{_expected(100):.2f} at 100 items, {_expected(1000):.2f} at 1000, within 0.05",
            measured=f"{means[100]:.2f} and {means[1000]:.2f}",
            scale=FORM,
            held=all(abs(means[items] - _expected(items)) < 0.05 for items in means),
        ),
    ]


def _stability(tables: Tables) -> Claim:
    what = "bits per byte are the most stable measure over checkpoints, and thresholded scores the least: mean size of tau over 312 series of a public ladder"
    asked = "0.86, 0.74 and 0.59, within 0.02"
    try:
        table = pl.read_parquet(tables.path("olmo_ladder.parquet"))
    except RungError as error:
        return not_checked(what, asked, error)
    tasks = sorted({name.rsplit("_5shot_", 1)[0] for name in table.columns if "_val_rc_5shot_bpb" in name})
    runs = [rows.sort("step") for _, rows in table.group_by("run_name", maintain_order=True)]
    found = {}
    for label, suffix in _SUFFIXES.items():
        names = [name if (name := f"{task}_5shot_{suffix}") in table.columns else f"{task}_5shot_acc" for task in tasks]
        # The size of tau, whatever its sign: bits per byte fall.
        taus = [
            abs(tau_b(rows["step"].to_numpy().astype(float), rows[name].to_numpy())) for rows in runs for name in names
        ]
        found[label] = float(np.mean(taus))
    values = list(found.values())
    return Claim(
        what=what,
        asked=asked,
        measured=", ".join(f"{label} {value:.3f}" for label, value in found.items()),
        scale=FULL,
        held=all(abs(value - want) <= 0.02 for value, want in zip(values, (0.86, 0.74, 0.59), strict=True)),
    )


def _consistency(tables: Tables) -> Claim:
    what = "base models and the models tuned from them are ordered alike (tau above 0 with its 90 % interval) on the six benchmarks of a public leaderboard"
    asked = "each benchmark (reported)"
    try:
        table = pl.read_csv(tables.path("open_leaderboard_v2_models.csv"))
    except RungError as error:
        return not_checked(what, asked, error)
    names = set(table["model_name"].to_list())
    bases = {}
    for name in names:
        for ending in ("-instruct", "-chat"):
            if name.endswith(ending) and name.removesuffix(ending) in names:
                bases[name] = name.removesuffix(ending)
    table = table.rename({"model_name": "model"}).with_columns(
        base=pl.col("model").replace_strict(bases, default=None, return_dtype=pl.String)
    )
    metrics = [name for name in table.columns if name.startswith("metric_")]
    found = quality(table, metrics, base="base").measures
    said = ", ".join(
        f"{one.metric.removeprefix('metric_')} {one.consistency:.2f} ({one.consistency_low:.2f} to {one.consistency_high:.2f})"
        for one in found
    )
    return Claim(
        what=what,
        asked=asked,
        measured=f"{found[0].pairs} pairs: {said}",
        scale=FULL,
        held=all(one.consistency_low > 0 for one in found),
    )
