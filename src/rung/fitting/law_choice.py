"""A law over a table, with what the law book says of it where the user says nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rung.fitting.backtest import drop_start
from rung.fitting.estimate import FitSpecification, columns_used
from rung.laws import Law, find_law, law_book
from rung.runs import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class LawChoice:
    """A law over a table.

    Attributes:
        runs: The rows, without those that lack a number where they were to be dropped.
        law: The law.
        target: The column that it predicts.
        objective: What is minimised.
        used: The columns that are read.
    """

    runs: Runs
    law: Law
    target: str
    objective: str
    used: list[str]


def choose_law(
    law: str,
    runs: Runs,
    *,
    target: str | None = None,
    objective: str | None = None,
    delta: float | None = None,
    weights: str | None = None,
    laws: str | None = None,
    leave_out: Collection[str] = (),
) -> LawChoice:
    """The law that a user names, and the rows that it can use.

    Args:
        law: A law of the book by its name, or a formula.
        runs: The table.
        target: The column that the law predicts; the law book's by default, else loss.
        objective: What is minimised; the law book's by default.
        delta: Huber's threshold.
        weights: A column of row weights.
        laws: A TOML file of laws that join the book.
        leave_out: "gaps" for rows in which a number that the law uses is missing or not finite; "start" for the start of
            the runs as far as backtests decide.

    Raises:
        FormulaError: The formula cannot be read.
        RunsError: The table lacks a column.
    """
    named = find_law(law, runs.columns, laws)
    entry = law_book(laws).get(named.name)
    stated = FitSpecification(
        law=named,
        target=target or (entry.target if entry else None),
        objective=objective or (entry.objective if entry else None),
        delta=delta,
        weights=weights,
    )
    chosen = stated.resolved(runs.columns)
    used = columns_used(named, chosen.target, weights)
    if "gaps" in leave_out:
        runs = runs.drop_nonfinite([name for name in used if name not in named.groups], named.groups)
    if "start" in leave_out:
        runs = drop_start(runs, stated)
    return LawChoice(runs=runs, law=named, target=chosen.target, objective=chosen.objective, used=used)
