"""`rung skill verdict` and `rung skill plateau`: how metrics move with scale."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Level, More, Output, Runs, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.table_options import TableOptions, read_selected

Metrics = Annotated[
    tuple[str, ...],
    Parameter(group=QUESTION, negative="", consume_multiple=False, help="A column to be judged. Repeatable."),
]


Lower = Annotated[
    tuple[str, ...],
    Parameter(
        group=QUESTION,
        negative="",
        consume_multiple=False,
        help="A metric of which lower is better, besides losses, bits per byte, perplexities and errors. Repeatable.",
    ),
]


def verdict(
    runs: Runs,
    /,
    *more: More,
    metric: Metrics = (),
    along: Annotated[str, Parameter(group=QUESTION)] = "N",
    lower: Lower = (),
    tolerance: Annotated[float, Parameter(group=QUESTION)] = 0.05,
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Tell how metrics move with scale: scales, emergent, flat, inverse, plateau or undetermined, with false discoveries controlled.

    Parameters
    ----------
    along
        The scale: N (the default), D, C or a column.
    tolerance
        The change over all scales that does not matter, as a share of the metric's mean; 0.05 by default.
    """
    from rung.skill import verdicts

    kinds = require_kinds(output, {".json": "the verdicts", ".csv": "one row per metric"}) | figure_kinds(figure)
    found = verdicts(
        read_selected([runs, *more], rows), metric, along=along, lower=lower, tolerance=tolerance, seed=seed
    )
    write_result(found, kinds)
    show(found, json=json)


def plateau(
    models: Runs,
    /,
    *more: More,
    metric: Metrics = (),
    bins: Annotated[str, Parameter(group=QUESTION)] = "3B,8B,33B",
    family: Annotated[str | None, Parameter(group=QUESTION)] = None,
    items: Annotated[int | None, Parameter(group=QUESTION)] = None,
    margin: Annotated[float, Parameter(group=QUESTION)] = 0.02,
    lower: Lower = (),
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Compare groups of size (Kruskal-Wallis, Dunn with Holm), find the cheapest that is as good as the best, and siblings in reverse order.

    Parameters
    ----------
    bins
        Bounds of the groups in parameters; 3B,8B,33B by default.
    family
        The column of families; family by default.
    items
        How many items each benchmark has, which gives scores their errors; a column items_METRIC says so metric by metric.
    margin
        The difference in score that does not matter; 0.02 by default.
    """
    from rung.skill import size_groups
    from rung.units import parse_number

    kinds = require_kinds(output, {".json": "the groups", ".csv": "one row per inversion"}) | figure_kinds(figure)
    found = size_groups(
        read_selected([models, *more], rows),
        metric,
        bins=[parse_number(one) for one in bins.split(",")],
        family=family,
        items=items,
        margin=margin,
        lower=lower,
        level=level,
    )
    write_result(found, kinds)
    show(found, json=json)
