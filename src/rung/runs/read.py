"""Reading a table of runs from a file or from another library's frame."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from rung.errors import RunsError
from rung.files import STANDARD_INPUT
from rung.laws.tree import evaluate, names
from rung.runs.columns import Source, find_sources
from rung.runs.table import ROW, Runs

_NULLS = ["", "NA", "N/A", "n/a", "null", "None"]
_SEPARATORS = ",;\t"
"""Of these, the one that the header has most of separates the columns."""
_FORMATS = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".jsonl": "JSONL",
    ".ndjson": "JSONL",
}


def read_runs(source: Any, mapping: Mapping[str, str] | None = None) -> Runs:
    """Read a table of runs.

    Args:
        source: A path to CSV, TSV, Parquet or JSONL; "-" for CSV on standard input; or a pandas, Polars
            or Arrow frame.
        mapping: A user's own names: a symbol or canonical column, to a column, to several joined by
            commas, or to a formula of columns ("D": "10^log10_tokens").

    Raises:
        RunsError: The file cannot be read, or a mapped column is not there.
    """
    frame, name = _frame(source)
    if frame.height == 0 or frame.width == 0:
        raise RunsError(f"{name} holds no rows. Give a table with one row per run.")
    sources = find_sources(frame.columns, mapping or {}, name)
    runs = Runs(frame=frame.with_row_index(ROW, offset=1), source=name, mapping={s.column: s.text for s in sources})
    added = [_column(runs, found) for found in sources if found.text != found.column]
    return Runs(frame=runs.frame.with_columns(added), source=name, mapping=runs.mapping)


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


def _frame(source: Any) -> tuple[pl.DataFrame, str]:
    if isinstance(source, pl.DataFrame):
        return source, "the frame"
    if isinstance(source, pl.LazyFrame):
        return source.collect(), "the frame"
    if isinstance(source, str | Path):
        return _file(str(source))
    if hasattr(source, "__arrow_c_stream__") and not _is_pandas(source):
        return pl.DataFrame(source), "the Arrow table"
    if _is_pandas(source):
        if not source.columns.is_unique:
            twice = source.columns[source.columns.duplicated()][0]
            raise RunsError(f"the pandas frame has two columns {str(twice)!r}. Rename one.")
        return pl.DataFrame({str(name): source[name].tolist() for name in source.columns}), "the pandas frame"
    raise RunsError(f"a table of runs cannot be read from a {type(source).__name__}. Give a path or a frame.")


def _is_pandas(source: Any) -> bool:
    return type(source).__module__.partition(".")[0] == "pandas"


def _file(path: str) -> tuple[pl.DataFrame, str]:
    if path in {"-", STANDARD_INPUT}:
        return _csv(sys.stdin.buffer.read(), "standard input"), "standard input"
    file = Path(path)
    name = file.name
    if not file.exists():
        raise RunsError(f"{path}: there is no such file.")
    if file.is_dir():
        raise RunsError(f"{path} is a folder. Give a CSV, Parquet or JSONL file.")
    kind = _FORMATS.get(file.suffix.lower())
    if kind is None:
        raise RunsError(
            f"{path}: files of type {file.suffix or 'none'!r} are not read. Give {', '.join(sorted(_FORMATS))}."
        )
    try:
        if kind == "Parquet":
            return pl.read_parquet(file), name
        content = file.read_bytes()
        if kind == "JSONL":
            if not content.strip():
                raise RunsError(f"{name} is empty. Give a table with one row per run.")
            return pl.read_ndjson(io.BytesIO(content), infer_schema_length=None), name
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RunsError(
            f"{name} cannot be read as {kind}: {str(error).strip().splitlines()[0]}. Is the file whole?"
        ) from None
    return _csv(content, name), name


def _csv(content: bytes, name: str) -> pl.DataFrame:
    if not content.strip():
        raise RunsError(f"{name} is empty. Give a table with one row per run.")
    if b"\0" in content[:65536]:
        raise RunsError(f"{name} is not text (byte 0 found). Give CSV, or name the file .parquet if it is Parquet.")
    header = content.lstrip().split(b"\n", 1)[0]
    separator = max(_SEPARATORS, key=lambda sign: header.count(sign.encode()))
    try:
        return pl.read_csv(content, separator=separator, infer_schema_length=None, null_values=_NULLS)
    except pl.exceptions.PolarsError as error:
        raise RunsError(f"{name} cannot be read as CSV: {str(error).strip().splitlines()[0]}.") from None
