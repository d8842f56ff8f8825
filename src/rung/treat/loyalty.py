"""How loyal a student is to its teacher: by labels, by probabilities, by values.

    label         the share of cases in which both choose the same
    probability   the mean of 1 - sqrt(JSD(p, q)), JSD = KL(p | m) / 2 + KL(q | m) / 2, m = (p + q) / 2, in base 2 (or e)
    regression    Pearson's r between the values of both

Source: Xu et al. 2021, arXiv:2109.03228, for labels and probabilities; Avram et al. 2021, arXiv:2112.12650, for values (its formula is not
printed there; r is ours).

Shapes: `n` cases, `c` choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import ModelError
from rung.results import Result, Summary, Table
from rung.units import format_value

KINDS = ("label", "probability", "regression")
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loyalty(Result):
    """Two sets of predictions beside each other.

    Attributes:
        first: Where the first come from.
        second: Where the second come from.
        cases: How many cases both predict.
        found: Each kind that can be told: its value, and its standard error over cases (None for r).
        base: Base of the logarithm of the Jensen-Shannon divergence: 2, or e.
    """

    first: str
    second: str
    cases: int
    found: dict[str, tuple[float, float | None]]
    base: str

    def headline(self) -> str:
        return ", ".join(f"{kind} loyalty {format_value(value)}" for kind, (value, _) in self.found.items())

    def describe(self) -> Summary:
        rows = [
            [
                kind
                + (
                    f" (base {self.base})"
                    if kind == "probability"
                    else " (Pearson's r)"
                    if kind == "regression"
                    else ""
                ),
                format_value(value) + ("" if error is None else f" ± {error:.2g}"),
            ]
            for kind, (value, error) in self.found.items()
        ]
        return Summary([f"{self.first} and {self.second}, {self.cases:,} cases", Table(["loyalty", ""], rows)])

    def to_dict(self) -> dict[str, Any]:
        """The loyalty as plain values."""
        return {
            "first": self.first,
            "second": self.second,
            "cases": self.cases,
            "base": self.base,
            **{kind: {"value": value, "se": error} for kind, (value, error) in self.found.items()},
        }


def label_loyalty(first_n: Sequence[Any], second_n: Sequence[Any]) -> Array:
    """Whether both choose the same (n,)."""
    return np.asarray([a == b for a, b in zip(first_n, second_n, strict=True)], dtype=float)


def probability_loyalty(first_nc: Array, second_nc: Array, *, base: str = "2") -> Array:
    """1 - sqrt(JSD) of each case (n,)."""
    middle = (first_nc + second_nc) / 2

    def apart(p: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(p > 0, p * np.log(p / middle), 0.0).sum(axis=1))

    divergence = (apart(first_nc) + apart(second_nc)) / 2
    scaled = divergence / np.log(2) if base == "2" else divergence
    return np.asarray(1 - np.sqrt(np.clip(scaled, 0.0, None)))


def loyalty_of(first: str | Path, second: str | Path, *, base: str = "2") -> Loyalty:
    """The loyalty of two files of predictions: CSV, JSON lines or Parquet with id, and label, value, or a column of each choice's probability.

    Rows are matched by the column id where both have it, else by their order. Columns p_NAME, or a list in the column probabilities, are
    probabilities; without a label the likeliest choice is one.

    Raises:
        ModelError: A file cannot be read, the cases or choices differ, or nothing can be compared.
    """
    folders = [str(one) for one in (first, second) if Path(one).is_dir()]
    if folders:
        raise ModelError(f"{folders[0]} is a folder: two models are compared on a text, --data TEXT.")
    if base not in {"2", "e"}:
        raise ModelError(f"--base {base}: choose 2 or e.")
    sides = [_Predictions.read(Path(first)), _Predictions.read(Path(second))]
    one, other = _matched(*sides)
    found: dict[str, tuple[float, float | None]] = {}
    if one.labels is not None and other.labels is not None:
        found["label"] = mean_of(label_loyalty(one.labels, other.labels))
    if one.probabilities is not None and other.probabilities is not None:
        if sorted(one.choices) != sorted(other.choices):
            raise ModelError(
                f"{first} has the choices {', '.join(one.choices)}, and {second} {', '.join(other.choices)}."
            )
        columns = [other.choices.index(name) for name in one.choices]
        found["probability"] = mean_of(
            probability_loyalty(one.probabilities, other.probabilities[:, columns], base=base)
        )
    if one.values is not None and other.values is not None:
        if min(np.std(one.values), np.std(other.values)) == 0 or len(one.values) < _FEWEST:
            raise ModelError("the values of one file are all the same, or fewer than three, so there is no r.")
        found["regression"] = (float(np.corrcoef(one.values, other.values)[0, 1]), None)
    if not found:
        raise ModelError(f"{first} and {second} have neither labels, nor probabilities, nor values in common.")
    return Loyalty(first=str(first), second=str(second), cases=_count(one), found=found, base=base)


def mean_of(cases: Array) -> tuple[float, float | None]:
    """The mean of some cases, and its standard error; None for one case."""
    error = float(np.std(cases, ddof=1) / np.sqrt(len(cases))) if len(cases) > 1 else None
    return float(np.mean(cases)), error


@dataclass(frozen=True, slots=True)
class _Predictions:
    """Predictions of one file."""

    place: str
    ids: list[str]
    labels: list[str] | None
    probabilities: Array | None
    choices: tuple[str, ...]
    values: Array | None

    @classmethod
    def read(cls, file: Path) -> _Predictions:
        frame = _frame(file)
        probabilities, choices = _probabilities(file, frame)
        labels = _labels(file, frame["label"]) if "label" in frame.columns else None
        if labels is None and probabilities is not None:
            labels = [choices[int(index)] for index in probabilities.argmax(axis=1)]
        values = _numbers(file, frame, ["value"])[:, 0] if "value" in frame.columns else None
        if values is not None and not np.isfinite(values).all():
            raise ModelError(
                f"{file}, row {int(np.flatnonzero(~np.isfinite(values))[0]) + 1}: value is no finite number."
            )
        ids = [str(one) for one in frame["id"].to_list()] if "id" in frame.columns else []
        if len(set(ids)) < len(ids):
            raise ModelError(f"{file}: an id stands twice.")
        return cls(str(file), ids, labels, probabilities, choices, values)

    def at(self, rows: list[int]) -> _Predictions:
        """The same predictions in another order."""
        return _Predictions(
            self.place,
            [self.ids[row] for row in rows],
            None if self.labels is None else [self.labels[row] for row in rows],
            None if self.probabilities is None else self.probabilities[rows],
            self.choices,
            None if self.values is None else self.values[rows],
        )


def _frame(file: Path) -> Any:
    import polars as pl

    readers: dict[str, Any] = {
        ".csv": pl.read_csv,
        ".jsonl": pl.read_ndjson,
        ".ndjson": pl.read_ndjson,
        ".parquet": pl.read_parquet,
    }
    if file.suffix.lower() not in readers:
        raise ModelError(f"{file}: predictions are read from CSV, JSON lines or Parquet.")
    try:
        frame = readers[file.suffix.lower()](file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ModelError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None
    if not frame.height:
        raise ModelError(f"{file} holds no row.")
    return frame


def _probabilities(file: Path, frame: Any) -> tuple[Array | None, tuple[str, ...]]:
    """The distribution of each case (n, c), and the names of the choices; none where the file has none."""
    columns = [name for name in frame.columns if name.startswith("p_")]
    if columns:
        found, choices = _numbers(file, frame, columns), tuple(name[2:] for name in columns)
    elif "probabilities" in frame.columns:
        lists = frame["probabilities"].to_list()
        if not all(isinstance(one, list) for one in lists) or len({len(one) for one in lists}) > 1:
            raise ModelError(f"{file}: probabilities must be lists of one length.")
        try:
            found = np.array(lists, dtype=float)
        except (TypeError, ValueError):
            raise ModelError(f"{file}: probabilities must be lists of numbers.") from None
        choices = tuple(map(str, range(found.shape[1])))
    else:
        return None, ()
    _require_distribution(file, found)
    return found, choices


def _numbers(file: Path, frame: Any, columns: list[str]) -> Array:
    import polars as pl

    try:
        found: Array = frame.select(columns).cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError:
        raise ModelError(f"{file}: {', '.join(columns[:4])} must hold numbers.") from None
    return found


def _count(side: _Predictions) -> int:
    sides = (side.labels, side.probabilities, side.values)
    return next((len(one) for one in sides if one is not None), 0)


def _labels(file: Path, column: Any) -> list[str]:
    """Labels as texts; whole numbers that are written as 1 or as 1.0 are the same label."""
    if column.null_count():
        raise ModelError(f"{file}, row {column.is_null().to_list().index(True) + 1}: the label is missing.")
    return [str(int(one)) if isinstance(one, float) and one.is_integer() else str(one) for one in column.to_list()]


def _require_distribution(file: Path, probabilities: Array) -> None:
    off = np.flatnonzero(~(np.isfinite(probabilities).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) < 1e-3)))
    if len(off) or (probabilities < 0).any():
        row = int(off[0]) if len(off) else int(np.flatnonzero((probabilities < 0).any(axis=1))[0])
        raise ModelError(f"{file}, row {row + 1}: the probabilities are not positive numbers that sum to 1.")


def _matched(one: _Predictions, other: _Predictions) -> tuple[_Predictions, _Predictions]:
    if not one.ids or not other.ids:
        counts = [_count(side) for side in (one, other)]
        if counts[0] != counts[1]:
            raise ModelError(
                f"{one.place} has {counts[0]} rows and {other.place} {counts[1]}, and not both have ids to match them by."
            )
        return one, other
    if set(one.ids) != set(other.ids):
        apart = sorted(set(one.ids) ^ set(other.ids))
        raise ModelError(
            f"{one.place} and {other.place} predict different cases: {apart[0]} is in one of them alone ({len(apart)} such)."
        )
    at = {name: row for row, name in enumerate(other.ids)}
    return one, other.at([at[name] for name in one.ids])
