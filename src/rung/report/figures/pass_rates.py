"""Pass rates over size, measured and forecast, on a logarithmic axis that shows rates near zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, count_axis, headed, with_intervals
from rung.skill import PassRates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rung.report.figures.draw import Scene


def draw(axes: Axes, result: PassRates, scene: Scene) -> None:
    """Measured rates with their intervals, the law through them, and the forecasts."""
    del scene
    headed(axes, result.headline())
    sizes = np.array([one.params for one in result.sizes])
    rates = np.array([one.rate for one in result.sizes])
    low, high = (np.array([getattr(one, name) for one in result.sizes]) for name in ("low", "high"))
    shown = rates > 0
    least = float(rates[shown].min()) / 10 if shown.any() else 1e-6
    reach = np.stack([rates - np.maximum(low, least), high - rates])[:, shown]
    axes.errorbar(
        sizes[shown], rates[shown], yerr=np.clip(reach, 0, None), fmt="o", color=GREY, markersize=4, linewidth=1.2, label="measured"
    )  # fmt: skip
    every = np.concatenate([sizes, [one[0] for one in result.forecasts]])
    grid = np.geomspace(every.min(), every.max(), 40)
    axes.plot(grid, [result.law.rate(float(one)) for one in grid], color=LAW, label="law")
    if result.forecasts:
        found = np.array(result.forecasts)
        label = f"forecast, {100 * result.level:g} %"
        with_intervals(axes, found[:, 0], found[:, 1], found[:, 2:], color=RUN, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    count_axis(axes, "x", every)
    axes.set_xlabel("parameters N")
    axes.set_ylabel("pass rate")
    axes.legend(loc="best")
