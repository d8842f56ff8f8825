"""Compared scores: each difference with its interval, and the difference that so many items find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, bars, headed
from rung.skill import ScoreComparisons

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 40
"""Comparisons that are drawn, at most."""


def layout(figure: Figure, result: ScoreComparisons, scene: Scene) -> None:
    """A row for each comparison."""
    figure.set_size_inches(6.4, 1.7 + 0.3 * min(len(result.comparisons), _MOST))
    draw(figure.subplots(), result, scene)


def draw(axes: Axes, result: ScoreComparisons, scene: Scene) -> None:
    """Each difference with its interval; a bracket ends at the difference that so many items find four times in five."""
    del scene
    shown = result.comparisons[:_MOST]
    names = [f"{one.treated} - {one.control}" + (f", {one.task}" if one.task else "") for one in shown]
    bounds = [(one.low, one.high) for one in shown]
    bars(axes, names, [one.difference for one in shown], [bounds], line=0.0)
    rows = np.arange(len(shown))[::-1]
    seen = [(row, one.detectable) for row, one in zip(rows, shown, strict=True) if np.isfinite(one.detectable)]
    low, high = axes.get_xlim()
    for sign in (-1, 1):
        axes.plot([sign * value for _, value in seen], [row for row, _ in seen], "|", color=GREY, markersize=13, label="found four times in five" if sign > 0 else None)  # fmt: skip
    reach = max([value for _, value in seen], default=0.0) * 1.1
    axes.set_xlim(min(low, -reach), max(high, reach))
    headed(axes, result.headline())
    axes.set_xlabel(f"difference of {result.score}, {100 * result.level:g} %")
    if seen:
        axes.legend(loc="best", fontsize=7.5)
