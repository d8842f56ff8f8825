"""Learning rate and batch: what every rule proposes, on the losses of the largest grid of the sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rung.planning.tuning import Tuning, read_sweeps
from rung.report.figures.style import COLOURS, GREY, MARKERS, bars, count_axis, headed, named
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.report.figures.draw import Scene

SIZE = (8.8, 4.2)
"""Width and height [inch]."""

_REGRETS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Regrets with a line on the map [%]."""


def layout(figure: Figure, result: Tuning, scene: Scene) -> None:
    """The map of the largest grid, and the regret of each rule; the proposals alone where there is no sweep."""
    if not result.scores:
        draw(figure.subplots(), result, scene)
        return
    left, right = figure.subplots(1, 2)
    draw(left, result, scene)
    names = [one.rule for one in result.scores if np.isfinite(one.mean)]
    means = [100 * one.mean for one in result.scores if np.isfinite(one.mean)]
    worst = [(100 * one.mean, 100 * one.worst) for one in result.scores if np.isfinite(one.mean)]
    if names:
        bars(right, names, means, [worst])
    right.set_xlabel("regret [%]: mean, and a line to the worst grid")
    headed(right, f"rules on {result.grids} grids")


def draw(axes: Axes, result: Tuning, scene: Scene) -> None:
    """Proposals over learning rate and batch, above the regret on the largest grid of the sweeps."""
    rates, batches = [one.lr for one in result.proposals], [one.batch_rounded for one in result.proposals]
    grid = _largest(scene)
    if grid is not None:
        rate, batch = np.exp(grid.log_rate), np.exp(grid.log_batch)
        regret = 100 * (grid.loss / grid.lowest - 1)
        from matplotlib.tri import Triangulation

        lines = axes.tricontour(
            Triangulation(grid.log_rate, grid.log_batch), regret, levels=_REGRETS, colors=GREY, linewidths=0.8
        )
        for path in lines.get_paths():
            path.vertices = np.exp(path.vertices)
        axes.scatter(
            rate, batch, s=8, color=GREY, label=f"sweep at N {format_count(grid.params)}, D {format_count(grid.tokens)}"
        )
        best = int(np.argmin(grid.loss))
        axes.plot(
            [rate[best]],
            [batch[best]],
            "x",
            color="#111827",
            markersize=9,
            markeredgewidth=2,
            label="lowest loss of it",
        )
        rates, batches = [*rates, *rate], [*batches, *batch]
    for index, one in enumerate(result.proposals):
        axes.plot(
            [one.lr],
            [one.batch_rounded],
            MARKERS[index % len(MARKERS)],
            color=COLOURS[index % len(COLOURS)],
            markersize=7,
            label=one.rule,
            zorder=4,
        )
    count_axis(axes, "x", rates)
    count_axis(axes, "y", batches)
    axes.set_xlabel(named("lr"))
    axes.set_ylabel(named("batch_tokens"))
    headed(axes, result.headline())
    axes.legend(fontsize=7)


def _largest(scene: Scene) -> Any:
    """The grid with the most tokens; None without sweeps."""
    if scene.runs is None:
        return None
    return max(read_sweeps(scene.runs), key=lambda grid: grid.tokens * grid.params)
