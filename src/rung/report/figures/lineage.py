"""A lineage: models by generation, how alike relatives are, and where traits drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import GREY, LAW, RUN, bars, named_at, panels, plainly
from rung.skill.lineage import Drift, LineageReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST_KINDS, _MOST_FLOWS = 12, 8
"""Kinds of pairs, and transitions of a trait, that are drawn, at most."""


def layout(figure: Figure, result: LineageReport, scene: Scene) -> None:
    """Generations, likeness, and a panel for each trait with transitions."""
    drifts = [one for one in result.drifts if one.flows]
    first, *others = panels(figure, 1 + bool(result.alike) + len(drifts), width=4.9, height=3.0)
    draw(first, result, scene)
    if result.alike:
        _likeness(others.pop(0), result)
    for axes, one in zip(others, drifts, strict=True):
        _drift(axes, one)


def draw(axes: Axes, result: LineageReport, scene: Scene) -> None:
    """How many models have each number of ancestors in a row."""
    del scene
    generation = np.arange(len(result.generations))
    axes.bar(generation, result.generations, color=LAW, width=0.7)
    if max(result.generations) > 50 * max(min(result.generations), 1):
        axes.set_yscale("log")
    axes.set_xticks(generation[:: max(len(generation) // 12, 1)])
    named_at(axes, f"{result.models:,} models by generation")
    axes.set_xlabel("ancestors in a row")
    axes.set_ylabel("models")
    axes.grid(visible=False, axis="x")


def _likeness(axes: Axes, result: LineageReport) -> None:
    shown = result.alike[:_MOST_KINDS]
    several = len({one.measure for one in shown}) > 1
    names = [one.pairs + (f" ({one.measure})" if several else "") for one in shown]
    bounds = [(one.low, one.high) for one in shown]
    bars(axes, names, [one.mean for one in shown], [bounds])
    named_at(axes, "how alike pairs are")
    axes.set_xlabel(f"likeness of {'cards and traits' if several else shown[0].measure}, {100 * result.level:g} %")


def _drift(axes: Axes, one: Drift) -> None:
    named_at(axes, f"{one.trait}: {one.rate:.0%} of edges change it")
    flows = sorted(one.flows[:_MOST_FLOWS], key=lambda flow: flow[2] - flow[3])
    rows = np.arange(len(flows))
    axes.barh(rows, [there for _, _, there, _, _ in flows], color=LAW, height=0.6, label="there")
    axes.barh(rows, [-back for _, _, _, back, _ in flows], color=RUN, height=0.6, label="back")
    axes.axvline(0, color=GREY, linewidth=0.9)
    labels = [f"{plainly(a)} to {plainly(b)}" + (" *" if q < 0.05 else "") for a, b, _, _, q in flows]
    axes.set_yticks(rows, labels=labels, fontsize=7.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_xlabel("edges that go over (* directed: q below 0.05)")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right", fontsize=7.5)
