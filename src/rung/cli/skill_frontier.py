"""`rung skill frontier`: what a size can reach."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Level, Output, Runs, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.skill_verdict import Metrics
from rung.cli.table_options import TableOptions, read_selected, tables_and_inputs


def frontier(
    models: Runs,
    /,
    *inputs: Annotated[str, Parameter(name="C=…")],
    metric: Metrics = (),
    quantile: Annotated[float, Parameter(group=QUESTION)] = 0.98,
    date: Annotated[str | None, Parameter(group=QUESTION)] = None,
    along: Annotated[str | None, Parameter(group=QUESTION)] = None,
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Find what a size can reach: an upper quantile of scores over scale, checked on later models where dates are known.

    Parameters
    ----------
    inputs
        Scales that are asked about: C=1e23, or N=7B. Repeatable.
    quantile
        The quantile that is the frontier; 0.98 by default.
    date
        The column of dates: the latest three in ten models check the frontier of the earlier ones.
    along
        The scale: that of the inputs, else C.
    """
    from rung.skill import frontiers, scales_of

    kinds = require_kinds(output, {".json": "the frontiers", ".csv": "one row per metric and scale"}) | figure_kinds(
        figure
    )
    files, given = tables_and_inputs(inputs)
    name, asked = scales_of(given, along)
    found = frontiers(
        read_selected([models, *files], rows),
        metric,
        along=name,
        asked=asked,
        quantile=quantile,
        date=date,
        level=level,
        seed=seed,
    )
    write_result(found, kinds)
    show(found, json=json)
