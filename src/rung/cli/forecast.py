"""`rung forecast`: what a fit says about runs not made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import QUESTION, Inputs, Json, LevelOfFit, Output, TargetLoss
from rung.cli.output import as_json, require_kinds, show, warn, write_result
from rung.cli.table_options import pairs
from rung.errors import ForecastError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.forecasting import Forecast

_LARGEST_GRID = 100_000


def forecast(
    fit: Annotated[str, Parameter(name="FIT")],
    /,
    *inputs: Inputs,
    loss: TargetLoss = None,
    tokens_per_param: Annotated[float | None, Parameter(group=QUESTION)] = None,
    level: LevelOfFit = None,
    output: Output = (),
    json: Json = False,
) -> None:
    """Forecast a run, or find the size, data or compute that a target loss needs.

    Parameters
    ----------
    fit
        A fit or a selection that rung fit or rung select wrote with -o; - for standard input.
    inputs
        The law's variables: N=70B D=1.4T (two of N, D, C give the third). A range N=1e8:1e11:20 makes a grid of 20 values, evenly spaced in the logarithm, printed as CSV, or with --json as a list.
    tokens_per_param
        With --loss: tie D to N, where both are open.
    """
    from rung.fitting import Selection, read_fit_or_selection
    from rung.forecasting import forecast as forecast_run
    from rung.forecasting import forecast_selection, invert

    kinds = require_kinds(output, {".csv": "a grid", ".json": "one forecast"})
    source = read_fit_or_selection(fit, level=level)
    fitted = source.laws[0].fit if isinstance(source, Selection) else source
    given = {name: _value(name, text, fitted) for name, text in pairs(inputs, "input").items()}
    grid = any(not isinstance(value, str | float) for value in given.values()) or ".csv" in kinds.values()
    if isinstance(source, Selection):
        if grid or loss is not None or tokens_per_param is not None:
            raise ForecastError(
                f"{fit} holds several laws: they forecast one run. For a grid or a target loss, fit one law: rung fit."
            )
        answer = forecast_selection(source, **given)
    elif grid:
        _grid(fitted, given, kinds, json=json, loss=loss)
        return
    elif loss is not None:
        answer = invert(fitted, loss, tokens_per_param=tokens_per_param, **given)
    elif tokens_per_param is not None:
        raise ForecastError("--tokens-per-param belongs to --loss; for a forecast give N and D.")
    else:
        answer = forecast_run(fitted, **given)
    write_result(answer, kinds)
    show(answer, json=json)


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
    from rung.files import write_all
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

    write_all(dict.fromkeys(kinds, grid.write_csv().encode()))
    if json:
        print(as_json([alone(row).to_dict() for row in range(grid.height)]))
    elif not kinds:
        print(grid.write_csv(), end="")
    warn(alone(grid["extrapolation_factor"].arg_max() or 0).warnings)
