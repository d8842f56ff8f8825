"""Henighan et al. 2020, arXiv:2010.14701: entropy plus a power law, the same entropy in size, data and compute."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.fitting import fit as fit_law
from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables

_ENTROPY, _ALPHA_N, _BETA = 2.2, 0.13, 0.65
"""Planted entropy, exponent of size, and exponent of the best size in compute."""

_ALPHA_D = _ALPHA_N * _BETA / (1 - _BETA)
"""Exponent of data, from _BETA = alpha_D / (alpha_N + alpha_D): the best size grows as C^_BETA."""

_REPEATS = 40
"""Number of planted tables."""

_FREE = 5e17
"""Compute below which the best size lies well inside the sizes that were run."""


def _runs(rng: np.random.Generator, noise: float = 0.003) -> pl.DataFrame:
    """Runs of nine sizes at every compute of a grid; the best size grows as C^0.65.

    L = E + ((Nc / N)^alpha_N + (Dc / D)^alpha_D) exp(noise), with D = C / (6 N).
    """
    flops = np.repeat(np.geomspace(1e15, 3e20, 14), 9)
    best = 1e3 * (flops / 1e15) ** _BETA * 60
    params = np.minimum(best * np.tile(np.geomspace(0.15, 6.7, 9), 14), 1e8)
    tokens = flops / (6 * params)
    reducible = (5e4 / params) ** _ALPHA_N + (5e6 / tokens) ** _ALPHA_D
    loss = _ENTROPY + reducible * np.exp(noise * rng.standard_normal(len(flops)))
    return pl.DataFrame({"params": params, "tokens": tokens, "flops": flops, "loss": loss}).unique(maintain_order=True)


def check(tables: Tables) -> list[Claim]:
    """Planted runs: the exponent of the best size, the entropy, and whether L(N, D) and L(C) agree on the entropy."""
    del tables
    betas, inside, entropies, agree = [], 0, [], 0
    for seed in range(_REPEATS):
        runs = _runs(np.random.default_rng(seed))
        surface = fit_law(runs, "E + (Nc / N)^alpha + (Dc / D)^beta", draws=0, seed=seed)
        shares = surface.values
        betas.append(shares["beta"] / (shares["alpha"] + shares["beta"]))
        entropy = surface.coefficients["E"]
        entropies.append(entropy.value)
        inside += entropy.low is not None and entropy.high is not None and entropy.low <= _ENTROPY <= entropy.high
        frontier = runs.sort("loss").unique("flops", keep="first", maintain_order=True).filter(pl.col("flops") < _FREE)
        by_compute = fit_law(frontier, "henighan-c", draws=0, seed=seed).coefficients["E"]
        # Two entropies agree if their intervals overlap.
        bounds = [
            (one.low if one.low is not None else -np.inf, one.high if one.high is not None else np.inf)
            for one in (entropy, by_compute)
        ]
        agree += bounds[0][0] <= bounds[1][1] and bounds[1][0] <= bounds[0][1]
    off = float(np.max(np.abs(np.array(betas) - _BETA)))
    error = float(np.median(np.abs(np.array(entropies) / _ENTROPY - 1)))
    return [
        Claim(
            what="the best size grows with compute as planted",
            asked=f"exponent {_BETA} within 0.03",
            measured=f"largest error of {_REPEATS} tables {off:.3f}, median {np.median(np.abs(np.array(betas) - _BETA)):.3f}",
            scale=FORM,
            held=float(np.median(np.abs(np.array(betas) - _BETA))) <= 0.03,
        ),
        Claim(
            what="sizes up to 1e8 determine the entropy to within its interval",
            asked="90 % intervals contain it in 84 to 96 %",
            measured=f"{100 * inside / _REPEATS:.0f} % of {_REPEATS} tables; median error {100 * error:.1f} %",
            scale=FORM,
            held=0.8 <= inside / _REPEATS <= 0.98,
        ),
        Claim(
            what="L(N, D) and L(C) along the frontier agree on the entropy",
            asked="intervals overlap",
            measured=f"in {agree} of {_REPEATS} tables",
            scale=FORM,
            held=agree >= 0.9 * _REPEATS,
        ),
    ]
