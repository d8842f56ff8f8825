"""A backtest: how far the law and two baselines were off at each cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.fitting.backtest import Backtest
from rung.laws import column_of
from rung.report.figures.style import COLOURS, MARKERS, count_axis, headed, named
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene


def draw(axes: Axes, result: Backtest, scene: Scene) -> None:
    """The median error of each cut, by the largest scale that it was fitted to."""
    del scene
    at = np.array([cut.at for cut in result.cuts])
    series = (
        ("law", [cut.error for cut in result.cuts], "-"),
        ("repeating the largest run", [cut.last_error for cut in result.cuts], "--"),
        ("a straight line", [cut.line_error for cut in result.cuts], ":"),
    )
    for (label, values, line), colour, marker in zip(series, COLOURS, MARKERS, strict=False):
        axes.plot(
            at, 100 * np.array(values), line, color=colour, marker=marker, markersize=5, linewidth=1.3, label=label
        )
    for cut in result.cuts:
        axes.annotate(
            f"{cut.scored}\n{cut.factor:.3g}x",
            (cut.at, 100 * cut.error),
            textcoords="offset points",
            xytext=(0, -22),
            ha="center",
            fontsize=7,
            color="#4b5563",
        )
    count_axis(axes, "x", at)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) - 0.12 * axes.get_ylim()[1])
    column = result.column or column_of(result.along)
    axes.set_xlabel(f"fitted up to this {named(column)}; below each point: runs scored, farthest")
    axes.set_ylabel("median error of larger runs [%]")
    inside = (
        ""
        if result.inside is None
        else f", {100 * result.inside:.0f} % of runs inside the {100 * result.level:g} % interval"
    )
    headed(
        axes, f"error {100 * result.error:.2f} % over {len(result.cuts)} cuts up to {format_count(at.max())}{inside}"
    )
    axes.legend()
