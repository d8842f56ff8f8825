"""Several tables read as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from rung.errors import RunsError
from rung.messages import first_line
from rung.runs.read import read_runs
from rung.runs.table import ROW, WHERE, Runs

TABLE = "table"
"""Column that names the table of each row, for conditions and groups."""


def read_several(
    sources: Sequence[Any], mapping: Mapping[str, str] | None = None, *, wide: str = "", unfinished: bool = False
) -> Runs:
    """Several tables as one, with a column `table` that names the file of each row; see `read_runs`.

    Where a table lacks a column, its rows have missing values in it.

    Raises:
        RunsError: A file cannot be read, is given twice, or columns of the same name hold numbers in one table and text in another.
    """
    tables = [read_runs(source, mapping, wide=wide, unfinished=unfinished) for source in sources]
    names = [table.source for table in tables]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise RunsError(
            f"{twice} is given twice, or two tables have that name. Give each table once, and under a name of its own."
        )
    frames = [
        table.frame.with_columns(
            pl.lit(Path(table.source).stem).alias(TABLE) if TABLE not in table.frame.columns else pl.col(TABLE),
            pl.format("{}, row {}", pl.lit(table.source), pl.col(ROW)).alias(WHERE),
        ).drop(ROW)
        for table in tables
    ]
    try:
        frame = pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise RunsError(f"{' and '.join(names)} cannot be read as one table: {first_line(error)}.") from None
    read = {column: text for table in reversed(tables) for column, text in table.mapping.items()}
    differing = [
        column for column in read if len({table.mapping.get(column) for table in tables if column in table.mapping}) > 1
    ]
    notes = tuple(note for table in tables for note in table.notes) + tuple(
        f"{column} is read from {', '.join(f'{table.mapping[column]} of {table.source}' for table in tables if column in table.mapping)}"
        for column in differing
    )
    return Runs(frame=frame.with_row_index(ROW, offset=1), source=" + ".join(names), mapping=read, notes=notes)
