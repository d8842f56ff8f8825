"""arXiv:2508.06811: likeness of relatives among models, and the drift of their traits."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables
from rung.skill.lineage import lineage

_MODELS, _TRAITS, _SEEDS = 2000, 40, 10
_STEPS = 6
"""Licences that the planted drift passes through, one at a time."""


def check(tables: Tables) -> list[Claim]:
    """Planted trees: mutation with and without changes that siblings share, and traits with and without drift."""
    del tables
    return [*_resemblance(), *_drift()]


def _tree(seed: int, *, mutation: float, shared: float, drift: float) -> pl.DataFrame:
    """A branching process of binary traits, a licence that drifts, and neutral traits that do not."""
    rng = np.random.default_rng(seed)
    parent = np.array([-1, *(int(rng.integers(max(child // 4, 1))) for child in range(1, _MODELS))])
    values, step = np.zeros((_MODELS, _TRAITS), dtype=bool), np.zeros(_MODELS, dtype=int)
    neutral = rng.integers(4, size=_MODELS)
    common = rng.random((_MODELS, _TRAITS)) < shared
    values[0] = rng.random(_TRAITS) < 0.5
    for child in range(1, _MODELS):
        above = parent[child]
        values[child] = values[above] ^ common[above] ^ (rng.random(_TRAITS) < mutation)
        step[child] = min(step[above] + (rng.random() < drift), _STEPS - 1)
    return pl.DataFrame(
        {
            "id": [f"m{one}" for one in range(_MODELS)],
            "parent": [None if one < 0 else f"m{one}" for one in parent],
            "tags": [[f"t{number}={int(on)}" for number, on in enumerate(row)] for row in values],
            "licence": [f"L{one}" for one in step],
            "task": [f"k{one}" for one in neutral],
        }
    )


def _alike(table: pl.DataFrame, seed: int) -> dict[str, float]:
    """The share of equal traits of each kind of pair: 2 J / (1 + J) for Jaccard's J of two lists that name every trait once."""
    found = lineage(table.select("id", "parent", "tags"), sample=4000, seed=seed)
    return {one.pairs: 2 * one.mean / (1 + one.mean) for one in found.alike}


def _resemblance() -> list[Claim]:
    rates, apart, closer = [], 0, 0
    for seed in range(_SEEDS):
        plain = _alike(_tree(seed, mutation=0.1, shared=0.0, drift=0.0), seed)
        rates.append(1 - plain["parent and child"])
        apart += plain["parent and child"] > plain["siblings"]
        directed = _alike(_tree(seed, mutation=0.03, shared=0.25, drift=0.0), seed)
        closer += directed["siblings"] > directed["parent and child"]
    return [
        Claim(
            what=f"the rate of undirected mutation is recovered from {_MODELS} models, and a child is then more like its parent than like its siblings",
            asked=f"0.1 within 10 %; in {_SEEDS} of {_SEEDS} trees",
            measured=f"{min(rates):.3f} to {max(rates):.3f}; {apart} of {_SEEDS}",
            scale=FORM,
            held=all(abs(one / 0.1 - 1) < 0.1 for one in rates) and apart == _SEEDS,
        ),
        Claim(
            what="with changes that siblings share, siblings are more alike than parent and child",
            published="siblings are more alike than parent and child on the hub",
            asked=f"{_SEEDS} of {_SEEDS} trees",
            measured=f"{closer} of {_SEEDS}",
            scale=FORM,
            held=closer == _SEEDS,
        ),
    ]


def _drift() -> list[Claim]:
    ordered = sure = false = pairs = 0
    for seed in range(_SEEDS):
        table = _tree(seed, mutation=0.1, shared=0.0, drift=0.4)
        found = lineage(table.select("id", "parent", "licence", "task"), sample=10, seed=seed)
        drifts = {one.trait: one for one in found.drifts}
        ordered += list(drifts["licence"].order) == sorted(drifts["licence"].order)
        sure += drifts["licence"].flows[0][4] < 0.01
        false += len(drifts["task"].directed)
        pairs += len(drifts["task"].flows)
    return [
        Claim(
            what="a planted drift of licences is found, and the order of the values that occur recovered",
            published="113 of 121 pairs of licences agree with one order",
            asked=f"p below 0.01 and the whole order in {_SEEDS} of {_SEEDS} trees",
            measured=f"{sure} and {ordered} of {_SEEDS}",
            scale=FORM,
            held=sure == ordered == _SEEDS,
        ),
        Claim(
            what="neutral traits show no drift",
            asked="at most 5 % of their pairs",
            measured=f"{false} of {pairs}",
            scale=FORM,
            held=false <= 0.05 * pairs,
        ),
    ]
