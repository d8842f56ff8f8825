"""Columns of text that hold numbers as people write them: 50M, 50,000,000, 3,7, 82.4 %."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from rung.errors import RunsError
from rung.messages import listed, plural_of
from rung.runs.columns import COUNTS, columns_meant, plain
from rung.units import is_missing, read_number, uses_decimal_comma

_NAMES = frozenset(
    {
        *(
            "run",
            "run_name",
            "run_id",
            "name",
            "id",
            "model",
            "model_name",
            "family",
            "group",
            "corpus",
            "dataset",
            "data",
        ),
        *(
            "experiment",
            "tag",
            "tags",
            "recipe",
            "method",
            "optimizer",
            "status",
            "state",
            "revision",
            "label",
            "date",
            "version",
        ),
        *("table", "hyper_id", "size_name", "model_size_name", "variant", "arch", "architecture", "kind", "type"),
    }
)
"""Columns that name things, whose texts stay texts although they may look like numbers."""

_LAST_WORDS = ("_name", "_id", "_label", "_tag", "_version", "_date")
"""Ends of the names of further such columns: model_size_label."""

_DOTTED = r"^[1-9]\d{0,2}(\.\d{3})*$"
"""A number whose points, if it has any, may separate thousands."""

_SAMPLE = 200
"""Texts of a column that are looked at before all are read."""


def with_numbers(frame: pl.DataFrame, separator: str = ",") -> tuple[pl.DataFrame, list[str]]:
    """A table with columns of text as numbers where every text of the column is one, and a sentence for each unusual way.

    A column stays text where one of its texts is no number, or where its commas may separate thousands or decimals; whoever
    needs its numbers then says so.
    """
    found, notes = [], []
    usual = _usual_comma(frame, separator)
    for series in frame.select(pl.col(pl.String)):
        name = plain(series.name)
        if name in _NAMES or name.endswith(_LAST_WORDS):
            continue
        numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count() == series.null_count():
            if series.null_count() < frame.height:
                # Only blanks around the numbers made them text.
                found.append(numbers)
            continue
        read, example = _read(series, usual=usual)
        if read is not None:
            found.append(read)
            notes.append(f"{series.name} is written as {example}")
    return frame.with_columns(found), [f"{listed(notes, 6)}, read as numbers"] if notes else []


def dotted_thousands(
    frame: pl.DataFrame, separator: str, written: Callable[[list[str]], pl.DataFrame]
) -> list[pl.Series]:
    """Columns that were read as decimals although their points separate thousands, as in 500.000 for half a million.

    They are those whose every text has three digits after its only point, in a file whose commas are decimal elsewhere; in
    a file with semicolons between its columns, those of them that count something.

    Args:
        frame: The table as it was read.
        separator: What separates its columns.
        written: The texts of columns as they are written.
    """
    decimal = _usual_comma(frame, ",")
    if decimal is not True and separator != ";":
        return []
    columns = [
        series.name
        for series in frame.select(pl.col(pl.Float64))
        if decimal or set(columns_meant(series.name)) & set(COUNTS)
    ]
    found = []
    for series in written(columns) if columns else []:
        texts = series.drop_nulls().str.strip_chars()
        texts = texts.filter(texts != "")
        if texts.len() and bool(texts.str.contains(_DOTTED).all()) and bool(texts.str.contains(r"\.").any()):
            plainly = series.str.strip_chars().str.replace_all(".", "", literal=True)
            found.append(plainly.cast(pl.Float64, strict=False).alias(series.name))
    return found


def _read(series: pl.Series, *, usual: bool | None) -> tuple[pl.Series | None, str]:
    """The numbers of a column of text, and one text that is written in an unusual way; None where a text is no number."""
    sample = series.drop_nulls().head(_SAMPLE).to_list()
    if not any(read_number(text) is not None for text in sample):
        return None, ""
    texts = series.drop_nulls().unique(maintain_order=True).to_list()
    comma = decimal_comma(series.name, texts, usual=usual)
    if comma is None:
        return None, ""
    numbers: dict[str, float | None] = {}
    example = ""
    for text in texts:
        number = None if is_missing(text) else read_number(text, decimal_comma=comma)
        if number is None and not is_missing(text):
            return None, ""
        if not example and number is not None and not _is_plain(text):
            example = text.strip()
        numbers[text] = number
    if all(number is None for number in numbers.values()):
        return None, ""
    values = [None if text is None else numbers[text] for text in series.to_list()]
    return pl.Series(series.name, values, dtype=pl.Float64), example or "missing texts"


def parsed(series: pl.Series, row_name: Callable[[int], str]) -> pl.Series:
    """A column of text as numbers.

    Args:
        series: The column.
        row_name: What a row is called, by its index.

    Raises:
        RunsError: A text is no number, or may be one of two; the message names the first such row and what to do.
    """
    texts = series.cast(pl.String)
    comma = decimal_comma(series.name, texts.drop_nulls().unique().to_list())
    numbers = {
        text: None if is_missing(text) else read_number(text, decimal_comma=bool(comma))
        for text in texts.drop_nulls().unique()
    }
    bad = pl.Series([text is not None and numbers[text] is None and not is_missing(text) for text in texts]).arg_true()
    unclear = pl.Series([text is not None and "," in text for text in texts]).arg_true() if comma is None else bad
    if comma is None and len(unclear):
        first = int(unclear[0])
        text = str(texts[first])
        raise RunsError(
            f"{row_name(first)}: {series.name} is {text!r}, which may mean {text.replace(',', '.')} or {text.replace(',', '')}. "
            "Write one of them without a comma."
        )
    if len(bad):
        first = int(bad[0])
        text = str(texts[first])
        column = series.name if plain(series.name) == series.name else f'"{series.name}"'
        quoted = text.replace("'", "''")[:40]
        raise RunsError(
            f"{row_name(first)}: {series.name} is {text[:60]!r}, not a number ({len(bad)} such {plural_of(len(bad), 'row')}). "
            f"Write it as 1e8, 100M or 0.5, or leave such rows out: --where \"{column} <> '{quoted}'\"."
        )
    return pl.Series(series.name, [None if text is None else numbers[text] for text in texts], dtype=pl.Float64)


def decimal_comma(name: str, texts: list[str], *, usual: bool | None = None) -> bool | None:
    """Whether the commas of a column are decimal; None where that cannot be told.

    Args:
        name: The column.
        texts: Its texts.
        usual: How commas are used elsewhere in the file; None where that says nothing.
    """
    comma = uses_decimal_comma(texts)
    if comma is not None or usual is not None:
        return usual if comma is None else comma
    # Nobody counts in thousandths.
    return False if set(columns_meant(name)) & set(COUNTS) else None


def _usual_comma(frame: pl.DataFrame, separator: str) -> bool | None:
    """How commas are used in the numbers of a file: as its clear columns do, or as the semicolon between columns says."""
    clear = set()
    for series in frame.select(pl.col(pl.String)):
        texts = [text for text in series.drop_nulls().head(_SAMPLE) if "," in text and read_number(text) is not None]
        if texts and plain(series.name) not in _NAMES and (comma := uses_decimal_comma(texts)) is not None:
            clear.add(comma)
    if len(clear) == 1:
        return clear.pop()
    return True if separator == ";" and not clear else None


def _is_plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
