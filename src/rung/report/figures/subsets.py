"""Subsets of items: how far scores are off and how well the order is kept, over the number of items, beside items dealt at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.report.figures.style import GREY, LAW, RUN, plainly
from rung.skill import Subsets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene


def layout(figure: Figure, result: Subsets, scene: Scene) -> None:
    """Order to the left, error to the right."""
    figure.set_size_inches(8.4, 3.4)
    left, right = figure.subplots(1, 2)
    draw(left, result, scene)
    items = [one.items for one in result.sizes]
    right.plot(items, [one.error_random for one in result.sizes], "s--", color=GREY, markersize=4, label="at random")
    right.plot(items, [one.error for one in result.sizes], "o-", color=LAW, markersize=4, label="chosen")
    _items(right, result)
    right.set_ylim(bottom=0)
    right.set_ylabel("mean error of a model's score")
    right.legend(loc="best")


def draw(axes: Axes, result: Subsets, scene: Scene) -> None:
    """Tau of models that did not choose the items."""
    del scene
    items = [one.items for one in result.sizes]
    axes.plot(items, [one.tau_random for one in result.sizes], "s--", color=GREY, markersize=4, label="at random")
    axes.plot(items, [one.tau for one in result.sizes], "o-", color=LAW, markersize=4, label="chosen")
    for one in result.sizes:
        axes.annotate(one.way, (one.items, one.tau), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7, color=LAW)  # fmt: skip
    axes.axhline(result.order, color=RUN, linewidth=1.0, linestyle=":", label="keeps the order")
    _items(axes, result)
    axes.set_ylabel("tau of the models by the subset and by all items")
    axes.legend(loc="best")


def _items(axes: Axes, result: Subsets) -> None:
    axes.axvline(len(result.chosen), color=RUN, linewidth=0.9, alpha=0.5)
    axes.set_xscale("log")
    axes.set_xticks([one.items for one in result.sizes], labels=[f"{one.items:,}" for one in result.sizes])
    axes.minorticks_off()
    axes.set_xlabel(f"items, of {result.items:,}" + (f" ({plainly(result.task)})" if result.task else ""))
