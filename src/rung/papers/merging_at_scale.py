"""Yadav et al. 2024, arXiv:2410.03617: the loss of a merge of k experts falls as floor + c / k.

Only the law is checked; `rung merge --evaluate` fits it to merges of checkpoints.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.fitting import Fit, fit
from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.worth import experts_needed

_POOL, _SUBSETS, _SIZE = 20, 500, 40
"""Experts of the pool, subsets drawn for each k, and weights of an expert."""

_LAW = "floor + c / k with floor in (-inf, inf)"
"""Loss of a merge of k experts."""


def check(tables: Tables) -> list[Claim]:
    """The law on a quadratic loss, where it is exact, and on small models that are trained and merged."""
    del tables
    return [*_quadratic(), _experts()]


def _quadratic() -> list[Claim]:
    """Averages of k of K = 20 points about the minimum of a random quadratic loss with Hessian H.

    With S the covariance of the points, merges without replacement have the expected loss floor + c / k with

        c = K / (K - 1) tr(H S) / 2

    and a floor that is lower by tr(H S) / (2 (K - 1)).
    """
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((_SIZE, _SIZE)) / np.sqrt(_SIZE)
    hessian = factor @ factor.T
    experts = rng.standard_normal((_POOL, _SIZE))
    centred = experts - experts.mean(axis=0)
    trace = float(np.einsum("ki,ij,kj->", centred, hessian, centred)) / _POOL
    counts = np.arange(1, 11)
    means, stds = [], []
    for k in counts:
        merged = np.array([experts[rng.choice(_POOL, k, replace=False)].mean(axis=0) for _ in range(_SUBSETS)])
        losses = 0.5 * np.einsum("si,ij,sj->s", merged, hessian, merged)
        means.append(losses.mean())
        stds.append(losses.std())
    found = _fitted(counts, means)
    exact = _POOL / (_POOL - 1) * trace / 2
    scaled = np.array(stds[:4]) * counts[:4]
    floor = found.values["floor"]
    answers = (
        experts_needed(found, floor + found.values["c"] / 5, _POOL),
        experts_needed(found, floor * 0.99, _POOL),
        experts_needed(found, floor + found.values["c"] / 50, _POOL),
    )
    return [
        Claim(
            what="for a quadratic loss c is K / (K - 1) tr(H S) / 2, without replacement from a pool of 20",
            asked="within 6 %",
            measured=f"{found.values['c']:.4g} against {exact:.4g}",
            scale=FORM,
            held=bool(abs(found.values["c"] / exact - 1) <= 0.06),
        ),
        Claim(
            what="with experts around the minimum, the standard deviation over subsets times k is constant for k far below the pool",
            asked="10.4, 10.7, 11.3, 10.5 in the run of the derivation",
            measured=", ".join(f"{value:.3g}" for value in scaled),
            scale=FORM,
            held=bool(np.ptp(scaled) / scaled.mean() < 0.25),
        ),
        Claim(
            what="experts needed: a number, none for a loss below the floor, and none beyond the pool",
            asked="5, never, never",
            measured=", ".join("never" if answer is None else str(answer) for answer in answers),
            scale=FORM,
            held=answers == (5, None, None),
        ),
    ]


def _experts() -> Claim:
    """Eight logistic experts, each trained on its own domain from one base: merges of up to 4 forecast 8."""
    rng = np.random.default_rng(1)
    size, rows, domains = 20, 400, 8
    shared = rng.standard_normal(size)

    def draw(true: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.standard_normal((count, size))
        return x, (rng.uniform(size=count) < 1 / (1 + np.exp(-x @ true))).astype(float)

    def train(x: np.ndarray, y: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
        weights = start.copy()
        for _ in range(steps):
            weights -= 0.5 * x.T @ (1 / (1 + np.exp(-x @ weights)) - y) / len(y)
        return weights

    truths = [shared + 0.8 * rng.standard_normal(size) for _ in range(domains)]
    base = train(*draw(shared, rows), np.zeros(size), 200)
    experts = np.array([train(*draw(truth, rows), base, 200) for truth in truths])
    held = [draw(truth, 4000) for truth in truths]

    def loss(weights: np.ndarray) -> float:
        return float(np.mean([np.mean(np.logaddexp(0, x @ weights) - y * (x @ weights)) for x, y in held]))

    means, errors = {}, {}
    for k in (1, 2, 3, 4, 8):
        found = [
            loss(experts[rng.choice(domains, k, replace=False)].mean(axis=0)) for _ in range(60 if k < domains else 1)
        ]
        means[k], errors[k] = float(np.mean(found)), float(np.std(found) / np.sqrt(len(found)))
    fitted = _fitted(np.array([1, 2, 3, 4]), [means[k] for k in (1, 2, 3, 4)])
    forecast = float(fitted.law.value(fitted.values, {"k": 8.0}))
    off = forecast / means[8] - 1
    allowed = max(0.08, 2 * max(errors.values()) / means[8])
    return Claim(
        what="eight logistic experts: the law fitted to merges of 1 to 4 forecasts the merge of 8",
        asked="within 8 %, or two standard errors",
        measured=f"{100 * off:+.1f} % ({forecast:.4f} against {means[8]:.4f})",
        scale=SMALLER,
        held=bool(abs(off) <= allowed),
    )


def _fitted(counts: np.ndarray, losses: list[float]) -> Fit:
    return fit(pl.DataFrame({"k": counts.astype(float), "loss": losses}), _LAW, objective="log-squares", draws=0)
