"""The verb: what a fit says about runs that were not made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import ForecastError
from rung.findings import Finding
from rung.fitting import Fit, LawBounds, law_bounds, reopen
from rung.fitting.uncertainty import Profiler
from rung.forecasting.question import Question, ask, extrapolation, far_finding, missing, named
from rung.laws import SYMBOLS

Interval = tuple[float | None, float | None]

_EXAMPLES = {"N": "7e9", "D": "1.4e12", "C": "1e21", "S": "1e5", "U": "1e11", "L": "2.5"}
_PAIRS = 4000
"""Draws of the law, each with a new run's deviation from it, that an interval is made of, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One forecast, or one inversion.

    Attributes:
        inputs: What was asked, by column; groups by their level.
        value: The forecast, in the unit of the fit's target; for an inversion, the variable solved for.
        law_interval: Where the law lies, from the spread of the resampled fits.
        run_interval: Where a new run would come out: the law's spread, run-to-run noise, and what the law strays by
            beyond the runs.
        parts: What the new run's interval is made of: the share of its variance that coefficients, noise and
            discrepancy have.
        extrapolation_factor: How far beyond the runs this is; 1 inside their range.
        warnings: What a user should know.
        solved_for: The column that an inversion solved for.
        solution: N, D and C of an inversion, by column.
    """

    inputs: Mapping[str, float | str]
    value: float
    law_interval: Interval
    run_interval: Interval
    parts: Mapping[str, float]
    extrapolation_factor: float
    warnings: tuple[Finding, ...]
    solved_for: str | None = None
    solution: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The forecast as plain values."""
        result: dict[str, Any] = {
            "inputs": dict(self.inputs),
            "value": self.value,
            "law_interval": list(self.law_interval),
            "run_interval": list(self.run_interval),
            "parts": dict(self.parts),
            "extrapolation_factor": self.extrapolation_factor,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }
        if self.solution is not None:
            result |= {"solved_for": self.solved_for, "solution": dict(self.solution)}
        return result


def forecast(fit: Fit, *, within: tuple[float, float] | None = None, **given: float | str) -> Forecast:
    """Forecast the target of a run.

    Args:
        fit: The fitted law.
        within: The ends that the target cannot pass, such as (0, 1) for a score.
        **given: The law's variables, by symbol or column (N=70e9, D=1.4e12); two of N, D, C give the third.
            For a law with groups, the level: family="dense".

    Raises:
        ForecastError: A variable is missing or unknown, the law has no value there, or one outside `within`.
        FitError: A group's level is missing.
    """
    question = ask(fit, given)
    require_complete(fit, question)
    many = [name for name, values in question.variables.items() if np.size(values) > 1]
    if many:
        raise ForecastError(f"{many[0]} has several values; forecast_grid takes them, forecast one.")
    said = predict(fit, question)
    if not np.isfinite(said.value[0]):
        raise ForecastError(f"{fit.law.formula!r} has no finite value at {_shown(question)}.")
    if within is not None and not within[0] <= said.value[0] <= within[1]:
        raise ForecastError(
            f"{fit.law.formula!r} gives {fit.target} {said.value[0]:.4g} at {_shown(question)}, outside {within[0]:g} to {within[1]:g}: "
            "it cannot hold so far out. Ask nearer, or fit a law that stays inside (logistic-of-loss)."
        )
    return one_point(fit, question, said)


def one_point(fit: Fit, question: Question, said: Prediction) -> Forecast:
    """The forecast at the first point of a question."""
    law_interval = _ends(said.law_low, said.law_high)
    return Forecast(
        inputs={**named(question.variables), **question.levels},
        value=float(said.value[0]),
        law_interval=law_interval,
        run_interval=_ends(said.run_low, said.run_high),
        parts={name: float(share[0]) for name, share in said.parts.items() if np.isfinite(share[0])},
        extrapolation_factor=float(said.factor[0]),
        warnings=(*far_finding(fit, question.variables), *no_interval(fit, question.levels, law_interval)),
    )


def forecast_grid(fit: Fit, **given: Any) -> pl.DataFrame:
    """Forecast every combination of values: one row per point.

    Args:
        fit: The fitted law.
        **given: For each variable a number or an array of them; for a group, its level.
    """
    arrays = {name: value for name, value in given.items() if name not in fit.groups}
    mesh = np.meshgrid(*(np.atleast_1d(value) for value in arrays.values()), indexing="ij")
    points = {name: part.ravel() for name, part in zip(arrays, mesh, strict=True)}
    question = ask(fit, {**points, **{name: given[name] for name in given if name in fit.groups}})
    require_complete(fit, question)
    said = predict(fit, question)
    columns = {SYMBOLS.get(name, name): values for name, values in question.variables.items()}
    size = len(said.value)
    told = {name: getattr(said, name) for name in ("value", "law_low", "law_high", "run_low", "run_high")}
    frame = {name: np.broadcast_to(values, (size,)) for name, values in {**columns, **told}.items()}
    levels = [pl.lit(level).alias(group) for group, level in question.levels.items()]
    return pl.DataFrame(frame).select(*levels, pl.all(), extrapolation_factor=pl.Series(said.factor))


def require_complete(fit: Fit, question: Question) -> None:
    """Refuse a question that leaves a variable of the law open."""
    lacking = missing(fit, question.variables)
    if lacking:
        example = " ".join(f"{name}={_EXAMPLES.get(name, '1')}" for name in lacking)
        raise ForecastError(
            f"{fit.law.formula!r} needs {', '.join(fit.law.variables)}; {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing. Give it: {example}, or wish for a loss: --loss 2.0."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a fit says at some points (m,); ends are nan where there is no interval.

    Attributes:
        value: The law's value.
        law_low: Lower end of where the law lies.
        law_high: Upper end.
        run_low: Lower end of where a new run would come out.
        run_high: Upper end.
        factor: How far beyond the runs each point is.
        parts: What a new run's interval is made of: the share of its variance that each cause has.
    """

    value: Array
    law_low: Array
    law_high: Array
    run_low: Array
    run_high: Array
    factor: Array
    parts: Mapping[str, Array]


def predict(fit: Fit, question: Question, profiler: Profiler | None = None) -> Prediction:
    """The law and a new run at every point of a question.

    Args:
        fit: The fitted law.
        question: Points; each variable of the law is known.
        profiler: The optimum that the fit was reopened at, where the caller has it already.
    """
    with np.errstate(all="ignore"):
        return _predict(fit, question, profiler or _reopened(fit))


def _predict(fit: Fit, question: Question, profiler: Profiler | None) -> Prediction:
    estimate, draws = fit.vectors(question.levels)
    value = np.atleast_1d(fit.law.value(estimate, question.variables))
    factor, _ = extrapolation(fit, question.variables)
    factor = np.broadcast_to(factor, value.shape)
    law = _law(fit, question, draws, value, profiler)
    noise = float(np.std(fit.noise)) if len(fit.noise) else 0.0
    rng = np.random.default_rng(fit.seed)
    count = law.count
    result = {name: np.full(len(value), np.nan) for name in ("law_low", "law_high", "run_low", "run_high")}
    parts = {name: np.full(len(value), np.nan) for name in ("coefficients", "noise", "discrepancy")}
    unknown = any(len(values) and not np.any(np.isfinite(values)) for values in draws.values())
    if unknown or not count:
        return Prediction(value=value, factor=factor, parts=parts, **result)
    deviation = rng.permutation(_spread_out(fit.noise, count))
    # One draw of what the law strays by serves every point: runs of one scale share it.
    strays = noise * fit.discrepancy.draws(count, rng) if fit.discrepancy else np.zeros(count)
    bounds = [(1 - fit.level) / 2, (1 + fit.level) / 2]
    for point in range(len(value)):
        drawn = law.draws(point)
        drawn = drawn[~np.isnan(drawn)]
        if not len(drawn):
            continue
        low, high = _quantiles(drawn, bounds)
        stray = strays * np.sqrt(np.log(factor[point]))
        run = drawn + (deviation + stray)[: len(drawn)]
        run_low, run_high = _quantiles(run, bounds)
        # A new run is never surer than the law: skewed deviations may shift its interval to one side.
        pair = {"law": (low, high), "run": (np.minimum(run_low, low), np.maximum(run_high, high))}
        for name, (bottom, top) in pair.items():
            result[f"{name}_low"][point], result[f"{name}_high"][point] = fit.objective.untransform(
                np.array([bottom, top])
            )
        finite = drawn[np.isfinite(drawn)]
        shares = np.array([np.var(finite) if len(finite) else 0.0, np.var(deviation), np.var(stray)])
        for name, share in zip(parts, shares / shares.sum() if shares.sum() else shares, strict=True):
            parts[name][point] = share
    return Prediction(value=value, factor=factor, parts=parts, **result)


def _reopened(fit: Fit) -> Profiler | None:
    return reopen(fit) if fit.interval != "bootstrap" else None


class _Law(Protocol):
    """Draws of the law on the residual's scale, point by point."""

    @property
    def count(self) -> int:
        """How many draws there are."""

    def draws(self, point: int) -> Array:
        """The law at one point (count,)."""


@dataclass(frozen=True, slots=True)
class _FromEnds:
    """Draws spread as the ends of an interval say."""

    bounds: LawBounds
    order: NDArray[np.intp]
    count: int

    def draws(self, point: int) -> Array:
        return self.bounds.draws(point, self.count)[self.order]


@dataclass(frozen=True, slots=True)
class _FromFits:
    """The law of each resampled fit."""

    fit: Fit
    coefficients: Mapping[str, Array]
    columns: Mapping[str, Array]
    copies: int

    @property
    def count(self) -> int:
        return len(self.fit.draws) * self.copies

    def draws(self, point: int) -> Array:
        here = {name: values[point] for name, values in self.columns.items()}
        with np.errstate(all="ignore"):
            law = np.broadcast_to(self.fit.law.value(self.coefficients, here), (len(self.fit.draws),))
            return np.tile(self.fit.objective.transform(law), self.copies)


def _law(fit: Fit, question: Question, draws: Mapping[str, Array], value: Array, profiler: Profiler | None) -> _Law:
    if profiler is not None:
        bounds = law_bounds(profiler, fit, question.variables, question.levels)
        # A stream of its own: in the order of the noise, law and noise would rise together.
        return _FromEnds(bounds, np.random.default_rng([fit.seed, 1]).permutation(_PAIRS), _PAIRS)
    columns = {name: np.broadcast_to(values, value.shape) for name, values in question.variables.items()}
    return _FromFits(fit, draws, columns, -(-_PAIRS // len(fit.draws)) if len(fit.draws) else 0)


def _spread_out(noise: Array, count: int) -> Array:
    """A new run's deviation for each draw: every quantile as often as any other."""
    return np.quantile(noise, (np.arange(count) + 0.5) / count) if len(noise) and count else np.zeros(count)


def _quantiles(values: Array, bounds: list[float]) -> Array:
    return np.quantile(values, bounds, method="linear" if np.all(np.isfinite(values)) else "inverted_cdf")


def _ends(low: Array, high: Array) -> Interval:
    return (
        float(low[0]) if np.isfinite(low[0]) else None,
        float(high[0]) if np.isfinite(high[0]) else None,
    )


def no_interval(fit: Fit, levels: Mapping[str, str], interval: Interval) -> tuple[Finding, ...]:
    """The finding of a forecast that has no interval."""
    if interval != (None, None):
        return ()
    if fit.status in {"exact", "saturated"} or fit.rows <= len(fit.coefficients):
        return (
            Finding("no_interval", f"the fit is {fit.status}: it has no interval, and so neither has this forecast."),
        )
    where = f"of {', '.join(f'{group}={level}' for group, level in levels.items())} " if levels else ""
    return (
        Finding(
            "no_interval",
            f"the runs {where}do not determine the law there: this forecast has no interval.",
        ),
    )


def _shown(question: Question) -> str:
    return ", ".join(f"{name}={float(values[0]):g}" for name, values in question.variables.items())
