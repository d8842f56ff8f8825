"""Tables of metrics by step: CSV files of trainers, and JSON lines; one row per logged step, one column per metric."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.findings import Finding
from rung.messages import counted, listed, plural_of
from rung.runs.loss_units import unit_of
from rung.runs.sources.begun_again import parted
from rung.runs.sources.configuration import flat
from rung.runs.sources.files import below, content_of, names_of, read_each
from rung.runs.sources.history import COUNTERS
from rung.runs.sources.long_metrics import from_long
from rung.runs.sources.runs_in_table import runs_in
from rung.runs.sources.tokens import counts_tokens
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from rung.runs.status import flag_status, status_column, status_of
from rung.runs.text import TextTable, read_csv, read_jsonl
from rung.units import is_missing, read_number

_ROW_COUNTERS = ("_step",)
"""A store's own number of the row, which gives way to the trainer's counter beside it."""

_AXES = ("epoch", "epochs", "relative time", "time", "elapsed", "wall time", "timestamp", "hours", "minutes", "seconds")
"""Columns along which rows may be logged where none counts steps, in lower case and in order of preference."""

_MOST_STEPS = 1e15
"""No training takes as many steps: a larger number is damage."""

_NOT_DONE = frozenset(
    {
        *("warmup", "max", "total", "num", "planned", "target", "decay", "eval", "save", "log", "logging", "every"),
        *(
            "interval",
            "accumulation",
            "accum",
            "per",
            "val",
            "validation",
            "time",
            "ms",
            "s",
            "size",
            "cooldown",
            "rampup",
        ),
    }
)
"""Words of columns of steps that do not count those of training."""


def csv_table(file: Path) -> TextTable:
    """A CSV file of metrics, with what of it is damaged.

    Raises:
        RunsError: The file cannot be read; the message names it.
    """
    return read_csv(content_of(file), str(file))


def jsonl_table(file: Path) -> TextTable:
    """A file of JSON lines, nested entries under dotted names.

    Raises:
        RunsError: The file cannot be read; the message names it and the line.
    """
    return read_jsonl(content_of(file), str(file))


def read_metrics_csv(address: str) -> Found:
    """Runs from CSV files of metrics below a folder, or from one such file.

    Raises:
        RunsError: There is no such file, or none can be read.
    """
    return _read(address, "csv", ("*.csv", "*.tsv", "*.csv.gz"), csv_table)


def read_metrics_jsonl(address: str) -> Found:
    """Runs from files of JSON lines below a folder, or from one such file.

    Raises:
        RunsError: There is no such file, or none can be read.
    """
    return _read(address, "jsonl", ("*.jsonl", "*.ndjson", "*.jsonl.gz"), jsonl_table)


def _read(address: str, kind: str, patterns: tuple[str, ...], table_of: Callable[[Path], TextTable]) -> Found:
    files = below(address, kind, patterns)
    names = names_of(files, Path(address))

    def read(file: Path) -> list[TrackedRun]:
        table = table_of(file)
        runs = runs_of(table.frame, names[file], str(file))
        damage = tuple(Finding("damaged", f"{text}.") for text in table.damage)
        return [replace(runs[0], notes=(*damage, *runs[0].notes)), *runs[1:]] if runs else runs

    return read_each(files, read)


def runs_of(frame: pl.DataFrame, name: str, where: str) -> list[TrackedRun]:
    """The runs in a table of metrics.

    Raises:
        RunsError: No column counts steps.
    """
    frame, long = from_long(frame)
    column = _step_column(frame, where)
    frame, unplaced = _placed(frame, column.name, where)
    at = float_column(frame[column.name])
    found = runs_in(frame, at, name)
    notes = [*([Finding("long_metrics", f"{where}: {long}.")] if long else []), *unplaced]
    notes += [Finding("several_runs", f"{where}: {found.guess}.")] if found.guess else []
    notes += [Finding("other_steps", f"{where}: {column.note}.")] if column.note else []
    runs: list[TrackedRun] = []
    for run_name, unsorted in found.parts.items():
        part, in_order = _in_order(unsorted, column.name)
        if not in_order:
            text = f"{where}, run {run_name!r}: its rows are not in the order of {column.name}; they are put in order."
            notes.append(Finding("sorted_rows", text))
        one = _one(part, run_name, column, identity=name if found.by else "")
        several, told = parted(one)
        notes += [Finding("several_runs", f"{where}, run {run_name!r}: {told}.")] if told else []
        runs += several
    if runs:
        runs[0] = replace(runs[0], notes=(*notes, *runs[0].notes))
    return runs


def _placed(frame: pl.DataFrame, step: str, where: str) -> tuple[pl.DataFrame, list[Finding]]:
    """The rows without those whose step is written and cannot be one, and a finding about these; all rows where none can.

    A row without a step beside others is usual: settings, and values that are logged once.
    """
    at = float_column(frame[step])
    possible = at.is_between(0, _MOST_STEPS).fill_null(value=False)
    wrong = ~possible & frame[step].is_not_null()
    if not wrong.any() or not possible.any():
        return frame, []
    written = frame.filter(wrong)[step].cast(pl.String).unique(maintain_order=True).to_list()
    count = int(wrong.sum())
    text = f"{where}: {counted(count, 'row')} whose {step} is no step ({listed(written, 4)}) {plural_of(count, 'is', 'are')} left out."
    return frame.filter(~wrong), [Finding("damaged", text)]


def _in_order(frame: pl.DataFrame, step: str) -> tuple[pl.DataFrame, bool]:
    """The rows in the order of their steps where each stands once, as of a table that was sorted; and whether they were."""
    at = float_column(frame[step])
    ahead = np.diff(at.to_numpy())
    if at.null_count() or not np.any(ahead < 0) or at.n_unique() < at.len():
        return frame, True
    return frame.select(pl.all().gather(at.arg_sort())), False


@dataclass(frozen=True, slots=True)
class _StepColumn:
    """The column that counts steps.

    Attributes:
        name: The column.
        row_steps: Whether it only numbers the rows.
        axis: What it counts, where that is no steps.
        note: Which other columns count steps otherwise; empty without any.
    """

    name: str
    row_steps: bool = False
    axis: str = ""
    note: str = ""


def _step_column(frame: pl.DataFrame, where: str) -> _StepColumn:
    by_name = {name.strip().lower().replace(" ", "_"): name for name in reversed(frame.columns)}
    found = [by_name[name] for name in COUNTERS if name in by_name and name != "batch_idx"]
    found += [
        name
        for name in frame.columns
        if re.search(r"(^|[/_. ])(step|steps|iter|iters|iteration|iterations|it)$", name.lower())
        and name not in found
        and not set(re.findall(r"[a-z]+", name.lower())) & _NOT_DONE
    ]
    ends = {}
    for name in found:
        numbers = float_column(frame[name]).drop_nulls()
        if not name.startswith("_") and numbers.len():
            ends[name] = (float(numbers[-1]), numbers.n_unique())
    # One number in all rows is a plan, unless every run has a single row.
    moving = [name for name, (_, distinct) in ends.items() if distinct > 1] or list(ends)
    if moving:
        chosen = moving[0]
        others = [f"{name} ends at {ends[name][0]:g}" for name in moving[1:] if ends[name][0] != ends[chosen][0]]
        return _StepColumn(
            chosen, note=f"steps are those of {chosen}, to {ends[chosen][0]:g}; {listed(others, 4)}" if others else ""
        )
    for name in _ROW_COUNTERS:
        if name in frame.columns:
            return _StepColumn(name, row_steps=True)
    lowered = {name.strip().lower().replace("_", " "): name for name in reversed(frame.columns)}
    counts = [name for name in frame.columns if counts_tokens(name)]
    for name in (*counts, *(lowered[axis] for axis in _AXES if axis in lowered)):
        if float_column(frame[name]).drop_nulls().n_unique() > 1:
            return _StepColumn(name, axis=name)
    columns = listed([repr(name[:40]) for name in frame.columns], 12)
    raise RunsError(
        f"{where}: no column of steps (step, global_step, iter, iteration, ...); it has {columns}. Rename the one that counts steps."
    )


def _one(frame: pl.DataFrame, name: str, step: _StepColumn, *, identity: str) -> TrackedRun:
    config: dict[str, Any] = {}
    logged: dict[str, Metric] = {}
    at = float_column(frame[step.name])
    clock = np.arange(frame.height, dtype=float)
    for column in frame.columns:
        if column == step.name and not step.axis:
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
    said = status_column(frame.columns)
    last = frame[said].drop_nulls() if said else None
    return TrackedRun(
        name=name,
        identity=identity,
        config=flat(config),
        logged=logged,
        row_steps=step.row_steps,
        counter="" if step.row_steps else step.name,
        axis=step.axis,
        status=flag_status(said, last[-1]) if said and last is not None and last.len() else None,
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
    numbers = {text: None if is_missing(text) or len(text) > 60 else _value(text) for text in texts}
    return pl.Series(
        series.name, [None if text is None else numbers[text] for text in series.to_list()], dtype=pl.Float64
    )


def _value(text: str) -> float | None:
    """The number of a text; "diverged" in place of one is no finite number."""
    number = read_number(text)
    return math.nan if number is None and status_of(text) == "diverged" else number
