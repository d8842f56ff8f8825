"""`rung loyalty`: two files of predictions beside each other."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import MACHINES, QUESTION, Json, Output
from rung.cli.output import require_kinds, show, write_result


def loyalty(
    first: Annotated[str, Parameter(name="TEACHER")],
    second: Annotated[str, Parameter(name="STUDENT")],
    /,
    *,
    data: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=True)] = (),
    windows: Annotated[int, Parameter(group=QUESTION)] = 64,
    base: Annotated[str, Parameter(group=QUESTION)] = "2",
    device: Annotated[str | None, Parameter(group=MACHINES)] = None,
    output: Output = (),
    json: Json = False,
) -> None:
    """Tell how loyal a student is to its teacher: of two files of predictions, or of two models on a text (--data).

    Parameters
    ----------
    first
        Predictions of the teacher: CSV, JSON lines or Parquet with id, and label, value, columns p_NAME or a list in probabilities.
    second
        Predictions of the student on the same cases. With --data, both are models of one vocabulary: folders of Transformers, or finished runs of a ladder.
    data
        Text on which two models are compared, token by token. Repeatable.
    windows
        How many windows of it, drawn at random; 64 by default.
    base
        Base of the logarithm in the divergence of probabilities: 2, so that loyalty lies between 0 and 1, or e; 2 by default.
    device
        Where models compute; a GPU where there is one by default.
    """
    from rung.treat import loyalty_of, loyalty_of_models

    kinds = require_kinds(output, {".json": "the loyalty"})
    found = (
        loyalty_of_models(first, second, data, windows=windows, base=base, device=device)
        if data
        else loyalty_of(first, second, base=base)
    )
    write_result(found, kinds)
    show(found, json=json)
