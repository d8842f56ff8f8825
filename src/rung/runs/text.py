"""Tables as text: CSV and similar formats, and JSON lines. Errors name the line that cannot be read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from rung.errors import RunsError
from rung.messages import first_line, listed
from rung.runs.cut_ends import End, end_of
from rung.runs.decoding import decoded, decompressed, fields_of, from_markdown, from_spaces, header_of
from rung.runs.written_numbers import dotted_thousands, with_numbers

_LONG = 1 << 20
"""Bytes in which the header is looked for."""

_INFERRED = 10_000
"""Rows by which the types of columns are told; to look at all of a million takes ten times as long as to read them."""

_TAIL = 1 << 16
"""Bytes at the end in which lines are compared with the last one."""

_COMPARED = 40
"""Lines at the end that are compared with the last one."""

_DEPTH = 6
"""Levels of nesting whose fields become columns."""

_NULLS = ["", "NA", "N/A", "n/a", "na", "null", "NULL", "None", "none", "-", "--", "#N/A", "<NA>", "nil"]
"""Texts that mean a missing value."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table read from text.

    Attributes:
        frame: Its columns.
        notes: What was understood, as sentences.
        damage: What is damaged and was left out, as sentences.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()


def read_csv(content: bytes, name: str) -> TextTable:
    """A table from the bytes of a file with columns separated by commas, semicolons or tabs, or of a table in Markdown.

    Raises:
        RunsError: The bytes are not such a table; the message names the line.
    """
    content = decoded(decompressed(content, name), name)
    ended = content.endswith((b"\n", b"\r"))
    # Empty lines at the end are not rows.
    content = content.rstrip(b"\r\n \t") if not content[-2:].strip() else content
    _require_content(content, name)
    last_line = content.count(b"\n") + 1
    notes = []
    if (table := from_markdown(content)) is not None:
        content, separator = table, ","
        notes.append("read as a table of Markdown")
    elif (table := from_spaces(content)) is not None:
        content, separator = table, ","
        notes.append("its columns are separated by spaces")
    else:
        content, separator, above = header_of(content)
        notes += [above] if above else []
    content, cut = (content, []) if ended else _without_cut_row(content, separator, name, last_line)
    first = content.partition(b"\n")[0] if len(content) < _LONG else content[:_LONG].partition(b"\n")[0]
    header = fields_of(first.decode("utf-8", errors="replace"), separator)
    twice = [column for index, column in enumerate(header) if column and column in header[:index]]
    if twice:
        raise RunsError(f"{name} has two columns {twice[0]!r}. Rename one.")
    frame = _parsed(content, separator, name)
    named = {
        column: column.strip()
        for column in frame.columns
        if column != column.strip() and column.strip() not in frame.columns
    }
    frame = frame.rename(named)
    dotted = dotted_thousands(frame, separator, lambda columns: _texts(content, separator, columns, named))
    frame, understood = with_numbers(frame.with_columns(dotted), separator)
    if dotted:
        shown = listed([f"{series.name}, to {series.to_numpy().max():.15g}" for series in dotted], 4)
        notes.append(f"points are read as separators of thousands in {shown}")
    return TextTable(frame, (*notes, *understood), tuple(cut))


def _without_cut_row(content: bytes, separator: str, name: str, number: int) -> tuple[bytes, list[str]]:
    """The lines without a last one that is cut, and a sentence about it, or about one that may be.

    A last line is cut where it has fewer cells than every line above, or where `end_of` says so of its last number.
    """
    lines = [line.decode("utf-8", errors="replace") for line in content[-_TAIL:].splitlines()[-_COMPARED:]]
    # The first of them is the header, or may itself be the end of a line.
    rows = [fields_of(line, separator) for line in lines[1:] if line.strip()]
    if len(rows) < 2:
        return content, []
    *above, last = rows
    shown = f"line {number} of {name}, its last one, has no end"
    if all(len(last) < len(row) for row in above):
        end = End.CUT
    else:
        end = end_of(last[-1].strip(), [row[-1].strip() for row in above])
    if end is End.CUT:
        return content[: content.rindex(b"\n") + 1], [
            f"{shown} and is cut ({lines[-1].strip()[-40:]!r}): it is left out"
        ]
    if end is End.SHORTER:
        return content, [
            f"{shown}, and its last number, {last[-1].strip()}, has fewer decimals than all above it: is the file cut?"
        ]
    return content, []


def _texts(content: bytes, separator: str, columns: list[str], named: dict[str, str]) -> pl.DataFrame:
    """Columns as they are written."""
    written = {new: old for old, new in named.items()}
    names = [written.get(column, column) for column in columns]
    frame = pl.read_csv(content, separator=separator, columns=names, infer_schema=False)
    return frame.rename({old: new for old, new in named.items() if old in names})


def _parsed(content: bytes, separator: str, name: str) -> pl.DataFrame:
    """The columns of a CSV text, by the types of its first rows, or where later rows differ, by all of them.

    Raises:
        RunsError: The text is no table; the message names the line.
    """
    try:
        frame = pl.read_csv(content, separator=separator, infer_schema_length=_INFERRED)
    except pl.exceptions.PolarsError:
        try:
            frame = pl.read_csv(content, separator=separator, infer_schema_length=None, null_values=_NULLS)
        except pl.exceptions.PolarsError as error:
            raise RunsError(
                f"{name} cannot be read as CSV: {_why_not_csv(content, separator) or first_line(error) + '.'}"
            ) from None
    return frame.with_columns(
        pl.when(pl.col(pl.String).str.strip_chars().is_in(_NULLS)).then(None).otherwise(pl.col(pl.String)).name.keep()
    )


def read_jsonl(content: bytes, name: str) -> TextTable:
    """A table from the bytes of a file with one JSON object per line.

    Raises:
        RunsError: A line is not a JSON object; the message names the line.
    """
    content = decoded(decompressed(content, name), name)
    _require_content(content, name)
    content, cut = _without_cut_end(content, name)
    try:
        frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    except (pl.exceptions.PolarsError, OverflowError):
        # Python writes NaN and Infinity, which other readers reject because they are not in the JSON standard.
        frame = _of_objects(_objects(content, name))
    frame, notes = with_numbers(_with_leaves(frame))
    return TextTable(frame, tuple(notes), tuple(cut))


def _without_cut_end(content: bytes, name: str) -> tuple[bytes, list[str]]:
    """The lines without a last one that is cut, as while a run still writes it, and a sentence about it."""
    before, _, last = content.rstrip(b"\n").rpartition(b"\n")
    if content.endswith(b"\n") or not before or not last.lstrip().startswith(b"{"):
        return content, []
    try:
        json.loads(last)
    except RecursionError:
        return content, []
    except ValueError:
        line = content.count(b"\n") + 1
        return before + b"\n", [f"line {line} of {name}, its last one, is cut and left out"]
    return content, []


def _of_objects(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Objects as a table; a field that holds different types in different rows is text, and one of lists and objects too."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        try:
            if kinds <= {int, float}:
                values = [None if value is None else float(value) for value in values]  # type: ignore[arg-type]
            elif len(kinds) > 1 and not kinds <= {dict}:
                values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
            columns.append(pl.Series(name, values, strict=False))
        except (pl.exceptions.PolarsError, TypeError, OverflowError):
            columns.append(pl.Series(name, [None if value is None else json.dumps(value) for value in values]))
    return pl.DataFrame(columns)


def _with_leaves(frame: pl.DataFrame, depth: int = 0) -> pl.DataFrame:
    """A table with the fields of its nested columns beside them, under dotted names."""
    leaves = []
    for series in frame.select(pl.col(pl.Struct)) if frame.width else []:
        for part in series.struct.unnest():
            name = f"{series.name}.{part.name}"
            if name not in frame.columns:
                leaves.append(part.alias(name))
    if not leaves:
        return frame
    inner = _with_leaves(pl.DataFrame(leaves), depth + 1) if depth < _DEPTH else pl.DataFrame(leaves)
    return frame.with_columns(inner.get_columns())


def _objects(content: bytes, name: str) -> list[dict[str, object]]:
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except RecursionError:
            raise RunsError(f"{name}, line {number} is nested too deeply.") from None
        except ValueError as error:
            raise RunsError(f"{name}, line {number} is not JSON: {error}. Is the file complete?") from None
        if not isinstance(value, dict):
            raise RunsError(f'{name}, line {number} is not a JSON object. Write one per run: {{"params": 1e8, ...}}.')
        found.append(value)
    return found


def _require_content(content: bytes, name: str) -> None:
    if not content[:65536].strip() and not content.strip():
        raise RunsError(f"{name} is empty. Give a table with one row per run.")


def _why_not_csv(content: bytes, separator: str) -> str | None:
    """Why bytes are not CSV, with the line where it shows; None where no such line is found."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return f"line {line} holds bytes that are not UTF-8. Save the file as UTF-8."
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return _wrong_row(rows)
    except csv.Error as error:
        return f"line {rows.line_num}: {error}."


def _wrong_row(rows: Any) -> str | None:
    """The first row with more fields than the header, as a sentence; None without one."""
    header = next(rows)
    for row in rows:
        if len(row) > len(header):
            return (
                f"line {rows.line_num} has {len(row)} fields, and the header (line 1) {len(header)}. Give every row the header's "
                "columns, and no line before the header."
            )
    return None
