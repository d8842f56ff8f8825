"""Forecast scores: each task over compute with what a new run may score; of a single task also the curve from loss to score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, headed, named_at, panels, with_intervals
from rung.skill import ScoreForecasts, TaskForecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 12
"""Tasks that are drawn, at most."""


def layout(figure: Figure, result: ScoreForecasts, scene: Scene) -> None:
    """Two panels for one task with a loss, otherwise a panel for each task."""
    del scene
    tasks = result.tasks[:_MOST]
    if len(tasks) == 1:
        law = tasks[0].score_law is not None
        figure.set_size_inches(8.4 if law else 5.4, 3.8)
        both = np.atleast_1d(figure.subplots(1, 1 + law))
        headed(both[0], result.headline())
        _over_compute(both[0], result, tasks[0])
        if law:
            _from_loss(both[1], tasks[0])
        return
    for axes, task in zip(panels(figure, len(tasks)), tasks, strict=True):
        named_at(axes, task.task.name + ("" if task.signal.predictable else ": not predictable"))
        _over_compute(axes, result, task)


def draw(axes: Axes, result: ScoreForecasts, scene: Scene) -> None:
    """The first task over compute."""
    del scene
    headed(axes, result.headline())
    _over_compute(axes, result, result.tasks[0])


def _over_compute(axes: Axes, result: ScoreForecasts, task: TaskForecast) -> None:
    flops, score = (task.ends[name].to_numpy() for name in ("flops", "score"))
    axes.scatter(flops, score, s=12, color=GREY, label="runs", zorder=3)
    asked = np.array([plan["C"] for plan in result.plans])
    values = np.array([one.value for one in task.plans])
    label = f"forecast, {100 * result.level:g} % of new runs"
    with_intervals(axes, asked, values, [one.run_interval for one in task.plans], color=RUN, label=label)
    axes.axhline(task.task.chance, color=GREY, linewidth=0.9, linestyle="--", label="chance")
    axes.set_xscale("log")
    every = np.concatenate([flops, asked])
    axes.set_xlim(float(every.min()) / 1.6, float(every.max()) * 1.6)
    axes.set_xlabel("compute C [FLOP]")
    axes.set_ylabel("score")
    if len(result.tasks) == 1 or task is result.tasks[0]:
        axes.legend(loc="best", fontsize=7.5)


def _from_loss(axes: Axes, task: TaskForecast) -> None:
    law = task.score_law
    if law is None:
        return
    loss, score = (task.points[name].to_numpy() for name in ("task_loss", "score"))
    axes.scatter(loss, score, s=6, color=GREY, alpha=0.5, label="checkpoints")
    asked = np.array([one.loss for one in task.plans if one.loss is not None])
    ends = np.concatenate([loss, asked])
    grid = np.linspace(float(ends.min()) * 0.97, float(ends.max()) * 1.03, 200)
    axes.plot(grid, law(grid), color=LAW, label="logistic")
    axes.scatter(asked, law(asked), marker="D", s=24, color=RUN, label="at the forecast loss", zorder=4)
    axes.invert_xaxis()
    axes.set_xlabel("loss on the task (falls to the right)")
    axes.set_ylabel("score")
    axes.set_title("from loss to score", loc="left")
    axes.legend(loc="best", fontsize=7.5)
