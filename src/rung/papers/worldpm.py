"""Wang et al. 2025, arXiv:2505.10527: preference models by the Bradley-Terry loss, and which kinds of metric scale."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables
from rung.skill import verdicts

_ITEMS, _VOTES = 200, 40_000
"""Items and votes of the planted preferences."""

_SEEDS = 500
"""Number of planted sweeps of each kind: with 5 % of false trends a right test would fail 9 of 10 among 50 one time in 26."""

_PAIRS = np.geomspace(1e5, 1.5e7, 16)
"""Preference pairs of a sweep, up to the paper's 15 million."""

_KINDS = ("flat", "scales", "emergent", "inverse")
"""The paper's three kinds of metric, and one that gets worse with data."""


def check(tables: Tables) -> list[Claim]:
    """Planted preferences, and planted sweeps of the paper's three kinds and of one that gets worse."""
    del tables
    return [*_preferences(), _verdicts()]


def _loss(scores: NDArray[np.float64], pairs: NDArray[np.intp]) -> tuple[float, NDArray[np.float64]]:
    """Mean of -log sigmoid(r_chosen - r_rejected) [nats/pair], and its gradient by score."""
    margin = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    weight = -1 / (1 + np.exp(margin)) / len(pairs)
    gradient = np.bincount(pairs[:, 0], weight, len(scores)) - np.bincount(pairs[:, 1], weight, len(scores))
    return float(np.logaddexp(0, -margin).mean()), gradient.astype(float)


def _preferences() -> list[Claim]:
    """Items with a hidden quality, compared at random; each pair lists the preferred item first."""
    from scipy.optimize import minimize
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    quality = rng.standard_normal(_ITEMS)
    pairs = np.array([rng.choice(_ITEMS, 2, replace=False) for _ in range(_VOTES)])
    lost = rng.random(_VOTES) > 1 / (1 + np.exp(quality[pairs[:, 1]] - quality[pairs[:, 0]]))
    pairs[lost] = pairs[lost, ::-1]
    fitted, held = pairs[: _VOTES // 2], pairs[_VOTES // 2 :]
    found = minimize(_loss, np.zeros(_ITEMS), args=(fitted,), jac=True, method="L-BFGS-B").x
    rank = float(spearmanr(found, quality).statistic)
    reached, bayes = _loss(found, held)[0], _loss(quality, held)[0]
    shifted = abs(_loss(found + 3.0, held)[0] - reached)
    margin = found[held[:, 0]] - found[held[:, 1]]
    swapped = float(np.abs(margin + (found[held[:, 1]] - found[held[:, 0]])).max())
    return [
        Claim(
            what=f"the scores that minimise the loss of {_VOTES // 2} votes over {_ITEMS} items have the order of their hidden quality, and its loss on other votes",
            asked="rank correlation above 0.9; the loss of the true quality",
            measured=f"{rank:.3f}; {reached:.4f} against {bayes:.4f} nats per pair",
            scale=FORM,
            held=bool(rank > 0.9 and reached / bayes < 1.02),
        ),
        Claim(
            what="a constant added to every score changes nothing, and a reversed pair has the opposite logit",
            asked="0, 0",
            measured=f"{shifted:.1e}, {swapped:.1e}",
            scale=FORM,
            held=bool(shifted < 1e-12 and swapped < 1e-12),
        ),
    ]


def _sweep(kind: str, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    loss = {
        "scales": 2.3 * _PAIRS**-0.12,
        "emergent": 0.69 / np.maximum(1, _PAIRS / 1.5e6) ** 0.15,
        "flat": np.full(len(_PAIRS), 0.62),
        "inverse": 0.4 * _PAIRS**0.05,
    }[kind]
    return pl.DataFrame({"tokens": _PAIRS, "loss": loss * np.exp(0.01 * rng.standard_normal(len(_PAIRS)))})


def _verdicts() -> Claim:
    said = {
        kind: [verdicts(_sweep(kind, seed), ["loss"], along="D").verdicts[0].verdict for seed in range(_SEEDS)]
        for kind in _KINDS
    }
    right = {kind: each.count(kind) for kind, each in said.items()}
    return Claim(
        what=f"sweeps that follow a power law, start late, stay flat or get worse with data are distinguished ({_SEEDS} planted of each, 1 % noise)",
        asked="9 of 10 of each, and none that gets worse called scaling",
        measured=", ".join(f"{kind} {count} of {_SEEDS}" for kind, count in right.items())
        + f"; {said['inverse'].count('scales')} that get worse called scaling",
        scale=FORM,
        held=min(right.values()) >= 0.9 * _SEEDS and "scales" not in said["inverse"],
    )
