"""Densities of many models: over the date of their release with the trend, or each below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, bars, count_axis, headed
from rung.worth import Densities

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST_ROWS = 60
"""Models that are drawn below each other; of more, the densest."""


def layout(figure: Figure, result: Densities, scene: Scene) -> None:
    """As tall as it has rows, where there are no dates."""
    if result.days is None:
        figure.set_size_inches(6.4, 1.3 + 0.24 * min(len(result.known), _MOST_ROWS))
    draw(figure.subplots(), result, scene)


def draw(axes: Axes, result: Densities, scene: Scene) -> None:
    """Density over date, the records and the trend of the densest; without dates a row for each model."""
    del scene
    if result.days is not None and result.trend is not None:
        _over_dates(axes, result)
        return
    known = {
        label: one.densities["params"]
        for label, one in result.known.items()
        if one.densities["params"].over is not None
    }
    densest = sorted(known, key=lambda label: -(known[label].over or 0.0))[:_MOST_ROWS]
    bars(
        axes,
        densest,
        [known[label].over or np.nan for label in densest],
        [[known[label].over_interval for label in densest]],
    )
    axes.axvline(1.0, color=GREY, linewidth=0.9)
    axes.set_xlabel(f"effective over own size, {100 * result.level:g} % interval")
    headed(axes, result.headline())


def _over_dates(axes: Axes, result: Densities) -> None:
    assert result.days is not None
    assert result.trend is not None
    over = np.array(
        [np.nan if isinstance(one, str) else one.densities["params"].over or np.nan for one in result.models.values()],
        float,
    )
    years = 1970 + result.days / 365.25
    axes.scatter(years, over, s=16, color=GREY, linewidths=0, label="models")
    records = list(result.trend.records)
    axes.scatter(years[records], over[records], s=30, color=RUN, zorder=4, label="records of their time")
    days = result.days[records]
    slope = np.log(2) / result.trend.doubling_days
    middle = np.log(over[records]).mean() - slope * days.mean()
    ends = np.array([days.min(), days.max()])
    axes.plot(
        1970 + ends / 365.25, np.exp(middle + slope * ends), color=LAW, linewidth=1.5, label=result.trend.headline()
    )
    count_axis(axes, "y", over)
    axes.set_xlabel("date of release [year]")
    axes.set_ylabel("effective over own size")
    headed(axes, f"density of {len(result.models)} models")
    axes.legend(loc="upper left")
