"""The table of runs: named columns, their origin, and selections of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.errors import RunsError
from rung.laws import SYMBOLS
from rung.messages import counted, plural_of
from rung.runs.columns import no_column
from rung.runs.conditions import parse_condition, unreadable
from rung.runs.settings import best_rows
from rung.runs.status import without_unfinished
from rung.runs.written_numbers import parsed

if TYPE_CHECKING:
    from rung.arrays import Array

ROW = "#row"
"""Column that keeps each row's number in its file, from 1, for messages."""

WHERE = "#where"
"""Column that names each row by its own file, where several tables were read as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """A table of training runs: one row per run, or per checkpoint of a run.

    Attributes:
        frame: The columns of the file, and the canonical ones that were recognised or mapped.
        source: The table's name, for messages.
        mapping: For each canonical column, the column or formula that it was read from.
        notes: What each selection left out, as a sentence.
    """

    frame: pl.DataFrame
    source: str
    mapping: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.frame.height

    @property
    def columns(self) -> list[str]:
        return [name for name in self.frame.columns if name not in {ROW, WHERE}]

    @property
    def file_columns(self) -> list[str]:
        """The columns of the file itself, without canonical ones that were read from a column of another name."""
        return [name for name in self.columns if self.mapping.get(name, name) == name]

    @property
    def distinct(self) -> pl.DataFrame:
        """The columns without those of the file from which a canonical one was read: each quantity once."""
        copied = {source for column, source in self.mapping.items() if source != column}
        return self.frame.select([name for name in self.columns if name not in copied])

    def has(self, column: str) -> bool:
        return column in self.frame.columns

    def numbers(self, column: str, what: str | None = None) -> Array:
        """A column as float64 (n,); missing values are nan.

        Raises:
            RunsError: There is no such column, or it holds text; the message names the row.
        """
        series = self._series(column, what)
        if series.dtype in {pl.String, pl.Categorical, pl.Enum}:
            series = parsed(series, self.row_name)
        elif not (series.dtype.is_numeric() or series.dtype in {pl.Boolean, pl.Null}):
            raise RunsError(f"{self.source}: {column} holds {series.dtype}, not numbers. Map another column to it.")
        numbers = series.cast(pl.Float64)
        return (numbers.fill_null(np.nan) if numbers.null_count() else numbers).to_numpy()

    def texts(self, column: str) -> NDArray[np.str_]:
        """A column as text (n,), for grouping.

        Raises:
            RunsError: There is no such column, or a row has no value in it.
        """
        series = self._series(column, None)
        empty = series.is_null().arg_true()
        if len(empty):
            raise RunsError(
                f"{self.row_name(int(empty[0]))}: {column} is missing ({len(empty)} such {plural_of(len(empty), 'row')}). "
                f'Fill it in, or leave such rows out: --where "{column} is not null".'
            )
        if series.dtype.is_nested() or series.dtype == pl.Binary:
            raise RunsError(f"{self.source}: {column} holds {series.dtype}, not names. Map another column to it.")
        return series.cast(pl.String).to_numpy().astype(str)

    def _series(self, column: str, what: str | None) -> pl.Series:
        if not self.has(column):
            error = no_column(column, self.file_columns, self.source, also=self.columns)
            raise RunsError(f"{error.text} Needed for {what}." if what else error.text)
        return self.frame[column]

    def shown(self, column: str, index: int) -> str:
        """A value of a column as messages show it: "missing", or the value."""
        value = self.frame[column][index]
        return "missing" if value is None else f"{value:g}" if isinstance(value, int | float) else repr(value)

    def row_name(self, index: int) -> str:
        """The name of a row in messages: file, row number, run."""
        run = self.frame["run"][index] if self.has("run") else None
        label = f" ({str(run)!r})" if run is not None else ""
        if self.has(WHERE):
            return f"{self.frame[WHERE][index]}{label}"
        return f"{self.source}, row {self.frame[ROW][index]}{label}"

    def short_name(self, index: int) -> str:
        """The name of a row in tables: its run, or its number in the file."""
        run = self.frame["run"][index] if self.has("run") else None
        return str(run) if run is not None else f"row {self.frame[ROW][index]}"

    def row_numbers(self) -> NDArray[np.int64]:
        """Each row's number in its file, from 1 (n,)."""
        return self.frame[ROW].cast(pl.Int64).to_numpy()

    def run_index(self) -> NDArray[np.intp]:
        """The index of the run of each row, from 0 (n,); without a run column, each row is a run of its own."""
        if not self.has("run"):
            return np.arange(len(self), dtype=np.intp)
        return np.unique(self.texts("run"), return_inverse=True)[1].astype(np.intp)

    def where(self, condition: str, option: str = "--where") -> Runs:
        """The rows for which an SQL condition holds: "corpus = 'c4' and params > 1e7".

        The text is parsed as an expression and never executed; symbols (N, D, ...) may stand for columns.

        Raises:
            RunsError: The condition cannot be read, names a column that does not exist, or leaves no row.
        """
        expression = parse_condition(condition, option)
        roots = expression.meta.root_names()
        for root in roots:
            column = SYMBOLS.get(root, root)
            if column != root and self.has(root) and self.has(column) and self.mapping.get(column) != root:
                raise RunsError(
                    f"{option} {condition!r}: {root} is a column of {self.source} and the symbol of {column}. "
                    f"Write {column}, or rename the column {root}."
                )
        renamed = {root: SYMBOLS[root] for root in roots if root not in self.frame.columns and root in SYMBOLS}
        for root in roots:
            if renamed.get(root, root) not in self.columns:
                raise no_column(root, self.file_columns, self.source, f"{option} {condition!r}: ")
        try:
            frame = self.frame
            for symbol, column in renamed.items():
                frame = frame.with_columns(pl.col(column).alias(symbol))
            kept = frame.filter(expression).drop(list(renamed))
        except pl.exceptions.PolarsError as error:
            raise unreadable(condition, option, self._text_error(error, [renamed.get(r, r) for r in roots])) from None
        if kept.height == 0:
            raise RunsError(f"{option} {condition!r} leaves none of the {len(self)} rows of {self.source}.")
        return self._selected(kept, f"{len(self) - kept.height} of {len(self)} rows left out by {option} {condition!r}")

    def _text_error(self, error: Exception, columns: Sequence[str]) -> Exception:
        """The error of a condition that compares text with numbers, in plain words; any other error unchanged."""
        texts = [column for column in columns if self.frame[column].dtype == pl.String]
        if "string" not in str(error) or not texts:
            return error
        return ValueError(
            f"{' and '.join(texts)} {plural_of(len(texts), 'holds', 'hold')} text, which has no order with numbers"
        )

    def last(self) -> Runs:
        """The last row of each run, by step; where there is no step, by tokens, and otherwise by flops.

        Raises:
            RunsError: There is no run column or no column to order rows by, a row has no number in that column, or two
                rows are both the last of their run.
        """
        self._series("run", "--last")
        order = next((column for column in ("step", "tokens", "flops") if self.has(column)), None)
        if order is None:
            raise RunsError(f"{self.source}: --last needs a column step, tokens or flops to order rows by.")
        values = self.numbers(order)
        unknown = np.flatnonzero(~np.isfinite(values))
        if len(unknown):
            raise RunsError(
                f"{self.row_name(int(unknown[0]))}: {order} is {self.shown(order, int(unknown[0]))}, so the last row of its run "
                f'cannot be determined ({len(unknown)} such {plural_of(len(unknown), "row")}). Leave them out: --where "{order} < 1e300".'
            )
        rows = pl.DataFrame({"run": self.texts("run"), "at": values, "index": np.arange(len(self))})
        last_rows = rows.filter(pl.col("at") == pl.col("at").max().over("run"))
        tied = last_rows.filter(pl.col("run").is_duplicated())
        if tied.height:
            first, second = (
                self.row_name(index) for index in tied.filter(pl.col("run") == tied["run"][0])["index"][:2]
            )
            raise RunsError(
                f"{first} and {second} are both the last of their run, at {order} {tied['at'][0]:g}. Give each run a name of its "
                "own (--map run=...), or pass --drop-duplicates to keep the first."
            )
        kept = self.frame[last_rows["index"]]
        return self._selected(kept, f"{len(self) - kept.height} of {len(self)} rows left out by --last")

    def drop_tokens(self, least: float) -> Runs:
        """The rows with more than `least` training tokens.

        Raises:
            RunsError: A row has no number of tokens, or no row has more than `least`.
        """
        values = self.numbers("tokens", "--drop-tokens")
        unknown = np.flatnonzero(np.isnan(values))
        if len(unknown):
            raise RunsError(
                f"{self.row_name(int(unknown[0]))}: tokens is {self.shown('tokens', int(unknown[0]))}, so it is unknown whether it is at "
                'the start of its run. Leave such rows out: --where "tokens is not null".'
            )
        kept = self.frame.filter(pl.Series(values > least))
        if kept.height == 0:
            raise RunsError(f"--drop-tokens {least:g} leaves none of the {len(self)} rows of {self.source}.")
        return self._selected(
            kept, f"{len(self) - kept.height} of {len(self)} rows left out by --drop-tokens {least:g}"
        )

    def drop_nonfinite(self, columns: Sequence[str], texts: Sequence[str] = ()) -> Runs:
        """The rows with a finite number in each of `columns` and a value in each of `texts`."""
        usable = np.ones(len(self), dtype=bool)
        for column in columns:
            usable &= np.isfinite(self.numbers(column))
        for column in texts:
            usable &= self._series(column, None).is_not_null().to_numpy()
        if usable.all():
            return self
        if not usable.any():
            raise RunsError(f"--drop-nonfinite leaves none of the {len(self)} rows of {self.source}.")
        kept = self.frame.filter(pl.Series(usable))
        return self._selected(
            kept,
            f"{len(self) - kept.height} of {len(self)} rows without a finite number left out by --drop-nonfinite",
        )

    def without_repeats(self) -> Runs:
        """The rows without those that repeat an earlier one in every column."""
        # One column without repeats shows that no row is one, in a fraction of the time.
        if any(self.has(name) and self.frame[name].n_unique() == len(self) for name in ("loss", "step", "tokens")):
            return self
        kept = self.frame.unique(self.columns, keep="first", maintain_order=True)
        left = len(self) - kept.height
        return self._selected(
            kept,
            f"{counted(left, 'row')} left out that {plural_of(left, 'repeats', 'repeat')} another in every column",
        )

    def finished(self) -> Runs:
        """The rows without those of runs that did not come to their end, by a column status.

        Raises:
            RunsError: No row is left.
        """
        kept, note = without_unfinished(self.frame)
        if kept.height == len(self):
            return replace(self, notes=(*self.notes, note)) if note else self
        if kept.height == 0:
            raise RunsError(f"{self.source}: no run of it finished: {note.partition(': ')[2]}.")
        return self._selected(kept, note)

    def drop_weightless(self, weights: str) -> Runs:
        """The rows whose weight is not zero; the others affect nothing."""
        weightless = self.numbers(weights, "--weights") == 0
        if not weightless.any() or weightless.all():
            return self
        return self._selected(
            self.frame.filter(pl.Series(~weightless)),
            f"{int(weightless.sum())} of {len(self)} rows left out by their weight of 0",
        )

    def drop_duplicates(self) -> Runs:
        """The first of each set of rows that describe the same run, or the same step of it."""
        kept = self.frame.unique(self.identity(), keep="first", maintain_order=True)
        if kept.height == len(self):
            return self
        return self._selected(kept, f"{len(self) - kept.height} of {len(self)} rows left out by --drop-duplicates")

    def best_of(self, columns: Sequence[str], target: str = "loss") -> Runs:
        """Of runs that differ in some settings alone, those with the best values of them: the lowest mean target.

        Raises:
            RunsError: There is no such column, or no row has a target.
        """
        for name in columns:
            if not self.has(name):
                raise RunsError(
                    f"--best-of {name}: {no_column(name, self.file_columns, self.source, also=self.columns).text}"
                )
        values = self.numbers(target, "--best-of")
        if not np.any(np.isfinite(values)):
            raise RunsError(f"--best-of: no row of {self.source} has a finite {target}.")
        canonical = {source: column for column, source in self.mapping.items()}
        kept, note = best_rows(self.distinct, [canonical.get(name, name) for name in columns], values)
        return self._selected(self.frame.filter(pl.Series(kept)), note)

    def identity(self) -> list[str]:
        """The columns that identify a row: its run and its step, tokens or flops; where these are missing, all columns."""
        along = next((column for column in ("step", "tokens", "flops") if self.has(column)), None)
        return ["run", along] if along and self.has("run") else self.columns

    def take(self, mask: NDArray[np.bool_]) -> Runs:
        """The rows where a mask (n,) is true."""
        return replace(self, frame=self.frame.filter(pl.Series(mask)))

    def digest(self, columns: Sequence[str]) -> str:
        """A hash of these columns' values, equal for the same values in the same order."""
        sha = hashlib.sha256()
        for column in columns:
            sha.update(column.encode() + b"\0")
            series = self.frame[column]
            if series.dtype.is_numeric():
                sha.update(np.ascontiguousarray(self.numbers(column)).tobytes())
            else:
                sha.update("\0".join(self.texts(column)).encode())
        return f"sha256:{sha.hexdigest()}"

    def _selected(self, frame: pl.DataFrame, note: str) -> Runs:
        notes = self.notes if frame.height == len(self) else (*self.notes, note)
        return replace(self, frame=frame, notes=notes)
