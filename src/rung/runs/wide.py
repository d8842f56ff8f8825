"""Wide tables: a row for each size and a column for each budget, whose values stand in the header."""

from __future__ import annotations

import polars as pl

from rung.errors import RunsError
from rung.laws import SYMBOLS
from rung.messages import counted, listed
from rung.runs.columns import plain
from rung.units import read_number

_FEWEST = 2
"""Columns with a number for a name from which a table counts as wide."""


def numbered(frame: pl.DataFrame) -> dict[str, float]:
    """The columns whose names are numbers (1e18, 3B, "C=1e19"), and these numbers."""
    found = {}
    for name in frame.columns:
        number = read_number(name.rpartition("=")[2])
        if number is not None and number > 0 and frame[name].dtype.is_numeric():
            found[name] = number
    return found


def require_long(frame: pl.DataFrame, where: str) -> None:
    """Refuse a wide table that nobody has explained.

    Raises:
        RunsError: Some columns have a number for a name.
    """
    found = numbered(frame)
    if len(found) >= _FEWEST:
        raise RunsError(
            f"{where} is a wide table: the names of {counted(len(found), 'column')} are numbers ({listed(list(found), 4)}). Say what they are: "
            "--wide C if each is the loss at that compute, --wide D for tokens, --wide N for parameters."
        )


def from_wide(frame: pl.DataFrame, wide: str, where: str) -> tuple[pl.DataFrame, str]:
    """A wide table as one with a row for each cell, and a sentence about it.

    Args:
        frame: The table.
        wide: The column whose values stand in the header.
        where: The table's name, for messages.

    Raises:
        RunsError: No column has a number for a name.
    """
    found = numbered(frame)
    if not found:
        raise RunsError(
            f"--wide {wide}: no column of {where} has a number for a name; it has {listed(frame.columns, 8)}."
        )
    column = SYMBOLS.get(wide, plain(wide))
    rest = [name for name in frame.columns if name not in found]
    long = frame.unpivot(on=list(found), index=rest, variable_name=column, value_name="loss").drop_nulls("loss")
    values = [found[name] for name in long[column].to_list()]
    long = long.with_columns(pl.Series(column, values))
    return long, f"{counted(len(found), 'column')} read as {column}, and their cells as loss"
