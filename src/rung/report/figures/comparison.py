"""A comparison: the multiplier along scale with its interval, or the difference of seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rung.laws import column_of
from rung.report.figures.style import GREY, LAW, RUN, band, bars, count_axis, headed, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene


def draw(axes: Axes, result: Any, scene: Scene) -> None:
    """The multiplier of compute along scale; of several recipes, each below the other."""
    match type(result).__name__:
        case "SeveralComparisons":
            _several(axes, result)
        case "SeedComparison":
            _seeds(axes, result)
        case "PinnedComparison":
            _pinned(axes, result)
        case _:
            _along(axes, result)
    del scene


def _along(axes: Axes, result: Any) -> None:
    at = np.array([one.at for one in result.by_scale], dtype=float)
    value = np.array([one.value for one in result.by_scale], dtype=float)
    low, high = (
        np.array([np.nan if getattr(one, end) is None else getattr(one, end) for one in result.by_scale], float)
        for end in ("low", "high")
    )
    percent = f"{100 * result.level:g} %"
    band(axes, at, low, high, f"{percent} interval, if it may change with scale")
    axes.plot(at, value, "-o", color=LAW, markersize=4, linewidth=1.4, label="multiplier, if it may change with scale")
    constant = result.constant[-1]
    axes.axhline(
        constant.value,
        color=RUN,
        linewidth=1.2,
        linestyle="--",
        label=f"if the gain is constant: {constant.value:.3g}x",
    )
    for bound in (constant.low, constant.high):
        if bound is not None:
            axes.axhline(bound, color=RUN, linewidth=0.7, linestyle=":")
    drawn = [*value, *low, *high, 1.0, constant.value, constant.low or 1.0, constant.high or 1.0]
    _even(axes, drawn, result)
    count_axis(axes, "x", at)
    axes.set_xlabel(named(column_of(result.along)))
    axes.set_ylabel(f"{constant.of} multiplier of {result.treated}")
    headed(axes, f"{result.treated} measured by {result.control}: {result.verdict}")
    axes.legend()


def _pinned(axes: Axes, result: Any) -> None:
    axes.plot(result.scales, result.multipliers, "o", color=LAW, label="matched scales")
    axes.axhline(result.multiplier, color=RUN, linewidth=1.2, linestyle="--", label=f"mean {result.multiplier:.3g}x")
    if result.interval:
        axes.axhspan(*result.interval, color=RUN, alpha=0.12, linewidth=0, label=f"{100 * result.level:g} % interval")
    _even(axes, [*result.multipliers, 1.0, *(result.interval or ())], result)
    count_axis(axes, "x", result.scales)
    axes.set_xlabel(named(column_of(result.along)))
    axes.set_ylabel(f"compute multiplier of {result.treated}")
    headed(axes, f"{result.treated} measured by {result.control}, under one pinned law")
    axes.legend()


def _seeds(axes: Axes, result: Any) -> None:
    bars(
        axes,
        ["difference"],
        [result.difference],
        [[(result.low, result.high)]],
        line=0.0,
    )
    axes.set_xlabel(f"difference of {named(result.target)}, {100 * result.level:g} %")
    against = f"{result.runs[0]}" if result.runs[0] else f"the threshold {result.control}"
    headed(
        axes,
        f"{result.treated} less {result.control}: {result.runs[1]} runs against {against}, p = {result.p_value:.3g}",
    )


def _several(axes: Axes, result: Any) -> None:
    names, values, intervals = [], [], []
    differences = all(type(one).__name__ == "SeedComparison" for one in result.comparisons)
    for one in result.comparisons:
        names.append(one.treated)
        match type(one).__name__:
            case "SeedComparison":
                values.append(one.difference)
                intervals.append((one.low, one.high))
            case "PinnedComparison":
                values.append(one.multiplier)
                intervals.append(one.interval or (None, None))
            case _:
                values.append(one.constant[-1].value)
                intervals.append((one.constant[-1].low, one.constant[-1].high))
    bars(axes, names, values, [intervals], line=0.0 if differences else 1.0)
    control = result.comparisons[0].control
    what = "difference of the mean" if differences else "multiplier"
    axes.set_xlabel(f"{what}, measured by {control}; {100 * result.level:g} % jointly")
    headed(axes, result.headline())


def _even(axes: Axes, drawn: list[float], result: Any) -> None:
    """A logarithmic axis of multipliers, and the line of no gain."""
    known = [value for value in drawn if value is not None and np.isfinite(value) and value > 0]
    count_axis(axes, "y", [max(value, 1e-6) for value in known])
    axes.axhline(1.0, color=GREY, linewidth=0.9)
    axes.text(
        0.995,
        1.0,
        f"{result.control} ",
        va="bottom",
        ha="right",
        fontsize=7.5,
        color=GREY,
        transform=axes.get_yaxis_transform(),
    )
