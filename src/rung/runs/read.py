"""Reading a table of runs from a file or from another library's frame."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.files import STANDARD_INPUT
from rung.laws import evaluate, names
from rung.messages import first_line
from rung.runs.columns import Source, find_sources
from rung.runs.derived_columns import with_derived
from rung.runs.frames import frame_of
from rung.runs.spreadsheet import read_spreadsheet
from rung.runs.table import ROW, Runs
from rung.runs.text import TextTable, read_csv, read_jsonl
from rung.runs.wide import from_wide, require_long

_FORMATS = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
    ".md": "CSV",
    ".xlsx": "spreadsheet",
    ".xls": "spreadsheet",
    ".ods": "spreadsheet",
}
"""The format of a file by the ending of its name."""


_COUNTED = 1e7
"""A number from here on is a count, whatever unit its column's name seems to state."""


def read_runs(
    source: Any, mapping: Mapping[str, str] | None = None, *, wide: str = "", unfinished: bool = False
) -> Runs:
    """Read a table of runs.

    Runs whose column status says that they did not finish are left out; the notes of the table say how many.

    Args:
        source: A path to CSV, TSV, Markdown, Parquet, JSONL (all but Parquet also as .gz) or a spreadsheet; "-" for CSV
            on standard input; or a pandas, Polars or Arrow frame.
        mapping: The user's own names: from a symbol or a canonical column to a column, to several columns
            joined by commas, or to a formula of columns ("D": "10^log10_tokens").
        wide: The column whose values stand in the header, one column for each, such as "C" for a table with a row for
            each size and a column for each budget; the cells are the loss.
        unfinished: Whether to keep runs that did not finish.

    Raises:
        RunsError: The file cannot be read, or a mapped column does not exist.
    """
    read, name = _frame(source)
    frame, notes = read.frame, [*read.damage, *read.notes]
    if frame.height == 0 or frame.width == 0:
        raise RunsError(f"{name} holds no rows. Give a table with one row per run.")
    if ROW in frame.columns:
        raise RunsError(f"{name} has a column {ROW!r}, which is Rung's own, for row numbers in messages. Rename it.")
    if ROW in (mapping or {}):
        raise RunsError(
            f"--map {ROW}: the column {ROW!r} is Rung's own, for row numbers in messages. Map another column."
        )
    if wide:
        frame, note = from_wide(frame, wide, name)
        notes.append(note)
    sources = with_derived(find_sources(frame.columns, mapping or {}, name), frame.columns)
    if not wide and not {"loss", *(mapping or {})} & {found.column for found in sources}:
        require_long(frame, name)
    runs = Runs(frame=frame.with_row_index(ROW, offset=1), source=name, mapping={})
    sources = [_in_single_counts(runs, found, notes) for found in sources if not _says_nothing(runs, found)]
    runs = replace(runs, mapping={s.column: s.text for s in sources})
    added = [_column(runs, found) for found in sources if found.text != found.column]
    runs = Runs(frame=runs.frame.with_columns(added), source=name, mapping=runs.mapping, notes=tuple(notes))
    return runs if unfinished else runs.finished()


def as_runs(source: Any) -> Runs:
    """A table of runs: the source itself where it is one, otherwise what `read_runs` reads from it.

    Raises:
        RunsError: The source cannot be read.
    """
    return source if isinstance(source, Runs) else read_runs(source)


def _says_nothing(runs: Runs, source: Source) -> bool:
    """Whether unique tokens by the epochs are the tokens themselves, since no run has more than one epoch."""
    if source.column != "unique_tokens" or source.declared or len(source.parts) < 2:
        return False
    return not np.any(runs.numbers(source.parts[1]) > 1)


def _in_single_counts(runs: Runs, source: Source, notes: list[str]) -> Source:
    """A source whose name states a unit although its numbers are single counts, without that unit; said in the notes."""
    part = source.parts[0]
    if not source.unit or runs.frame[part].dtype.is_nested():
        return source
    values = runs.numbers(part)
    if not np.any(values >= _COUNTED):
        return source
    notes.append(f"{part} holds single counts, whatever unit its name states")
    return Source(column=source.column, text=part, formula=None, parts=(part,), declared=False)


def _column(runs: Runs, source: Source) -> pl.Series:
    if source.formula is not None:
        columns = [runs.numbers(part, f"--map {source.column}={source.text}") for part in source.parts]
        symbols = dict.fromkeys(name.name for name in names(source.formula))
        return pl.Series(source.column, evaluate(source.formula, dict(zip(symbols, columns, strict=True))))
    if len(source.parts) > 1:
        joined = runs.frame.select(
            pl.concat_str([pl.col(part).cast(pl.String) for part in source.parts], separator="/")
        )
        return joined.to_series().alias(source.column)
    return runs.frame[source.parts[0]].alias(source.column)


def read_table(source: Any) -> tuple[TextTable, str]:
    """A table as it stands, of anything that `read_runs` takes, without a meaning of its columns; and its name in messages.

    Raises:
        RunsError: The file cannot be read, or holds no rows.
    """
    read, name = _frame(source)
    if read.frame.height == 0 or read.frame.width == 0:
        raise RunsError(f"{name} holds no rows.")
    return read, name


def _frame(source: Any) -> tuple[TextTable, str]:
    if isinstance(source, str | Path):
        return _file(str(source))
    frame, name = frame_of(source)
    return TextTable(frame), name


def _file(path: str) -> tuple[TextTable, str]:
    if path in {"-", STANDARD_INPUT}:
        return read_csv(sys.stdin.buffer.read(), "standard input"), "standard input"
    file = Path(path)
    name = file.name
    if not file.exists():
        raise RunsError(f"{path}: there is no such file.")
    if file.is_dir():
        ladder = (
            f" For the runs of a ladder: rung ladder table {path} -o runs.csv." if any(file.glob("*/rung.json")) else ""
        )
        raise RunsError(f"{path} is a folder. Give a CSV, Parquet or JSONL file.{ladder}")
    ending = Path(file.stem).suffix if file.suffix.lower() == ".gz" else file.suffix
    kind = _FORMATS.get(ending.lower())
    if kind is None:
        raise RunsError(f"{path}: files of type {ending or 'none'!r} are not read. Give {', '.join(sorted(_FORMATS))}.")
    try:
        if kind == "Parquet":
            return TextTable(_parquet(file)), name
        if kind == "spreadsheet":
            return read_spreadsheet(file), name
        content = file.read_bytes()
    except OSError as error:
        raise RunsError(f"{path} cannot be read: {error.strerror or error}.") from None
    return (read_jsonl if kind == "JSONL" else read_csv)(content, name), name


def _parquet(file: Path) -> pl.DataFrame:
    with file.open("rb") as opened:
        signature = opened.read(4)
    if signature not in {b"PAR1", b"PARE"}:
        raise RunsError(
            f"{file.name} is not Parquet: it does not start with the signature of Parquet. If it is text, name it .csv or .jsonl."
        )
    try:
        return pl.read_parquet(file)
    except pl.exceptions.PolarsError as error:
        raise RunsError(f"{file.name} cannot be read as Parquet: {first_line(error)}. Is the file complete?") from None
