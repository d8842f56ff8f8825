"""Writing a table of runs to a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

KINDS = {".csv": "the table", ".parquet": "the table", ".jsonl": "the table"}
"""The endings that a table of runs can be written to."""


_FORMULA = r"^[=+@\t\r]|^-[^0-9.]"
"""What a spreadsheet takes for a formula and runs."""


def _neutral(frame: pl.DataFrame) -> pl.DataFrame:
    """A table whose texts no spreadsheet runs: a name such as =cmd() gets an apostrophe before it."""
    import polars as pl

    texts = pl.col(pl.String)
    return frame.with_columns(pl.when(texts.str.contains(_FORMULA)).then("'" + texts).otherwise(texts).name.keep())


def write_frame(frame: pl.DataFrame, output: str) -> None:
    """Write a table, whole or not at all."""
    from rung.files import write_bytes

    out = io.BytesIO()
    if output.lower().endswith(".csv"):
        _neutral(frame).write_csv(out)
    elif output.lower().endswith(".parquet"):
        frame.write_parquet(out)
    else:
        frame.write_ndjson(out)
    write_bytes(output, out.getvalue())
