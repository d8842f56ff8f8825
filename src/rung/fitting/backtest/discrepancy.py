"""The model discrepancy of a law beyond the runs that it was fitted to, learnt from backtests.

No law is exactly true. Beyond the largest scale s0 that was fitted, the error of the law behaves like a random walk in
the logarithm of scale,

    discrepancy(s) ~ N(0, tau^2 sigma^2 log(s / s0)),

with sigma the standard deviation of runs about the law; the runs of one scale share it. Over published studies the
variance of backtest errors grows this way (docs/adr/0006-model-discrepancy.md).

The distribution of tau combines a prior from published studies with the likelihood of the table's own backtest, so it
relies on the studies where the table has few cuts. `discrepancy.json` holds the tau of each study;
benchmarks/discrepancy.py makes it.

Shapes: `G` values of tau on a grid.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.fitting.backtest.folds import ScoredRows

GRID = np.geomspace(0.05, 12.0, 45)
"""Values of tau on which its distribution is given (G,), at equal steps of the logarithm."""

GRID.setflags(write=False)

_FLOOR = 0.25
"""Smallest tau of a study in the prior: the backtests of one study cannot distinguish a smaller one from 0."""

_KERNEL = 0.5
"""Standard deviation, in log tau, of the Gaussian kernel that each study contributes to the prior."""

_NEAR = 0.02
"""Distance, in the logarithm of scale, up to which a row says nothing about the discrepancy."""

_BIN = float(np.log(2.0))
"""Width, in the logarithm of scale, of the bins of a cut whose rows count as one observation: a factor of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """The distribution of tau, as weights on GRID.

    Attributes:
        weights: Probability of each value of the grid (G,).
        cuts: Number of cuts of the table's own backtest that it was learnt from, beside the studies.
    """

    weights: Array
    cuts: int

    @property
    def tau(self) -> float:
        """Root mean square of tau, sqrt(sum_g w_g tau_g^2)."""
        return float(np.sqrt(self.weights @ GRID**2))

    def to_dict(self) -> dict[str, Any]:
        """The distribution as plain values."""
        return {"tau": self.tau, "cuts": self.cuts, "grid": GRID.tolist(), "weights": self.weights.tolist()}

    def std(self, distance: Array, noise: float) -> Array:
        """Standard deviation tau sigma sqrt(d) of the discrepancy, at log scale ratios d and for the noise sigma."""
        return np.asarray(self.tau * noise * np.sqrt(np.maximum(distance, 0.0)))

    def draws(self, count: int, rng: np.random.Generator) -> Array:
        """Draws tau_i z_i of the discrepancy at distance 1 for noise 1 (count,).

        The tau_i are the quantiles of its distribution in random order, and the z_i are standard normal.
        """
        indices = np.searchsorted(np.cumsum(self.weights), (rng.permutation(count) + 0.5) / count)
        return np.asarray(GRID[indices.clip(max=len(GRID) - 1)] * rng.standard_normal(count))


@dataclass(frozen=True, slots=True)
class Study:
    """One published study of the prior, with the tau of its backtests: for one law, and for several laws combined."""

    name: str
    tau: float
    tau_combined: float | None


@cache
def studies() -> tuple[Study, ...]:
    """The studies behind the prior."""
    content = json.loads(files("rung.fitting.backtest").joinpath("discrepancy.json").read_text(encoding="utf-8"))
    return tuple(Study(row["study"], row["tau"], row["tau_combined"]) for row in content["studies"])


def discrepancy_prior(*, combined: bool = False, without: Collection[str] = ()) -> Discrepancy:
    """The prior of tau from the studies: a kernel density in log tau, so that a new table may differ from all of them.

        w_g proportional to sum_s exp(-(log tau_g - log max(tau_s, 0.25))^2 / (2 * 0.5^2))

    Args:
        combined: Whether for the combined forecast of several laws, rather than for one law.
        without: Studies to leave out, when the prior is judged on them.
    """
    kept = [study for study in studies() if study.name not in without]
    found = [study.tau_combined if combined else study.tau for study in kept]
    taus = np.array([max(tau, _FLOOR) for tau in found if tau is not None])
    kernels = np.exp(-0.5 * ((np.log(GRID)[:, None] - np.log(taus)) / _KERNEL) ** 2)
    weights = kernels.sum(axis=1)
    return Discrepancy(weights=weights / weights.sum(), cuts=0)


def learn(scored: ScoredRows | None, prior: Discrepancy) -> Discrepancy:
    """The posterior of tau after the table's own backtest: prior times likelihood, normalised."""
    if scored is None:
        return prior
    log_likelihood, cuts = tau_log_likelihood(scored)
    if not cuts:
        return prior
    posterior = np.log(prior.weights) + log_likelihood
    weights = np.exp(posterior - posterior.max())
    return Discrepancy(weights=weights / weights.sum(), cuts=cuts)


def tau_log_likelihood(scored: ScoredRows) -> tuple[Array, int]:
    """Log-likelihood of each tau of the grid (G,), and the number of cuts in it.

    The rows of a cut in one bin of scale, a factor of two wide, count as one observation: their mean error e_b. The
    bins of a cut together also count as one, because they share the fit and most of the walk:

        log L(tau) = sum_cuts mean_b -1/2 [log v_b + e_b^2 / v_b],
        v_b = mean(law_error^2) + sigma^2 / n_b + tau^2 sigma^2 mean(d)

    over the n_b rows of bin b, with d the log scale ratio to the cut and sigma the noise.
    """
    usable = np.isfinite(scored.law_error) & np.isfinite(scored.error) & (scored.distance > _NEAR) & (scored.noise > 0)
    total = np.zeros(len(GRID))
    cuts = 0
    for cut in np.unique(scored.cut[usable]):
        rows = np.flatnonzero(usable & (scored.cut == cut))
        bins = np.floor(scored.distance[rows] / _BIN)
        terms = []
        for at in np.unique(bins):
            here = rows[bins == at]
            noise = scored.noise[here[0]]
            base = np.mean(scored.law_error[here] ** 2) + noise**2 / len(here)
            variance = base + GRID**2 * noise**2 * np.mean(scored.distance[here])
            terms.append(-0.5 * (np.log(variance) + np.mean(scored.error[here]) ** 2 / variance))
        total += np.mean(terms, axis=0)
        cuts += 1
    return total, cuts
