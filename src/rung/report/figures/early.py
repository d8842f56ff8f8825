"""Early order: for each metric how well early scores and size alone tell the final order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, headed, plainly
from rung.skill import EarlyOrder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 30
"""Metrics that are drawn, at most."""


def layout(figure: Figure, result: EarlyOrder, scene: Scene) -> None:
    """A row for each metric, and their mean."""
    figure.set_size_inches(6.4, 1.8 + 0.28 * min(len(result.metrics), _MOST))
    draw(figure.subplots(), result, scene)


def draw(axes: Axes, result: EarlyOrder, scene: Scene) -> None:
    """A row for each metric, and their mean with its intervals."""
    del scene
    headed(axes, result.headline())
    shown = sorted(result.metrics, key=lambda one: one.size - one.early)[:_MOST]
    rows = np.arange(len(shown), 0, -1)
    for row, one in zip(rows, shown, strict=True):
        axes.plot([one.size, one.early], [row, row], color=GREY, linewidth=1.0, alpha=0.6)
    axes.plot([one.early for one in shown], rows, "o", color=LAW, markersize=5)
    axes.plot([one.size for one in shown], rows, "s", color=RUN, markersize=5, markerfacecolor="none")
    for (value, low, high), color, marker, up, label in (
        (result.early, LAW, "o", 0.13, f"scores at {100 * result.at:.0f} % of the training"),
        (result.size, RUN, "s", -0.13, "size alone"),
        (result.shuffled, GREY, "x", 0.0, "scores dealt at random"),
    ):
        axes.plot([low, high], [up, up], color=color, linewidth=3.0, alpha=0.5, solid_capstyle="butt")
        axes.plot([value], [up], marker, color=color, markersize=5.5, label=label)
    axes.axvline(0, color=GREY, linewidth=0.9)
    axes.set_yticks([*rows, 0], labels=[*(plainly(one.metric) for one in shown), f"mean, {100 * result.level:g} %"])
    axes.set_ylim(-0.7, len(shown) + 0.7)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("Kendall's tau with the order at the end")
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.4, -0.24 if len(shown) < 4 else -1.1 / (1 + 0.28 * len(shown))),
        ncols=3,
        fontsize=7.5,
    )
