"""Learning curves of a ladder, each with the forecast of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rung.report.figures.style import COLOURS, GREY, count_axis, headed, named, plainly
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene

SIZE = (6.8, 4.4)

_NAMED = 10
"""Runs up to which each has its own entry in the legend."""


def draw(axes: Axes, result: Any, scene: Scene) -> None:
    """Held-out loss over tokens; a run under way goes on to the loss that its end is forecast at, with the interval."""
    del scene
    from matplotlib import colormaps

    ordered = sorted((one for one in result.curves if one.tokens), key=lambda one: one.params)
    if not ordered:
        axes.text(0.5, 0.5, "no run has been evaluated yet", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    few = len(ordered) <= len(COLOURS)
    shades = colormaps["viridis"](np.linspace(0, 0.88, len(ordered)))
    for index, one in enumerate(ordered):
        colour = COLOURS[index] if few else shades[index]
        label = f"{one.run} ({format_count(one.params)})" if len(ordered) <= _NAMED else None
        axes.plot(one.tokens, one.losses, color=colour, linewidth=1.3, label=plainly(label) if label else None)
        if one.status == "done":
            axes.plot(one.tokens[-1], one.losses[-1], "o", color=colour, markersize=4)
        elif one.end is not None:
            axes.plot([one.tokens[-1], one.whole], [one.losses[-1], one.end], ":", color=colour, linewidth=1.3)
            low, high = one.interval
            if low is not None and high is not None:
                axes.plot([one.whole] * 2, [low, high], color=colour, linewidth=4, alpha=0.35, solid_capstyle="butt")
            axes.plot(one.whole, one.end, "o", color=colour, markerfacecolor="white", markersize=5)
        elif one.status == "failed":
            axes.plot(one.tokens[-1], one.losses[-1], "x", color=colour, markersize=7)
    count_axis(axes, "x", [value for one in ordered for value in (*one.tokens, one.whole)])
    count_axis(axes, "y", [value for one in ordered for value in (*one.losses, one.end or one.losses[-1])])
    axes.set_xlabel(named("tokens"))
    axes.set_ylabel(f"held-out {named('loss')}")
    if len(ordered) <= _NAMED:
        axes.legend(loc="upper right")
    else:
        axes.text(0.99, 0.97, "darker: smaller models", ha="right", va="top", color=GREY, transform=axes.transAxes)
    headed(axes, f"{result.headline()}; open circles: forecast ends, with {100 * result.level:g} % intervals")
