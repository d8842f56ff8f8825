"""One picture of a fit: data and law on logarithmic axes, and residuals below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rung.fitting import Fit
from rung.laws import column_of
from rung.report.figures.fit_data import FigureData, rows_of
from rung.report.figures.style import count_axis, named, plainly
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.arrays import Array
    from rung.report.figures.draw import Scene

SIZE = (7.4, 6.2)
"""Width and height [inch]."""

_MOST_APART = 16
"""Groups that have a small figure each, at most."""

_MANY, _MANY_HELD = 3000, 40
_SINGLE, _HELD, _GREY = "#1d4ed8", "#c2410c", "#6b7280"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (1, 3)), (0, (6, 2, 1, 2, 1, 2)))
"""Signs of group levels; more parts than these are drawn alike."""

_FLAT = 1e-6
"""Range of a target, relative to its size, below which it counts as constant."""


def layout(figure: Figure, fit: Fit, scene: Scene) -> None:
    """Data and law above, and residuals below; of many groups a small figure each."""
    data = FigureData.of(fit, rows_of(fit, scene.runs), scene.held_out)
    if len(data.parts) > len(_LINES) and data.along is not None:
        _each_apart(figure, data)
        return
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.15))
    _draw_on(above, below, data)


def _each_apart(figure: Figure, data: FigureData) -> None:
    """Small multiples: the rows and the lines of each group, on axes that all share."""
    shown = data.parts[:_MOST_APART]
    across = 4
    down = -(-len(shown) // across)
    figure.set_size_inches(2.3 * across, 1.0 + 1.75 * down)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, part in zip(panels.ravel(), shown, strict=False):
        rows = part.rows & ~data.held
        axes.scatter(data.x[rows], data.target[rows], s=9, color=_GREY, linewidths=0)
        axes.set_title(plainly(part.name[:30]), loc="left", fontsize=8)
    for index, x, y, _ in data.curves():
        if index < len(shown):
            panels.ravel()[index].plot(x, y, color=_SINGLE, linewidth=1.1)
    for axes in panels.ravel()[len(shown) :]:
        axes.set_axis_off()
    first = panels[0, 0]
    if np.all(data.x > 0):
        count_axis(first, "x", data.x)
    if np.all(data.target > 0):
        count_axis(first, "y", data.target)
    more = f"; the first {len(shown)} of {len(data.parts)}" if len(data.parts) > len(shown) else ""
    figure.suptitle(f"{_title(data.fit)}, by {data.parts_title}{more}", fontsize=9.5)
    figure.supxlabel(named(column_of(data.along or "")), fontsize=9)
    figure.supylabel(named(data.fit.target), fontsize=9)


def draw(axes: Axes, fit: Fit, scene: Scene) -> None:
    """Data and law."""
    _draw_on(axes, None, FigureData.of(fit, rows_of(fit, scene.runs), scene.held_out))


def _draw_on(above: Axes, below: Axes | None, data: FigureData) -> None:
    """Data and law, and residuals below them where there are axes for these."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize, to_rgba

    shade = data.variables[data.colour] if data.colour else np.zeros(len(data.target))
    norm: Any = None
    if data.colour and np.ptp(shade) > 0:
        norm = LogNorm(shade.min(), shade.max()) if shade.min() > 0 else Normalize(shade.min(), shade.max())
    colormap = colormaps["viridis"].with_extremes()

    def colour_of(value: Any) -> Any:
        # The bright end of the map is hard to see on white: stop before it.
        return colormap(0.88 * np.asarray(norm(value))) if norm is not None else _SINGLE

    # All at once: a colour map takes as long for one row as for a thousand.
    _draw_rows(above, below, data, colour_of(shade) if norm is not None else np.tile(to_rgba(_SINGLE), (len(shade), 1)))
    apart = 1 < len(data.parts) <= len(_LINES)
    for number, (index, line_x, line_y, value) in enumerate(data.curves()):
        style = _LINES[index] if apart else "-"
        (line,) = above.plot(line_x, line_y, color=colour_of(value), linewidth=1.1, linestyle=style)
        line.set_gid(f"law-{index}-{number}")
    if data.along is None:
        diagonal = [np.min(data.law), np.max(data.law)]
        above.plot(diagonal, diagonal, color=_GREY, linewidth=0.9)
    if data.held_out:
        _draw_held_out(above, below, data)
    _label(above, below, data)
    figure: Any = above.figure
    if apart and below is not None:
        figure.legend(frameon=False, fontsize=8, loc="outside lower left", ncols=2, title=data.parts_title)
    elif apart or data.held_out:
        above.legend(frameon=False, fontsize=8.5, loc="best")
    if norm is not None and data.colour:
        _shade_key(figure, above, norm, colour_of, data.colour, shade)


def _draw_rows(above: Axes, below: Axes | None, data: FigureData, colours: Array) -> None:
    """The fitted rows, a sign for each part."""
    count = int(np.sum(~data.held))
    style: dict[str, Any] = {
        "s": 16 if count < _MANY else 4,
        "linewidths": 0,
        "alpha": 0.85,
        "rasterized": count > _MANY,
    }
    apart = 1 < len(data.parts) <= len(_MARKERS)
    for index, part in enumerate(data.parts):
        rows = np.flatnonzero(part.rows & ~data.held)
        shades = colours[rows]
        marker = _MARKERS[index] if apart else "o"
        points = above.scatter(data.x[rows], data.target[rows], c=shades, marker=marker, **style)
        points.set_gid(f"runs-{index}")
        if below is not None:
            rest = below.scatter(data.x[rows], _residuals(data)[0][rows], c=shades, marker=marker, **style)
            rest.set_gid(f"residuals-{index}")
        if apart:
            line = _LINES[index] if data.along else ""
            above.plot([], [], color=_GREY, marker=marker, markersize=4, linestyle=line, linewidth=1.1, label=part.name)


def _draw_held_out(above: Axes, below: Axes | None, data: FigureData) -> None:
    assert data.held_out is not None
    points = data.held_out.points
    x, y = data.x[data.held], data.target[data.held]
    many = len(points) > _MANY_HELD
    marks: dict[str, Any] = {
        "facecolors": _HELD if many else "none",
        "edgecolors": _HELD,
        "linewidths": 0 if many else 1.3,
        "s": 5 if many else 38,
        "zorder": 4,
    }
    above.scatter(x, y, label="held out, measured", **marks)
    if below is not None:
        below.scatter(x, _residuals(data)[0][data.held], **marks)
    if not many:
        above.scatter(x, [point.forecast for point in points], marker="_", s=60, color=_HELD, zorder=3)
    bar: dict[str, Any] = {"color": _HELD, "linewidth": 2.2, "solid_capstyle": "butt"}
    above.plot([], [], alpha=0.45, label=f"forecast, {100 * data.fit.level:g} % for a new run", **bar)
    bar |= {"linewidth": 1.0, "alpha": 0.12, "zorder": 1} if many else {"alpha": 0.45}
    for at, point in zip(x, points, strict=True):
        if point.low is not None and point.high is not None:
            above.plot([at, at], [point.low, point.high], **bar)


def _residuals(data: FigureData) -> tuple[Array, str]:
    if data.fit.objective.residual == "log":
        with np.errstate(all="ignore"):
            return 100 * (data.target / data.law - 1), "measured above law [%]"
    return data.target - data.law, "measured - law"


def _label(above: Axes, below: Axes | None, data: FigureData) -> None:
    fit = data.fit
    if np.all(data.x > 0):
        if data.along is None:
            above.set_xscale("log")
            _label_plainly(above.xaxis, data.x)
        else:
            count_axis(above, "x", data.x)
    if np.all(data.target > 0):
        above.set_yscale("log")
        _label_plainly(above.yaxis, data.target)
    if np.ptp(data.target) <= _FLAT * np.max(np.abs(data.target)):
        # A constant has no scale of its own: a tenth around it, rather than its rounding.
        middle = float(np.mean(data.target))
        above.set_ylim(middle - 0.1 * abs(middle or 1), middle + 0.1 * abs(middle or 1))
    above.set_ylabel(f"{named(fit.target)}, measured" if data.along is None else named(fit.target))
    lowest = above
    if below is not None:
        lowest = below
        below.axhline(0, color=_GREY, linewidth=0.8)
        below.set_ylabel(_residuals(data)[1], fontsize=8.5)
    if data.along is None:
        lowest.set_xlabel(f"{named(fit.target)}, by the law")
    else:
        lowest.set_xlabel(named(column_of(data.along)))
    above.set_title(_title(fit), fontsize=11, loc="left", pad=10)


def _label_plainly(axis: Any, values: Array) -> None:
    """Round numbers, rather than powers of ten, on a logarithmic axis that spans few of those."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if np.max(values) / np.min(values) < 20:
        axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value) if value >= 1000 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _title(fit: Fit) -> str:
    """The formula as mathematics where it is short enough to read, else as text."""
    from matplotlib.mathtext import MathTextParser

    if len(fit.law.formula) > 70:
        return fit.law.name if fit.law.name != "custom" else fit.law.formula[:67] + "..."
    latex = f"${fit.target} = {fit.law.latex}$".replace("_", r"\_", fit.target.count("_"))
    try:
        MathTextParser("path").parse(latex)
    except ValueError:
        return fit.law.formula
    return latex


def _shade_key(figure: Figure, axes: Axes, norm: Any, colour_of: Any, name: str, values: Array) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    steps = norm.inverse(np.linspace(0, 1, 256))
    mappable = ScalarMappable(norm, ListedColormap([colour_of(value) for value in steps]))
    bar = figure.colorbar(mappable, ax=axes, pad=0.02, aspect=28)
    bar.set_label(named(column_of(name)))
    ticks = np.unique(values) if len(np.unique(values)) <= 8 else norm.inverse(np.linspace(0, 1, 6))
    bar.set_ticks(list(ticks), labels=[format_count(float(tick)) for tick in ticks])
    bar.minorticks_off()
