"""Options that say which table, and which rows of it; every verb that reads runs has them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.errors import RungError

if TYPE_CHECKING:
    from rung.laws import Law
    from rung.runs import Runs

AUTO = "auto"
LAW = Group("Law and objective", sort_key=0)
ROWS = Group("Columns and rows", sort_key=1)


@Parameter(name="*", group=ROWS)
@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Which columns and rows of a table are used."""

    map: Annotated[tuple[str, ...], Parameter(name="--map", negative="", consume_multiple=False)] = ()
    """Name a column: N=my_column, D='10^log10_tokens', run=width,depth. Repeatable."""
    where: str | None = None
    """Keep the rows where an SQL condition holds: "corpus = 'c4' and params > 10M"."""
    drop_duplicates: Annotated[bool, Parameter(negative="")] = False
    """Keep the first of rows that describe the same run, or the same step of it."""
    last: Annotated[bool, Parameter(negative="")] = False
    """Keep the last row of each run."""
    drop_tokens: str | None = None
    """Leave out rows up to this many training tokens, such as 10e9: the start of each run; auto lets backtests decide."""
    drop_nonfinite: Annotated[bool, Parameter(negative="")] = False
    """Leave out rows in which a number that the law uses is missing or not finite."""


@Parameter(name="*", group=LAW)
@dataclass(frozen=True, kw_only=True)
class LawOptions:
    """What is fitted, and by which objective."""

    target: str | None = None
    """The column that the law predicts; loss unless the law says otherwise."""
    objective: str | None = None
    """log-huber (the default), log-absolute, log-squares, log-student-t, squares, huber, absolute, logit-huber or logit-squares."""
    delta: float | None = None
    """Where Huber's loss turns from square to absolute; 0.001 for log-huber."""
    weights: str | None = None
    """A column of row weights."""
    laws: str | None = None
    """A TOML file of your own laws that join the book."""


def read_selected(path: str, rows: TableOptions) -> Runs:
    """Read a table and apply the selection, in the order of the options above."""
    from rung.runs import read_runs
    from rung.units import parse_number

    runs = read_runs(path, pairs(rows.map, "--map"))
    if rows.where is not None:
        runs = runs.where(rows.where)
    if rows.drop_duplicates:
        runs = runs.drop_duplicates()
    if rows.last:
        runs = runs.last()
    if rows.drop_tokens not in {None, AUTO}:
        runs = runs.drop_tokens(parse_number(str(rows.drop_tokens)))
    return runs


@dataclass(frozen=True, kw_only=True)
class LawChoice:
    """A law over a table, with what the law book says of it where the user said nothing.

    Attributes:
        runs: The rows, without those that lack a number where they were to be dropped.
        law: The law.
        target: The column that it predicts.
        objective: What is minimised; None for the default.
        used: The columns that are read.
    """

    runs: Runs
    law: Law
    target: str
    objective: str | None
    used: list[str]


def read_law(law: str, runs: Runs, rows: TableOptions, options: LawOptions) -> LawChoice:
    """The law that a user named, and the rows that it can use."""
    from rung.fitting.backtest import drop_start
    from rung.fitting.estimate import FitSpecification, columns_used
    from rung.laws import find_law, law_book

    named = find_law(law, runs.columns, options.laws)
    entry = law_book(options.laws).get(named.name)
    stated = FitSpecification(
        law=named,
        target=options.target or (entry.target if entry else None),
        objective=options.objective or (entry.objective if entry else None),
        delta=options.delta,
        weights=options.weights,
    )
    chosen = stated.resolved(runs.columns)
    used = columns_used(named, chosen.target, options.weights)
    if rows.drop_nonfinite:
        runs = runs.drop_nonfinite([name for name in used if name not in named.groups], named.groups)
    if rows.drop_tokens == AUTO:
        runs = drop_start(runs, stated)
    return LawChoice(runs=runs, law=named, target=chosen.target, objective=chosen.objective, used=used)


def unused_maps(rows: TableOptions, used: Collection[str], *conditions: str | None) -> list[str]:
    """A sentence for each --map that nothing reads."""
    from rung.laws import SYMBOLS
    from rung.runs import ALIASES

    said = " ".join(condition for condition in (rows.where, *conditions) if condition)
    found = []
    for name, text in pairs(rows.map, "--map").items():
        if SYMBOLS.get(name, name) not in {*used, *ALIASES} and name not in said:
            near = difflib.get_close_matches(name, [*used, *ALIASES, *SYMBOLS], 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            found.append(f"warning: --map {name}={text}: nothing reads {name}.{hint}")
    return found


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """NAME=VALUE texts as a dictionary.

    Raises:
        RungError: A text has no equals sign, or repeats a name.
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise RungError(f"{option} {text!r}: write NAME=VALUE.")
        if name.strip() in found:
            raise RungError(f"{option} {text!r}: {name.strip()} is given a second time. Give it once.")
        found[name.strip()] = value.strip()
    return found


def say(*lines: str) -> None:
    """Print lines for people on standard error."""
    for line in lines:
        print(line, file=sys.stderr)
