"""Learning curves: error against data on logarithmic axes, the power law in its region, and the data for a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import COLOURS, GREY, MARKERS, count_axis, headed, named, plainly
from rung.skill import DataCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene


def draw(axes: Axes, result: DataCurves, scene: Scene) -> None:
    """Each recipe in its colour; points outside its power-law region are hollow."""
    del scene
    headed(axes, result.headline())
    drawn_x, drawn_y = [], []
    for index, one in enumerate(result.curves):
        color, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        inside = (one.samples >= one.region[0]) & (one.samples <= one.region[1])
        name = plainly(one.recipe or "measured")
        axes.plot(one.samples[inside], one.error[inside], marker, color=color, markersize=5, label=name)
        if (~inside).any():
            axes.plot(one.samples[~inside], one.error[~inside], marker, color=color, markersize=5, markerfacecolor="none", label=f"{name}, outside the region")  # fmt: skip
        end = max(one.region[1], one.needed or 0.0)
        grid = np.geomspace(one.region[0], end, 100)
        axes.plot(grid, one(grid), color=color, linewidth=1.3, zorder=3)
        if one.needed is not None and result.target is not None:
            axes.plot(
                [one.needed],
                [result.target],
                "*",
                color=color,
                markersize=12,
                markeredgecolor="#111827",
                zorder=5,
                label="reaches the target",
            )
        drawn_x += [*one.samples, end]
        drawn_y += [*one.error, *one(grid)]
    if result.target is not None:
        axes.axhline(result.target, color=GREY, linewidth=0.9, linestyle="--")
        drawn_y.append(result.target)
    count_axis(axes, "x", drawn_x)
    count_axis(axes, "y", drawn_y)
    axes.set_xlabel(named(result.samples))
    axes.set_ylabel(named(result.column))
    axes.legend(loc="best")
