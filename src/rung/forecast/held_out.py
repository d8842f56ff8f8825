"""Rows kept out of a fit, and what the fit says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.errors import ForecastError
from rung.fit import Fit, columns_used, measured_at
from rung.forecast.forecast import predict
from rung.forecast.inputs import Question
from rung.runs import Runs, require_usable


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Forecasts of held-out rows beside their measurements."""

    points: tuple[HeldOutPoint, ...]

    @property
    def inside(self) -> int:
        """How many measurements lie in their interval."""
        return sum(point.inside for point in self.points)

    @property
    def mean_error(self) -> float | None:
        """Mean absolute relative error, over the points that have one."""
        errors = [abs(point.error) for point in self.points if point.error is not None]
        return float(np.mean(errors)) if errors else None

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


def compare_held_out(fit: Fit, held: Runs) -> HeldOut:
    """Forecast rows that a fit did not see.

    Raises:
        RunsError: A row cannot be used.
        FitError: A row has no number, or none on the objective's scale.
        ForecastError: A row's group has no row in the fit.
    """
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
                levels=levels,
                measured=float(measured[place]),
                forecast=predicted["value"],
                low=predicted["run_low"] if bounded else None,
                high=predicted["run_high"] if bounded else None,
            )
        )
    return HeldOut(points=tuple(points))
