"""Zhang et al. 2025, arXiv:2506.01686: several properties of one model fall with one exponent."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.fitting import fit as fit_law
from rung.fitting.uncertainty import f_sf
from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables

_SHARED = "E[property] + A[property] / N^alpha"
"""One exponent for all properties."""

_SEPARATE = "E[property] + A[property] / N^alpha[property]"
"""An exponent of its own for each property."""

_REPEATS = 40
"""Number of planted tables."""

_FLOORS, _AMPLITUDES = (0.02, 0.1, 0.4), (8.0, 30.0, 60.0)
"""E and A of the three planted properties."""


def _table(seed: int, exponents: tuple[float, float, float]) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    params = np.geomspace(1e5, 3e8, 12)
    parts = [
        pl.DataFrame(
            {
                "params": params,
                "property": [name] * 12,
                "loss": (floor + height / params**power) * np.exp(0.02 * rng.standard_normal(12)),
            }
        )
        for name, floor, height, power in zip(
            ("energy", "force", "virial"), _FLOORS, _AMPLITUDES, exponents, strict=True
        )
    ]
    return pl.concat(parts)


def _differ(table: pl.DataFrame) -> bool:
    """Whether the exponents of the properties differ, by the likelihood-ratio test of nested laws.

    For few rows the ratio is judged as

        F = ((R_shared - R_separate) / q) / (R_separate / (n - k))

    with R the sums of squares, q the number of extra exponents and n - k the degrees of freedom of the separate fit.
    """
    shared, separate = (
        fit_law(table, law, objective="log-squares", draws=0, interval="sandwich") for law in (_SHARED, _SEPARATE)
    )
    degrees = separate.rows - len(separate.coefficients)
    gain = (shared.objective_value - separate.objective_value) / 2
    return f_sf(2, degrees, gain / (separate.objective_value / degrees)) < 0.05


def check(tables: Tables) -> list[Claim]:
    """Three planted properties: the interval of a shared exponent, and the test of one exponent against three."""
    del tables
    truth = 0.35
    narrower, inside = [], 0
    for seed in range(_REPEATS):
        table = _table(seed, (truth, truth, truth))
        shared = fit_law(table, _SHARED, objective="log-squares", draws=0).coefficients["alpha"]
        alone = [
            fit_law(part, "E + A / N^alpha", objective="log-squares", draws=0).coefficients["alpha"]
            for _, part in table.group_by("property", maintain_order=True)
        ]
        widths = [one.high - one.low for one in alone if one.low is not None and one.high is not None]
        if shared.low is None or shared.high is None or not widths:
            continue
        narrower.append((shared.high - shared.low) / float(np.mean(widths)))
        inside += shared.low <= truth <= shared.high
    rejected = sum(_differ(_table(seed, (0.25, 0.35, 0.45))) for seed in range(_REPEATS))
    wrongly = sum(_differ(_table(seed, (truth, truth, truth))) for seed in range(_REPEATS))
    return [
        Claim(
            what="a shared exponent has a narrower interval than separate ones",
            asked="by 30 % or more",
            measured=f"{100 * (1 - np.median(narrower)):.0f} % (median of {len(narrower)} tables)",
            scale=FORM,
            held=float(np.median(narrower)) <= 0.7,
        ),
        Claim(
            what="its 90 % interval contains the planted exponent",
            asked="nominal",
            measured=f"{100 * inside / max(len(narrower), 1):.0f} %",
            scale=FORM,
            held=0.82 <= inside / max(len(narrower), 1) <= 0.97,
        ),
        Claim(
            what="a single exponent is rejected where they differ",
            asked="in 80 % or more, p < 0.05",
            measured=f"{100 * rejected / _REPEATS:.0f} %; where they do not, in {100 * wrongly / _REPEATS:.0f} %",
            scale=FORM,
            held=rejected >= 0.8 * _REPEATS,
        ),
    ]
