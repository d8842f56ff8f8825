"""`rung density`: effective size, and capacity density, against a reference ladder."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.table_options import TableOptions as Rows
from rung.cli.table_options import pairs, read_selected, say
from rung.cli.text import table
from rung.errors import RungError, WorthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rung.arrays import Array
    from rung.fitting import Fit
    from rung.runs import Runs
    from rung.worth import Density, Trend

LEVEL = 0.9
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
    source: Annotated[str | None, Parameter(name="MODELS")] = None,
    /,
    *inputs: Annotated[str, Parameter(name="NAME=VALUE")],
    score_fit: str | None = None,
    tokens: str | None = None,
    trend: bool = False,
    date: str = "date",
    level: float = LEVEL,
    rows: Rows = Rows(),  # noqa: B008  # frozen
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Tell which size of the reference ladder reaches a model's loss or score, and the density that makes.

    Parameters
    ----------
    reference
        The fit of a reference ladder, in N or in N and D, that `rung fit RUNS -o fit.json` wrote.
    source
        A table of models with params, loss (or score) and, where known, tokens, params_active, bits, date, model.
    inputs
        One model instead of a table: loss=2.1 N=7B D=1T, or score=0.62; params_active and bits where they differ.
    score_fit
        The fit of a score in L (logistic-of-loss), by which scores are read as losses.
    tokens
        Tokens at which the reference is asked for its size; each model's own by default.
    trend
        Tell how density grows with the date of release.
    date
        The column of dates, such as 2025-03-14; date by default.
    level
        Coverage of the trend's intervals; 0.9 by default.
    json
        Print one JSON object instead of text.
    """
    from rung.fitting import read_fit
    from rung.units import parse_number

    fit = read_fit(reference)
    scores = read_fit(score_fit) if score_fit else None
    at = parse_number(tokens) if tokens else None
    if source is not None and "=" in source:
        inputs = (source, *inputs)
        source = None
    if not trend and (date != "date" or level != LEVEL):
        raise WorthError("--date and --level belong to --trend; a density has the level of the reference fit.")
    if (source is None) == (not inputs):
        raise WorthError("give a table of models, or one model: loss=2.1 N=7B D=1T.")
    if source is None:
        if trend:
            raise WorthError("--trend needs a table of models with dates.")
        found = _one(fit, scores, at, inputs)
        print(json_module.dumps(found.to_dict(), allow_nan=False) if json else describe(found, fit))
        say(*(f"warning: {finding.text}" for finding in found.warnings))
        return
    _table(fit, scores, at, read_selected(source, rows), trend=trend, date=date, level=level, json=json)


def _one(fit: Fit, scores: Fit | None, at: float | None, inputs: tuple[str, ...]) -> Density:
    from rung.units import parse_number
    from rung.worth import density as density_of

    known: dict[str, Any] = {}
    for name, text in pairs(inputs, "input").items():
        known[_NAMES.get(name, name)] = text if name in fit.groups else parse_number(text)
    return density_of(fit, score_fit=scores, reference_tokens=at, **known)


def _table(
    fit: Fit, scores: Fit | None, at: float | None, runs: Runs, *, trend: bool, date: str, level: float, json: bool
) -> None:
    import numpy as np

    from rung.worth import density_trend

    found = _each(fit, scores, at, runs)
    followed = None
    if trend:
        told = [None if isinstance(one, str) else one.densities["params"].over for one in found.values()]
        followed = density_trend(_days(runs, date), np.array([over or np.nan for over in told]), level=level)
    if json:
        content: dict[str, Any] = {
            "models": [
                {"model": label, **({"refused": one} if isinstance(one, str) else one.to_dict())}
                for label, one in found.items()
            ]
        }
        if followed:
            content["trend"] = followed.to_dict()
        print(json_module.dumps(content, allow_nan=False))
    else:
        print(_describe_models(found, fit))
        if followed:
            print(_describe_trend(followed, level))
    say(*(f"warning: {label}: {one}" for label, one in found.items() if isinstance(one, str)))
    far = sum(
        any(finding.code == "far_extrapolation" for finding in one.warnings)
        for one in found.values()
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
    for row, name in enumerate(names):
        known: dict[str, Any] = {
            name: float(column[row]) for name, column in values.items() if np.isfinite(column[row])
        }
        known |= {name: str(column[row]) for name, column in groups.items()}
        key = str(name) if str(name) not in found else f"{name} ({row + 1})"
        try:
            found[key] = density_of(fit, score_fit=scores, reference_tokens=at, **known)
        except RungError as error:
            found[key] = error.text
    return found


def _describe_models(found: Mapping[str, Density | str], fit: Fit) -> str:
    from rung.units import format_count, format_interval, format_value

    told = [one for one in found.values() if not isinstance(one, str)]
    kinds = [name for name in ("params", "active params", "stored bits") if any(name in one.densities for one in told)]
    lines = []
    for label, one in found.items():
        if isinstance(one, str):
            lines.append([label, "refused", *[""] * (len(kinds) + 1)])
            continue
        cells = [format_value(one.densities[kind].over, 3) if kind in one.densities else "-" for kind in kinds]
        own = one.densities["params"].over_interval
        lines.append([label, format_count(one.size.value), *cells, format_interval(*own, lambda x: format_value(x, 3))])
    head = ["model", "effective size", *(f"density by {kind}" for kind in kinds)]
    return table([*head, f"{100 * fit.level:g} % interval (params)"], lines)


def _describe_trend(followed: Trend, level: float) -> str:
    from rung.units import format_interval

    def days(number: float) -> str:
        return f"{number:.3g}"

    percent = f"{100 * level:g} %"
    return (
        f"\ndensity of the densest doubles in {days(followed.doubling_days)} days ({percent}: "
        f"{format_interval(*followed.interval, days)}), from {len(followed.records)} records\n"
        f"of all models, by least squares, in {days(followed.plain_days)} days "
        f"({format_interval(*followed.plain_interval, days)}): models that fall short of their time bias it"
    )


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
            place = int(bad.arg_true()[0])
            raise WorthError(f"{runs.row_name(place)}: {date} is {series[place]!r}; write dates as 2025-03-14.")
        series = parsed
    if not series.dtype.is_temporal():
        raise WorthError(f"{runs.source}: {date} holds {series.dtype}, not dates such as 2025-03-14.")
    return series.cast(pl.Date).cast(pl.Int32).cast(pl.Float64).fill_null(float("nan")).to_numpy()


def describe(found: Density, fit: Fit) -> str:
    """A density as text for people."""
    from rung.units import format_count, format_interval, format_value

    def times(number: float) -> str:
        return format_value(number, 3)

    asked = f"score {format_value(found.score)}, read as " if found.score is not None else ""
    at = f", at {format_count(found.tokens)} tokens" if found.tokens is not None else ""
    rows = [["effective size", format_count(found.size.value), format_interval(*found.size.interval, format_count)]]
    if found.data is not None:
        rows.append(
            ["effective data", format_count(found.data.value), format_interval(*found.data.interval, format_count)]
        )
        if found.data.over is not None:
            rows.append(["data multiplier", times(found.data.over), format_interval(*found.data.over_interval, times)])
    rows += [
        [f"density by {name}", times(one.over or 0.0), format_interval(*one.over_interval, times)]
        for name, one in found.densities.items()
    ]
    return "\n".join(
        [
            f"asked      {asked}{fit.target} {format_value(found.loss)}{at}",
            "",
            table(["", "", f"{100 * fit.level:g} % interval"], rows),
        ]
    )
