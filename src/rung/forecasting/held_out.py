"""Rows kept out of a fit, and what the fit says about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.errors import ForecastError
from rung.fitting import Fit, Selection, level_combinations
from rung.fitting.estimate import columns_used, measured_at
from rung.forecasting.combined import combine, reopened_members
from rung.forecasting.predictive import Prediction
from rung.forecasting.question import Question, completed
from rung.forecasting.single_law import predict, reopened
from rung.results import Result, Summary, Table
from rung.runs import Runs, require_usable
from rung.units import format_count, format_interval, format_percent, format_value

_SHOWN = 20
"""Rows that a summary shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPoint:
    """One row that the fit did not see.

    Attributes:
        name: Its run, or its row.
        inputs: The law's variables.
        levels: The level of each grouping column.
        measured: The target as measured.
        forecast: The target as forecast.
        low: Lower end of the interval for a new run; None without one.
        high: Upper end.
    """

    name: str
    inputs: Mapping[str, float]
    levels: Mapping[str, str]
    measured: float
    forecast: float
    low: float | None
    high: float | None

    @property
    def error(self) -> float | None:
        """Forecast minus measurement, relative to the measurement's size; None where that is zero."""
        return (self.forecast - self.measured) / abs(self.measured) if self.measured else None

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low is not None and self.high is not None and self.low <= self.measured <= self.high


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class HeldOut(Result):
    """Forecasts of held-out rows beside their measurements.

    Attributes:
        points: The rows.
        level: Coverage of the intervals.
    """

    points: tuple[HeldOutPoint, ...]
    level: float

    @property
    def inside(self) -> int:
        """How many measurements lie in their interval."""
        return sum(point.inside for point in self.points)

    @property
    def mean_error(self) -> float | None:
        """Mean absolute relative error, over the points that have one."""
        errors = [abs(point.error) for point in self.points if point.error is not None]
        return float(np.mean(errors)) if errors else None

    def headline(self) -> str:
        """How many measurements lie inside their interval, and the mean error."""
        return f"{self.inside} of {len(self.points)} inside; mean absolute error {format_percent(self.mean_error)}"

    def describe(self) -> Summary:
        """Up to twenty rows, and the mean."""
        rows = [
            [
                point.name,
                *point.levels.values(),
                *(format_count(number) for number in point.inputs.values()),
                format_value(point.measured),
                format_value(point.forecast),
                format_percent(point.error, signed=True),
                format_interval(point.low, point.high),
                "yes" if point.inside else "no",
            ]
            for point in self.points[:_SHOWN]
        ]
        names = [*self.points[0].levels, *self.points[0].inputs]
        percent = f"{100 * self.level:g} % for a new run"
        table = Table(["held out", *names, "measured", "forecast", "error", percent, "inside"], rows)
        more = len(self.points) - len(rows)
        return Summary([table, "\n".join([*([f"and {more} more"] if more > 0 else []), self.headline()])])

    def to_frame(self) -> pl.DataFrame:
        """One row per held-out row."""
        return pl.DataFrame(
            [
                {
                    "name": point.name,
                    **point.levels,
                    **point.inputs,
                    "measured": point.measured,
                    "forecast": point.forecast,
                    "low": point.low,
                    "high": point.high,
                }
                for point in self.points
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        points = [
            {
                "name": point.name,
                "inputs": {**point.inputs, **point.levels},
                "measured": point.measured,
                "forecast": point.forecast,
                "run_interval": [point.low, point.high],
                "inside": point.inside,
            }
            for point in self.points
        ]
        return {"points": points, "inside": self.inside, "mean_absolute_relative_error": self.mean_error}


def split(runs: Runs, condition: str | None) -> tuple[Runs, Runs | None]:
    """The rows to fit on, and the rows to hold out where a condition says so.

    Raises:
        ForecastError: The condition holds out every row.
    """
    if condition is None:
        return runs, None
    held = runs.where(condition, option="--hold-out")
    rest = ~np.isin(runs.row_numbers(), held.row_numbers())
    if not rest.any():
        raise ForecastError(f"--hold-out {condition!r} leaves no row to fit on.")
    return runs.take(rest), held


def compare_held_out(fitted: Fit | Selection, held: Runs) -> HeldOut:
    """Forecast rows that a fit, or the laws of a selection together, did not see.

    Raises:
        RunsError: A row cannot be used.
        FitError: A row has no number, or none on the objective's scale.
        ForecastError: A row's group has no row in the fit.
    """
    fit = fitted.laws[0].fit if isinstance(fitted, Selection) else fitted
    variables, measured = measured_at(held, fit.law, fit.objective, fit.target)
    require_usable(held, columns_used(fit.law, fit.target))
    groups = {group: held.texts(group) for group in fit.groups}
    for group, texts in groups.items():
        strange = np.flatnonzero(~np.isin(texts, fit.groups[group]))
        if len(strange):
            raise ForecastError(
                f"{held.row_name(int(strange[0]))} is held out, and no row fitted has its {group}, "
                f"{str(texts[strange[0]])!r}. Leave rows of every {group} to fit on."
            )
    predict_at = _predictor(fitted)
    points: dict[int, HeldOutPoint] = {}
    for levels, indices in level_combinations(groups, len(held)):
        here = {variable: values[indices] for variable, values in variables.items()}
        said = predict_at(Question(variables=completed(dict(here)), levels=levels))
        for at, index in enumerate(indices.tolist()):
            bounded = bool(np.isfinite(said.run_low[at]) and np.isfinite(said.run_high[at]))
            points[index] = HeldOutPoint(
                name=held.short_name(index),
                inputs={variable: float(values[at]) for variable, values in here.items()},
                levels=levels,
                measured=float(measured[index]),
                forecast=float(said.value[at]),
                low=float(said.run_low[at]) if bounded else None,
                high=float(said.run_high[at]) if bounded else None,
            )
    return HeldOut(points=tuple(points[index] for index in sorted(points)), level=fit.level)


def _predictor(fitted: Fit | Selection) -> Callable[[Question], Prediction]:
    """What predicts at many questions, with everything that they share done once."""
    if isinstance(fitted, Selection):
        profilers = reopened_members(fitted)
        return lambda question: combine(fitted, question, profilers)
    profiler = reopened(fitted)
    return lambda question: predict(fitted, question, profiler)
