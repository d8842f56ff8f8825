"""How far a law strays beyond the runs it was fitted to, learnt from backtests.

No law is exactly true. Beyond the largest scale fitted its error wanders: over published studies its variance grows
like that of a random walk in the logarithm of scale, tau^2 sigma^2 log(factor), with sigma the spread of runs about
the law, and is shared by the runs of one scale. The table's own backtests tell tau; where they are few, the studies
do. `discrepancy.json` holds tau of each study; benchmarks/discrepancy.py makes it.

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
GRID.setflags(write=False)

_FLOOR = 0.25
"""Taus of studies below this count as this: backtests of one study cannot tell them from none."""

_KERNEL = 0.5
"""Width, in the logarithm, of the bump that each study contributes to the prior."""

_NEAR = 0.02
"""Distance in the logarithm of scale within which a row says nothing about wandering."""

_BIN = float(np.log(2.0))
_QUANTILES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """What is known of tau: weights on GRID.

    Attributes:
        weights: Probability of each value of the grid (G,).
        cuts: How many cuts of the table's own backtest it rests on, beside the studies.
    """

    weights: Array
    cuts: int

    @property
    def tau(self) -> float:
        """The root of the mean square of tau."""
        return float(np.sqrt(self.weights @ GRID**2))

    def to_dict(self) -> dict[str, Any]:
        """The distribution as plain values."""
        return {"tau": self.tau, "cuts": self.cuts, "grid": GRID.tolist(), "weights": self.weights.tolist()}

    def std(self, distance: Array, noise: float) -> Array:
        """Standard deviation of the law's error at a distance beyond the runs, in logarithms of scale."""
        return np.asarray(self.tau * noise * np.sqrt(np.maximum(distance, 0.0)))

    def draws(self, count: int, rng: np.random.Generator) -> Array:
        """Draws of the law's error at a distance of one, for noise of one (count,)."""
        indices = np.searchsorted(np.cumsum(self.weights), (rng.permutation(count) + 0.5) / count)
        return np.asarray(GRID[indices.clip(max=len(GRID) - 1)] * rng.standard_normal(count))


@dataclass(frozen=True, slots=True)
class Study:
    """One published study of the prior, and the tau of its backtests: of one law, and of several combined."""

    name: str
    tau: float
    tau_combined: float | None


@cache
def studies() -> tuple[Study, ...]:
    """The studies that the prior is made of."""
    content = json.loads(files("rung.fitting.backtest").joinpath("discrepancy.json").read_text(encoding="utf-8"))
    return tuple(Study(row["study"], row["tau"], row["tau_combined"]) for row in content["studies"])


def discrepancy_prior(*, combined: bool = False, without: Collection[str] = ()) -> Discrepancy:
    """Tau as the studies show it: a bump in the logarithm for each, so that a new table may be unlike all of them.

    Args:
        combined: For the combined forecast of several laws rather than for one law.
        without: Studies left out, where they are what is judged.
    """
    known = [study for study in studies() if study.name not in without]
    found = [study.tau_combined if combined else study.tau for study in known]
    taus = np.array([max(tau, _FLOOR) for tau in found if tau is not None])
    bumps = np.exp(-0.5 * ((np.log(GRID)[:, None] - np.log(taus)) / _KERNEL) ** 2)
    weights = bumps.sum(axis=1)
    return Discrepancy(weights=weights / weights.sum(), cuts=0)


def learn(scored: ScoredRows | None, prior: Discrepancy) -> Discrepancy:
    """Tau after the table's own backtest."""
    if scored is None:
        return prior
    log_likelihood, cuts = tau_log_likelihood(scored)
    if not cuts:
        return prior
    posterior = np.log(prior.weights) + log_likelihood
    weights = np.exp(posterior - posterior.max())
    return Discrepancy(weights=weights / weights.sum(), cuts=cuts)


def tau_log_likelihood(scored: ScoredRows) -> tuple[Array, int]:
    """Log-likelihood of each tau of the grid (G,), and how many cuts it rests on.

    The rows of a cut within a factor of two of scale are one observation, their mean error, and the observations of
    a cut together count as one: they share the fit and most of the way.
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
            known = np.mean(scored.law_error[here] ** 2) + noise**2 / len(here)
            variance = known + GRID**2 * noise**2 * np.mean(scored.distance[here])
            terms.append(-0.5 * (np.log(variance) + np.mean(scored.error[here]) ** 2 / variance))
        total += np.mean(terms, axis=0)
        cuts += 1
    return total, cuts
