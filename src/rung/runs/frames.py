"""Tables of other libraries: pandas, Polars and Arrow frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.messages import first_line


def frame_of(source: Any) -> tuple[pl.DataFrame, str]:
    """Another library's frame as a Polars frame, and its name in messages.

    Raises:
        RunsError: The source is not a frame, or cannot be converted to one.
    """
    if isinstance(source, pl.DataFrame):
        return source, "the frame"
    if isinstance(source, pl.LazyFrame):
        return _converted(source.collect, "the lazy frame"), "the frame"
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "columns"):
        return _from_pandas(source), "the pandas frame"
    if hasattr(source, "__arrow_c_stream__") and hasattr(source, "schema"):
        return _converted(lambda: pl.DataFrame(source), "the Arrow table"), "the Arrow table"
    raise RunsError(f"a table of runs cannot be read from a {type(source).__name__}. Give a path or a frame.")


def _converted(make: Any, name: str) -> pl.DataFrame:
    try:
        return pl.DataFrame(make())
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise RunsError(f"{name} cannot be read: {first_line(error)}.") from None


def _from_pandas(source: Any) -> pl.DataFrame:
    named = [name for name in source.index.names if name is not None and name not in source.columns]
    if named:
        source = source.reset_index(level=named)
    names = [str(name) for name in source.columns]
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise RunsError(f"the pandas frame has two columns {twice[0]!r}. Rename one.")
    return pl.DataFrame([_pandas_column(str(name), source[name]) for name in source.columns])


def _pandas_column(name: str, column: Any) -> pl.Series:
    """A column of any type: unchanged where Polars has the type, otherwise as text; missing values stay missing."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub":
        return pl.Series(name, column.to_numpy(), nan_to_null=True)
    missing = column.isna().tolist()
    values = [None if is_missing else value for value, is_missing in zip(column.tolist(), missing, strict=True)]
    try:
        found = pl.Series(name, values)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        found = None
    if found is None or found.dtype == pl.Object:
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    return found
