"""Options that say which table, and which rows of it; every command that reads runs has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import LAW, ROWS
from rung.cli.output import say
from rung.errors import RungError
from rung.messages import did_you_mean

if TYPE_CHECKING:
    from rung.fitting import LawChoice
    from rung.runs import Runs

AUTO = "auto"


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
    best_of: str | None = None
    """Of rows that differ in these settings alone, keep those with the lowest mean target: lr,batch_tokens."""
    drop_nonfinite: Annotated[bool, Parameter(negative="")] = False
    """Leave out rows in which a number that the law uses is missing or not finite."""
    unfinished: Annotated[bool, Parameter(negative="")] = False
    """Also use runs whose column status says that they did not finish: running, failed, killed, diverged."""
    wide: str = ""
    """The table has a column for each value of C (or D, N), which stands in its header, and the losses as cells."""


@Parameter(name="*", group=LAW)
@dataclass(frozen=True, kw_only=True)
class LawOptions:
    """What is fitted, and by which objective."""

    target: str | None = None
    """The column that the law predicts; loss unless the law says otherwise. Several, a,b, where rung fit takes them."""
    objective: str | None = None
    """log-huber (the default), log-absolute, log-squares, log-student-t, squares, huber, absolute, logit-huber or logit-squares."""
    delta: float | None = None
    """Where Huber's loss turns from square to absolute; 0.001 for log-huber."""
    weights: str | None = None
    """A column of row weights."""
    laws: str | None = None
    """A TOML file of your own laws that join the book."""


def read_selected(
    paths: str | Sequence[str], rows: TableOptions, target: str | None = None, *, shown: bool = False
) -> Runs:
    """Read one table or several, and select rows in the order of the options above.

    What was understood and which rows were left out is printed on standard error.

    Args:
        paths: The tables.
        rows: Which of their rows.
        target: The column whose lowest mean --best-of keeps; loss by default.
        shown: Whether the command itself shows the table's notes.

    Raises:
        RungError: No table is given.
    """
    from rung.runs import read_runs, read_several

    given = [paths] if isinstance(paths, str) else list(paths)
    if not given:
        raise RungError("give a table of runs: a CSV, TSV, Parquet or JSONL file, or - for CSV on standard input.")
    mapping = pairs(rows.map, "--map")
    if len(given) == 1:
        runs = read_runs(given[0], mapping, wide=rows.wide, unfinished=rows.unfinished)
    else:
        runs = read_several(given, mapping, wide=rows.wide, unfinished=rows.unfinished)
    runs = selected_rows(runs, rows, target)
    if not shown:
        # What an option of this command left out was asked for.
        say(*(f"note: {runs.source}: {note}" for note in runs.notes if " left out by --" not in note))
    return runs


def selected_rows(runs: Runs, rows: TableOptions, target: str | None = None) -> Runs:
    """The rows that the options choose."""
    from rung.laws import column_of
    from rung.runs import RowChoice, select_rows
    from rung.units import parse_number

    choice = RowChoice(
        where=rows.where,
        drop_duplicates=rows.drop_duplicates,
        last=rows.last,
        drop_tokens=parse_number(rows.drop_tokens) if rows.drop_tokens not in {None, AUTO} else None,
        best_of=[column_of(name.strip()) for name in (rows.best_of or "").split(",") if name.strip()],
    )
    return select_rows(runs, choice, target or "loss")


def read_law(law: str, runs: Runs, rows: TableOptions, options: LawOptions) -> LawChoice:
    """The law that a user named, and the rows that it can use."""
    from rung.fitting import choose_law

    return choose_law(
        law,
        runs,
        target=options.target,
        objective=options.objective,
        delta=options.delta,
        weights=options.weights,
        laws=options.laws,
        leave_out=[part for part, out in (("gaps", rows.drop_nonfinite), ("start", rows.drop_tokens == AUTO)) if out],
    )


def unused_maps(rows: TableOptions, used: Collection[str], *conditions: str | None) -> list[str]:
    """A sentence for each --map that nothing reads."""
    from rung.laws import SYMBOLS, column_of
    from rung.runs import ALIASES

    text = " ".join(condition for condition in (rows.where, *conditions) if condition)
    found = []
    for name, column in pairs(rows.map, "--map").items():
        if column_of(name) not in {*used, *ALIASES} and name not in text:
            hint = did_you_mean(name, [*used, *ALIASES, *SYMBOLS])
            found.append(f"warning: --map {name}={column}: nothing reads {name}.{hint}")
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


def tables_and_inputs(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files, and NAME=VALUE inputs, of one command line; an existing file counts as one whatever its name."""
    from pathlib import Path

    inputs = [text for text in texts if "=" in text and not Path(text).exists()]
    return [text for text in texts if text not in inputs], inputs
