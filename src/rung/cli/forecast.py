"""`rung forecast`: what a fit says about runs not made."""

from __future__ import annotations

import json as json_module
import math
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.table_options import pairs, say
from rung.cli.text import table
from rung.errors import ForecastError, ReportError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.forecasting import Forecast

_LARGEST_GRID = 100_000


def forecast(
    fit: Annotated[str, Parameter(name="FIT")],
    /,
    *inputs: Annotated[str, Parameter(name="NAME=VALUE")],
    loss: float | None = None,
    tokens_per_param: float | None = None,
    output: Annotated[str | None, Parameter(name=["-o", "--output"])] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Forecast a run, or find the size, data or compute that a loss needs.

    Parameters
    ----------
    fit
        A fit that `rung fit RUNS -o fit.json` wrote.
    inputs
        The law's variables: N=70B D=1.4T (two of N, D, C give the third). A range N=1e8:1e11:20 makes a grid of 20 values, evenly spaced in the logarithm, printed as CSV, or with --json as a list.
    loss
        A wished value of the target; the variable that is open is solved for.
    tokens_per_param
        With --loss: tie D to N, where both are open.
    output
        Write the grid to this CSV file.
    json
        Print one JSON object instead of text.
    """
    from rung.files import require_writable
    from rung.fitting import holds_selection, read_fit
    from rung.forecasting import forecast as forecast_run
    from rung.forecasting import invert

    if output:
        if not output.lower().endswith(".csv"):
            raise ReportError(f"-o {output}: a grid is written as CSV; name a .csv file.")
        require_writable(output)
    if holds_selection(fit):
        _combined(fit, inputs, json=json, grid=bool(output), wish=loss is not None or tokens_per_param is not None)
        return
    fitted = read_fit(fit)
    given = {name: _value(name, text, fitted) for name, text in pairs(inputs, "input").items()}
    points = math.prod(len(value) for value in given.values() if not isinstance(value, str | float))
    if points > _LARGEST_GRID:
        raise ForecastError(
            f"a grid of {points:,} points is asked for; the largest has {_LARGEST_GRID:,}. Thin a range."
        )
    if any(not isinstance(value, str | float) for value in given.values()) or output:
        if loss is not None:
            raise ForecastError("--loss solves for one number; a range of inputs does not go with it.")
        _grid(fitted, given, output, json=json)
        return
    if loss is not None:
        answer = invert(fitted, loss, tokens_per_param=tokens_per_param, **given)
    elif tokens_per_param is not None:
        raise ForecastError("--tokens-per-param goes with --loss; for a forecast give N and D.")
    else:
        answer = forecast_run(fitted, **given)
    print(json_module.dumps(answer.to_dict(), allow_nan=False) if json else describe(answer, fitted))
    say(*(f"warning: {finding.text}" for finding in answer.warnings))


def _combined(path: str, inputs: tuple[str, ...], *, json: bool, grid: bool, wish: bool) -> None:
    from rung.fitting import read_selection
    from rung.forecasting import forecast_selection

    if grid or wish:
        raise ForecastError(
            f"{path} holds several laws: they give a forecast of one run. For a grid or a wished loss, fit one law: rung fit."
        )
    selection = read_selection(path)
    first = selection.laws[0].fit
    answer = forecast_selection(
        selection, **{name: _value(name, text, first) for name, text in pairs(inputs, "input").items()}
    )
    print(json_module.dumps(answer.to_dict(), allow_nan=False) if json else describe(answer, first))
    say(*(f"warning: {finding.text}" for finding in answer.warnings))


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


def _grid(fitted: Fit, given: dict[str, Any], output: str | None, *, json: bool) -> None:
    from rung.files import write_text
    from rung.forecasting import forecast as forecast_run
    from rung.forecasting import forecast_grid

    grid = forecast_grid(fitted, **given)
    inputs = grid.columns[: grid.columns.index("value")]

    def alone(place: int) -> Forecast:
        return forecast_run(fitted, **grid.select(inputs).row(place, named=True))

    if output:
        write_text(output, grid.write_csv())
    if json:
        print(json_module.dumps([alone(place).to_dict() for place in range(grid.height)], allow_nan=False))
    elif not output:
        print(grid.write_csv(), end="")
    farthest = grid["extrapolation_factor"].arg_max()
    say(*(f"warning: {finding.text}" for finding in alone(farthest or 0).warnings))


def describe(answer: Forecast, fitted: Fit) -> str:
    """A forecast as text for people."""
    from rung.units import format_count, format_interval, format_value

    inputs = ", ".join(
        f"{name} {number if isinstance(number, str) else format_value(number) if name == fitted.target else format_count(number)}"
        for name, number in answer.inputs.items()
    )
    wanted = answer.solved_for or fitted.target
    percent = f"{100 * fitted.level:g} %"
    show = format_count if answer.solution is not None else format_value
    lines = [f"asked      {inputs}"]
    if answer.solution is None:
        lines.append(f"{wanted:<10} {show(answer.value)}")
    else:
        lines.append("takes      " + ", ".join(f"{name} {show(value)}" for name, value in answer.solution.items()))
    lines += [
        "",
        table(
            [f"{percent} interval", wanted],
            [
                ["of the law", format_interval(*answer.law_interval, show)],
                ["of a new run", format_interval(*answer.run_interval, show)],
            ],
        ),
        *([_parts(answer)] if answer.parts else []),
        "",
        f"extrapolation factor {answer.extrapolation_factor:.3g}"
        + ("" if answer.extrapolation_factor > 1 else " (inside the range of the runs)"),
    ]
    return "\n".join(lines)


def _parts(answer: Forecast) -> str:
    shares = ", ".join(f"{100 * share:.0f} % {name}" for name, share in answer.parts.items())
    return f"\nvariance of a new run: {shares}"
