"""`rung skill learning-curve`: error against data, and the size that data need."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import LAW, QUESTION, Figure, Json, More, Output, Runs, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.table_options import TableOptions, read_selected


def learning_curve(
    runs: Runs,
    /,
    *more: More,
    samples: Annotated[str, Parameter(group=QUESTION)] = "tokens",
    target: Annotated[str, Parameter(group=LAW)] = "loss",
    by: Annotated[str | None, Parameter(group=QUESTION)] = None,
    reach: Annotated[float | None, Parameter(group=QUESTION)] = None,
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Fit a learning curve: the power-law region, the floor, the size that data need, and whether recipes shift it or change its exponent.

    Parameters
    ----------
    samples
        The column of the amount of data; tokens by default.
    target
        The column of the error; loss by default. The best size at each amount of data is taken.
    by
        The column of the recipe, for a curve each.
    reach
        A target error: the data that reach it are told.
    """
    from rung.skill import data_curves

    kinds = require_kinds(output, {".json": "the curves", ".csv": "one row per amount of data"}) | figure_kinds(figure)
    found = data_curves(
        read_selected([runs, *more], rows, target), samples=samples, target=target, by=by, reach=reach, seed=seed
    )
    write_result(found, kinds)
    show(found, json=json)
