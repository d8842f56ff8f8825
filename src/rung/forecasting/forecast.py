"""What a fit says about a run that was not made: one forecast, or a grid of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import ForecastError
from rung.findings import Finding
from rung.fitting import PUBLISHED, Fit, as_fit
from rung.fitting.uncertainty import Profiler
from rung.forecasting.predictive import Prediction
from rung.forecasting.question import Question, ask, far_findings, named, require_complete
from rung.forecasting.single_law import predict, reopened
from rung.laws import column_of
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value

Interval = tuple[float | None, float | None]
"""Lower and upper bound; None where one is open or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Forecast(Result):
    """One forecast, or one inversion.

    Attributes:
        inputs: What was asked, by column; groups by their level.
        value: The forecast, in the unit of the fit's target; for an inversion, the variable solved for.
        law_interval: The confidence interval of the law.
        run_interval: The prediction interval of a new run: law, run-to-run noise and model discrepancy.
        parts: The share of a new run's variance that each cause has.
        extrapolation_factor: How far beyond the runs this is; 1 inside their range.
        target: The column that the law predicts.
        level: Coverage of the intervals.
        warnings: Findings that speak against the forecast.
        solved_for: The column that an inversion solved for.
        solution: N, D and C of an inversion, by column.
    """

    inputs: Mapping[str, float | str]
    value: float
    law_interval: Interval
    run_interval: Interval
    parts: Mapping[str, float]
    extrapolation_factor: float
    target: str
    level: float
    warnings: tuple[Finding, ...]
    solved_for: str | None = None
    solution: Mapping[str, float] | None = None

    def headline(self) -> str:
        """The value with the interval of a new run."""
        wanted = self.solved_for or self.target
        return f"{wanted} {self._show(self.value)} ({100 * self.level:g} % of a new run: {self._interval(self.run_interval)})"

    def describe(self) -> Summary:
        """What was asked, the value, both intervals and what they consist of."""
        inputs = ", ".join(f"{name} {self._input(name, number)}" for name, number in self.inputs.items())
        wanted = self.solved_for or self.target
        answer = (
            f"{wanted:<10} {self._show(self.value)}"
            if self.solution is None
            else "takes      " + ", ".join(f"{name} {format_count(value)}" for name, value in self.solution.items())
        )
        table = Table(
            [f"{100 * self.level:g} % interval", wanted],
            [["of the law", self._interval(self.law_interval)], ["of a new run", self._interval(self.run_interval)]],
        )
        shares = ", ".join(f"{100 * share:.0f} % {name}" for name, share in self.parts.items())
        return Summary(
            [
                f"asked      {inputs}\n{answer}",
                table,
                *([f"variance of a new run: {shares}"] if shares else []),
                shown_factor(self.extrapolation_factor),
            ]
        )

    def _show(self, number: float) -> str:
        return format_count(number) if self.solution is not None else format_value(number)

    def _interval(self, interval: Interval) -> str:
        return format_interval(*interval, self._show)

    def _input(self, name: str, number: float | str) -> str:
        if isinstance(number, str):
            return number
        return format_value(number) if name == self.target else format_count(number)

    def to_dict(self) -> dict[str, Any]:
        """The forecast as plain values."""
        result: dict[str, Any] = {
            "inputs": dict(self.inputs),
            "value": self.value,
            "law_interval": list(self.law_interval),
            "run_interval": list(self.run_interval),
            "parts": dict(self.parts),
            "extrapolation_factor": self.extrapolation_factor,
            "target": self.target,
            "level": self.level,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }
        if self.solution is not None:
            result |= {"solved_for": self.solved_for, "solution": dict(self.solution)}
        return result


def shown_factor(factor: float) -> str:
    """The extrapolation factor as a line of a summary."""
    return f"extrapolation factor {factor:.3g}" + ("" if factor > 1 else " (inside the range of the runs)")


def forecast(
    fit: Fit | str | Path,
    *,
    bounds: tuple[float, float] | None = None,
    level: float | None = None,
    **given: float | str,
) -> Forecast:
    """Forecast the target of a run.

    Args:
        fit: The fitted law, or its file.
        bounds: Bounds that the target cannot pass, such as (0, 1) for a score.
        level: Coverage of the intervals; that of the fit by default.
        **given: The law's variables, by symbol or column (N=70e9, D=1.4e12); two of N, D, C give the third.
            For a law with groups, the level: family="dense".

    Raises:
        ForecastError: A variable is missing or unknown, the law has no value there, or one outside `bounds`.
        FitError: A group's level is missing.
    """
    return Forecaster.of(as_fit(fit, level)).at(bounds=bounds, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """A fit that is asked many times: it is opened once. One thread at a time may ask it.

    Attributes:
        fit: The fit.
        profiler: Its optimum with its rows; None where its intervals do not come from them.
    """

    fit: Fit
    profiler: Profiler | None

    @staticmethod
    def of(fit: Fit) -> Forecaster:
        """A forecaster of a fit."""
        return Forecaster(fit=fit, profiler=reopened(fit))

    def at(self, *, bounds: tuple[float, float] | None = None, **given: float | str) -> Forecast:
        """Forecast the target of a run; see `forecast`."""
        fit = self.fit
        question = ask(fit, given)
        require_complete(fit, question)
        several = [name for name, values in question.variables.items() if np.size(values) > 1]
        if several:
            raise ForecastError(f"{several[0]} has several values. Use forecast_grid for a grid, forecast for one run.")
        prediction = predict(fit, question, self.profiler)
        value = float(prediction.value[0])
        if not np.isfinite(value):
            raise ForecastError(f"{fit.law.formula!r} has no finite value at {_shown(question)}.")
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            raise ForecastError(
                f"{fit.law.formula!r} gives {fit.target} {value:.4g} at {_shown(question)}, outside {bounds[0]:g} to {bounds[1]:g}: it "
                "cannot hold so far beyond the runs. Ask nearer, or fit a law that stays inside (logistic-of-loss)."
            )
        return one_point(fit, question, prediction)


def one_point(fit: Fit, question: Question, prediction: Prediction) -> Forecast:
    """The forecast at the first point of a question."""
    law_interval = _interval(prediction.law_low, prediction.law_high)
    return Forecast(
        inputs={**named(question.variables), **question.levels},
        value=float(prediction.value[0]),
        law_interval=law_interval,
        run_interval=_interval(prediction.run_low, prediction.run_high),
        parts={name: float(share[0]) for name, share in prediction.parts.items() if np.isfinite(share[0])},
        extrapolation_factor=float(prediction.factor[0]),
        target=fit.target,
        level=fit.level,
        warnings=(*far_findings(fit, question.seen), *no_interval_findings(fit, question.levels, law_interval)),
    )


def forecast_grid(fit: Fit | str | Path, *, level: float | None = None, **given: Any) -> pl.DataFrame:
    """Forecast every combination of values: one row per point.

    Args:
        fit: The fitted law, or its file.
        level: Coverage of the intervals; that of the fit by default.
        **given: For each variable a number or an array of them; for a group, its level.
    """
    fit = as_fit(fit, level)
    arrays = {name: value for name, value in given.items() if name not in fit.groups}
    mesh = np.meshgrid(*(np.atleast_1d(value) for value in arrays.values()), indexing="ij")
    points = {name: part.ravel() for name, part in zip(arrays, mesh, strict=True)}
    question = ask(fit, {**points, **{name: given[name] for name in given if name in fit.groups}})
    require_complete(fit, question)
    prediction = predict(fit, question)
    columns = {column_of(name): values for name, values in question.variables.items()}
    size = len(prediction.value)
    found = {name: getattr(prediction, name) for name in ("value", "law_low", "law_high", "run_low", "run_high")}
    frame = {name: np.broadcast_to(values, (size,)) for name, values in {**columns, **found}.items()}
    levels = [pl.lit(level).alias(group) for group, level in question.levels.items()]
    return pl.DataFrame(frame).select(*levels, pl.all(), extrapolation_factor=pl.Series(prediction.factor))


def _interval(low: Array, high: Array) -> Interval:
    return (
        float(low[0]) if np.isfinite(low[0]) else None,
        float(high[0]) if np.isfinite(high[0]) else None,
    )


def no_interval_findings(fit: Fit, levels: Mapping[str, str], interval: Interval) -> tuple[Finding, ...]:
    """Why a forecast has no interval; nothing where it has one."""
    if interval != (None, None):
        return ()
    if fit.status == PUBLISHED:
        where = f", {fit.notes[0]}" if fit.notes else ""
        return (
            Finding(
                "no_interval",
                f"these are the published constants of {fit.law.name}{where}: how uncertain they are together was not published, "
                "so this has no interval. Fit your own runs for one.",
            ),
        )
    if fit.status in {"exact", "saturated"} or fit.rows <= len(fit.coefficients):
        return (Finding("no_interval", f"the fit is {fit.status}: neither it nor this forecast has an interval."),)
    where = f"of {', '.join(f'{group}={level}' for group, level in levels.items())} " if levels else ""
    return (Finding("no_interval", f"the runs {where}do not determine the law there: this forecast has no interval."),)


def _shown(question: Question) -> str:
    return ", ".join(f"{name}={float(values[0]):g}" for name, values in question.variables.items())
