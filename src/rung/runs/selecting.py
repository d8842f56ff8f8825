"""Selecting rows of a table in one order, however the choices were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.runs.table import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChoice:
    """Which rows of a table are used; the parts work in this order.

    Attributes:
        where: An SQL condition that rows fulfil; see `Runs.where`.
        drop_duplicates: Whether to keep the first of rows that describe the same run, or the same step of it.
        last: Whether to keep the last row of each run.
        drop_tokens: Rows up to this many training tokens are left out; None keeps them.
        best_of: Settings of which only the best are kept; see `Runs.best_of`.
    """

    where: str | None = None
    drop_duplicates: bool = False
    last: bool = False
    drop_tokens: float | None = None
    best_of: Sequence[str] = ()


def select_rows(runs: Runs, choice: RowChoice, target: str = "loss") -> Runs:
    """The rows of a choice, without exact repeats.

    Args:
        runs: The table.
        choice: Which rows.
        target: The column whose lowest mean `best_of` keeps.

    Raises:
        RunsError: A part of the choice cannot be applied, or leaves no row.
    """
    runs = runs.without_repeats()
    if choice.where is not None:
        runs = runs.where(choice.where)
    if choice.drop_duplicates:
        runs = runs.drop_duplicates()
    if choice.last:
        runs = runs.last()
    if choice.drop_tokens is not None:
        runs = runs.drop_tokens(choice.drop_tokens)
    return runs.best_of(choice.best_of, target) if choice.best_of else runs
