"""`rung select`: which law extrapolates best on a table."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.cli.table_options import AUTO, LAW, LawOptions, TableOptions, read_selected, say
from rung.cli.text import table
from rung.errors import ReportError, RungError

if TYPE_CHECKING:
    from rung.fitting import Selection

RESULT = Group("Result", sort_key=2)


def select(
    runs: Annotated[str, Parameter(name="RUNS")],
    /,
    *,
    law: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    measure: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    along: Annotated[str | None, Parameter(name=["--along", "--by"], group=RESULT)] = None,
    cuts: Annotated[int, Parameter(group=RESULT)] = 6,
    level: Annotated[float, Parameter(group=RESULT)] = 0.9,
    seed: Annotated[int, Parameter(group=RESULT)] = 0,
    output: Annotated[str | None, Parameter(name=["-o", "--output"], group=RESULT)] = None,
    json: Annotated[bool, Parameter(group=RESULT, negative="")] = False,
) -> None:
    """Rank laws by how well each, fitted to the smaller scale, forecasts the larger.

    Parameters
    ----------
    runs
        A table of runs: CSV, TSV, Parquet or JSONL; - for CSV on standard input.
    law
        A law of the book, or a formula; those that fit the table's columns by default. Repeatable.
    along
        Cut along this symbol or column: flops by default, else the laws' first variable.
    cuts
        How many cuts at most; 6 by default.
    level
        Coverage that intervals aim at; 0.9 by default.
    seed
        Seed of the starts; 0 by default.
    output
        Keep the laws with their weights, as .json for rung forecast.
    json
        Print one JSON object instead of a table.
    """
    from rung.files import require_writable, write_text
    from rung.fitting import select as select_laws
    from rung.laws import find_law

    if output:
        if not output.lower().endswith(".json"):
            raise ReportError(f"-o {output}: a selection is written as JSON; name a .json file.")
        require_writable(output)
    if rows.drop_tokens == AUTO:
        raise RungError("--drop-tokens auto depends on the law, and here are many. Give a number of tokens.")
    table_of_runs = read_selected(runs, rows)
    found = select_laws(
        table_of_runs,
        [find_law(name, table_of_runs.columns, measure.laws) for name in law],
        along=along,
        cuts=cuts,
        objective=measure.objective,
        delta=measure.delta,
        target=measure.target,
        weights=measure.weights,
        level=level,
        seed=seed,
    )
    text = json_module.dumps(found.to_dict(), allow_nan=False)
    if output:
        write_text(output, text + "\n")
    print(text if json else describe(found))
    say(*(f"warning: {name} was left out: {why}" for name, why in found.failed.items()))


def describe(found: Selection) -> str:
    """A selection as text for people."""
    from rung.fitting import name_of
    from rung.units import format_percent

    rows = [
        [
            name_of(ranked.fit.law),
            str(len(ranked.fit.coefficients)),
            format_percent(ranked.error if ranked.error == ranked.error else None),
            f"{format_percent(ranked.difference, signed=True)} +- {format_percent(ranked.difference_error)}"
            if place and ranked.difference_error < 1e6
            else "-",
            "yes" if ranked.tied else "no",
            f"{ranked.weight:.2f}",
            f"{ranked.aicc:.1f}",
        ]
        for place, ranked in enumerate(found.laws)
    ]
    lines = [table(["law", "coefficients", "error", "against the best", "tied", "weight", "AICc"], rows), ""]
    tied = [name_of(ranked.fit.law) for ranked in found.laws if ranked.tied]
    if not found.cuts:
        lines.append("too few scales for a backtest: ranked by AICc alone, which says nothing about larger scales")
    elif len(tied) > 1:
        lines.append(
            f"{len(tied)} laws are tied over {found.cuts} cuts along {found.along}; the simplest is {found.chosen}"
        )
    else:
        lines.append(f"{found.chosen} extrapolates best over {found.cuts} cuts along {found.along}")
    return "\n".join(lines)
