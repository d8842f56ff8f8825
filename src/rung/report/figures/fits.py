"""The coefficients of several fits, a panel for each coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.fitting import Fits
from rung.report.figures.style import bars, headed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_MOST = 6
"""Coefficients that are drawn at most."""


def layout(figure: Figure, result: Fits, scene: Scene) -> None:
    """Panels side by side, three in a row."""
    del scene
    names = _coefficients(result)
    across = min(3, len(names))
    down = -(-len(names) // across)
    longest = min(max(map(len, result.fits)), 34)
    figure.set_size_inches(2.6 * across + 0.08 * longest, down * (1.2 + 0.2 * min(len(result.fits), 60)))
    panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, result, name)
    for axes in panels[len(names) :]:
        axes.remove()


def draw(axes: Axes, result: Fits, scene: Scene) -> None:
    """The first coefficient."""
    del scene
    _panel(axes, result, _coefficients(result)[0])


def _coefficients(result: Fits) -> list[str]:
    first = next(iter(result.fits.values()))
    return list(first.coefficients)[:_MOST]


def _panel(axes: Axes, result: Fits, name: str) -> None:
    found = {label: fit.coefficients[name] for label, fit in result.fits.items() if name in fit.coefficients}
    bars(axes, list(found), [one.value for one in found.values()], [[(one.low, one.high) for one in found.values()]])
    axes.locator_params(axis="x", nbins=3)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    headed(axes, name)
