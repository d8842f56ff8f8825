"""Pass rates at any resolution: sample an answer until it has passed often enough, or until a cap.

With r passes asked for, reached at attempt K, or s < r passes in all attempts up to the cap:

    estimate   (r - 1) / (K - 1), unbiased for r >= 2; s / K at the cap
    interval   exact: of inverse sampling, or Clopper and Pearson's at the cap

An item that reaches the cap without a pass is censored: its rate lies below the upper bound, and is not zero.

Source: Hu et al. 2024, arXiv:2310.03262, section 3, for sampling until r passes; Haldane 1945 for the unbiased estimate.
Differs: the paper's estimate r / K is too high by a factor of two at r = 2 (measured in benchmarks/pass_rates.py), so it is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array, Indices
from rung.errors import SkillError
from rung.messages import first_line, listed
from rung.runs import read_table
from rung.skill.proportions import clopper_pearson, inverse_sampling

_COLUMNS: dict[str, tuple[str, ...]] = {
    "item": ("item", "task_id", "problem", "instance", "question", "id"),
    "params": ("params", "N", "params_total", "model_size"),
    "passes": ("passes", "passed", "correct", "successes", "n_correct"),
    "attempts": ("attempts", "samples", "n_samples", "n", "tries", "k"),
    "loss": ("loss", "answer_loss"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCount:
    """Attempts at one item by one model.

    Attributes:
        passes: How many passed.
        attempts: How many there were.
        until: The number of passes at which sampling ended; None where the number of attempts was fixed or capped.
    """

    passes: int
    attempts: int
    until: int | None = None

    @property
    def censored(self) -> bool:
        """Whether no attempt passed, so that only an upper bound is known."""
        return self.passes == 0

    @property
    def rate(self) -> float:
        """The estimate of the pass rate; unbiased, but for a sampling that ended at the first pass, which has no unbiased one below 1."""
        if self.until is None or self.until < 2 or self.attempts < 2:
            return self.passes / self.attempts
        return (self.passes - 1) / (self.attempts - 1)

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The exact interval of the pass rate."""
        if self.until is not None:
            return inverse_sampling(self.passes, self.attempts, level)
        return clopper_pearson(self.passes, self.attempts, level)


def pass_until(sampler: Callable[[], bool], *, passes: int = 2, cap: int = 100_000) -> PassCount:
    """Sample answers to one item until some have passed, or until a cap.

    Args:
        sampler: Makes one attempt and says whether it passed.
        passes: How many passes end the sampling; two or more for an unbiased estimate.
        cap: Most attempts.

    Raises:
        SkillError: The sampler raises, or gives something other than passed or not.

    >>> import itertools
    >>> outcomes = itertools.cycle([False, False, True])
    >>> count = pass_until(lambda: next(outcomes), passes=2)
    >>> count.attempts, count.rate
    (6, 0.2)
    """
    if passes < 1 or cap < passes:
        raise SkillError(
            f"sampling until {passes} passes with a cap of {cap} attempts is not possible; ask for 1 or more, and a cap of as many."
        )
    found = 0
    for attempt in range(1, cap + 1):
        try:
            passed = sampler()
        except Exception as error:  # whatever a user's own sampler raises
            raise SkillError(
                f"the sampler raised {type(error).__name__} at attempt {attempt}, after {found} passes: {first_line(error)}"
            ) from error
        if passed not in (True, False, 0, 1):
            raise SkillError(
                f"the sampler gave {passed!r} at attempt {attempt}; it says whether an attempt passed: True or False."
            )
        found += int(passed)
        if found == passes:
            return PassCount(passes=found, attempts=attempt, until=passes)
    return PassCount(passes=found, attempts=cap)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassTable:
    """Attempts at items by models of several sizes, one row per item and size (n,).

    Attributes:
        items: The items.
        item: The number of the item of each row.
        params: Parameters of the model of each row.
        passes: Passed attempts.
        attempts: Attempts.
        until: Passes at which sampling ended; 0 where the attempts were fixed or capped.
        loss: A loss of the item's right answer, one per item; None where there is none.
        source: What the table is called in messages.
    """

    items: tuple[str, ...]
    item: Indices
    params: Array
    passes: Array
    attempts: Array
    until: Array
    loss: Array | None
    source: str

    @property
    def sizes(self) -> Array:
        """The sizes, ascending."""
        return np.unique(self.params)

    def at(self, size: float) -> PassTable:
        """The rows of one size."""
        return self.where(self.params == size)

    def where(self, keep: Array | Any) -> PassTable:
        """Some of the rows."""
        return PassTable(
            items=self.items,
            item=self.item[keep],
            params=self.params[keep],
            passes=self.passes[keep],
            attempts=self.attempts[keep],
            until=self.until[keep],
            loss=self.loss,
            source=self.source,
        )

    def rates(self) -> Array:
        """The unbiased estimate of each row (n,)."""
        reached = self.until >= 2
        inverse = (self.passes - 1) / np.maximum(self.attempts - 1, 1)
        return np.asarray(np.where(reached, inverse, self.passes / self.attempts))


def read_attempts(source: Any, *, until: int | None = None) -> PassTable:
    """A table of attempts: item, params, passes and attempts; or one row per attempt, with passed.

    Args:
        source: A path or a frame. A column until, or the argument, says at how many passes sampling ended.
        until: The number of passes at which sampling ended where a row has so many, and at a cap where it has fewer.

    Raises:
        SkillError: A column is missing, a count is impossible, or there are no sizes.
    """
    read, place = read_table(source)
    frame = read.frame
    names = {
        meaning: next((name for name in known if name in frame.columns), None) for meaning, known in _COLUMNS.items()
    }
    missing = [meaning for meaning in ("item", "params", "passes") if names[meaning] is None]
    if missing:
        raise SkillError(
            f"{place}: no column {listed(missing)}; it has {listed(frame.columns, most=8)}. Attempts need item, params, passes and attempts."
        )
    for meaning in ("params", "passes", "attempts"):
        if names[meaning] is not None:
            _require_numbers(frame[str(names[meaning])], place)
    if until is not None and until < 1:
        raise SkillError(f"--until {until}: sampling ends at 1 pass or more.")
    chosen = {meaning: pl.col(name) for meaning, name in names.items() if name}
    frame = frame.select(
        item=chosen["item"].cast(pl.String),
        **{
            meaning: one.cast(pl.Float64, strict=False)
            for meaning, one in chosen.items()
            if meaning not in {"item", "loss"}
        },
        loss=chosen["loss"].cast(pl.Float64, strict=False) if "loss" in chosen else pl.lit(None, dtype=pl.Float64),
        until=pl.col("until").cast(pl.Float64) if "until" in frame.columns else pl.lit(float(until or 0)),
    )
    if "attempts" not in frame.columns:
        frame = frame.group_by("item", "params", maintain_order=True).agg(
            pl.col("passes").sum(), pl.len().cast(pl.Float64).alias("attempts"), pl.col("loss").mean(), pl.col("until").first()
        )  # fmt: skip
    _require_counts(frame, place)
    # A row below the number asked for ended at the cap.
    frame = frame.with_columns(until=pl.when(pl.col("passes") >= pl.col("until")).then(pl.col("until")).otherwise(0.0))
    items = frame["item"].unique(maintain_order=True).to_list()
    numbers = {name: number for number, name in enumerate(items)}
    loss = None
    if frame["loss"].is_finite().fill_null(value=False).all():
        # The loss by the largest model that was scored says most about an item.
        largest = frame.sort("params").group_by("item", maintain_order=True).agg(pl.col("loss").last())
        loss = np.array([dict(largest.iter_rows())[name] for name in items])
    return PassTable(
        items=tuple(items),
        item=np.array([numbers[name] for name in frame["item"]], dtype=np.intp),
        params=frame["params"].to_numpy(),
        passes=frame["passes"].to_numpy(),
        attempts=frame["attempts"].to_numpy(),
        until=frame["until"].to_numpy(),
        loss=loss,
        source=place,
    )


def _require_numbers(column: pl.Series, place: str) -> None:
    """Every cell is a number, or True or False."""
    cast = column if column.dtype == pl.Boolean else column.cast(pl.Float64, strict=False)
    bad = cast.is_null().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise SkillError(
            f"{place}, row {row + 1}: {column.name} is {column[row]!r}; write a number, for an attempt 1 (passed) or 0."
        )


def _require_counts(frame: pl.DataFrame, place: str) -> None:
    rules: Sequence[tuple[pl.Expr, str]] = (
        (~pl.col("params").is_finite() | (pl.col("params") <= 0), "params must be a positive number"),
        (~pl.col("attempts").is_finite() | (pl.col("attempts") < 1), "attempts must be 1 or more"),
        (~pl.col("passes").is_finite() | (pl.col("passes") < 0), "passes must be 0 or more"),
        (pl.col("passes") > pl.col("attempts"), "there are more passes than attempts"),
        (pl.col("passes") != pl.col("passes").floor(), "passes is no whole number; give counts, not rates"),
    )
    for rule, said in rules:
        wrong = frame.select(rule.fill_null(value=True)).to_series()
        if wrong.any():
            raise SkillError(f"{place}, row {int(np.flatnonzero(wrong.to_numpy())[0]) + 1}: {said}.")
    twice = frame.select("item", "params").is_duplicated()
    if twice.any():
        row = frame.row(int(np.flatnonzero(twice.to_numpy())[0]), named=True)
        raise SkillError(
            f"{place}: item {row['item']!r} stands twice at {row['params']:g} parameters. Add up its counts."
        )
