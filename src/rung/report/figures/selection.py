"""A selection: the error of each law over the cuts, and its weight by how far beyond the runs the question is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.fitting import Selection, name_of
from rung.report.figures.style import COLOURS, MARKERS, count_axis, headed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

SIZE = (9.2, 4.0)
"""Width and height [inch]."""

_FAR = 300.0
"""How many times the largest scale the weights are drawn to."""


def layout(figure: Figure, result: Selection, scene: Scene) -> None:
    """Errors to the left, weights to the right."""
    left, right = figure.subplots(1, 2)
    draw(left, result, scene)
    factors = np.geomspace(1.0, _FAR, 40)
    weights = np.array([result.weights(float(np.log(factor))) for factor in factors])
    for index, ranked in enumerate(result.laws[: len(COLOURS)]):
        label = name_of(ranked.fit.law)
        right.plot(
            factors,
            weights[:, index],
            color=COLOURS[index],
            linewidth=1.5,
            label=label if len(label) < 26 else f"{label[:23]}...",
        )
    count_axis(right, "x", factors)
    right.set_ylim(0, 1)
    right.set_xlabel("times the largest scale of the runs")
    right.set_ylabel("weight in the combined forecast")
    right.legend(loc="best")


def draw(axes: Axes, result: Selection, scene: Scene) -> None:
    """The error of each law, with the standard error of its difference from the best; laws without a score stand open."""
    del scene
    rows = np.arange(len(result.laws))[::-1]
    scored = [100 * one.error for one in result.laws if np.isfinite(one.error)]
    middle = float(np.median(scored)) if scored else 0.0
    for index, (row, one) in enumerate(zip(rows, result.laws, strict=True)):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        if np.isfinite(one.error):
            spread = 100 * one.difference_error if 0 < one.difference_error < 1 and index else 0.0
            axes.errorbar(100 * one.error, row, xerr=spread, fmt=marker, color=colour, markersize=6, capsize=3)
        else:
            axes.plot(middle, row, marker, color=colour, markersize=6, fillstyle="none")
            axes.annotate(
                "not scored", (middle, row), textcoords="offset points", xytext=(9, -3), fontsize=7.5, color="#4b5563"
            )
    names = [name_of(one.fit.law) for one in result.laws]
    axes.set_yticks(rows, labels=[name if len(name) < 26 else f"{name[:23]}..." for name in names])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlabel("error over the cuts [%], +- against the best")
    tied = sum(one.tied for one in result.laws)
    judged = f"{result.chosen}: the simplest of {tied} that are tied" if tied > 1 else f"{result.chosen} is the best"
    headed(axes, judged if result.cuts else result.headline())
