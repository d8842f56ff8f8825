"""The same question to several fits: of several targets, or of the levels of a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rung.errors import ForecastError, RungError
from rung.findings import Finding
from rung.fitting import Fits, read_any
from rung.forecasting.forecast import Forecast, forecast
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SeveralForecasts(Result):
    """One question, answered by each of several fits.

    Attributes:
        by: What the fits differ in: "target", or a column.
        forecasts: The forecast of each.
        failed: Why others have none.
    """

    by: str
    forecasts: Mapping[str, Forecast]
    failed: Mapping[str, str]

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of all; a text that several share stands once."""
        named: dict[tuple[str, str], list[str]] = {}
        for name, one in self.forecasts.items():
            for finding in one.warnings:
                named.setdefault((finding.code, finding.text), []).append(name)
        return tuple(
            Finding(code, text if len(names) == len(self.forecasts) else f"{', '.join(names)}: {text}")
            for (code, text), names in named.items()
        )

    def headline(self) -> str:
        """The values."""
        return ", ".join(f"{name} {format_value(one.value)}" for name, one in self.forecasts.items())

    def describe(self) -> Summary:
        """A row for each fit."""
        first = next(iter(self.forecasts.values()))
        inputs = ", ".join(
            f"{name} {value if isinstance(value, str) else format_count(value)}" for name, value in first.inputs.items()
        )
        percent = f"{100 * first.level:g} %"
        rows = [
            [
                name,
                format_value(one.value),
                format_interval(*one.law_interval),
                format_interval(*one.run_interval),
                f"{format_value(one.extrapolation_factor, 3)}x" if one.extrapolation_factor > 1 else "inside",
            ]
            for name, one in self.forecasts.items()
        ]
        header = [self.by, "forecast", f"{percent} of the law", "of a new run", "beyond the runs"]
        failed = [f"{name}: no forecast: {why}" for name, why in self.failed.items()]
        return Summary([f"asked      {inputs}", Table(header, rows), *failed])

    def to_frame(self) -> pl.DataFrame:
        """A row for each fit."""
        rows = []
        for name, one in self.forecasts.items():
            law, run = one.law_interval, one.run_interval
            bounds = {"law_low": law[0], "law_high": law[1], "run_low": run[0], "run_high": run[1]}
            rows.append({self.by: name, "value": one.value, **bounds, "extrapolation_factor": one.extrapolation_factor})
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self) -> dict[str, Any]:
        """The forecasts as plain values."""
        return {
            "by": self.by,
            "forecasts": {name: one.to_dict() for name, one in self.forecasts.items()},
            "failed": dict(self.failed),
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def forecast_each(fits: Fits | str | Path, *, level: float | None = None, **given: Any) -> SeveralForecasts:
    """Ask each of several fits about one run.

    Args:
        fits: The fits that `fit_each` made, or the file of them.
        level: Coverage of the intervals; that of the fits by default.
        **given: What is asked, as for `forecast`.

    Raises:
        ForecastError: None of the fits has a forecast.
    """
    several = read_any(fits) if isinstance(fits, str | Path) else fits
    if not isinstance(several, Fits):
        raise ForecastError(f"{fits} holds no several fits. Make them with rung fit --each or several targets.")
    found: dict[str, Forecast] = {}
    failed: dict[str, str] = {}
    for name, one in several.fits.items():
        try:
            found[name] = forecast(one, level=level, **given)
        except RungError as error:
            failed[name] = error.text
    if not found:
        raise ForecastError(next(iter(failed.values())))
    return SeveralForecasts(by=several.by, forecasts=found, failed=failed)
