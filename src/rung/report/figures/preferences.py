"""Preferences: how often each score is right, with and without style, and what style weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, bars, plainly
from rung.skill import Preferences

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 30
"""Scores and groups that are drawn, at most."""


def layout(figure: Figure, result: Preferences, scene: Scene) -> None:
    """Scores to the left, weights of style to the right."""
    count = max(min(len(result.scores), _MOST), len(result.style))
    figure.set_size_inches(9.6, 1.5 + 0.34 * count)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    draw(left, result, scene)
    bars(right, [name for name, _, _ in result.style], [weight for _, weight, _ in result.style], [result.style_intervals], line=0.0)  # fmt: skip
    right.set_xlabel(f"weight of style in logits, {100 * result.level:g} %")


def draw(axes: Axes, result: Preferences, scene: Scene) -> None:
    """A row for each score and group: right on all pairs, and where style cannot tell."""
    del scene
    shown = result.scores[:_MOST]
    rows = np.arange(len(shown))[::-1]
    for label, color, up, value, interval in (
        ("all pairs", RUN, 0.13, [one.accuracy for one in shown], [one.interval for one in shown]),
        ("style controlled", LAW, -0.13, [one.controlled for one in shown], [one.controlled_interval for one in shown]),
    ):
        axes.hlines(rows + up, *np.array(interval).T, color=color, linewidth=3.5, alpha=0.45)
        axes.plot(value, rows + up, "o", color=color, markersize=4.5, label=label)
    axes.axvline(0.5, color=GREY, linewidth=0.9)
    axes.axvline(result.style_accuracy, color=GREY, linewidth=0.9, linestyle="--", label="style alone")
    axes.set_yticks(rows, labels=[plainly(one.score + (f", {one.group}" if one.group else "")) for one in shown])
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"share of pairs that it orders as people do, {100 * result.level:g} %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=7.5)
