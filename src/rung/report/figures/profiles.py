"""IsoFLOP profiles: losses over sizes at each compute, with the bottoms of their parabolas, and the lines through these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rung.fitting import Fit
from rung.planning.allocation import PARABOLA, Approaches, profile_rows
from rung.report.figures.fit_data import rows_of
from rung.report.figures.style import COLOURS, GREY, MARKERS, RUN, count_axis, named
from rung.units import flops_6nd, format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.arrays import Array
    from rung.report.figures.draw import Scene

SIZE = (8.8, 4.2)
"""Width and height [inch]."""


def layout(figure: Figure, result: Approaches, scene: Scene) -> None:
    """Profiles to the left, best sizes over compute to the right."""
    left, right = figure.subplots(1, 2)
    draw(left, result, scene)
    _lines(right, result)


def draw(axes: Axes, result: Approaches, scene: Scene) -> None:
    """The profiles."""
    if scene.fit is None:
        _lines(axes, result)
        return
    from matplotlib import colormaps

    params, compute, loss = _rows(scene.fit, scene)
    shades = colormaps["viridis"](np.linspace(0.0, 0.88, max(len(result.profiles), 2)))
    parted, _ = profile_rows(compute, params)
    for colour, profile, rows in zip(shades, result.profiles, parted, strict=False):
        axes.scatter(params[rows], loss[rows], s=13, color=colour, linewidths=0, label=format_count(profile.flops))
        if len(np.unique(params[rows])) > PARABOLA:
            centre = float(np.log(params[rows]).mean())
            curve = np.polynomial.Polynomial.fit(np.log(params[rows]) - centre, loss[rows], PARABOLA)
            x = np.linspace(np.log(params[rows]).min(), np.log(params[rows]).max(), 60)
            axes.plot(np.exp(x), curve(x - centre), color=colour, linewidth=1.0)
            if profile.parabola.at is not None:
                axes.plot(
                    [np.exp(profile.parabola.at)],
                    [curve(profile.parabola.at - centre)],
                    "v",
                    color=RUN,
                    markersize=6,
                    zorder=5,
                )
    count_axis(axes, "x", params)
    axes.set_xlabel(named("params"))
    axes.set_ylabel(named(scene.fit.target))
    axes.set_title("profiles, and where their parabolas are lowest", loc="left")
    axes.legend(title="FLOP", ncols=1 + len(result.profiles) // 7, fontsize=7)


def _rows(fit: Fit, scene: Scene) -> tuple[Array, Array, Array]:
    runs: Any = rows_of(fit, scene.runs)
    params = runs.numbers("params")
    compute = runs.numbers("flops") if runs.has("flops") else np.asarray(flops_6nd(params, runs.numbers("tokens")))
    return params, compute, runs.numbers(fit.target)


def _lines(axes: Axes, result: Approaches) -> None:
    """The bottoms over compute with their standard errors, and each approach's line to the compute that is asked about."""
    kept = [
        (one.flops, one.parabola.at, one.parabola.error)
        for one in result.profiles
        if one.parabola.status == "inside" and one.parabola.at is not None
    ]
    start = min((one.flops for one in result.profiles), default=result.flops / 1000)
    compute = np.geomspace(min(start, result.flops), result.flops, 30)
    drawn: list[float] = []
    for flops, at, error in kept:
        ends = np.exp([at - (error or 0.0), at + (error or 0.0)])
        axes.plot([flops, flops], ends, color=GREY, linewidth=1.2)
        axes.plot([flops], [np.exp(at)], "v", color=GREY, markersize=5)
        drawn += [*ends]
    for index, one in enumerate(result.approaches):
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(
            compute, one.params * (compute / result.flops) ** one.exponent, color=colour, linewidth=1.2, label=one.name
        )
        low, high = one.params_interval
        at = result.flops * 10 ** (0.05 * index)
        axes.plot([at], [one.params], MARKERS[index % len(MARKERS)], color=colour, markersize=5)
        if low is not None and high is not None:
            axes.plot([at, at], [low, high], color=colour, linewidth=2)
            drawn += [low, high]
        drawn.append(one.params)
    count_axis(axes, "x", [*compute, result.flops * 10 ** (0.05 * len(result.approaches))])
    count_axis(axes, "y", drawn)
    axes.set_xlabel(named("flops"))
    axes.set_ylabel("best " + named("params"))
    axes.set_title(f"best size, to {format_count(result.flops)} FLOP", loc="left")
    axes.legend()
