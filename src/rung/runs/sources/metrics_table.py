"""Tables of metrics by step: CSV files of trainers, and JSON lines; one row per logged step, one column per metric."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.messages import listed
from rung.runs.columns import plain
from rung.runs.sources.configuration import flat
from rung.runs.sources.files import below, content_of, names_of, read_each
from rung.runs.sources.history import COUNTERS
from rung.runs.sources.loss import unit_of
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from rung.runs.status import status_column, status_of
from rung.runs.text import read_csv, read_jsonl
from rung.units import is_missing, read_number

_ROW_COUNTERS = ("_step",)
"""A store's own number of the row, which gives way to the trainer's counter beside it."""

_RUN = (
    "run",
    "run_name",
    "run_id",
    "name",
    "experiment",
    "experiment_name",
    "trial",
    "trial_id",
    "exp",
    "model",
    "model_name",
)
"""Columns that tell runs apart, in order of preference."""


def csv_frame(file: Path) -> pl.DataFrame:
    """A CSV file of metrics.

    Raises:
        RunsError: The file cannot be read; the message names it.
    """
    return read_csv(content_of(file), str(file)).frame


def jsonl_frame(file: Path) -> pl.DataFrame:
    """A file of JSON lines, nested entries under dotted names.

    Raises:
        RunsError: The file cannot be read; the message names it and the line.
    """
    return read_jsonl(content_of(file), str(file)).frame


def read_metrics_csv(address: str) -> Found:
    """Runs from CSV files of metrics below a folder, or from one such file.

    Raises:
        RunsError: There is no such file, or none can be read.
    """
    return _read(address, "csv", ("*.csv", "*.tsv", "*.csv.gz"), csv_frame)


def read_metrics_jsonl(address: str) -> Found:
    """Runs from files of JSON lines below a folder, or from one such file.

    Raises:
        RunsError: There is no such file, or none can be read.
    """
    return _read(address, "jsonl", ("*.jsonl", "*.ndjson", "*.jsonl.gz"), jsonl_frame)


def _read(address: str, kind: str, patterns: tuple[str, ...], frame_of: Callable[[Path], pl.DataFrame]) -> Found:
    files = below(address, kind, patterns)
    names = names_of(files, Path(address))
    return read_each(files, lambda file: runs_of(frame_of(file), names[file], str(file)))


def runs_of(frame: pl.DataFrame, name: str, where: str) -> list[TrackedRun]:
    """The runs in a table of metrics.

    Raises:
        RunsError: No column counts steps.
    """
    step, row_steps = _step_column(frame, where)
    by = _run_column(frame, step)
    parts = frame.partition_by(by, as_dict=True, maintain_order=True) if by else {(name,): frame}
    runs = []
    for (value,), part in parts.items():
        if value is None:
            continue
        runs.append(_one(part, str(value), step, row_steps=row_steps, identity=name if by else ""))
    return runs


def _step_column(frame: pl.DataFrame, where: str) -> tuple[str, bool]:
    """The column that counts steps, and whether it only numbers the rows."""
    by_name = {name.strip().lower().replace(" ", "_"): name for name in reversed(frame.columns)}
    found = [by_name[name] for name in COUNTERS if name in by_name and name != "batch_idx"]
    found += [
        name
        for name in frame.columns
        if re.search(r"(^|[/_. ])(step|steps|iter|iteration)$", name.lower()) and name not in found
    ]
    for name in found:
        if not name.startswith("_") and float_column(frame[name]).drop_nulls().len():
            return name, False
    for name in _ROW_COUNTERS:
        if name in frame.columns:
            return name, True
    columns = listed([repr(name[:40]) for name in frame.columns], 12)
    raise RunsError(
        f"{where}: no column of steps (step, global_step, iter, iteration, ...); it has {columns}. Rename the one that counts steps."
    )


def _run_column(frame: pl.DataFrame, step: str) -> str | None:
    by_plain = {plain(name): name for name in reversed(frame.columns)}
    for wanted in _RUN:
        name = by_plain.get(wanted)
        if name is None or name == step or frame[name].drop_nulls().n_unique() < 1:
            continue
        if wanted in {"model", "model_name"} and frame[name].n_unique() == 1:
            continue
        return name
    return None


def _one(frame: pl.DataFrame, name: str, step: str, *, row_steps: bool, identity: str) -> TrackedRun:
    config: dict[str, Any] = {}
    logged: dict[str, Metric] = {}
    at = float_column(frame[step])
    clock = np.arange(frame.height, dtype=float)
    for column in frame.columns:
        if column == step:
            continue
        series = frame[column]
        there = series.drop_nulls()
        if there.len() and there.n_unique() == 1:
            config[column] = there[0]
            if there.len() > 1 and unit_of(column) is None:
                # One value in all rows is a setting, not a measurement.
                continue
        numbers = float_column(series)
        known = (numbers.is_not_null() & at.is_not_null()).to_numpy()
        if known.any():
            logged[column] = Metric(steps=at.to_numpy()[known], values=numbers.to_numpy()[known], clock=clock[known])
    said = status_column(list(config))
    return TrackedRun(
        name=name,
        identity=identity,
        config=flat(config),
        logged=logged,
        row_steps=row_steps,
        status=status_of(str(config[said])) if said else None,
    )


def float_column(series: pl.Series) -> pl.Series:
    """A column as numbers; texts as people write them, fillers missing, and null where a text is no number."""
    if series.dtype.is_numeric():
        return series.cast(pl.Float64)
    if series.dtype != pl.String:
        return pl.Series(series.name, [None] * series.len(), dtype=pl.Float64)
    plainly = series.str.strip_chars().cast(pl.Float64, strict=False)
    if plainly.null_count() == series.null_count():
        return plainly
    texts = series.unique().drop_nulls().to_list()
    numbers = {text: None if is_missing(text) or len(text) > 60 else read_number(text) for text in texts}
    return pl.Series(
        series.name, [None if text is None else numbers[text] for text in series.to_list()], dtype=pl.Float64
    )
