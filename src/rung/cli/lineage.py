"""`rung lineage`: families of models from a table of parents."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result


def lineage(
    models: Annotated[str, Parameter(name="MODELS")],
    /,
    *,
    sample: Annotated[int, Parameter(group=QUESTION)] = 10_000,
    limit: Annotated[int | None, Parameter(group=QUESTION)] = None,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Read a lineage of models: generations, how alike relatives are, where traits drift, and licences that allow more than their parents'.

    Parameters
    ----------
    models
        A table: id, parent (or finetune_parent, quantized_parent, adapter_parent, merge_parent) and, where known, relation, licence, language, task, library, tags, card. Or hub:AUTHOR, and hub: for all, read by the hub's client.
    sample
        Pairs of relatives of each kind that are compared; 10000 by default.
    limit
        Most models of a hub, the most downloaded first.
    """
    from rung.errors import SkillError
    from rung.skill.lineage import lineage as find
    from rung.skill.lineage import read_hub

    kinds = require_kinds(output, {".json": "the lineage", ".csv": "one row per transition"}) | figure_kinds(figure)
    if limit is not None and not models.startswith("hub:"):
        raise SkillError("--limit belongs to hub:.")
    if sample < 1:
        raise SkillError(f"--sample {sample}: give 1 pair or more.")
    table = read_hub(models.removeprefix("hub:") or None, limit=limit) if models.startswith("hub:") else models
    found = find(table, sample=sample, level=level, seed=seed)
    write_result(found, kinds)
    show(found, json=json)
