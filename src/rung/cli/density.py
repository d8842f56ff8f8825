"""`rung density`: effective size, and capacity density, against a reference ladder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Inputs, Json, LevelOfFit, Output
from rung.cli.output import figure_kinds, require_kinds, scene_of, show, write_result
from rung.cli.table_options import TableOptions, pairs, read_selected, tables_and_inputs
from rung.errors import WorthError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.worth import Density

_NAMES = {
    "N": "params",
    "params": "params",
    "D": "tokens",
    "tokens": "tokens",
    "params_active": "params_active",
    "bits": "bits",
    "loss": "loss",
    "score": "score",
}


def density(
    reference: Annotated[str, Parameter(name="FIT")],
    /,
    *inputs: Inputs,
    score_fit: Annotated[str | None, Parameter(group=QUESTION)] = None,
    tokens: Annotated[str | None, Parameter(group=QUESTION)] = None,
    trend: Annotated[bool, Parameter(group=QUESTION)] = False,
    date: Annotated[str, Parameter(group=QUESTION)] = "date",
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: LevelOfFit = None,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Find which size of the reference ladder reaches a model's loss or score, and the density that follows.

    Parameters
    ----------
    reference
        The fit of a reference ladder, in N or in N and D, that rung fit RUNS -o fit.json wrote; - for standard input.
    inputs
        One model: loss=2.1 N=7B D=1T, or score=0.62; params_active and bits where they differ. Or tables of models with params, loss (or score) and, where known, tokens, params_active, bits, date, model.
    score_fit
        The fit of a score in L (logistic-of-loss), by which scores are read as losses.
    tokens
        Tokens at which the reference gives its size; each model's own by default.
    trend
        Also fit how density grows with the date of release.
    date
        The column of dates, such as 2025-03-14; date by default.
    """
    from rung.fitting import as_fit, read_fit
    from rung.units import parse_number
    from rung.worth import densities

    kinds = require_kinds(output, {".json": "the densities"}) | figure_kinds(figure)
    fit = as_fit(reference, level)
    scores = read_fit(score_fit) if score_fit else None
    at = parse_number(tokens) if tokens else None
    tables, named = tables_and_inputs(inputs)
    if not trend and date != "date":
        raise WorthError("--date belongs to --trend.")
    if bool(tables) == bool(named):
        raise WorthError("give a table of models, or one model: loss=2.1 N=7B D=1T.")
    if named:
        if trend:
            raise WorthError("--trend needs a table of models with dates.")
        found = _one(fit, scores, at, named)
        write_result(found, kinds, scene_of(kinds, fit=fit))
        show(found, json=json)
        return
    runs = read_selected(tables, rows, fit.target)
    every = densities(fit, runs, score_fit=scores, reference_tokens=at, date=date if trend else None)
    write_result(every, kinds, scene_of(kinds, fit=fit))
    show(every, json=json)


def _one(fit: Fit, scores: Fit | None, at: float | None, inputs: Sequence[str]) -> Density:
    from rung.units import parse_number
    from rung.worth import density as density_of

    known: dict[str, Any] = {}
    for name, text in pairs(inputs, "input").items():
        known[_NAMES.get(name, name)] = text if name in fit.groups else parse_number(text)
    return density_of(fit, score_fit=scores, reference_tokens=at, **known)
