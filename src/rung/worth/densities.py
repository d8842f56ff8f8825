"""The densities of many models against one reference ladder, and how they grow with the date of release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import RungError, WorthError
from rung.findings import Finding
from rung.fitting import Fit, as_fit
from rung.forecasting import BoundsGrid
from rung.messages import counted
from rung.progress import reported
from rung.results import Result, Summary, Table
from rung.runs import Runs, as_runs
from rung.units import format_count, format_interval, format_value
from rung.worth.density import Measured, density_of
from rung.worth.effective import Density
from rung.worth.trend import Trend, density_trend

_MANY = 25
"""Models from which bounds come from a grid of them, computed once."""

_AROUND = 30.0
"""How far the grid reaches beyond the models and the runs."""

_KINDS = ("params", "active params", "stored bits")
"""Over what a density may be."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Densities(Result):
    """Many models against one reference ladder.

    Attributes:
        models: The density of each model by its label, or why it has none.
        days: Dates of release, in days since 1970 (n,); nan where one is missing, None without dates.
        trend: How density grows with them; None without dates.
        level: Coverage of the intervals.
    """

    models: Mapping[str, Density | str]
    days: Array | None
    trend: Trend | None
    level: float

    @property
    def known(self) -> dict[str, Density]:
        """The models that have a density."""
        return {label: one for label, one in self.models.items() if not isinstance(one, str)}

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The models that have none, and how many lie far beyond the reference."""
        found = [Finding("no_density", f"{label}: {one}") for label, one in self.models.items() if isinstance(one, str)]
        far = sum(any(finding.code == "far_extrapolation" for finding in one.warnings) for one in self.known.values())
        if far:
            lie = "sizes lie" if far > 1 else "size lies"
            text = f"{far} effective {lie} more than 100 times beyond the reference ladder."
            found.append(Finding("far_extrapolation", text))
        return tuple(found)

    def headline(self) -> str:
        """How many models, the densest, and how density grows."""
        over = {label: one.densities["params"].over for label, one in self.known.items() if "params" in one.densities}
        known = {label: value for label, value in over.items() if value is not None}
        densest = max(known, key=lambda label: known[label]) if known else ""
        most = f"; the densest is {densest}, {format_value(known[densest], 3)}" if densest else ""
        grows = f"; density {self.trend.headline()}" if self.trend else ""
        return f"{counted(len(self.models), 'model')}{most}{grows}"

    def describe(self) -> Summary:
        """A row for each model, and the trend."""
        kinds = [name for name in _KINDS if any(name in one.densities for one in self.known.values())]
        rows = []
        for label, one in self.models.items():
            if isinstance(one, str):
                rows.append([label, "refused", *[""] * (len(kinds) + 1)])
                continue
            cells = [format_value(one.densities[kind].over, 3) if kind in one.densities else "-" for kind in kinds]
            own = one.densities["params"].over_interval
            rows.append(
                [label, format_count(one.size.value), *cells, format_interval(*own, lambda x: format_value(x, 3))]
            )
        head = ["model", "effective size", *(f"density by {kind}" for kind in kinds)]
        table = Table([*head, f"{100 * self.level:g} % interval (params)"], rows)
        return Summary([table, *(self.trend.describe().blocks if self.trend else ())])

    def to_dict(self) -> dict[str, Any]:
        """The densities as plain values."""
        models = [
            {"model": label, **({"refused": one} if isinstance(one, str) else one.to_dict())}
            for label, one in self.models.items()
        ]
        return {"models": models, **({"trend": self.trend.to_dict()} if self.trend else {})}


def densities(
    fit: Fit | str | Path,
    models: Any,
    *,
    score_fit: Fit | None = None,
    reference_tokens: float | None = None,
    date: str | None = None,
) -> Densities:
    """The density of every model of a table.

    Args:
        fit: The reference ladder's law, in N or in N and D.
        models: A table with params, loss or score, and where known tokens, params_active, bits and model; or anything that
            `read_runs` takes.
        score_fit: The score as a law of L, by which scores are read as losses.
        reference_tokens: Tokens at which the reference is asked for its size; each model's own by default.
        date: The column of dates of release, for a trend; None for none.

    Raises:
        WorthError: The table has no params, or neither loss nor score; or a date cannot be read.
    """
    fit = as_fit(fit)
    runs = as_runs(models)
    days = _days(runs, date) if date else None
    found = _each(fit, score_fit, reference_tokens, runs)
    trend = None
    if days is not None:
        over = [None if isinstance(one, str) else one.densities["params"].over for one in found.values()]
        trend = density_trend(days, np.array([one or np.nan for one in over]), level=fit.level)
    return Densities(models=found, days=days, trend=trend, level=fit.level)


def _each(fit: Fit, scores: Fit | None, at: float | None, runs: Runs) -> dict[str, Density | str]:
    """The density of every model by its label, or why it has none."""
    measured = "loss" if runs.has("loss") else "score"
    columns = [name for name in (measured, "params", "tokens", "params_active", "bits") if runs.has(name)]
    if measured not in columns or "params" not in columns:
        raise WorthError(
            f"{runs.source}: a table of models needs params, and loss or score. Map them: --map loss=COLUMN."
        )
    values = {name: runs.numbers(name) for name in columns}
    groups = {name: runs.texts(name) for name in fit.groups}
    label = next((name for name in ("model", "run") if runs.has(name)), None)
    names = runs.texts(label) if label else runs.row_numbers().astype(str)
    near = _near(fit, values) if len(runs) >= _MANY else None
    found: dict[str, Density | str] = {}
    for row, name in enumerate(reported(names.tolist(), "models")):
        known: dict[str, Any] = {
            name: float(column[row]) for name, column in values.items() if np.isfinite(column[row])
        }
        known |= {name: str(column[row]) for name, column in groups.items()}
        key = str(name) if str(name) not in found else f"{name} ({row + 1})"
        if "params" not in known or measured not in known:
            found[key] = f"its {'params are' if 'params' not in known else f'{measured} is'} missing."
            continue
        try:
            parts = {
                name: known.pop(name, None) for name in ("loss", "score", "params", "tokens", "params_active", "bits")
            }
            found[key] = density_of(fit, Measured(**parts, given=known), scores, at, near)
        except RungError as error:
            found[key] = error.text
    return found


def _near(fit: Fit, values: Mapping[str, Array]) -> BoundsGrid | None:
    """Bounds of the reference over a box around the models; None where there is no such grid."""
    box = {}
    for name in fit.law.variables:
        column = values.get({"N": "params", "D": "tokens"}.get(name, name))
        known = np.array([]) if column is None else column[np.isfinite(column) & (column > 0)]
        low, high = fit.ranges.get(name, (0.0, 0.0))
        if not (low > 0):
            return None
        box[name] = (min(low, *known, high) / _AROUND, max(high, *known, low) * _AROUND)
    return BoundsGrid.of(fit, box)


def _days(runs: Runs, date: str) -> Array:
    """Dates as days since 1970 (n,); nan where one is missing."""
    if not runs.has(date):
        raise WorthError(f"{runs.source}: no column {date!r} of dates; name it: --date COLUMN.")
    series = runs.frame[date]
    if series.dtype == pl.String:
        parsed = series.str.to_date(strict=False)
        bad = parsed.is_null() & series.is_not_null()
        if bad.any():
            row = int(bad.arg_true()[0])
            raise WorthError(f"{runs.row_name(row)}: {date} is {series[row]!r}; write dates as 2025-03-14.")
        series = parsed
    if not series.dtype.is_temporal():
        raise WorthError(f"{runs.source}: {date} holds {series.dtype}, not dates such as 2025-03-14.")
    return series.cast(pl.Date).cast(pl.Int32).cast(pl.Float64).fill_null(float("nan")).to_numpy()
