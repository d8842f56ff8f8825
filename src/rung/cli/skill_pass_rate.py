"""`rung skill pass-rate`: pass rates over size at any resolution."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import ROWS, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result


def pass_rate(
    attempts: Annotated[str, Parameter(name="ATTEMPTS")],
    /,
    *sizes: Annotated[str, Parameter(name="N=…")],
    until: Annotated[int | None, Parameter(group=ROWS)] = None,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Forecast what a larger model passes, from attempts at the same items by smaller ones; and tell whether growth is as expected.

    Parameters
    ----------
    attempts
        A table: item, params, passes, attempts and, where known, the loss of the right answer; or one row per attempt with passed.
    sizes
        A model that is asked about: N=7B. Repeatable.
    until
        At how many passes sampling ended, where it did; a column until says it row by row.
    """
    from rung.skill import pass_rates, size_of

    kinds = require_kinds(output, {".json": "the pass rates", ".csv": "one row per size"}) | figure_kinds(figure)
    found = pass_rates(attempts, [size_of(one) for one in sizes], until=until, level=level, seed=seed)
    write_result(found, kinds)
    show(found, json=json)
