"""Writing a table of runs to a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rung.errors import ReportError

if TYPE_CHECKING:
    import polars as pl

_KINDS = (".csv", ".parquet", ".jsonl")


def require_table(output: str | None) -> None:
    """Refuse a place that no table can be written to, before the work.

    Raises:
        ReportError: The file is of no known type, or its folder is not there.
    """
    from rung.files import require_writable

    if output:
        if not output.lower().endswith(_KINDS):
            raise ReportError(f"-o {output}: a table of runs is written as .csv, .parquet or .jsonl.")
        require_writable(output)


def write_frame(frame: pl.DataFrame, output: str) -> None:
    """Write a table, whole or not at all."""
    from rung.files import write_bytes

    out = io.BytesIO()
    if output.lower().endswith(".csv"):
        frame.write_csv(out)
    elif output.lower().endswith(".parquet"):
        frame.write_parquet(out)
    else:
        frame.write_ndjson(out)
    write_bytes(output, out.getvalue())
