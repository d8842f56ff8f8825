"""Effects of treatments: the size multiplier of each over the size that it was measured at, or each multiplier below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rung.report.figures.style import COLOURS, GREY, bars, count_axis, headed, plainly
from rung.worth import Effect, Effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

_NAMES = ("size", "data", "compute")


def layout(figure: Figure, result: Effects, scene: Scene) -> None:
    """As tall as it has rows, where each treatment was measured at one size."""
    known = _known(result)
    if not _several_sizes(known):
        figure.set_size_inches(6.4, 1.5 + 0.24 * max(1, len(_rows(known))))
    draw(figure.subplots(), result, scene)


def draw(axes: Axes, result: Effects, scene: Scene) -> None:
    """Multipliers with their intervals; no difference is a line at 1."""
    del scene
    known = _known(result)
    headed(axes, result.headline())
    if _several_sizes(known):
        _over_sizes(axes, known, result.level)
        return
    rows = _rows(known)
    bars(
        axes, [name for name, _, _ in rows], [value for _, value, _ in rows], [[ends for _, _, ends in rows]], line=1.0
    )
    axes.set_xlabel(f"multiplier over the control, {100 * result.level:g} % interval")


def _known(result: Effects) -> list[Effect]:
    return [one for one in result.effects if one.multipliers]


def _several_sizes(known: list[Effect]) -> bool:
    return any(
        len({one.params for one in known if one.treatment == name}) > 1 for name in {one.treatment for one in known}
    )


def _rows(known: list[Effect]) -> list[tuple[str, float, tuple[float, float]]]:
    return [
        (f"{one.treatment}: {name}", one.multipliers[name].value, one.multipliers[name].interval)
        for one in known
        for name in _NAMES
        if name in one.multipliers
    ]


def _over_sizes(axes: Axes, known: list[Effect], level: float) -> None:
    every = []
    for index, name in enumerate(dict.fromkeys(one.treatment for one in known)):
        mine = sorted((one for one in known if one.treatment == name), key=lambda one: one.params)
        sizes = np.array([one.params for one in mine])
        values = np.array([one.multipliers["size"].value for one in mine])
        low, high = np.array([one.multipliers["size"].interval for one in mine]).T
        reach = np.abs(np.stack([values - low, np.where(np.isfinite(high), high, values) - values]))
        colour = COLOURS[index % len(COLOURS)]
        # Beside each other, where treatments were measured at the same size.
        axes.errorbar(
            sizes * 1.03**index,
            values,
            yerr=reach,
            fmt="o-",
            color=colour,
            markersize=4,
            linewidth=1.2,
            label=plainly(name),
        )
        every += [*values, *low, *high[np.isfinite(high)]]
    axes.axhline(1.0, color=GREY, linewidth=0.9)
    axes.set_xscale("log")
    axes.set_yscale("log")
    count_axis(axes, "x", np.array([one.params for one in known]))
    count_axis(axes, "y", np.array([1.0, *every]))
    axes.set_xlabel("params")
    axes.set_ylabel(f"size multiplier, {100 * level:g} % interval")
    axes.legend(loc="best")
