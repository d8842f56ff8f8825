"""Yadav et al. 2024, arXiv:2410.03617: the loss of a merge falls as floor + c / k (its law; the merges come with checkpoints)."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.fitting import Fit, fit
from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.worth import experts_needed

_POOL, _SUBSETS, _SIZE = 20, 500, 40
_LAW = "floor + c / k with floor in (-inf, inf)"


def check(tables: Tables) -> list[Claim]:
    """The law on a quadratic bowl where it is exact, and on small models merged for real."""
    del tables
    return [*_quadratic(), _experts()]


def _quadratic() -> list[Claim]:
    """Averages of k of 20 points about the bottom of a random bowl: c = K / (K - 1) tr / 2, and a floor lowered by tr / (2 (K - 1))."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((_SIZE, _SIZE)) / np.sqrt(_SIZE)
    bowl = root @ root.T
    experts = rng.standard_normal((_POOL, _SIZE))
    away = experts - experts.mean(axis=0)
    trace = float(np.einsum("ki,ij,kj->", away, bowl, away)) / _POOL
    counts = np.arange(1, 11)
    means, spreads = [], []
    for k in counts:
        merged = np.array([experts[rng.choice(_POOL, k, replace=False)].mean(axis=0) for _ in range(_SUBSETS)])
        losses = 0.5 * np.einsum("si,ij,sj->s", merged, bowl, merged)
        means.append(losses.mean())
        spreads.append(losses.std())
    found = _fitted(counts, means)
    exact = _POOL / (_POOL - 1) * trace / 2
    scaled = np.array(spreads[:4]) * counts[:4]
    floor = found.values["floor"]
    answers = (
        experts_needed(found, floor + found.values["c"] / 5, _POOL),
        experts_needed(found, floor * 0.99, _POOL),
        experts_needed(found, floor + found.values["c"] / 50, _POOL),
    )
    return [
        Claim(
            what="in a quadratic bowl c is K / (K - 1) tr(H S) / 2, without replacement from a pool of 20",
            published="within 6 %",
            measured=f"{found.values['c']:.4g} against {exact:.4g}",
            scale=FORM,
            held=bool(abs(found.values["c"] / exact - 1) <= 0.06),
        ),
        Claim(
            what="where experts stand around the bottom, the spread over subsets times k is constant, k far below the pool",
            published="10.4, 10.7, 11.3, 10.5 in the derivation's own run",
            measured=", ".join(f"{value:.3g}" for value in scaled),
            scale=FORM,
            held=bool(np.ptp(scaled) / scaled.mean() < 0.25),
        ),
        Claim(
            what="experts needed: a count, never below the floor, and nothing beyond the pool",
            published="5, never, never",
            measured=", ".join("never" if answer is None else str(answer) for answer in answers),
            scale=FORM,
            held=answers == (5, None, None),
        ),
    ]


def _experts() -> Claim:
    """Eight logistic experts, each tuned on its own domain from one base, averaged: k up to 4 forecasts 8."""
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
    said = float(fitted.law.value(fitted.values, {"k": 8.0}))
    off = said / means[8] - 1
    allowed = max(0.08, 2 * max(errors.values()) / means[8])
    return Claim(
        what="eight logistic experts: the law through merges of 1 to 4 forecasts the merge of 8",
        published="within 8 %, or two standard errors",
        measured=f"{100 * off:+.1f} % ({said:.4f} against {means[8]:.4f})",
        scale=SMALLER,
        held=bool(abs(off) <= allowed),
    )


def _fitted(counts: np.ndarray, losses: list[float]) -> Fit:
    return fit(pl.DataFrame({"k": counts.astype(float), "loss": losses}), _LAW, objective="log-squares", draws=0)
