"""Forecasts of planned runs: a row each of a table, and how far each lies from one of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import ForecastError
from rung.findings import Finding
from rung.fitting import Fit, Selection, as_fit, level_combinations
from rung.fitting.uncertainty import Predictions, interval_of
from rung.forecasting.combined import combine
from rung.forecasting.forecast import no_interval_findings
from rung.forecasting.predictive import Prediction
from rung.forecasting.question import Question, ask, far_findings, require_complete
from rung.forecasting.single_law import predict, reopened
from rung.laws import column_of
from rung.messages import counted
from rung.results import Result, Summary, Table
from rung.runs import Runs, as_runs
from rung.units import format_count, format_interval, format_value

_PARTS = ("value", "law_low", "law_high", "run_low", "run_high")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PlanForecasts(Result):
    """Forecasts of planned runs.

    Attributes:
        frame: The plans with `value`, the bounds of the law and of a new run, `extrapolation_factor`, and with a plan to
            compare with, `difference` and its bounds.
        names: What each plan is called.
        target: The column that is forecast.
        level: Coverage of the intervals.
        against: The plan that the others are compared with, from 0; None without one.
        warnings: Findings that speak against the forecasts.
    """

    frame: pl.DataFrame
    names: tuple[str, ...]
    target: str
    level: float
    against: int | None
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """How many plans, and the lowest forecast."""
        best = int(np.nanargmin(self.frame["value"].to_numpy()))
        lowest = f"the lowest {self.target} is {format_value(self.frame['value'][best])}, of {self.names[best]}"
        return f"{counted(len(self.names), 'plan')}; {lowest}"

    def describe(self) -> Summary:
        """Every plan with its intervals."""
        percent = f"{100 * self.level:g} %"
        header = ["plan", self.target, f"{percent} of the law", "of a new run", "beyond the runs"]
        rows = [
            [
                name,
                format_value(row["value"]),
                format_interval(_open(row["law_low"]), _open(row["law_high"])),
                format_interval(_open(row["run_low"]), _open(row["run_high"])),
                f"{format_value(row['extrapolation_factor'], 3)}x" if row["extrapolation_factor"] > 1 else "inside",
            ]
            for name, row in zip(self.names, self.frame.iter_rows(named=True), strict=True)
        ]
        if self.against is not None:
            header.append(f"less that of {self.names[self.against]}, of the law")
            for cells, row in zip(rows, self.frame.iter_rows(named=True), strict=True):
                bounds = format_interval(_open(row["difference_low"]), _open(row["difference_high"]))
                cells.append(f"{row['difference']:+.4g} ({bounds})")
        return Summary([Table(header, rows), self.headline()])

    def to_frame(self) -> pl.DataFrame:
        """One row per plan."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """The forecasts as plain values."""
        return {
            "target": self.target,
            "level": self.level,
            "against": None if self.against is None else self.names[self.against],
            "plans": [
                {
                    name: None if isinstance(value, float) and not np.isfinite(value) else value
                    for name, value in row.items()
                }
                for row in self.frame.iter_rows(named=True)
            ],
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def forecast_plans(
    fit: Fit | Selection | str | Path,
    plans: Any,
    *,
    against: int | None = None,
    level: float | None = None,
    **given: float | str,
) -> PlanForecasts:
    """Forecast every row of a table of planned runs.

    Args:
        fit: The fitted law, its file, the name of a law of the book with constants, or a selection.
        plans: A table with the law's variables and groups, or anything that `read_runs` takes; other columns are kept.
        against: The row, from 0, whose forecast is taken from the others'. The interval of a difference is that of the
            law, so what both share cancels; two single runs differ by their seeds beside.
        level: Coverage of the intervals; that of the fit by default.
        **given: Variables and groups that the table lacks.

    Raises:
        ForecastError: A variable or a group is missing, or `against` is no row.
        RunsError: The table cannot be read.
    """
    source = fit if isinstance(fit, Selection) else as_fit(fit, level)
    first = source.laws[0].fit if isinstance(source, Selection) else source
    table = as_runs(plans)
    if against is not None and not 0 <= against < len(table):
        raise ForecastError(f"--against {against + 1}: {table.source} has {counted(len(table), 'row')}.")
    known = {column_of(name): value for name, value in given.items()}
    texts = {group: table.texts(group) for group in first.groups if group not in known}
    found = np.full((len(_PARTS) + 1, len(table)), np.nan)
    differences = np.full((3, len(table)), np.nan)
    findings: list[Finding] = []
    for levels, rows in level_combinations(texts, len(table)):
        question = _question(first, table, rows, {**known, **levels})
        prediction = predict(source, question) if isinstance(source, Fit) else combine(source, question)
        found[:, rows] = _stacked(prediction, len(rows))
        worst = int(np.argmax(found[-1, rows]))
        here = {name: np.broadcast_to(values, (len(rows),))[[worst]] for name, values in question.variables.items()}
        findings += far_findings(first, here)
        bounds = (_open(prediction.law_low[worst]), _open(prediction.law_high[worst]))
        findings += no_interval_findings(first, question.levels, bounds)
        if against is not None:
            if against not in rows:
                raise ForecastError("--against compares plans of one group; give one group's rows: --where.")
            differences[:, rows] = _differences(source, question, len(rows), int(np.flatnonzero(rows == against)[0]))
    columns = {name: found[index] for index, name in enumerate((*_PARTS, "extrapolation_factor"))}
    if against is not None:
        columns |= dict(zip(("difference", "difference_low", "difference_high"), differences, strict=True))
    own = table.frame.select([name for name in table.columns if name not in columns])
    return PlanForecasts(
        frame=own.with_columns(**{name: pl.Series(values) for name, values in columns.items()}),
        names=_names(table, first),
        target=first.target,
        level=first.level,
        against=against,
        warnings=tuple(dict.fromkeys(findings)),
    )


def _question(fit: Fit, table: Runs, rows: NDArray[np.intp], known: dict[str, Any]) -> Question:
    """The plans of some rows as one question."""
    asked: dict[str, Any] = {name: value for name, value in known.items() if name in fit.groups}
    for name in dict.fromkeys((*fit.law.variables, "N", "D", "C")):
        column = column_of(name)
        if column in known:
            asked[name] = known[column]
        elif table.has(column) and (name in fit.law.variables or name != "C"):
            values = table.numbers(column)[rows]
            if np.all(np.isfinite(values)):
                asked[name] = values
    question = ask(fit, asked)
    require_complete(fit, question)
    return question


def _stacked(prediction: Prediction, count: int) -> Array:
    parts = [getattr(prediction, name) for name in (*_PARTS, "factor")]
    return np.stack([np.broadcast_to(part, (count,)) for part in parts])


@dataclass(frozen=True, slots=True)
class _Differences:
    """The law at points less that at one of them, on the residual's scale, as quantities of the coefficients."""

    predictions: Predictions
    reference: int

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        values, derivatives = self.predictions.evaluate(points_LK)
        at = slice(self.reference, self.reference + 1)
        return values - values[:, at], derivatives - derivatives[:, :, at]


def _differences(source: Fit | Selection, question: Question, count: int, reference: int) -> Array:
    """Differences of the law from that at one plan, and their bounds (3, m), in the unit of the target.

    A difference of logarithms d at the reference's value y is the difference y (exp(d) - 1).
    """
    if isinstance(source, Selection):
        raise ForecastError("--against needs one law: the laws of a selection differ in what they share. Fit one law.")
    profiler = reopened(source)
    if profiler is None:
        raise ForecastError("--against needs a fit that keeps its rows and has noise.")
    columns = {name: np.broadcast_to(question.variables[name], (count,)) for name in source.law.variables}
    groups = {
        group: np.full(count, profiler.problem.design.level_names[group].index(question.levels[group]), dtype=np.intp)
        for group in profiler.problem.design.groups
    }
    space = profiler.problem.design.at(columns, groups).workspace(source.law, source.objective.residual, count)
    with np.errstate(all="ignore"):
        found = interval_of(profiler, _Differences(Predictions(space), reference), source.interval, source.level)
    estimate, _ = source.vectors(question.levels)
    base = float(np.broadcast_to(source.law.value(estimate, columns), (count,))[reference])
    scaled = float(source.objective.transform(np.array(base)))
    ends = np.stack([found.value, found.low, found.high])
    differences = source.objective.untransform(scaled + ends) - base
    differences[:, reference] = 0.0
    return np.asarray(differences)


def _names(table: Runs, fit: Fit) -> tuple[str, ...]:
    """What each plan is called: its run or name, else its variables."""
    for column in ("run", "name", "plan"):
        if table.has(column) and not table.frame[column].is_null().any():
            return tuple(str(value) for value in table.frame[column])
    shown = [name for name in fit.law.variables if table.has(column_of(name))]
    return tuple(
        ", ".join(f"{name}={format_count(float(table.numbers(column_of(name))[row]))}" for name in shown)
        for row in range(len(table))
    )


def _open(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
