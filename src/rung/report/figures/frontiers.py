"""What scales can reach: the models, the upper quantile of their scores, and what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, count_axis, named, named_at, panels, with_intervals
from rung.skill import Frontiers, MetricFrontier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 12
"""Metrics that are drawn, at most."""


def layout(figure: Figure, result: Frontiers, scene: Scene) -> None:
    """A panel for each metric."""
    del scene
    shown = result.frontiers[:_MOST]
    for index, (axes, one) in enumerate(zip(panels(figure, len(shown)), shown, strict=True)):
        _panel(axes, result, one, legend=index == 0)


def draw(axes: Axes, result: Frontiers, scene: Scene) -> None:
    """The first metric."""
    del scene
    _panel(axes, result, result.frontiers[0], legend=True)


def _panel(axes: Axes, result: Frontiers, one: MetricFrontier, *, legend: bool) -> None:
    named_at(axes, one.metric)
    scale, score = one.points.T
    axes.scatter(scale, score, s=6, color=GREY, alpha=0.35, linewidths=0, label="models")
    every = np.concatenate([scale, result.asked])
    grid = np.geomspace(every.min(), every.max(), 120)
    axes.plot(grid, one(grid), color=LAW, label=f"{result.quantile:g} quantile")
    if result.asked:
        values, *ends = np.array(one.reach).T
        label = f"asked, {100 * result.level:g} %"
        with_intervals(axes, result.asked, values, np.stack(ends, axis=1), color=RUN, label=label)
    count_axis(axes, "x", every)
    axes.set_xlabel(named(result.along))
    axes.set_ylabel("score")
    if legend:
        axes.legend(loc="best", fontsize=7)
