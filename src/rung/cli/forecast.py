"""`rung forecast`: what a fit says about runs not made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Inputs, Json, LevelOfFit, Output, TargetLoss
from rung.cli.output import as_json, figure_kinds, require_kinds, scene_of, show, warn, write_result
from rung.cli.table_options import pairs, tables_and_inputs
from rung.errors import ForecastError

if TYPE_CHECKING:
    from rung.fitting import Fit, Fits, Selection
    from rung.forecasting import Forecast

_LARGEST_GRID = 100_000


def forecast(
    fit: Annotated[str, Parameter(name="FIT")],
    /,
    *inputs: Inputs,
    loss: TargetLoss = None,
    tokens_per_param: Annotated[float | None, Parameter(group=QUESTION)] = None,
    against: Annotated[int | None, Parameter(group=QUESTION)] = None,
    then: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=False)] = (),
    level: LevelOfFit = None,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Forecast a run, or find the size, data or compute that a target loss needs.

    Parameters
    ----------
    fit
        A fit, several fits or a selection that rung fit or rung select wrote with -o (- for standard input), or a law of the book with constants, such as besiroglu-2024.
    inputs
        A table of planned runs, PLANS.csv, forecast row by row; or the law's variables: N=70B D=1.4T (two of N, D, C give the third). A range N=1e8:1e11:20 makes a grid of 20 values, evenly spaced in the logarithm, printed as CSV, or with --json as a list.
    tokens_per_param
        Tie D to N: N=7B --tokens-per-param 20. With --loss, where both are open.
    then
        A fit of what follows from the target, such as a score from the loss: rung forecast loss.json N=7B D=1T --then score.json. Repeatable.
    against
        With a table: the row, from 1, whose forecast is taken from the others', with intervals of the difference.
    """
    from rung.fitting import Fits, Selection, read_any

    if then:
        _chain(fit, then, inputs, level, (output, figure), json=json, others=(loss, tokens_per_param, against))
        return
    kinds = require_kinds(
        output, {".csv": "a grid, or forecasts of plans", ".json": "one forecast, or those of plans"}
    ) | figure_kinds(figure)
    source = read_any(fit, level=level)
    if isinstance(source, Fits):
        _several(source, inputs, kinds, json=json, others=(loss, tokens_per_param, against))
        return
    fitted = source.laws[0].fit if isinstance(source, Selection) else source
    tables, named = tables_and_inputs(inputs)
    given = {name: _value(name, text, fitted) for name, text in pairs(named, "input").items()}
    if tables:
        _plans(source, tables, given, kinds, against, json=json, others=(loss, tokens_per_param))
        return
    if against is not None:
        raise ForecastError("--against compares the rows of a table of plans: rung forecast FIT PLANS.csv --against 1.")
    _run(source, given, kinds, loss, tokens_per_param, json=json)


def _run(
    source: Fit | Selection,
    given: dict[str, Any],
    kinds: dict[str, str],
    loss: float | None,
    ratio: float | None,
    *,
    json: bool,
) -> None:
    """Forecast one run, or a grid of them."""
    from rung.fitting import Selection

    fitted = source.laws[0].fit if isinstance(source, Selection) else source
    if ratio is not None and loss is None:
        given, ratio = _tied(given, ratio), None
    drawn = [path for path, kind in kinds.items() if not kind.startswith(".")]
    if drawn and ".csv" in kinds.values():
        raise ForecastError(
            f"{drawn[0]}: a figure shows one forecast or a table of plans, and -o FILE.csv asks for a grid."
        )
    grid = any(not isinstance(value, str | float) for value in given.values()) or ".csv" in kinds.values()
    if isinstance(source, Selection) and (grid or loss is not None):
        raise ForecastError(
            "a selection holds several laws: they forecast one run. For a grid or a target loss, fit one law: rung fit."
        )
    if grid and drawn:
        raise ForecastError(f"{drawn[0]}: a figure shows one forecast or a table of plans, not a grid.")
    if grid:
        _grid(fitted, given, kinds, json=json, loss=loss)
        return
    answer = _answer(source, given, loss, ratio)
    write_result(answer, kinds, scene_of(kinds, fit=fitted))
    show(answer, json=json)


def _answer(source: Fit | Selection, given: dict[str, Any], loss: float | None, ratio: float | None) -> Forecast:
    """One forecast, by one law or several, or the inversion for a target loss."""
    from rung.fitting import Selection
    from rung.forecasting import forecast as forecast_run
    from rung.forecasting import forecast_selection, invert

    if isinstance(source, Selection):
        return forecast_selection(source, **given)
    if loss is not None:
        return invert(source, loss, tokens_per_param=ratio, **given)
    return forecast_run(source, **given)


def _plans(
    source: Fit | Selection,
    tables: list[str],
    given: dict[str, Any],
    kinds: dict[str, str],
    against: int | None,
    *,
    json: bool,
    others: tuple[float | None, float | None],
) -> None:
    """Forecast the rows of a table."""
    from rung.forecasting import forecast_plans

    absent = [name for name in tables if not Path(name).exists()]
    if absent:
        raise ForecastError(f"input {absent[0]!r}: write NAME=VALUE, or name a table of plans; there is no such file.")
    if len(tables) > 1:
        raise ForecastError(f"{' and '.join(tables)} are two tables of plans; give one.")
    if others != (None, None):
        raise ForecastError("--loss and --tokens-per-param do not go with a table of plans, which states its runs.")
    ranges = [name for name, value in given.items() if not isinstance(value, str | float)]
    if ranges:
        raise ForecastError(f"{ranges[0]} is a range; beside a table of plans give single values.")
    found = forecast_plans(source, tables[0], against=None if against is None else against - 1, **given)
    write_result(found, kinds)
    show(found, json=json)


def _chain(
    fit: str,
    then: tuple[str, ...],
    inputs: tuple[str, ...],
    level: float | None,
    files: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    json: bool,
    others: tuple[Any, ...],
) -> None:
    """Forecast what follows from the target of a fit by further fits."""
    from rung.fitting import read_fit
    from rung.forecasting import forecast_chain
    from rung.units import parse_number

    if any(one is not None for one in others):
        raise ForecastError("--loss, --tokens-per-param and --against do not go with --then, which forecasts one run.")
    kinds = require_kinds(files[0], {".json": "the forecast"}) | figure_kinds(files[1])
    chain = [read_fit(path) for path in (fit, *then)]
    groups = {group for one in chain for group in one.groups}
    given: dict[str, Any] = {
        name: text if name in groups else parse_number(text) for name, text in pairs(inputs, "input").items()
    }
    answer = forecast_chain(chain, level=level, **given)
    write_result(answer, kinds)
    show(answer, json=json)


def _several(
    source: Fits, inputs: tuple[str, ...], kinds: dict[str, str], *, json: bool, others: tuple[Any, ...]
) -> None:
    """Ask several fits about one run."""
    from rung.forecasting import forecast_each
    from rung.units import parse_number

    if any(one is not None for one in others):
        raise ForecastError(
            "--loss, --tokens-per-param and --against are for one fit, and the file holds several: state the run, N=7B D=1T."
        )
    groups = {group for one in source.fits.values() for group in one.groups}
    given: dict[str, Any] = {
        name: text if name in groups else parse_number(text) for name, text in pairs(inputs, "input").items()
    }
    answer = forecast_each(source, **given)
    write_result(answer, kinds)
    show(answer, json=json)


def _tied(given: dict[str, Any], ratio: float) -> dict[str, Any]:
    """N and D from one of N, D and C, with D / N = ratio."""
    from rung.laws import symbol_of

    if not (math.isfinite(ratio) and ratio > 0):
        raise ForecastError(f"--tokens-per-param {ratio:g} must be positive.")
    stated = {symbol_of(name): value for name, value in given.items()}
    known = [name for name in "NDC" if name in stated]
    if len(known) != 1:
        raise ForecastError(
            f"--tokens-per-param {ratio:g} gives two of N, D and C from one of them; "
            + (f"{' and '.join(known)} are given." if known else "give one: N=7B.")
        )
    value = stated.pop(known[0])
    match known[0]:
        case "N":
            return {**stated, "N": value, "D": ratio * value}
        case "D":
            return {**stated, "N": value / ratio, "D": value}
        case _:
            params = (value / (6 * ratio)) ** 0.5
            return {**stated, "N": params, "D": ratio * params}


def _value(name: str, text: str, fitted: Fit) -> Any:
    from rung.forecasting import is_variable
    from rung.units import parse_number

    if not is_variable(fitted, name):
        return text
    parts = text.split(":")
    if len(parts) == 1:
        return parse_number(text)
    import numpy as np

    low, high = (parse_number(part) for part in parts[:2])
    count = int(parts[2]) if len(parts) == 3 and parts[2].isdigit() else 0
    if not (0 < low < high and 2 <= count <= _LARGEST_GRID):
        raise ForecastError(
            f"{name}={text}: write a range as LOW:HIGH:COUNT with LOW under HIGH and COUNT from 2 to {_LARGEST_GRID:,}, "
            f"such as {name}=1e8:1e11:20."
        )
    return np.geomspace(low, high, count)


def _grid(fitted: Fit, given: dict[str, Any], kinds: dict[str, str], *, json: bool, loss: float | None) -> None:
    from rung.files import neutral_csv, write_all
    from rung.forecasting import forecast as forecast_run
    from rung.forecasting import forecast_grid

    if loss is not None:
        raise ForecastError("--loss solves for one number; a range of inputs does not go with it.")
    if ".json" in kinds.values():
        raise ForecastError("a grid is written as CSV: name a .csv file, or print it with --json.")
    points = math.prod(len(value) for value in given.values() if not isinstance(value, str | float))
    if points > _LARGEST_GRID:
        raise ForecastError(
            f"a grid of {points:,} points is too large; the largest has {_LARGEST_GRID:,}. Thin a range."
        )
    grid = forecast_grid(fitted, **given)
    inputs = grid.columns[: grid.columns.index("value")]

    def alone(row: int) -> Forecast:
        return forecast_run(fitted, **grid.select(inputs).row(row, named=True))

    write_all(dict.fromkeys(kinds, neutral_csv(grid).encode()))
    if json:
        print(as_json([alone(row).to_dict() for row in range(grid.height)]))
    elif not kinds:
        print(grid.write_csv(), end="")
    warn(alone(grid["extrapolation_factor"].arg_max() or 0).warnings)
