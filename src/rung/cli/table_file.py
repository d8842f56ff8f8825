"""Writing a table of runs to a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

KINDS = {".csv": "the table", ".parquet": "the table", ".jsonl": "the table"}
"""The endings that a table of runs can be written to."""


def write_frame(frame: pl.DataFrame, output: str) -> None:
    """Write a table, whole or not at all."""
    from rung.files import neutral_csv, write_bytes

    out = io.BytesIO()
    if output.lower().endswith(".csv"):
        out.write(neutral_csv(frame).encode())
    elif output.lower().endswith(".parquet"):
        frame.write_parquet(out)
    else:
        frame.write_ndjson(out)
    write_bytes(output, out.getvalue())
