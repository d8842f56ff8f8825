"""What a report shows of the runs themselves: data and law, and forecasts between which a reader moves the target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.files import neutral_csv
from rung.fitting import Fit
from rung.forecasting import Forecast, HeldOut, forecast_grid
from rung.laws import column_of
from rung.report.figures import Scene, render_figure
from rung.report.figures.fit_data import FigureData
from rung.report.sections import Explorer, Paragraph, Picture, Section
from rung.results import Result
from rung.runs import Runs
from rung.units import format_count, format_value

_GRID = 21
"""Values of each variable on the grid between which a reader moves the target."""

_GRID_BEYOND = 100.0
"""How many times the largest value of the runs the grid reaches."""

_MOST_NAMED = 3000
"""Rows up to which a point of the figure bears its name; more are drawn as one picture."""

_MOST_COPIED = 20_000
"""Rows up to which the data behind the figure stand in the page."""

_DIGITS = 7
"""Significant digits of the data behind a figure."""


def data_and_law(fit: Fit, runs: Runs | None, scene: Scene) -> Section:
    formula = Paragraph(f"{fit.target} = {fit.law.text}")
    if runs is None:
        return Section("law", "The law", [formula])
    data = FigureData.of(fit, runs, scene.held_out)
    frame = runs.distinct
    names = [str(runs.short_name(row)) for row in range(len(runs))] if len(runs) <= _MOST_NAMED else []
    points = {
        f"runs-{index}": [_point(fit, data, int(row), names[row]) for row in np.flatnonzero(part.rows & ~data.held)]
        for index, part in enumerate(data.parts)
        if names
    }
    words = f"{fit.rows} rows and the law {fit.target} = {fit.law.text}, with the residuals below."
    if len(runs) > _MOST_COPIED:
        words += f" The data of more than {_MOST_COPIED:,} rows are not copied into the page."
    columns = [name for name in frame.columns if not name.startswith("_") and frame[name].dtype.is_nested() is False]
    picture = Picture(
        svg=svg_of(fit, scene),
        words=words,
        name="runs.csv",
        csv=neutral_csv(frame.select(columns).with_columns(pl.col(pl.Float64).round_sig_figs(_DIGITS)))
        if len(runs) <= _MOST_COPIED
        else "",
        points=points,
        groups={f"runs-{index}": part.name for index, part in enumerate(data.parts) if part.name},
    )
    return Section("law", "Data and law", [formula, picture])


_ROWS = re.compile(r"\brows? (\d+(?:(?:, | and )\d+)*)")
"""Rows as findings name them: row 3; rows 3, 5 and 8."""

Point = tuple[str, int]
"""A point of the figure of data and law: the id of its group, and its place there."""


def points_of(fit: Fit, runs: Runs | None, held_out: HeldOut | None) -> dict[str, Point]:
    """The points of the figure of data and law by the names of their rows; empty where they are too many to be named."""
    if runs is None or len(runs) > _MOST_NAMED:
        return {}
    data = FigureData.of(fit, runs, held_out)
    numbers = runs.row_numbers()
    found: dict[str, Point] = {}
    for index, part in enumerate(data.parts):
        for place, row in enumerate(np.flatnonzero(part.rows & ~data.held).tolist()):
            found[f"row {numbers[row]}"] = (f"runs-{index}", place)
            found.setdefault(str(runs.short_name(row)), (f"runs-{index}", place))
    return found


def named_points(text: str, points: Mapping[str, Point]) -> dict[str, list[int]]:
    """The points that a sentence names, by the id of their group. A number alone names none."""
    words = {word.strip("'\".") for word in re.split(r"[\s,;()]+", text)}
    for numbers in _ROWS.findall(text):
        words |= {f"row {number}" for number in re.findall(r"\d+", numbers)}
    found: dict[str, list[int]] = {}
    for name, (group, place) in points.items():
        spaced = " " in name and not name.startswith("row ") and name in text
        if (name in words and not name.isdigit()) or spaced:
            found.setdefault(group, []).append(place)
    return {group: sorted(set(places)) for group, places in found.items()}


def _point(fit: Fit, data: FigureData, row: int, name: str) -> str:
    """What a point is: its run, its variables, what was measured, and the law."""
    inputs = ", ".join(f"{variable} {format_count(float(values[row]))}" for variable, values in data.variables.items())
    return f"{name}: {inputs}, {fit.target} {format_value(float(data.target[row]), 4)}, law {format_value(float(data.law[row]), 4)}"


def svg_of(result: Result, scene: Scene) -> str:
    """The figure of a result as vector graphics."""
    text = render_figure(result, "svg", scene).decode()
    return text[text.index("<svg") :]


def explorer_of(fit: Fit, target: Forecast | None) -> Explorer | None:
    """Forecasts on a grid around the target, of a law in one or two variables."""
    names = [name for name in fit.law.variables if name in fit.ranges and fit.ranges[name][0] > 0]
    if target is None or not names or len(names) > 2 or len(names) < len(fit.law.variables):
        return None
    values, at = {}, {}
    for name in names:
        low, high = fit.ranges[name]
        asked = float(target.inputs[column_of(name)])
        at[name] = asked
        values[name] = np.geomspace(min(low, asked), max(high * _GRID_BEYOND, asked), _GRID)
    levels = [{group: str(target.inputs[group]) for group in fit.groups}]
    if len(fit.groups) == 1:
        ((group, known),) = fit.groups.items()
        levels += [{group: level} for level in known[:_MOST_LEVELS] if level != levels[0][group]]
    try:
        grids = [{"levels": one, **_grid(fit, {**values, **one})} for one in levels]
    except RungError:
        return None
    return Explorer(
        {
            "target": fit.target,
            "level": f"{100 * fit.level:g} %",
            "variables": [
                {
                    "name": column_of(name),
                    "at": at[name],
                    "largest": fit.ranges[name][1],
                    "values": [float(f"{one:.6g}") for one in values[name]],
                }
                for name in names
            ],
            "grids": grids,
        }
    )


def _grid(fit: Fit, points: dict[str, Any]) -> dict[str, list[float | None]]:
    """Forecasts at every combination of values, row by row."""
    frame = forecast_grid(fit, **points)
    return {
        name: [None if not np.isfinite(value) else float(f"{value:.6g}") for value in frame[name]] for name in _FORECAST
    }


_MOST_LEVELS = 8
"""Levels of a group between which a reader chooses."""

_FORECAST = ("value", "law_low", "law_high", "run_low", "run_high", "extrapolation_factor")
"""What the grid holds at each point."""
