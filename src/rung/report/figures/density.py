"""Density: the effective size of a model over its own, or of many models over the date of their release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rung.report.figures.style import GREY, bars, headed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene


def draw(axes: Axes, result: Any, scene: Scene) -> None:
    """Each density with its interval."""
    del scene
    known = {name: one for name, one in result.densities.items() if one.over is not None}
    if not known:
        known = {"effective size": result.size}
        bars(axes, list(known), [result.size.value], [[result.size.interval]])
        axes.set_xlabel("parameters of the reference")
    else:
        bars(
            axes,
            [f"over {name.replace('_', ' ')}" for name in known],
            [one.over for one in known.values()],
            [[one.over_interval for one in known.values()]],
        )
        axes.axvline(1.0, color=GREY, linewidth=0.9)
        axes.set_xlabel(f"effective over own size, {100 * result.level:g} % interval")
    headed(axes, result.headline())
