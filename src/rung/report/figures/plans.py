"""Forecasts of several plans, or by several fits, below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rung.report.figures.style import bars, count_axis, headed, named
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene


def layout(figure: Figure, result: Any, scene: Scene) -> None:
    """As tall as it has rows."""
    names = getattr(result, "names", None) or list(result.forecasts)
    figure.set_size_inches(6.4, 1.3 + 0.28 * min(len(names), 60))
    draw(figure.subplots(), result, scene)


def draw(axes: Axes, result: Any, scene: Scene) -> None:
    """A row for each plan or fit: its forecast, the interval of the law, and that of a new run."""
    del scene
    if hasattr(result, "forecasts"):
        ones = list(result.forecasts.values())
        names, values = list(result.forecasts), [one.value for one in ones]
        intervals = [[one.law_interval for one in ones], [one.run_interval for one in ones]]
        first = ones[0]
        target, level = first.target, first.level
        asked = ", ".join(
            f"{name} {value if isinstance(value, str) else format_count(value)}" for name, value in first.inputs.items()
        )
    else:
        frame = result.frame
        names, values = list(result.names), frame["value"].to_list()
        intervals = [
            list(zip(frame[f"{kind}_low"].to_list(), frame[f"{kind}_high"].to_list(), strict=True))
            for kind in ("law", "run")
        ]
        target, level, asked = result.target, result.level, ""
    bars(axes, names, values, intervals)
    if max(values) > 1e5:
        count_axis(axes, "x", [*values])
    axes.set_xlabel(named(target))
    headed(axes, f"{f'at {asked}; ' if asked else ''}{100 * level:g} %: thick, the law; thin, a new run")
