"""What a training costs: days over the number of accelerators, and where the stated cluster stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.planning.cost import Price
from rung.report.figures.style import GREY, LAW, RUN, count_axis, headed
from rung.units import format_count, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene


def draw(axes: Axes, result: Price, scene: Scene) -> None:
    """Days over accelerators, at one utilisation; left of the line the state does not fit into memory."""
    del scene
    count = result.cluster.count
    counts = np.geomspace(max(1, count / 30), count * 30, 60)
    days = result.accelerator_hours / counts / 24
    axes.plot(
        counts,
        days,
        color=LAW,
        linewidth=1.5,
        label=f"{format_count(result.flops)} FLOP at {100 * result.cluster.utilisation:g} % of the peak",
    )
    axes.plot(
        [count],
        [result.days],
        "*",
        color=RUN,
        markersize=12,
        zorder=5,
        label=f"{count:,} accelerators: {format_value(result.days, 3)} days",
    )
    if result.least_accelerators and result.least_accelerators > counts[0]:
        axes.axvspan(counts[0], min(result.least_accelerators, counts[-1]), color="#f3f4f6", zorder=0)
        axes.axvline(
            result.least_accelerators, color=GREY, linewidth=0.9, label="fewest that hold weights, gradients and state"
        )
    count_axis(axes, "x", counts)
    count_axis(axes, "y", days)
    axes.set_xlabel(f"accelerators, {result.cluster.accelerator.name}")
    axes.set_ylabel("days")
    headed(axes, result.headline())
    axes.legend()
