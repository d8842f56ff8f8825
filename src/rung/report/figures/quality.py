"""What measures can tell: stability over checkpoints and consistency of base and tuned models, each with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import bars
from rung.skill import MeasureQuality, Quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 30
"""Measures that are drawn, at most."""

_WHAT = {
    "stability": ("low", "high", "stability: tau of step and score"),
    "consistency": ("consistency_low", "consistency_high", "consistency: tau of base and tuned models"),
}
"""What is drawn: its bounds, and its label."""


def layout(figure: Figure, result: Quality, scene: Scene) -> None:
    """A panel for each of both that is known."""
    del scene
    known = _known(result)
    figure.set_size_inches(5.4 * len(known), 1.3 + 0.26 * min(len(result.measures), _MOST))
    for axes, what in zip(figure.subplots(1, len(known), squeeze=False)[0], known, strict=True):
        _panel(axes, result, what)


def draw(axes: Axes, result: Quality, scene: Scene) -> None:
    """The first of both that is known."""
    del scene
    _panel(axes, result, _known(result)[0])


def _known(result: Quality) -> list[str]:
    return [what for what in _WHAT if any(np.isfinite(getattr(one, what)) for one in result.measures)] or ["stability"]


def _panel(axes: Axes, result: Quality, what: str) -> None:
    low, high, label = _WHAT[what]
    shown = [one for one in result.measures if np.isfinite(getattr(one, what))]
    shown = sorted(shown, key=lambda one: -getattr(one, what))[:_MOST]
    bars(axes, [_name(one) for one in shown], [getattr(one, what) for one in shown], [[(getattr(one, low), getattr(one, high)) for one in shown]], line=0.0)  # fmt: skip
    told = " (signal to noise)" if any(np.isfinite(one.ratio) for one in shown) else ""
    axes.set_title(f"measure{told}", loc="left", fontsize=8.5)
    axes.set_xlabel(f"{label}, {100 * result.level:g} %")


def _name(one: MeasureQuality) -> str:
    return one.metric + (f" ({one.ratio:.0f})" if np.isfinite(one.ratio) else "")
