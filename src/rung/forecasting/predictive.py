"""The predictive distribution: where the law may lie at a point, and where a new run may come out.

On the residual's scale, a new run at a point whose extrapolation factor is F is

    y = f(theta) + e + d,    d ~ N(0, tau^2 s^2 log F)

with theta drawn as the fit says, e the run-to-run noise with standard deviation s, and d the model discrepancy with tau
learnt from backtests. One law and several laws together differ in how f is drawn, and in nothing else: the interval of
the law is that of f, the interval of a new run is that of y, and it always holds the interval of the law, because skewed
noise must not make a new run surer than the law.

Shapes: `B` draws, `m` points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting import Fit

DRAWS = 4000
"""Draws of the law, each with the deviation of a new run: bounds of a 90 % interval then vary by about 1 % of its width."""

CAUSES = ("coefficients", "noise", "choice of law", "discrepancy")
"""What the variance of a new run consists of, in the order in which it is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveDistribution:
    """Draws at one point, on the residual's scale.

    Attributes:
        law: The law (B,); infinite where its interval is open.
        noise: Run-to-run noise of each draw (B,).
        discrepancy: Model discrepancy of each draw (B,).
        law_variances: What the variance of the law consists of, by cause.
    """

    law: Array
    noise: Array
    discrepancy: Array
    law_variances: Mapping[str, float]

    def bounds(self, level: float) -> tuple[float, float, float, float]:
        """Lower and upper bound of the law, and of a new run."""
        low, high = _quantiles(self.law, level)
        run_low, run_high = _quantiles(self.law + self.noise + self.discrepancy, level)
        return low, high, min(run_low, low), max(run_high, high)

    def shares(self) -> dict[str, float]:
        """What share of the variance of a new run each cause has; all 0 where there is no variance."""
        own = {"noise": float(np.var(self.noise)), "discrepancy": float(np.var(self.discrepancy))}
        variances = {**self.law_variances, **own}
        total = sum(variances.values())
        return {cause: variance / total if total else 0.0 for cause, variance in variances.items()}


def _quantiles(draws: Array, level: float) -> tuple[float, float]:
    # Between two draws of which one is infinite there is nothing to interpolate.
    method = "linear" if np.all(np.isfinite(draws)) else "inverted_cdf"
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], method=method)  # type: ignore[call-overload]
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a fit says at some points (m,); bounds are nan where there is no interval.

    Attributes:
        value: The law's value.
        law_low: Lower bound of the law.
        law_high: Upper bound.
        run_low: Lower bound of a new run.
        run_high: Upper bound.
        factor: How far beyond the runs each point is.
        parts: The share of a new run's variance that each cause has.
    """

    value: Array
    law_low: Array
    law_high: Array
    run_low: Array
    run_high: Array
    factor: Array
    parts: Mapping[str, Array]


def summarise(
    fit: Fit, value: Array, factor: Array, distributions: Iterable[PredictiveDistribution | None], causes: Iterable[str]
) -> Prediction:
    """Intervals and shares at every point.

    Args:
        fit: The fit whose level and scale count.
        value: The law's value at each point (m,), in the unit of the target.
        factor: Extrapolation factor of each point (m,).
        distributions: The predictive distribution at each point; None where there is none.
        causes: What the variance of a new run consists of.
    """
    bounds = np.full((4, len(value)), np.nan)
    parts = {cause: np.full(len(value), np.nan) for cause in causes}
    for point, distribution in enumerate(distributions):
        if distribution is None:
            continue
        bounds[:, point] = fit.objective.untransform(np.array(distribution.bounds(fit.level)))
        for cause, share in distribution.shares().items():
            parts[cause][point] = share
    law_low, law_high, run_low, run_high = bounds
    return Prediction(
        value=value, law_low=law_low, law_high=law_high, run_low=run_low, run_high=run_high, factor=factor, parts=parts
    )
