"""Metrics over scale, each with its verdict and where it starts or stops to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rung.report.figures.style import GREY, LAW, RUN, count_axis, named, named_at, panels
from rung.skill import Verdict, Verdicts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 12
"""Metrics that are drawn, at most."""

_NEAR = 1.4
"""Scales are averaged within this factor."""


def layout(figure: Figure, result: Verdicts, scene: Scene) -> None:
    """A panel for each metric."""
    del scene
    shown = result.verdicts[:_MOST]
    for axes, one in zip(panels(figure, len(shown)), shown, strict=True):
        _panel(axes, result, one)


def draw(axes: Axes, result: Verdicts, scene: Scene) -> None:
    """The first metric."""
    del scene
    _panel(axes, result, result.verdicts[0])


def _panel(axes: Axes, result: Verdicts, one: Verdict) -> None:
    named_at(axes, f"{one.metric}: {one.verdict}")
    points = result.points.filter(pl.col("metric") == one.metric)
    axes.scatter(points["scale"], points["value"], s=10, color=GREY, alpha=0.6, linewidths=0)
    # Scales of one size of model, as those of one rung, are one mean.
    near = (points["scale"].log() / np.log(_NEAR)).round().alias("near")
    means = points.with_columns(pl.col("scale").log(), near).group_by("near").agg(pl.col("scale", "value").mean()).sort("scale")  # fmt: skip
    axes.plot(np.exp(means["scale"].to_numpy()), means["value"], "o-", color=LAW, linewidth=1.4, markersize=4)
    if one.break_at is not None:
        axes.axvline(one.break_at, color=RUN, linewidth=1.0, linestyle="--")
    count_axis(axes, "x", points["scale"])
    axes.set_xlabel(named(result.along))
    axes.set_ylabel("lower is better" if one.lower else "higher is better")
