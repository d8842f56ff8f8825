"""Forecast scores of families: each task over compute, the families that are asked about in colour among all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rung.report.figures.style import COLOURS, GREY, named_at, panels, plainly, with_intervals
from rung.skill import FamilyForecasts, FamilyTask

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST_TASKS, _MOST_FAMILIES = 12, 5
"""Tasks and families that are drawn, at most."""


def layout(figure: Figure, result: FamilyForecasts, scene: Scene) -> None:
    """A panel for each task."""
    del scene
    tasks = result.tasks[:_MOST_TASKS]
    for index, (axes, task) in enumerate(zip(panels(figure, len(tasks)), tasks, strict=True)):
        named_at(axes, task.task.name)
        _panel(axes, result, task, legend=index == 0)


def draw(axes: Axes, result: FamilyForecasts, scene: Scene) -> None:
    """The first task."""
    del scene
    named_at(axes, result.tasks[0].task.name, small=False)
    _panel(axes, result, result.tasks[0], legend=True)


def _panel(axes: Axes, result: FamilyForecasts, task: FamilyTask, *, legend: bool) -> None:
    points = result.points.filter(pl.col(task.task.name).is_not_nan())
    scale = "flops" if "flops" in points.columns else "params"
    axes.scatter(
        points[scale], points[task.task.name], s=7, color=GREY, alpha=0.5, label="other families", linewidths=0
    )
    asked = list(dict.fromkeys(plan.family for plan in result.plans))[:_MOST_FAMILIES]
    for family, color in zip(asked, COLOURS, strict=False):
        own = points.filter(pl.col("family") == family).sort(scale)
        axes.plot(own[scale], own[task.task.name], "o-", color=color, markersize=4, linewidth=1, label=plainly(family))
        plans = [(plan, score) for plan, score in zip(result.plans, task.plans, strict=True) if plan.family == family]
        at = [plan.flops or plan.params for plan, _ in plans]
        value = np.array([score.value for _, score in plans])
        label = f"forecast, {100 * result.level:g} %" if family == asked[0] else None
        with_intervals(axes, at, value, [score.run_interval for _, score in plans], color=color, label=label)
    if task.task.chance > 0:
        axes.axhline(task.task.chance, color=GREY, linewidth=0.9, linestyle="--", label="chance")
    axes.set_xscale("log")
    axes.set_xlabel("compute C [FLOP]" if scale == "flops" else "parameters N")
    axes.set_ylabel("score")
    if legend:
        axes.legend(loc="best", fontsize=7)
