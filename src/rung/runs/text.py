"""Tables as text: CSV and similar formats, and JSON lines. Errors name the line that cannot be read."""

from __future__ import annotations

import csv
import io
import json

import polars as pl

from rung.errors import RunsError
from rung.messages import first_line

_NULLS = ["", "NA", "N/A", "n/a", "null", "None"]
"""Texts that mean a missing value."""

_SEPARATORS = ",;\t"
"""Candidates; the one that occurs most often in the header separates the columns."""


def read_csv(content: bytes, name: str) -> pl.DataFrame:
    """A table from the bytes of a file with columns separated by commas, semicolons or tabs.

    Raises:
        RunsError: The bytes are not such a table; the message names the line.
    """
    # Empty lines at the end are not rows.
    content = content.rstrip(b"\r\n")
    _require_content(content, name)
    if b"\0" in content[:65536]:
        raise RunsError(f"{name} is not text (byte 0 found). Give CSV, or name the file .parquet if it is Parquet.")
    first = content.lstrip().split(b"\n", 1)[0]
    separator = max(_SEPARATORS, key=lambda sign: first.count(sign.encode()))
    header = next(csv.reader([first.decode("utf-8-sig", errors="replace").rstrip("\r")], delimiter=separator))
    twice = [column for index, column in enumerate(header) if column and column in header[:index]]
    if twice:
        raise RunsError(f"{name} has two columns {twice[0]!r}. Rename one.")
    try:
        return _unpadded(pl.read_csv(content, separator=separator, infer_schema_length=None, null_values=_NULLS))
    except pl.exceptions.PolarsError as error:
        raise RunsError(
            f"{name} cannot be read as CSV: {_why_not_csv(content, separator) or first_line(error) + '.'}"
        ) from None


def _unpadded(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with columns converted to numbers where only blanks around the numbers made them text."""
    found = []
    for series in frame.select(pl.col(pl.String)):
        numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count() == series.null_count() < frame.height:
            found.append(numbers)
    return frame.with_columns(found)


def read_jsonl(content: bytes, name: str) -> pl.DataFrame:
    """A table from the bytes of a file with one JSON object per line.

    Raises:
        RunsError: A line is not a JSON object; the message names the line.
    """
    _require_content(content, name)
    try:
        return pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        # Python writes NaN and Infinity, which other readers reject because they are not in the JSON standard.
        return pl.DataFrame(_objects(content, name), infer_schema_length=None, strict=False)


def _objects(content: bytes, name: str) -> list[dict[str, object]]:
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise RunsError(f"{name}, line {number} is not JSON: {error}. Is the file complete?") from None
        if not isinstance(value, dict):
            raise RunsError(f'{name}, line {number} is not a JSON object. Write one per run: {{"params": 1e8, ...}}.')
        found.append(value)
    return found


def _require_content(content: bytes, name: str) -> None:
    if not content.strip():
        raise RunsError(f"{name} is empty. Give a table with one row per run.")


def _why_not_csv(content: bytes, separator: str) -> str | None:
    """Why bytes are not CSV, with the line where it shows; None where no such line is found."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return f"line {line} holds bytes that are not UTF-8. Save the file as UTF-8."
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header = next(rows)
    for row in rows:
        if len(row) > len(header):
            return (
                f"line {rows.line_num} has {len(row)} fields, and the header (line 1) {len(header)}. Give every row the header's "
                "columns, and no line before the header."
            )
    return None
