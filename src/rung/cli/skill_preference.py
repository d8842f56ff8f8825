"""`rung skill preference`: whether a score prefers what people prefer, beyond style."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result


def preference(
    pairs: Annotated[str, Parameter(name="PAIRS")],
    /,
    *,
    score: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=False)] = (),
    style: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=False)] = (),
    group: Annotated[str | None, Parameter(group=QUESTION)] = None,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Tell how often a reward model or judge prefers what people prefer, and how often where style cannot tell.

    Parameters
    ----------
    pairs
        A table of pairs, such as JSONL: chosen and rejected, or a and b with preferred; their scores (score_chosen, score_rejected), and
        their texts or columns of style (length_chosen, length_rejected).
    score
        The stem of a score's columns: rm7b for rm7b_chosen and rm7b_rejected. Repeatable, one per model.
    style
        A feature of style: the stem of its columns, or characters, "list items", headers or bold of the texts; by default these and columns named after length, lists and the like. Repeatable.
    group
        A column of groups that are judged apart too.
    """
    from rung.skill import preferences

    kinds = require_kinds(output, {".json": "the scores", ".csv": "one row per score and group"}) | figure_kinds(figure)
    found = preferences(pairs, scores=score, style=style, group=group, level=level, seed=seed)
    write_result(found, kinds)
    show(found, json=json)
