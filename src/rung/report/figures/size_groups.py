"""Scores over size by groups: the models, the mean of each group, and what is as good as the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rung.report.figures.style import COLOURS, GREY, LAW, count_axis, named_at, panels
from rung.skill import GroupVerdict, SizeGroups

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 12
"""Metrics that are drawn, at most."""

_AS_GOOD = COLOURS[2]


def layout(figure: Figure, result: SizeGroups, scene: Scene) -> None:
    """A panel for each metric."""
    del scene
    shown = result.metrics[:_MOST]
    for index, (axes, one) in enumerate(zip(panels(figure, len(shown)), shown, strict=True)):
        _panel(axes, result, one, legend=index == 0)


def draw(axes: Axes, result: SizeGroups, scene: Scene) -> None:
    """The first metric."""
    del scene
    _panel(axes, result, result.metrics[0], legend=True)


def _panel(axes: Axes, result: SizeGroups, one: GroupVerdict, *, legend: bool) -> None:
    named_at(axes, f"{one.metric}: {one.verdict}")
    points = result.points.filter((pl.col("metric") == one.metric) & pl.col("score").is_finite())
    axes.scatter(points["params"], points["score"], s=9, color=GREY, alpha=0.5, linewidths=0, label="models")
    named = {"mean of a group": LAW, f"at most {result.margin:g} behind the best": _AS_GOOD}
    for group in one.groups:
        low, high = group.params
        color = _AS_GOOD if group.behind <= result.margin else LAW
        axes.plot([low * 0.94, high * 1.06], [group.mean] * 2, color=color, linewidth=3, solid_capstyle="butt")
        if one.cheapest == group.name:
            axes.annotate("plateau begins", (float(np.sqrt(low * high)), group.mean), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7.5, color=color)  # fmt: skip
    for label, color in named.items():
        axes.plot([], [], color=color, linewidth=3, label=label)
    count_axis(axes, "x", points["params"])
    axes.set_xlabel("parameters N")
    axes.set_ylabel("score")
    if legend:
        axes.legend(loc="best", fontsize=7)
