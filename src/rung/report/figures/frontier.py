"""The compute-optimal frontier: size and data over budgets, beside published models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.planning.allocation import BudgetFrontier
from rung.report.figures.style import GREY, LAW, band, count_axis, named
from rung.units import flops_6nd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

SIZE = (8.4, 3.9)
"""Width and height [inch]."""

_PUBLISHED = (
    ("GPT-3", 175e9, 300e9),  # arXiv:2005.14165, table 2.1
    ("Gopher", 280e9, 300e9),  # arXiv:2112.11446, section 3
    ("Chinchilla", 70e9, 1.4e12),  # arXiv:2203.15556, section 4
    ("Llama 3 405B", 405e9, 15.6e12),  # arXiv:2407.21783, section 3
)
"""Models whose N and D were published."""


def layout(figure: Figure, result: BudgetFrontier, scene: Scene) -> None:
    """A panel for each variable that was chosen."""
    names = list(result.allocations[0].choices)
    figure.set_size_inches(4.2 * len(names), SIZE[1])
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _panel(axes, result, name)
    del scene


def draw(axes: Axes, result: BudgetFrontier, scene: Scene) -> None:
    """The first variable."""
    del scene
    _panel(axes, result, next(iter(result.allocations[0].choices)))


def _panel(axes: Axes, result: BudgetFrontier, name: str) -> None:
    budgets = np.array([one.budget for one in result.allocations])
    choices = [one.choices[name] for one in result.allocations]
    values = np.array([one.value for one in choices])
    low, high = (
        np.array([np.nan if one.interval[end] is None else one.interval[end] for one in choices], float)
        for end in (0, 1)
    )
    first = result.allocations[0]
    band(axes, budgets, low, high, f"{100 * first.level:g} % interval of the best")
    flat = np.array([one.flat for one in choices])
    for end in (0, 1):
        axes.plot(
            budgets,
            flat[:, end],
            ":",
            color="#009e73",
            linewidth=1.2,
            label=f"within {100 * first.tolerance:g} % of the lowest loss" if not end else None,
        )
    axes.plot(budgets, values, "-o", color=LAW, markersize=4, linewidth=1.4, label="best")
    drawn = [*values, *low[np.isfinite(low)], *high[np.isfinite(high)], *flat.ravel()]
    known = (
        [(label, float(flops_6nd(n, d)), {"params": n, "tokens": d}[name]) for label, n, d in _PUBLISHED]
        if name in {"params", "tokens"}
        else []
    )
    for index, (label, x, y) in enumerate(known):
        if 1.5 * budgets.min() <= x <= budgets.max() / 1.5:
            axes.plot([x], [y], "D", color=GREY, markersize=5)
            axes.annotate(
                label,
                (x, y),
                textcoords="offset points",
                xytext=(7, -9) if index % 2 else (-6, 5),
                ha="left" if index % 2 else "right",
                fontsize=7.5,
                color="#4b5563",
            )
            drawn.append(y)
    count_axis(axes, "x", budgets)
    count_axis(axes, "y", drawn)
    axes.set_xlabel(f"budget, {first.cost} [FLOP]")
    axes.set_ylabel(named(name))
    axes.legend(loc="upper left")
