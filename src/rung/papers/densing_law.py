"""Xiao et al. 2024, arXiv:2412.04315: capacity density against a reference ladder, and its trend."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.fitting import Fit, fit
from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables
from rung.worth import density, density_trend

_LADDER = np.array([5_247_232, 31_470_080, 106_196_736, 245_416_960, 476_852_480, 828_225_024], dtype=float)
"""Parameters of the paper's reference ladder."""

_RATIOS = (10.0, 15.0, 20.0, 30.0, 40.0, 60.0)
"""Tokens per parameter of the reference runs."""

_TOKENS = 1e12
"""Tokens at which the reference law gives its sizes."""

_REPEATS = 100
"""Number of planted trends; half as many ladders for the coverage."""


def _reference(noise: float, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Runs of the ladder, L = 30 / N^0.2 + 60 / D^0.22, and scores by loss that reach both limits of the sigmoid."""
    rng = np.random.default_rng(seed)
    params = np.repeat(_LADDER, len(_RATIOS))
    tokens = params * np.tile(_RATIOS, len(_LADDER))
    loss = 30 * params**-0.2 + 60 * tokens**-0.22
    runs = pl.DataFrame(
        {"params": params, "tokens": tokens, "loss": loss * np.exp(noise * rng.standard_normal(len(loss)))}
    )
    losses = np.linspace(0.15, 2.6, 40)
    score = _score(losses) + noise * rng.standard_normal(40)
    return runs, pl.DataFrame({"loss": losses, "score": score})


def _score(loss: np.ndarray) -> np.ndarray:
    return 0.25 + 0.65 / (1 + np.exp(4 * (loss - 1.0)))


def _exact() -> tuple[Fit, Fit]:
    """The laws of loss and of score, fitted to the reference without noise."""
    runs, scores = _reference(0.0, 0)
    skill = fit(scores, "logistic-of-loss", objective="squares", draws=0)
    return fit(runs, "A / N^alpha + B / D^beta", draws=0), skill


def check(tables: Tables) -> list[Claim]:
    """The round trip from score to size, coverage, inputs out of range, and the trend of planted models."""
    del tables
    return [*_round_trip(), _coverage(), _out_of_range(), *_trend()]


def _round_trip() -> list[Claim]:
    ladder, skill = _exact()
    off = []
    for params in _LADDER:
        loss = 30 * params**-0.2 + 60 * _TOKENS**-0.22
        found = density(
            ladder, score=float(_score(np.array(loss))), score_fit=skill, params=params, reference_tokens=_TOKENS
        )
        off.append(abs((found.densities["params"].over or 0.0) - 1))
    return [
        Claim(
            what="a model of the ladder has density 1, computed from its score by way of the loss",
            asked="within 1e-6",
            measured=f"largest error {max(off):.1e}",
            scale=FORM,
            held=bool(max(off) < 1e-6),
        )
    ]


def _coverage() -> Claim:
    inside = models = 0
    for seed in range(_REPEATS // 2):
        runs, _ = _reference(0.01, seed)
        ladder = fit(runs, "A / N^alpha + B / D^beta", draws=0, interval="statistical")
        params = float(_LADDER[3])
        rng = np.random.default_rng(10_000 + seed)
        truth = 30 * params**-0.2 + 60 * (30 * params) ** -0.22
        found = density(
            ladder, loss=truth * float(np.exp(0.01 * rng.standard_normal())), params=params, tokens=30 * params
        )
        low, high = found.densities["params"].over_interval
        models += 1
        inside += (low is None or low <= 1) and (high is None or high >= 1)
    return Claim(
        what="the 90 % interval contains the density of a ladder model",
        asked="84 to 96 %",
        measured=f"{100 * inside / models:.0f} % of {models}",
        scale=FORM,
        held=0.84 <= inside / models <= 0.96,
    )


def _out_of_range() -> Claim:
    ladder, skill = _exact()
    rejected = []
    scores: list[dict[str, Any]] = [{"score": score, "score_fit": skill} for score in (0.95, 0.2)]
    for given in (*scores, {"loss": 0.05}):
        try:
            density(ladder, params=1e8, reference_tokens=_TOKENS, **given)
        except RungError:
            rejected.append(True)
        else:
            rejected.append(False)
    return Claim(
        what="a score outside the sigmoid, and a loss that no size reaches, are rejected",
        asked="never clipped",
        measured=f"{sum(rejected)} of {len(rejected)} rejected",
        scale=FORM,
        held=all(rejected),
    )


def _trend() -> list[Claim]:
    found, plain = [], []
    for seed in range(_REPEATS):
        rng = np.random.default_rng(seed)
        days = np.sort(rng.uniform(0, 720, 40))
        # Later models fall short by more: the mean then grows more slowly than the envelope.
        densities = np.exp(0.007 * days - np.abs(rng.normal(0, 1.6 * days / 720)))
        trend = density_trend(days, densities, seed=seed)
        found.append(trend.doubling_days)
        plain.append(trend.plain_days)
    truth = np.log(2) / 0.007
    near, near_plain = (float(np.mean(np.abs(np.array(part) / truth - 1) <= 0.15)) for part in (found, plain))
    return [
        Claim(
            what="the upper envelope of 40 planted models, of which later ones fall short by more, doubles in the planted time; all models by least squares do not",
            asked="99 days, within 15 % in 90 of 100; least squares in fewer than half",
            measured=f"{np.mean(found):.0f} days on average, within 15 % in {100 * near:.0f} %; all models by least squares {np.mean(plain):.0f} days, within 15 % in {100 * near_plain:.0f} %",
            scale=FORM,
            held=bool(near >= 0.9 and near_plain < 0.5),
        )
    ]
