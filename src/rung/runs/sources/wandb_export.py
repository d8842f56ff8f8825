"""CSV files as W&B exports them: a chart, with a column `RUN - METRIC` for each run, or the table of runs."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from rung.errors import RunsError
from rung.messages import listed
from rung.runs.sources.configuration import as_number
from rung.runs.sources.metrics_table import csv_table, float_column
from rung.runs.sources.tracked_run import Metric, TrackedRun
from rung.runs.status import status_of


def is_export(frame: pl.DataFrame) -> bool:
    """Whether a table is an exported chart or table of runs."""
    return bool(_pairs(frame)) or _is_table_of_runs(frame)


def read_export(path: Path) -> list[TrackedRun]:
    """The runs of an exported file.

    Raises:
        RunsError: The file is neither an exported chart nor a table of runs.
    """
    frame = csv_table(path).frame
    if _pairs(frame):
        return _of_chart(frame, path)
    if _is_table_of_runs(frame):
        return _of_table(frame)
    raise RunsError(
        f"{path}: not an export of W&B; it has the columns {listed([name[:40] for name in frame.columns], 8)}. A chart's export has RUN - METRIC, "
        "and a table of runs has Name and State. For metrics by step: csv:FILE."
    )


def _pairs(frame: pl.DataFrame) -> list[str]:
    return [name for name in frame.columns[1:] if " - " in name and not name.endswith(("__MIN", "__MAX"))]


def _of_chart(frame: pl.DataFrame, path: Path) -> list[TrackedRun]:
    """Runs of a chart: the first column is its x axis, whatever it is called."""
    axis = frame.columns[0]
    counts_steps = _counts_steps(axis)
    clock = float_column(frame[axis])
    logged: dict[str, dict[str, Metric]] = {}
    for name in _pairs(frame):
        run, _, metric = name.rpartition(" - ")
        values = float_column(frame[name])
        there = values.is_not_null() & clock.is_not_null()
        if there.any():
            at = clock.filter(there).to_numpy()
            logged.setdefault(run, {})[metric] = Metric(steps=at, values=values.filter(there).to_numpy(), clock=at)
    if not logged:
        raise RunsError(f"{path}: no column RUN - METRIC of it holds numbers.")
    runs = []
    for run, metrics in logged.items():
        # Beside the chart's own metric stand the store's row numbers, which are not the axis.
        kept = {name: metric for name, metric in metrics.items() if name != "_step" or len(metrics) == 1}
        if not counts_steps:
            kept[axis] = Metric.of((x, x) for x in next(iter(kept.values())).steps)
        runs.append(
            TrackedRun(
                name=run,
                config={},
                logged=kept,
                row_steps=axis in {"Step", "_step"},
                axis="" if counts_steps else axis,
            )
        )
    return runs


def _counts_steps(axis: str) -> bool:
    words = set(re.findall(r"[a-z]+", axis.lower()))
    return bool(words & {"step", "steps", "iter", "iters", "iteration", "iterations", "update", "updates", "it"})


def _is_table_of_runs(frame: pl.DataFrame) -> bool:
    return frame.columns[:1] == ["Name"] and (
        "State" in frame.columns or "Created" in frame.columns or "Runtime" in frame.columns
    )


def _of_table(frame: pl.DataFrame) -> list[TrackedRun]:
    """A row for each run: its settings and the last value of each metric, in columns of their own names."""
    runs = []
    for row in frame.iter_rows(named=True):
        state = str(row.get("State") or "")
        config = {name: value for name, value in row.items() if value is not None and name not in {"Name", "State"}}
        step = next(
            (
                number
                for name in ("trainer/global_step", "train/global_step", "global_step", "_step")
                if (number := as_number(row.get(name)))
            ),
            0.0,
        )
        logged = {
            name: Metric.of([(step, number)])
            for name, value in config.items()
            if (number := as_number(value)) is not None
        }
        runs.append(
            TrackedRun(
                name=str(row["Name"]),
                identity=str(row.get("ID") or ""),
                config=config,
                logged=logged,
                status=status_of(state),
                row_steps=not any(
                    row.get(name) for name in ("trainer/global_step", "train/global_step", "global_step")
                ),
            )
        )
    return runs
