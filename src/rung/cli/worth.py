"""`rung worth`: what a change of a model is worth, against a reference ladder."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, LevelOfFit, Output
from rung.cli.output import figure_kinds, require_kinds, show, warn, write_result
from rung.cli.table_options import TableOptions, pairs, read_selected


def worth(
    treated: Annotated[str, Parameter(name="TREATED")],
    /,
    *more: Annotated[str, Parameter(name="TREATED", show=False)],
    against: Annotated[str, Parameter(group=QUESTION)],
    before: Annotated[str | None, Parameter(group=QUESTION)] = None,
    made_from: Annotated[str | None, Parameter(group=QUESTION)] = None,
    tokens: Annotated[str | None, Parameter(group=QUESTION)] = None,
    level_of: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=False)] = (),
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: LevelOfFit = None,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Find what treated models are worth: effective size, multipliers of size, data and compute, densities, and how they change with size.

    Parameters
    ----------
    treated
        Tables of treated models and their controls, as rung measure writes them: params and loss and, where known, treatment, before or made_from, seed, tokens, params_active, params_nonzero, bits, flops, treatment_flops.
    against
        The reference ladder: a fit that rung fit RUNS -o fit.json wrote, or a table of runs, which is then fitted.
    before
        The row (by treatment or run) that is the control of all rows that name none in the column before, a run of its own; by default the ladder itself.
    made_from
        The control instead, where the models were made from its weights, as pruned and merged ones are: chance in that run cancels.
    tokens
        Tokens at which the ladder is asked where a row has none.
    level_of
        The level of a group of the reference law: family=gpt. Repeatable.
    """
    from rung.fitting import as_fit, fit
    from rung.units import parse_number
    from rung.worth import effects

    kinds = require_kinds(output, {".json": "the effects", ".csv": "one row each"}) | figure_kinds(figure)
    if against.lower().endswith(".json") or against == "-":
        reference = as_fit(against, level)
    else:
        reference = fit(read_selected(against, TableOptions()), level=level or 0.9)
        warn(reference.warnings)
    found = effects(
        reference,
        read_selected([treated, *more], rows, reference.target),
        before=before,
        made_from=made_from,
        tokens=parse_number(tokens) if tokens else None,
        levels=pairs(level_of, "--level-of"),
    )
    write_result(found, kinds)
    show(found, json=json)
