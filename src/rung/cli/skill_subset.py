"""`rung skill subset`: fewer items that score models as all do."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.skill_compare import ScoreOptions


def subset(
    scores: Annotated[str, Parameter(name="SCORES")],
    /,
    *more: Annotated[str, Parameter(name="SCORES", show=False)],
    columns: ScoreOptions = ScoreOptions(),  # noqa: B008  # frozen
    items: Annotated[int | None, Parameter(group=QUESTION)] = None,
    order: Annotated[float, Parameter(group=QUESTION)] = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Choose items that score and order models as all items do, judged on models that did not choose them and beside random items.

    Parameters
    ----------
    scores
        One table of several models in a column, or a table for each, with a score for every item, as for rung skill compare.
    items
        How many items; by default the fewest that keep the order.
    order
        Kendall's tau of the models by the subset and by all items that counts as keeping the order; 0.9 by default.
    """
    from rung.skill import item_subsets

    kinds = require_kinds(
        output, {".json": "the subsets", ".csv": "the chosen items with their weights"}
    ) | figure_kinds(figure)
    found = item_subsets([scores, *more], columns=columns.read(), items=items, order=order, seed=seed)
    write_result(found, kinds)
    show(found, json=json)
