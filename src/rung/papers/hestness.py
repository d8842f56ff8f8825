"""Hestness et al. 2017, arXiv:1712.00409: generalisation error is a power law in data, between two other regions."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.fitting import fit as fit_law
from rung.fitting import learning_curve, select
from rung.forecasting import forecast as forecast_run
from rung.papers.claims import FORM, FULL, SMALLER, Claim, not_checked
from rung.papers.tables import Tables

_SEEDS = 100
"""Number of planted curves."""

_ALPHA, _BETA, _GAMMA = 2.5, 0.30, 0.05
"""Coefficients of the planted error alpha m^-beta + gamma for m samples."""


def check(tables: Tables) -> list[Claim]:
    """The power-law region of planted curves, extrapolation of a trained student, and exponents of public curves."""
    return [*_planted(), *_teacher(), _public(tables)]


def _planted() -> list[Claim]:
    samples = np.geomspace(2**5, 2**18, 14)
    pinned = samples < 2**7.5
    close = {"beta": 0, "gamma": 0, "inside": 0, "region": 0}
    for seed in range(_SEEDS):
        rng = np.random.default_rng(seed)
        error = (_ALPHA * samples**-_BETA + _GAMMA) * np.exp(0.02 * rng.standard_normal(len(samples)))
        curve = learning_curve(samples, np.where(pinned, 0.9, error).astype(float), seed=seed)
        beta, gamma = curve.fit.coefficients["beta"], curve.fit.coefficients["gamma"]
        close["region"] += curve.first == samples[~pinned].min()
        close["beta"] += abs(beta.value - _BETA) <= 0.03
        close["gamma"] += abs(gamma.value - _GAMMA) <= 0.015
        close["inside"] += beta.low is not None and beta.high is not None and beta.low <= _BETA <= beta.high
    return [
        Claim(
            what="the power-law region is found: the three points in the region of the best guess are left out",
            asked=f"region from 2^8, of {_SEEDS} seeds (reported)",
            measured=f"{close['region']} of {_SEEDS}",
            scale=FORM,
            held=close["region"] >= 0.9 * _SEEDS,
        ),
        Claim(
            what="the fit recovers the exponent within 0.03 and the irreducible error within 0.015",
            asked="each in 93 of 100 seeds",
            measured=f"{close['beta']} and {close['gamma']} of {_SEEDS}",
            scale=FORM,
            held=min(close["beta"], close["gamma"]) >= 93,
        ),
        Claim(
            what="the 90 % interval of the exponent contains the truth",
            asked="84 to 96 of 100 seeds",
            measured=f"{close['inside']} of {_SEEDS}",
            scale=FORM,
            held=84 <= close["inside"] <= 96,
        ),
    ]


def _teacher() -> list[Claim]:
    """Ridge regression on a noisy linear teacher: lowest error over penalties, by training samples."""
    rng = np.random.default_rng(0)
    width, noise = 256, 0.5
    spectrum = (1.0 + np.arange(width)) ** -0.75
    teacher = rng.standard_normal(width)
    test = rng.standard_normal((4000, width)) * spectrum
    shards = np.round(2 ** np.arange(5.5, 12.1, 0.5)).astype(int)
    errors = []
    for size in shards:
        repeats = []
        for _ in range(8):
            train = rng.standard_normal((size, width)) * spectrum
            labels = train @ teacher + noise * rng.standard_normal(size)
            gram, right = train.T @ train, train.T @ labels
            best = min(
                float(np.mean((test @ (np.linalg.solve(gram + penalty * np.eye(width), right) - teacher)) ** 2))
                for penalty in np.geomspace(0.03, 30, 12)
            )
            repeats.append(best + noise**2)
        errors.append(float(np.mean(repeats)))
    runs = pl.DataFrame({"tokens": shards[:-4].astype(float), "loss": errors[:-4]})
    plain, floored = (fit_law(runs, law, objective="log-squares", draws=0) for law in ("hestness", "hestness-floor"))
    forecast = forecast_run(floored, D=float(shards[-1])).value
    off = abs(forecast / errors[-1] - 1)
    chosen = select(runs, ["hestness", "hestness-floor"], objective="log-squares")
    aicc = {ranked.fit.law.name: ranked.aicc for ranked in chosen.laws}
    return [
        Claim(
            what="smaller shards forecast the lowest error of a ridge student at four times the data",
            asked="within 15 %",
            measured=f"{100 * off:.1f} %",
            scale=SMALLER,
            held=off <= 0.15,
        ),
        Claim(
            what="with an irreducible error above 30 % of the last error, AICc prefers the law that has one",
            asked="lower AICc",
            measured=f"plain power law {aicc['hestness']:.1f} against {aicc['hestness-floor']:.1f}; last fitted error {errors[-5]:.3f}, "
            f"irreducible {noise**2:.3f}; objective {plain.objective_value:.2g} against {floored.objective_value:.2g}",
            scale=SMALLER,
            held=aicc["hestness-floor"] < aicc["hestness"],
        ),
    ]


def _public(tables: Tables) -> Claim:
    what = "the exponents of plain power laws of public few-shot classifiers lie in the published range"
    expected = "beta from 0.07 to 0.35"
    try:
        table = pl.read_csv(tables.path("learning_curve_benchmark.csv"))
    except RungError as error:
        return not_checked(what, expected, error)
    curves = table.filter((pl.col("domain") == "IC") & (pl.col("metric_value") > 0))
    betas = []
    for _, curve in curves.group_by("task", "model", maintain_order=True):
        runs = curve.select(tokens=pl.col("seen_examples").cast(pl.Float64), loss="metric_value").unique(
            maintain_order=True
        )
        betas.append(fit_law(runs, "hestness", draws=0, interval="sandwich").values["beta"])
    low, median, high = np.quantile(betas, [0.05, 0.5, 0.95])
    inside = float(np.mean([0.07 <= beta <= 0.35 for beta in betas]))
    return Claim(
        what=what,
        published=expected,
        measured=f"{len(betas)} curves: median {median:.2f}, 90 % of them {low:.2f} to {high:.2f}; {100 * inside:.0f} % inside",
        scale=FULL,
        held=inside >= 0.5,
    )
