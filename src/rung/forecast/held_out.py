"""Rows kept out of a fit, and what the fit says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.errors import ForecastError
from rung.fit import Fit, column_of
from rung.forecast.forecast import predict
from rung.forecast.inputs import Question
from rung.runs import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPoint:
    """One row that the fit did not see.

    Attributes:
        name: Its run, or its row.
        inputs: The law's variables.
        measured: The target as measured.
        forecast: The target as forecast.
        low: Lower end of the interval for a new run; None without one.
        high: Upper end.
    """

    name: str
    inputs: Mapping[str, float]
    measured: float
    forecast: float
    low: float | None
    high: float | None

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low is not None and self.high is not None and self.low <= self.measured <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Forecasts of held-out rows beside their measurements."""

    points: tuple[HeldOutPoint, ...]

    @property
    def inside(self) -> int:
        """How many measurements lie in their interval."""
        return sum(point.inside for point in self.points)

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error."""
        return float(np.mean([abs(point.forecast / point.measured - 1) for point in self.points]))

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        points = [
            {
                "name": point.name,
                "inputs": dict(point.inputs),
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
    held = runs.where(condition)
    rest = ~np.isin(runs.row_numbers(), held.row_numbers())
    if not rest.any():
        raise ForecastError(f"--hold-out {condition!r} leaves no row to fit on.")
    return runs.take(rest), held


def compare_held_out(fit: Fit, held: Runs) -> HeldOut:
    """Forecast rows that a fit did not see."""
    variables = {name: held.numbers(column_of(name)) for name in fit.law.variables}
    measured = held.numbers(fit.target)
    groups = {group: held.texts(group) for group in fit.groups}
    points = []
    for place in range(len(held)):
        here = {name: values[place : place + 1] for name, values in variables.items()}
        levels = {group: str(texts[place]) for group, texts in groups.items()}
        predicted = {name: float(v[0]) for name, v in predict(fit, Question(variables=here, levels=levels)).items()}
        bounded = np.isfinite(predicted["run_low"]) and np.isfinite(predicted["run_high"])
        points.append(
            HeldOutPoint(
                name=held.short_name(place),
                inputs={name: float(values[0]) for name, values in here.items()},
                measured=float(measured[place]),
                forecast=predicted["value"],
                low=predicted["run_low"] if bounded else None,
                high=predicted["run_high"] if bounded else None,
            )
        )
    return HeldOut(points=tuple(points))
