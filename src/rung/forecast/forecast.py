"""The verb: what a fit says about runs that were not made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.errors import Caution, ForecastError
from rung.fit import Fit
from rung.forecast.inputs import Question, ask, extrapolation, far_caution, missing, named
from rung.laws import SYMBOLS
from rung.laws.tree import Array

Interval = tuple[float | None, float | None]

_EXAMPLES = {"N": "7e9", "D": "1.4e12", "C": "1e21", "S": "1e5", "U": "1e11", "L": "2.5"}
_PAIRS = 8000
"""Pairs of a draw of the law and a new run's deviation from it that an interval is made of, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One forecast, or one inversion.

    Attributes:
        inputs: What was asked, by column; groups by their level.
        value: The forecast, in the unit of the fit's target; for an inversion, the variable solved for.
        law_interval: Where the law lies, from the spread of the resampled fits.
        run_interval: Where a new run would come out: the law's spread and run-to-run noise.
        extrapolation_factor: How far beyond the runs this is; 1 inside their range.
        cautions: What a user should know.
        solved_for: The column that an inversion solved for.
        solution: N, D and C of an inversion, by column.
    """

    inputs: Mapping[str, float | str]
    value: float
    law_interval: Interval
    run_interval: Interval
    extrapolation_factor: float
    cautions: tuple[Caution, ...]
    solved_for: str | None = None
    solution: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The forecast as plain values."""
        result: dict[str, Any] = {
            "inputs": dict(self.inputs),
            "value": self.value,
            "law_interval": list(self.law_interval),
            "run_interval": list(self.run_interval),
            "extrapolation_factor": self.extrapolation_factor,
            "warnings": [{"code": c.code, "text": c.text} for c in self.cautions],
        }
        if self.solution is not None:
            result |= {"solved_for": self.solved_for, "solution": dict(self.solution)}
        return result


def forecast(fit: Fit, **given: float | str) -> Forecast:
    """Forecast the target of a run.

    Args:
        fit: The fitted law.
        **given: The law's variables, by symbol or column (N=70e9, D=1.4e12); two of N, D, C give the third.
            For a law with groups, the level: family="dense".

    Raises:
        ForecastError: A variable is missing or unknown, or the law has no value there.
        FitError: A group's level is missing.
    """
    question = ask(fit, given)
    require_complete(fit, question)
    many = [name for name, values in question.variables.items() if np.size(values) > 1]
    if many:
        raise ForecastError(f"{many[0]} has several values; forecast_grid takes them, forecast one.")
    low_high = predict(fit, question)
    value = float(low_high["value"][0])
    if not np.isfinite(value):
        raise ForecastError(f"{fit.law.formula!r} has no finite value at {_shown(question)}.")
    factor, _ = extrapolation(fit, question.variables)
    return Forecast(
        inputs={**named(question.variables), **question.levels},
        value=value,
        law_interval=_ends(low_high, "law"),
        run_interval=_ends(low_high, "run"),
        extrapolation_factor=float(factor[0]),
        cautions=(*far_caution(fit, question.variables), *no_interval(fit, question.levels)),
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
    predicted = predict(fit, question)
    columns = {SYMBOLS.get(name, name): values for name, values in question.variables.items()}
    factor, _ = extrapolation(fit, question.variables)
    size = len(predicted["value"])
    frame = {name: np.broadcast_to(values, (size,)) for name, values in {**columns, **predicted}.items()}
    levels = [pl.lit(level).alias(group) for group, level in question.levels.items()]
    return pl.DataFrame(frame).select(
        *levels, pl.all(), extrapolation_factor=pl.Series(np.broadcast_to(factor, (size,)))
    )


def require_complete(fit: Fit, question: Question) -> None:
    """Refuse a question that leaves a variable of the law open."""
    lacking = missing(fit, question.variables)
    if lacking:
        example = " ".join(f"{name}={_EXAMPLES.get(name, '1')}" for name in lacking)
        raise ForecastError(
            f"{fit.law.formula!r} needs {', '.join(fit.law.variables)}; {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing. Give it: {example}, or wish for a loss: --loss 2.0."
        )


def predict(fit: Fit, question: Question) -> dict[str, Array]:
    """Value, law_low, law_high, run_low and run_high at every point (m,); nan where there is no interval."""
    estimate, draws = fit.vectors(question.levels)
    value = np.atleast_1d(fit.law.value(estimate, question.variables))
    ends = [(1 - fit.level) / 2, (1 + fit.level) / 2]
    result = {
        "value": value,
        **{name: np.full(len(value), np.nan) for name in ("law_low", "law_high", "run_low", "run_high")},
    }
    if not len(fit.draws):
        return result
    noise_PB = deviations(fit, -(-_PAIRS // len(fit.draws)))
    columns = {name: np.broadcast_to(values, value.shape) for name, values in question.variables.items()}
    for point in range(len(value)):
        here = {name: values[point] for name, values in columns.items()}
        with np.errstate(all="ignore"):
            law = np.broadcast_to(fit.law.value(draws, here), (len(fit.draws),))
            scaled = fit.objective.transform(law)
            run = fit.objective.untransform(scaled + noise_PB)
        low, high = _quantiles(law, ends)
        run_low, run_high = _quantiles(run.ravel(), ends)
        result["law_low"][point], result["law_high"][point] = low, high
        # A new run is never surer than the law: skewed deviations may shift its interval to one side.
        result["run_low"][point], result["run_high"][point] = np.minimum(run_low, low), np.maximum(run_high, high)
    return result


def deviations(fit: Fit, copies: int) -> Array:
    """A new run's deviation for each draw of the law (copies, B): in each copy every quantile once, in another order."""
    count = len(fit.draws)
    if not len(fit.noise):
        return np.zeros((copies, count))
    rng = np.random.default_rng(fit.seed)
    spread = np.quantile(fit.noise, (np.arange(count) + 0.5) / count)
    return np.stack([rng.permutation(spread) for _ in range(copies)])


def _quantiles(values: Array, ends: list[float]) -> Array:
    usable = values[np.isfinite(values)]
    return np.quantile(usable, ends) if len(usable) else np.full(2, np.nan)


def _ends(predicted: Mapping[str, Array], name: str) -> Interval:
    low, high = float(predicted[f"{name}_low"][0]), float(predicted[f"{name}_high"][0])
    return (low, high) if np.isfinite(low) and np.isfinite(high) else (None, None)


def no_interval(fit: Fit, levels: Mapping[str, str]) -> tuple[Caution, ...]:
    """The caution of a fit without resamples, or without any for these levels of its groups."""
    _, draws = fit.vectors(levels)
    unknown = [name for name, values in draws.items() if len(values) and not np.any(np.isfinite(values))]
    if unknown:
        where = ", ".join(f"{group}={level}" for group, level in levels.items())
        return (
            Caution(
                "no_interval",
                f"the runs of {where} do not determine {' and '.join(unknown)} there: this forecast has no interval.",
            ),
        )
    if len(fit.draws):
        return ()
    return (Caution("no_interval", f"the fit is {fit.status}: it has no interval, and so neither has this forecast."),)


def _shown(question: Question) -> str:
    return ", ".join(f"{name}={float(values[0]):g}" for name, values in question.variables.items())
