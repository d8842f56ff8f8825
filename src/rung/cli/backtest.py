"""`rung backtest`: how wrong a law would have been about the larger scales of a table."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.cli.table_options import LAW, LawOptions, TableOptions, pairs, read_law, read_selected, say, unused_maps
from rung.cli.text import table

if TYPE_CHECKING:
    from rung.fitting.backtest import Backtest

RESULT = Group("Result", sort_key=2)


def backtest(
    runs: Annotated[str, Parameter(name="RUNS")],
    /,
    *,
    law: Annotated[str, Parameter(group=LAW)] = "chinchilla",
    fix: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    measure: LawOptions = LawOptions(),  # noqa: B008  # frozen
    selection: TableOptions = TableOptions(),  # noqa: B008  # frozen
    along: Annotated[str | None, Parameter(name=["--along", "--by"], group=RESULT)] = None,
    cuts: Annotated[int, Parameter(group=RESULT)] = 6,
    level: Annotated[float, Parameter(group=RESULT)] = 0.9,
    seed: Annotated[int, Parameter(group=RESULT)] = 0,
    json: Annotated[bool, Parameter(group=RESULT, negative="")] = False,
) -> None:
    """Fit a law to the smaller scale of a table and score it on the larger, over rolling cuts.

    Parameters
    ----------
    runs
        A table of runs: CSV, TSV, Parquet or JSONL; - for CSV on standard input.
    law
        A law of the book (rung laws), or a formula. Chinchilla's by default.
    fix
        Hold a coefficient at a value: E=1.69. Repeatable.
    along
        Cut along this symbol or column: flops by default, else the law's first variable.
    cuts
        How many cuts at most; 6 by default.
    level
        Coverage that the intervals of a new run aim at; 0.9 by default.
    seed
        Seed of the starts; 0 by default.
    json
        Print one JSON object instead of a table.
    """
    from rung.fitting.backtest import backtest as backtest_law
    from rung.units import parse_number

    table_of_runs = read_selected(runs, selection)
    chosen = read_law(law, table_of_runs, selection, measure)
    found = backtest_law(
        chosen.runs,
        chosen.law,
        along=along,
        cuts=cuts,
        objective=chosen.objective,
        delta=measure.delta,
        target=chosen.target,
        weights=measure.weights,
        fix={name: parse_number(value) for name, value in pairs(fix, "--fix").items()},
        level=level,
        seed=seed,
    )
    print(json_module.dumps(found.to_dict(), allow_nan=False) if json else describe(found))
    say(*unused_maps(selection, [*chosen.used, *([along] if along else [])]))


def describe(found: Backtest) -> str:
    """A backtest as text for people."""
    from rung.units import format_count, format_percent

    rows = [
        [
            f"{found.along} up to {format_count(cut.at)}",
            str(cut.rows),
            str(cut.scored),
            f"{cut.factor:.3g}x",
            format_percent(cut.bias, signed=True),
            format_percent(cut.error),
            format_percent(cut.inside),
            format_percent(cut.last_error),
            format_percent(cut.line_error),
        ]
        for cut in found.cuts
    ]
    header = ["fitted on", "rows", "scored", "farthest", "bias", "error", "inside", "repeat largest", "straight line"]
    skipped = [
        f"no fit with {found.along} up to {format_count(at)}: the law could not be fitted there, or leaves nothing to score"
        for at in found.skipped
    ]
    return "\n".join([table(header, rows), *skipped, "", summary(found)])


def summary(found: Backtest) -> str:
    """A backtest in one line: medians over its cuts."""
    from rung.units import format_percent

    inside = "" if found.inside is None else f", {100 * found.inside:.0f} % inside the {100 * found.level:g} % interval"
    return (
        f"backtest   {len(found.cuts)} cut{'s' if len(found.cuts) > 1 else ''} along {found.along}: error "
        f"{format_percent(found.error)}, bias {format_percent(found.bias, signed=True)}{inside}; repeating the largest run "
        f"{format_percent(found.last_error)}, a straight line {format_percent(found.line_error)}"
    )
