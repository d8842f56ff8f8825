"""`rung select`: which law extrapolates best on a table."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import LAW, Along, Cuts, Figure, Json, Level, More, Output, Runs, Seed
from rung.cli.output import figure_kinds, require_kinds, say, show, write_result
from rung.cli.table_options import AUTO, LawOptions, TableOptions, read_selected
from rung.errors import RungError


def select(
    runs: Runs,
    /,
    *more: More,
    law: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    options: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    along: Along = None,
    cuts: Cuts = 6,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Rank laws by how well each, fitted to the smaller scales, forecasts the larger ones.

    Parameters
    ----------
    law
        A law of the book, or a formula; those that fit the table's columns by default. Repeatable.
    """
    from rung.fitting import select as select_laws
    from rung.laws import find_law

    kinds = require_kinds(
        output, {".json": "the laws with their weights, for rung forecast", ".csv": "the ranking"}
    ) | figure_kinds(figure)
    if rows.drop_tokens == AUTO:
        raise RungError("--drop-tokens auto depends on the law, and here are several. Give a number of tokens.")
    table = read_selected([runs, *more], rows, options.target)
    found = select_laws(
        table,
        [find_law(name, table.columns, options.laws) for name in law],
        along=along,
        cuts=cuts,
        objective=options.objective,
        delta=options.delta,
        target=options.target,
        weights=options.weights,
        level=level,
        seed=seed,
    )
    write_result(found, kinds)
    show(found, json=json)
    say(*(f"warning: {name} was left out: {why}" for name, why in found.failed.items()))
