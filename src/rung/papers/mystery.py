"""Su et al. 2024, arXiv:2403.06563: a whole loss trajectory of 33B from runs of 1M to 60M parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.fitting import fit as fit_law
from rung.laws import law_book
from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables

_TRUTH = {"alpha_N": 0.077, "Nc": 6.5e13, "alpha_S": 0.76, "Sc": 2.1e3, "alpha_B": 0.21, "Bstar": 2e8}
"""Coefficients of the planted trajectories: the published constants of Kaplan et al. 2020, arXiv:2001.08361."""

_FAR_SIZE, _FAR_STEP, _FAR_BATCH = 3.3e10, 1e5, 4e6
"""Parameters [count], steps [count] and batch [tokens] of the run that is forecast."""

_SEEDS, _MOST_MISSED = 20, 4
"""Planted studies, and how many of them may miss what is asked."""

_NOISE = 0.01
"""Standard deviation of the logarithm of the planted losses."""


def trajectory(truth: Mapping[str, float], size: Array, step: Array, batch: Array) -> Array:
    """The loss that is consistent with its own critical batch.

    It solves

        L = (Nc / N)^alpha_N + (Sc (1 + Bcrit(L) / B) / S)^alpha_S,  Bcrit(L) = Bstar / L^(1 / alpha_B)

    by bisection. The right side falls with L and the left side rises, so there is exactly one solution.
    """
    low, high = (
        np.full(np.broadcast(size, step, batch).shape, 1e-3),
        np.full(np.broadcast(size, step, batch).shape, 1e3),
    )
    floor = (truth["Nc"] / size) ** truth["alpha_N"]
    for _ in range(80):
        middle = np.sqrt(low * high)
        critical = truth["Bstar"] / middle ** (1 / truth["alpha_B"])
        above = floor + (truth["Sc"] * (1 + critical / batch) / step) ** truth["alpha_S"] > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(np.sqrt(low * high))


def check(tables: Tables) -> list[Claim]:
    """Trajectories planted by the implicit law with 1 % noise, fitted step by step and extrapolated to 33B."""
    del tables
    return _claims([_planted(seed) for seed in range(_SEEDS)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planted:
    """One planted study.

    Attributes:
        off: Relative error of each exponent.
        forecast: Relative error of the loss of 33B.
        bias: Relative error of alpha_S from the steps as they are.
    """

    off: Mapping[str, float]
    forecast: float
    bias: float


def _planted(seed: int) -> _Planted:
    rng = np.random.default_rng(seed)
    runs = _planted_runs(rng)
    # Step 1: converged runs give alpha_N and Nc; these are fixed in the fits of the other coefficients.
    fixed = _fit_of_converged(rng)
    # Steps 2 to 4 together: the critical batch at each loss is part of the law.
    values = _fit_of_trajectories(runs, fixed)
    # Step 5: the trajectory far beyond the runs.
    far = [np.array([one]) for one in (_FAR_SIZE, _FAR_STEP, _FAR_BATCH)]
    forecast, true = float(trajectory(values, *far)[0]), float(trajectory(_TRUTH, *far)[0])
    naive = fit_law(runs, "(Nc / N)^alpha_N + (Sc / S)^alpha_S", objective="log-squares", fix=fixed, draws=0)
    return _Planted(
        off={name: values[name] / _TRUTH[name] - 1 for name in ("alpha_N", "alpha_S", "alpha_B")},
        forecast=forecast / true - 1,
        bias=naive.values["alpha_S"] / _TRUTH["alpha_S"] - 1,
    )


def _planted_runs(rng: np.random.Generator) -> pl.DataFrame:
    """Rows over sizes, steps and batches, each with its planted loss."""
    size, step, batch = (
        part.ravel()
        for part in np.meshgrid(
            np.geomspace(1e6, 6e7, 8), np.geomspace(1e3, 3e5, 24), np.array([3e4, 1e5, 4e5, 2e6]), indexing="ij"
        )
    )
    exact = trajectory(_TRUTH, size, step, batch)
    loss = exact * np.exp(_NOISE * rng.standard_normal(len(exact)))
    return pl.DataFrame(
        {"params": size, "step": step, "batch_tokens": batch, "loss": loss, "run": np.arange(len(loss)).astype(str)}
    )


def _fit_of_converged(rng: np.random.Generator) -> dict[str, float]:
    """Nc and alpha_N from planted runs at infinitely many steps: L = (Nc / N)^alpha_N."""
    sizes = np.geomspace(1e6, 6e7, 24)
    converged = (_TRUTH["Nc"] / sizes) ** _TRUTH["alpha_N"] * np.exp(_NOISE * rng.standard_normal(24))
    first = fit_law(
        pl.DataFrame({"params": sizes, "loss": converged}), "(Nc / N)^alpha_N", objective="log-squares", draws=0
    )
    return {name: first.values[name] for name in ("Nc", "alpha_N")}


def _fit_of_trajectories(runs: pl.DataFrame, fixed: Mapping[str, float]) -> dict[str, float]:
    """All coefficients, with some of them fixed.

    The measured loss would carry its noise into the critical batch. After a first fit with it, two more fits use the
    loss of the previous fit instead.
    """
    law = law_book()["kaplan-nsb"].law
    measured = runs["loss"].to_numpy()
    columns = [runs[name].to_numpy() for name in ("params", "step", "batch_tokens")]
    values: dict[str, float] = dict(fixed)
    at = measured
    for _ in range(3):
        found = fit_law(
            runs.with_columns(measured=measured, loss=at),
            law,
            target="measured",
            objective="log-squares",
            fix=fixed,
            draws=0,
        )
        values = {**fixed, **found.values}
        at = trajectory(values, *columns)
    return values


def _claims(studies: Sequence[_Planted]) -> list[Claim]:
    """The claims on the exponents, on the forecast, and on alpha_S of a fit to the steps as they are, over all studies."""
    worst = {name: max((one.off[name] for one in studies), key=abs) for name in ("alpha_N", "alpha_S", "alpha_B")}
    exponents = sum(all(abs(share) <= 0.05 for share in one.off.values()) for one in studies)
    near = sum(abs(one.forecast) <= 0.01 for one in studies)
    biased = sum(abs(one.bias) > 0.1 for one in studies)
    least = len(studies) - _MOST_MISSED
    return [
        Claim(
            what="fits to runs of 1M to 60M recover alpha_N, alpha_S and alpha_B",
            asked=f"within 5 % in {least} of {len(studies)} studies",
            measured=f"{exponents}; at worst "
            + ", ".join(f"{name} {100 * share:+.1f} %" for name, share in worst.items()),
            scale=FORM,
            held=exponents >= least,
        ),
        Claim(
            what="they forecast the loss of 33B parameters at 100,000 steps",
            asked=f"within 1 % in {least} of {len(studies)} studies",
            measured=f"{near}; at worst {100 * max((one.forecast for one in studies), key=abs):+.2f} %",
            scale=FORM,
            held=near >= least,
        ),
        Claim(
            what="with the steps as they are, instead of those at an infinite batch, alpha_S is biased",
            asked=f"by more than 10 % in {least} of {len(studies)} studies",
            measured=f"{biased}; {100 * float(np.mean([one.bias for one in studies])):+.0f} % on average",
            scale=FORM,
            held=biased >= least,
        ),
    ]
