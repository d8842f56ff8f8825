"""The predictive distribution of one fitted law at the points of a question.

Shapes: `B` draws, `m` points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rung.arrays import Array, Indices
from rung.fitting import Fit, LawBounds, law_bounds, reopen
from rung.fitting.uncertainty import Profiler
from rung.forecasting.predictive import DRAWS, Prediction, PredictiveDistribution, summarise
from rung.forecasting.question import Question, extrapolation

_CAUSES = ("coefficients", "noise", "discrepancy")


def predict(fit: Fit, question: Question, profiler: Profiler | None = None) -> Prediction:
    """The law and a new run at every point of a question.

    Args:
        fit: The fitted law.
        question: Points; each variable of the law is given.
        profiler: The optimum that the fit was reopened at, where the caller has it already.
    """
    with np.errstate(all="ignore"):
        value = _value(fit, question)
        factor = np.broadcast_to(extrapolation(fit, question.seen)[0], value.shape)
        found = distributions(fit, question, profiler)
        return summarise(fit, value, factor, found, (*_CAUSES, *question.spread))


def _value(fit: Fit, question: Question) -> Array:
    return np.atleast_1d(fit.law.value(fit.vectors(question.levels)[0], question.variables))


def distributions(
    fit: Fit, question: Question, profiler: Profiler | None = None
) -> list[PredictiveDistribution | None]:
    """The predictive distribution at every point of a question; None where there is none. See `predict`."""
    with np.errstate(all="ignore"):
        value = _value(fit, question)
        _, draws = fit.vectors(question.levels)
        factor = np.broadcast_to(extrapolation(fit, question.seen)[0], value.shape)
        undetermined = any(len(values) and not np.any(np.isfinite(values)) for values in draws.values())
        law = _law_draws(fit, question, draws, value, profiler or reopened(fit))
        if undetermined or not law.count:
            return [None] * len(value)
        return list(_distributions(fit, law, factor, question.spread))


def reopened(fit: Fit) -> Profiler | None:
    """The optimum of a fit whose intervals come from its rows; None for the bootstrap's, which come from the refits."""
    return reopen(fit) if fit.interval != "bootstrap" else None


def _distributions(
    fit: Fit, law: _LawDraws, factor: Array, spread: Mapping[str, float]
) -> Iterator[PredictiveDistribution | None]:
    rng = np.random.default_rng(fit.seed)
    noise = rng.permutation(_evenly(fit.noise, law.count))
    noise_std = float(np.std(fit.noise)) if len(fit.noise) else 0.0
    # One draw of the discrepancy serves every point: runs of one scale share it.
    unit = noise_std * fit.discrepancy.draws(law.count, rng) if fit.discrepancy else np.zeros(law.count)
    apart = rng.standard_normal(law.count) * np.sqrt(sum(std**2 for std in spread.values()))
    for point, beyond in enumerate(factor):
        drawn = law.at(point) + apart
        drawn = drawn[~np.isnan(drawn)]
        if not len(drawn):
            yield None
            continue
        finite = drawn[np.isfinite(drawn)]
        yield PredictiveDistribution(
            law=drawn,
            noise=noise[: len(drawn)],
            discrepancy=(unit * np.sqrt(np.log(beyond)))[: len(drawn)],
            law_variances={
                "coefficients": max(float(np.var(finite) - np.var(apart)), 0.0) if len(finite) else 0.0,
                **{cause: std**2 for cause, std in spread.items()},
            },
        )


def _evenly(noise: Array, count: int) -> Array:
    """Noise for each draw: every quantile as often as any other."""
    return np.quantile(noise, (np.arange(count) + 0.5) / count) if len(noise) and count else np.zeros(count)


class _LawDraws(Protocol):
    """Draws of the law on the residual's scale, point by point."""

    @property
    def count(self) -> int:
        """How many draws there are."""

    def at(self, point: int) -> Array:
        """The law at one point (B,)."""


@dataclass(frozen=True, slots=True)
class _FromBounds:
    """Draws spread as the bounds of an interval say."""

    bounds: LawBounds
    order: Indices
    count: int

    def at(self, point: int) -> Array:
        return self.bounds.draws(point, self.count)[self.order]


@dataclass(frozen=True, slots=True)
class _FromRefits:
    """The law of each refit."""

    fit: Fit
    coefficients: Mapping[str, Array]
    columns: Mapping[str, Array]
    copies: int

    @property
    def count(self) -> int:
        return len(self.fit.draws) * self.copies

    def at(self, point: int) -> Array:
        here = {name: values[point] for name, values in self.columns.items()}
        with np.errstate(all="ignore"):
            law = np.broadcast_to(self.fit.law.value(self.coefficients, here), (len(self.fit.draws),))
            return np.tile(self.fit.objective.transform(law), self.copies)


def _law_draws(
    fit: Fit, question: Question, draws: Mapping[str, Array], value: Array, profiler: Profiler | None
) -> _LawDraws:
    if profiler is not None:
        bounds = law_bounds(profiler, fit, question.variables, question.levels)
        # A stream of its own: in the order of the noise, law and noise would rise together.
        return _FromBounds(bounds, np.random.default_rng([fit.seed, 1]).permutation(DRAWS), DRAWS)
    columns = {name: np.broadcast_to(values, value.shape) for name, values in question.variables.items()}
    return _FromRefits(fit, draws, columns, -(-DRAWS // len(fit.draws)) if len(fit.draws) else 0)
