"""`rung density`: effective size, and capacity density, against a reference ladder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import QUESTION, Inputs, Json, LevelOfFit, Output
from rung.cli.output import as_json, require_kinds, say, show, write_result
from rung.cli.table_options import TableOptions, pairs, read_selected, tables_and_inputs
from rung.errors import RungError, WorthError
from rung.progress import reported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rung.arrays import Array
    from rung.fitting import Fit
    from rung.runs import Runs
    from rung.worth import Density, Trend

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
    from rung.fitting import read_fit
    from rung.units import parse_number

    kinds = require_kinds(output, {".json": "the densities"})
    fit = read_fit(reference, level=level)
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
        write_result(found, kinds)
        show(found, json=json)
        return
    runs = read_selected(tables, rows, fit.target)
    days = _days(runs, date) if trend else None
    models = _each(fit, scores, at, runs)
    followed = None if days is None else _trend(models, days, fit.level)
    _print(models, fit, followed, kinds, json=json)


def _one(fit: Fit, scores: Fit | None, at: float | None, inputs: Sequence[str]) -> Density:
    from rung.units import parse_number
    from rung.worth import density as density_of

    known: dict[str, Any] = {}
    for name, text in pairs(inputs, "input").items():
        known[_NAMES.get(name, name)] = text if name in fit.groups else parse_number(text)
    return density_of(fit, score_fit=scores, reference_tokens=at, **known)


def _trend(models: Mapping[str, Density | str], days: Array, level: float) -> Trend:
    import numpy as np

    from rung.worth import density_trend

    over = [None if isinstance(one, str) else one.densities["params"].over for one in models.values()]
    return density_trend(days, np.array([one or np.nan for one in over]), level=level)


def _print(
    models: Mapping[str, Density | str], fit: Fit, followed: Trend | None, kinds: Mapping[str, str], *, json: bool
) -> None:
    """The densities of all models, and the trend."""
    from rung.files import write_all

    content: dict[str, Any] = {
        "models": [
            {"model": label, **({"refused": one} if isinstance(one, str) else one.to_dict())}
            for label, one in models.items()
        ]
    }
    if followed:
        content["trend"] = followed.to_dict()
    write_all({path: (as_json(content) + "\n").encode() for path in kinds})
    if json:
        print(as_json(content))
    else:
        print(_describe_models(models, fit))
        if followed:
            print("\n" + followed.summary())
    say(*(f"warning: {label}: {one}" for label, one in models.items() if isinstance(one, str)))
    far = sum(
        any(finding.code == "far_extrapolation" for finding in one.warnings)
        for one in models.values()
        if not isinstance(one, str)
    )
    if far:
        say(
            f"warning: {far} effective size{'s lie' if far > 1 else ' lies'} more than 100 times beyond the reference ladder."
        )


def _each(fit: Fit, scores: Fit | None, at: float | None, runs: Runs) -> dict[str, Density | str]:
    """The density of every model by its label, or why it has none."""
    import numpy as np

    from rung.worth import density as density_of

    measured = "loss" if runs.has("loss") else "score"
    columns = [name for name in (measured, "params", "tokens", "params_active", "bits") if runs.has(name)]
    if measured not in columns or "params" not in columns:
        raise WorthError(
            f"{runs.source}: a table of models needs params, and loss or score. Map them: --map loss=COLUMN."
        )
    values = {name: runs.numbers(name) for name in columns}
    groups = {name: runs.texts(name) for name in fit.groups}
    label = next((name for name in ("model", "run") if runs.has(name)), None)
    names = runs.texts(label) if label else runs.row_numbers().astype(str)
    found: dict[str, Density | str] = {}
    for row, name in enumerate(reported(names.tolist(), "models")):
        known: dict[str, Any] = {
            name: float(column[row]) for name, column in values.items() if np.isfinite(column[row])
        }
        known |= {name: str(column[row]) for name, column in groups.items()}
        key = str(name) if str(name) not in found else f"{name} ({row + 1})"
        if "params" not in known or measured not in known:
            found[key] = f"its {'params are' if 'params' not in known else f'{measured} is'} missing."
            continue
        try:
            found[key] = density_of(fit, score_fit=scores, reference_tokens=at, **known)
        except RungError as error:
            found[key] = error.text
    return found


def _describe_models(found: Mapping[str, Density | str], fit: Fit) -> str:
    from rung.results import Table
    from rung.units import format_count, format_interval, format_value

    dense = [one for one in found.values() if not isinstance(one, str)]
    kinds = [name for name in ("params", "active params", "stored bits") if any(name in one.densities for one in dense)]
    lines = []
    for label, one in found.items():
        if isinstance(one, str):
            lines.append([label, "refused", *[""] * (len(kinds) + 1)])
            continue
        cells = [format_value(one.densities[kind].over, 3) if kind in one.densities else "-" for kind in kinds]
        own = one.densities["params"].over_interval
        lines.append([label, format_count(one.size.value), *cells, format_interval(*own, lambda x: format_value(x, 3))])
    head = ["model", "effective size", *(f"density by {kind}" for kind in kinds)]
    return Table([*head, f"{100 * fit.level:g} % interval (params)"], lines).text()


def _days(runs: Runs, date: str) -> Array:
    """Dates as days since 1970; nan where one is missing."""
    import polars as pl

    if not runs.has(date):
        raise WorthError(f"{runs.source}: no column {date!r} of dates; name it: --date COLUMN.")
    series = runs.frame[date]
    if series.dtype == pl.String:
        parsed = series.str.to_date(strict=False)
        bad = parsed.is_null() & series.is_not_null()
        if bad.any():
            row = int(bad.arg_true()[0])
            raise WorthError(f"{runs.row_name(row)}: {date} is {series[row]!r}; write dates as 2025-03-14.")
        series = parsed
    if not series.dtype.is_temporal():
        raise WorthError(f"{runs.source}: {date} holds {series.dtype}, not dates such as 2025-03-14.")
    return series.cast(pl.Date).cast(pl.Int32).cast(pl.Float64).fill_null(float("nan")).to_numpy()
