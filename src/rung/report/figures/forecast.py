"""A forecast: the runs, the law with its interval up to the run that is asked about, and how far that lies beyond them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rung.fitting import Fit
from rung.forecasting import Forecast, ask, predict
from rung.laws import column_of
from rung.report.figures.style import GREY, LAW, RUN, band, bars, count_axis, headed, named
from rung.units import flops_6nd, format_interval, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.arrays import Array
    from rung.report.figures.draw import Scene

_MANY = 3000
"""Runs from which they are drawn as one picture, in a figure of vector graphics too."""

_POINTS = 60
"""Points of the law's line."""


def draw(axes: Axes, result: Forecast, scene: Scene) -> None:
    """The forecast on its way from the runs; without a fit, its intervals alone."""
    variables = {name: result.inputs.get(column_of(name)) for name in scene.fit.law.variables} if scene.fit else {}
    variables |= {name: value for name, value in _solved(result).items() if name in variables}
    if scene.fit is None or not all(isinstance(value, int | float) and value > 0 for value in variables.values()):
        _alone(axes, result)
        return
    fit = scene.fit
    at: dict[str, float] = {name: float(value) for name, value in variables.items()}  # type: ignore[arg-type]
    levels = {group: str(result.inputs[group]) for group in fit.groups if group in result.inputs}
    scale, values, target = _runs(fit, at, levels)
    where = _scale(scale, at)
    first = float(values.min()) if len(values) else where / 1000
    steps = np.geomspace(min(first, where), max(where, float(values.max(initial=where))), _POINTS)
    found = predict(fit, ask(fit, {**_path(scale, at, steps / where), **levels}))
    percent = f"{100 * result.level:g} %"
    many = len(values) > _MANY
    if len(values):
        axes.scatter(
            values, target, s=4 if many else 14, color=GREY, alpha=0.7, linewidths=0, rasterized=many, label="runs"
        )
    band(axes, steps, found.law_low, found.law_high, f"{percent} of the law")
    band(axes, steps, found.run_low, found.run_high, f"{percent} of a new run", color=RUN, alpha=0.10)
    axes.plot(steps, found.value, color=LAW, linewidth=1.4, label=_along(scale, at))
    asked = result.value if result.solution is None else float(result.inputs.get(result.target, np.nan))
    low, high = result.run_interval if result.solution is None else (None, None)
    if low is not None and high is not None:
        axes.plot([where, where], [low, high], color=RUN, linewidth=2.2)
    axes.plot([where], [asked], "*", color=RUN, markersize=12, zorder=5, label="asked")
    count_axis(axes, "x", [*steps])
    seen = np.concatenate([target, found.value, [asked, *(bound for bound in (low, high) if bound is not None)]])
    if np.all(seen > 0):
        count_axis(axes, "y", seen)
    if len(values) and where > values.max():
        axes.axvspan(float(values.max()), axes.get_xlim()[1], color="#f3f4f6", zorder=0)
        axes.text(
            float(values.max()),
            0.99,
            " beyond the runs",
            va="top",
            fontsize=8,
            color=GREY,
            transform=axes.get_xaxis_transform(),
        )
    axes.set_xlabel(_label(scale))
    axes.set_ylabel(named(result.target))
    headed(axes, _title(result))
    axes.legend(loc="best")


def _along(scale: str, at: dict[str, float]) -> str:
    """What the law's line goes along: at the tokens per parameter that are asked about, or with the rest held."""
    if scale == "C" and {"N", "D"} <= set(at):
        return f"law at {format_value(at['D'] / at['N'], 3)} tokens per parameter"
    held = ", ".join(f"{name} {format_value(value, 3)}" for name, value in at.items() if name != scale)
    return f"law at {held}" if held else "law"


def _solved(result: Forecast) -> dict[str, float]:
    """N, D and C of an inversion, by symbol."""
    columns = {"params": "N", "tokens": "D", "flops": "C"}
    return {columns[name]: value for name, value in (result.solution or {}).items() if name in columns}


def _title(result: Forecast) -> str:
    if result.solution is not None:
        return f"{result.target} {format_value(float(result.inputs[result.target]), 4)} takes {result.headline()}"
    return f"{result.target} {format_value(result.value, 4)}, a new run {format_interval(*result.run_interval, lambda value: format_value(value, 4))}"


def _alone(axes: Axes, result: Forecast) -> None:
    bars(axes, [result.solved_for or result.target], [result.value], [[result.law_interval], [result.run_interval]])
    axes.set_xlabel(named(result.solved_for or result.target))
    headed(axes, result.headline())


def _runs(fit: Fit, at: dict[str, float], levels: dict[str, str]) -> tuple[str, Array, Array]:
    """What stands along x, and the runs of these levels there with their targets."""
    empty = np.zeros(0)
    if fit.table is None:
        return ("C" if {"N", "D"} <= set(at) else next(iter(at))), empty, empty
    design = fit.table
    rows = np.ones(design.rows, dtype=bool)
    for group, level in levels.items():
        names = design.level_names.get(group, ())
        if level in names:
            rows &= design.groups[group] == names.index(level)
    columns = {name: values[rows] for name, values in design.columns.items()}
    if {"N", "D"} <= set(at):
        return "C", np.asarray(flops_6nd(columns["N"], columns["D"])), design.target[rows]
    beyond = {
        name: abs(np.log(at[name] / np.clip(at[name], values.min(), values.max()))) for name, values in columns.items()
    }
    scale = max(beyond, key=lambda name: (beyond[name], float(np.ptp(np.log(columns[name])))))
    return scale, columns[scale], design.target[rows]


def _scale(scale: str, at: dict[str, float]) -> float:
    return float(flops_6nd(at["N"], at["D"])) if scale == "C" and "N" in at else at[scale]


def _path(scale: str, at: dict[str, float], share: Array) -> dict[str, Any]:
    """The law's variables on the way to the question: of N and D at its tokens per parameter, else along one variable."""
    found: dict[str, Any] = {name: np.full(len(share), value) for name, value in at.items()}
    if scale == "C" and "N" in at:
        found["N"], found["D"] = at["N"] * np.sqrt(share), at["D"] * np.sqrt(share)
        if "C" in at:
            found["C"] = at["C"] * share
        return found
    found[scale] = at[scale] * share
    return found


def _label(scale: str) -> str:
    return named(column_of(scale)) if scale != "C" else "compute 6 N D [FLOP]"
