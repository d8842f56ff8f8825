"""`rung skill quality` and `rung skill early`: which measure can order models, and how early."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Level, More, Output, Runs, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.skill_verdict import Lower, Metrics
from rung.cli.table_options import TableOptions, read_selected


def quality(
    runs: Runs,
    /,
    *more: More,
    metric: Metrics = (),
    lower: Lower = (),
    base: Annotated[str | None, Parameter(group=QUESTION)] = None,
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Tell which measure can order models: stability over checkpoints, signal against noise, consistency of base and tuned models.

    Parameters
    ----------
    base
        The column that names the model which each row was tuned from, for consistency.
    """
    from rung.skill import quality as find

    kinds = require_kinds(output, {".json": "the measures", ".csv": "one row per measure"}) | figure_kinds(figure)
    found = find(read_selected([runs, *more], rows), metric, lower=lower, base=base, level=level, seed=seed)
    write_result(found, kinds)
    show(found, json=json)


def early(
    runs: Runs,
    /,
    *more: More,
    metric: Metrics = (),
    lower: Lower = (),
    at: Annotated[float, Parameter(group=QUESTION)] = 0.3,
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Compare the order of models early in training with that at its end, and with what their sizes alone say.

    Parameters
    ----------
    at
        The share of each training that is seen; 0.3 by default.
    """
    from rung.skill import early_order

    kinds = require_kinds(output, {".json": "the orders", ".csv": "one row per metric"}) | figure_kinds(figure)
    found = early_order(read_selected([runs, *more], rows), metric, at=at, lower=lower, level=level, seed=seed)
    write_result(found, kinds)
    show(found, json=json)
