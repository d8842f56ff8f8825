"""A plan of runs: on the map of N and D beside the runs that were made, and what each of them buys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.planning.experiments import NextRuns
from rung.report.figures.style import GREY, LAW, RUN, count_axis, headed, named
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

SIZE = (8.4, 4.0)
"""Width and height [inch]."""


_MANY = 2000
"""Runs from which they are drawn as one picture."""

_NUMBERED = 16
"""Most planned runs that bear their number."""


def layout(figure: Figure, result: NextRuns, scene: Scene) -> None:
    """The map to the left, the error of the targets to the right."""
    left, right = figure.subplots(1, 2)
    draw(left, result, scene)
    spent = np.cumsum([one.cost for one in result.runs])
    right.plot(spent, [100 * one.relative_se_after for one in result.runs], "-o", color=LAW, markersize=5)
    for number, (x, one) in enumerate(zip(spent, result.runs, strict=True), 1) if len(result.runs) <= _NUMBERED else ():
        right.annotate(
            str(number), (x, 100 * one.relative_se_after), textcoords="offset points", xytext=(4, 4), fontsize=8
        )
    count_axis(right, "x", spent)
    right.set_ylim(0, 1.12 * max(100 * one.relative_se_after for one in result.runs))
    right.set_xlabel(f"spent by {result.cost}")
    right.set_ylabel("standard error of the targets [%]")
    headed(right, "what each run buys")


def draw(axes: Axes, result: NextRuns, scene: Scene) -> None:
    """The planned runs by number, and those that were made; with one variable, their cost stands along y."""
    columns = list(result.runs[0].inputs)
    x, y = columns[0], columns[1] if len(columns) > 1 else ""
    runs = scene.runs
    made = runs is not None and hasattr(runs, "has") and runs.has(x) and (not y or runs.has(y))
    drawn_x, drawn_y = [one.inputs[x] for one in result.runs], [one.inputs[y] if y else one.cost for one in result.runs]
    if made and y:
        before_x, before_y = runs.numbers(x), runs.numbers(y)
        axes.scatter(
            before_x,
            before_y,
            s=12,
            color=GREY,
            alpha=0.6,
            linewidths=0,
            label="made",
            rasterized=len(before_x) > _MANY,
        )
        drawn_x, drawn_y = [*drawn_x, *before_x], [*drawn_y, *before_y]
    axes.scatter(
        [one.inputs[x] for one in result.runs],
        [one.inputs[y] if y else one.cost for one in result.runs],
        s=150 if len(result.runs) <= _NUMBERED else 26,
        color=RUN,
        zorder=4,
        label="planned, most useful first",
    )
    for number, one in enumerate(result.runs, 1) if len(result.runs) <= _NUMBERED else ():
        axes.annotate(
            str(number),
            (one.inputs[x], one.inputs[y] if y else one.cost),
            ha="center",
            va="center",
            fontsize=8,
            color="white",
            zorder=5,
        )
    count_axis(axes, "x", drawn_x)
    count_axis(axes, "y", drawn_y)
    axes.set_xlabel(named(x))
    axes.set_ylabel(named(y) if y else f"cost by {result.cost}")
    headed(axes, f"{len(result.runs)} runs for {format_count(result.spent)}")
    axes.legend(loc="best")
