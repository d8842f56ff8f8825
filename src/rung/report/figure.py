"""One picture of a fit: data and law on logarithmic axes, and residuals below."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import ReportError
from rung.files import write_bytes
from rung.fit import Fit, column_of
from rung.forecast import HeldOut
from rung.units import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.laws.tree import Array
    from rung.runs import Runs

_CURVES = 7
_CURVE_POINTS = 80
_MANY = 3000
_HELD = "#c2410c"
_STYLE: Any = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "rung",
}


def draw_figure(path: str | Path, fit: Fit, runs: Runs, held_out: HeldOut | None = None) -> None:
    """Draw a fit over its data.

    Args:
        path: A .png or .svg file.
        fit: The fit.
        runs: The rows that it was fitted on.
        held_out: Rows that it was not, drawn apart.

    Raises:
        ReportError: The file's type is neither, or it cannot be written.
    """
    write_bytes(path, render_figure(fit, runs, held_out, figure_kind(path)))


def figure_kind(path: str | Path) -> str:
    """Which kind of figure a file's name asks for: "png" or "svg".

    Raises:
        ReportError: Neither.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in {"png", "svg"}:
        raise ReportError(f"{path}: a figure is a .png or a .svg file.")
    return kind


def render_figure(fit: Fit, runs: Runs, held_out: HeldOut | None, kind: str) -> bytes:
    """The figure as the content of a file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.4, 6.2), layout="constrained")
        _draw(figure, _Scene.of(fit, runs, held_out))
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return content.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What is drawn: the variable along x, the one in colour, and all rows (held-out ones last)."""

    fit: Fit
    variables: dict[str, Array]
    levels: dict[str, NDArray[np.str_]]
    target: Array
    held: NDArray[np.bool_]
    held_out: HeldOut | None
    along: str
    colour: str | None

    @staticmethod
    def of(fit: Fit, runs: Runs, held_out: HeldOut | None) -> _Scene:
        points = held_out.points if held_out else ()
        variables = {
            name: np.append(runs.numbers(column_of(name)), [point.inputs[name] for point in points])
            for name in fit.law.variables
        }
        levels = {
            group: np.append(runs.texts(group), [point.levels[group] for point in points]) for group in fit.groups
        }
        target = np.append(runs.numbers(fit.target), [point.measured for point in points])
        held = np.arange(len(target)) >= len(runs)

        def variety(name: str) -> tuple[int, float]:
            values = variables[name]
            ratio = np.ptp(np.log(values)) if np.all(values > 0) else 0.0
            return len(np.unique(values)), float(ratio)

        ordered = sorted(variables, key=variety, reverse=True)
        return _Scene(
            fit=fit,
            variables=variables,
            levels=levels,
            target=target,
            held=held,
            held_out=held_out,
            along=ordered[0],
            colour=ordered[1] if len(ordered) > 1 else None,
        )

    def prediction(self) -> Array:
        """The law at every row."""
        if not self.levels and not self.fit.groups:
            return np.broadcast_to(self.fit.law.value(self.fit.values, self.variables), self.target.shape)
        values = np.full(self.target.shape, np.nan)
        for mask, levels in self.parts():
            estimate, _ = self.fit.vectors(levels)
            here = {name: column[mask] for name, column in self.variables.items()}
            values[mask] = self.fit.law.value(estimate, here)
        return values

    def parts(self) -> Iterator[tuple[Array, dict[str, str]]]:
        """Rows by combination of group levels."""
        if not self.levels:
            yield (
                np.ones(len(self.target), dtype=bool),
                {group: known[0] for group, known in self.fit.groups.items()},
            )
            return
        stacked = np.stack(list(self.levels.values()), axis=1)
        for combination in np.unique(stacked, axis=0):
            mask = (stacked == combination).all(axis=1)
            yield mask, dict(zip(self.levels, map(str, combination), strict=True))

    def curves(self) -> Iterator[tuple[Array, Array, float]]:
        """Lines of the law: x, prediction, and the value in colour."""
        for mask, levels in self.parts():
            estimate, _ = self.fit.vectors(levels)
            middle = {name: float(np.median(column[mask])) for name, column in self.variables.items()}
            for shade, rows in self._shades(mask):
                x_values = self.variables[self.along][rows]
                if np.min(x_values) > 0:
                    x = np.geomspace(np.min(x_values), np.max(x_values), _CURVE_POINTS)
                else:
                    x = np.linspace(np.min(x_values), np.max(x_values), _CURVE_POINTS)
                here = {name: np.full(_CURVE_POINTS, value) for name, value in middle.items()} | {self.along: x}
                near = {name: column[rows] for name, column in self.variables.items()}
                for name in here:
                    if name not in {self.along, self.colour}:
                        here[name] = np.full(_CURVE_POINTS, float(np.median(near[name])))
                if self.colour is not None:
                    here[self.colour] = np.full(_CURVE_POINTS, shade)
                yield x, self.fit.law.value(estimate, here), shade

    def _shades(self, mask: Array) -> Iterator[tuple[float, Array]]:
        """Values of the coloured variable that get a line, and the rows near each."""
        if self.colour is None:
            yield np.nan, mask
            return
        values = self.variables[self.colour]
        distinct = np.unique(values[mask])
        picked = distinct[np.unique(np.linspace(0, len(distinct) - 1, _CURVES).round().astype(int))]
        nearest = np.argmin(np.abs(_safe_log(values)[:, None] - _safe_log(picked)[None, :]), axis=1)
        for place, value in enumerate(picked):
            rows = mask & (nearest == place)
            if rows.sum() > 1:
                yield float(value), rows


def _safe_log(values: Array) -> Array:
    return np.asarray(np.log(values) if np.all(values > 0) else values)


def _draw(figure: Figure, scene: _Scene) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.15))
    shade = scene.variables[scene.colour] if scene.colour else np.zeros(len(scene.target))
    norm: Any = None
    if scene.colour and np.ptp(shade) > 0:
        norm = LogNorm(shade.min(), shade.max()) if shade.min() > 0 else Normalize(shade.min(), shade.max())
    colormap = colormaps["viridis"].with_extremes()
    single = "#1d4ed8"

    def colour_of(value: float) -> Any:
        # The bright end of the map is hard to see on white: stop before it.
        return colormap(0.88 * float(norm(value))) if norm is not None else single

    x, y = scene.variables[scene.along], scene.target
    residual, unit = _residuals(scene)
    order = np.flatnonzero(~scene.held)
    colours = [colour_of(value) for value in shade[order]]
    style: dict[str, Any] = {
        "s": 16 if len(order) < _MANY else 4,
        "linewidths": 0,
        "alpha": 0.85,
        "rasterized": len(order) > _MANY,
    }
    above.scatter(x[order], y[order], c=colours, **style)
    below.scatter(x[order], residual[order], c=colours, **style)
    for line_x, line_y, value in scene.curves():
        above.plot(line_x, line_y, color=colour_of(value), linewidth=1.1)
    if scene.held_out:
        _draw_held_out(above, below, scene, residual)
    _label(above, below, scene, unit)
    if norm is not None and scene.colour:
        _shade_key(figure, above, norm, colour_of, scene.colour, shade)


def _draw_held_out(above: Axes, below: Axes, scene: _Scene, residual: Array) -> None:
    assert scene.held_out is not None
    x, y = scene.variables[scene.along][scene.held], scene.target[scene.held]
    marks: dict[str, Any] = {
        "facecolors": "none",
        "edgecolors": _HELD,
        "linewidths": 1.3,
        "s": 38,
        "zorder": 4,
    }
    above.scatter(x, y, label="held out, measured", **marks)
    below.scatter(x, residual[scene.held], **marks)
    points = scene.held_out.points
    bounded = [(at, p.low, p.high) for at, p in zip(x, points, strict=True) if p.low is not None and p.high is not None]
    label = f"forecast, {100 * scene.fit.level:g} % for a new run"
    above.scatter(x, [point.forecast for point in points], marker="_", s=60, color=_HELD, zorder=3)
    for at, low, high in bounded:
        above.plot(
            [at, at],
            [low, high],
            color=_HELD,
            linewidth=2.2,
            alpha=0.45,
            label=label,
            solid_capstyle="butt",
        )
        label = "_"
    above.legend(frameon=False, fontsize=8.5, loc="best")


def _residuals(scene: _Scene) -> tuple[Array, str]:
    prediction = scene.prediction()
    with np.errstate(all="ignore"):
        if scene.fit.objective.residual == "log":
            return 100 * np.log(scene.target / prediction), "measured / law [%]"
        return scene.target - prediction, "measured - law"


def _label(above: Axes, below: Axes, scene: _Scene, unit: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    fit = scene.fit
    if np.all(scene.variables[scene.along] > 0):
        above.set_xscale("log")
    if np.all(scene.target > 0):
        above.set_yscale("log")
        if np.max(scene.target) / np.min(scene.target) < 20:
            above.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
            above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            above.yaxis.set_minor_formatter(NullFormatter())
    above.set_ylabel(fit.target)
    below.axhline(0, color="#6b7280", linewidth=0.8)
    below.set_ylabel(unit, fontsize=8.5)
    name = column_of(scene.along)
    below.set_xlabel(name if name == scene.along else f"{name} ({scene.along})")
    above.set_title(_title(fit), fontsize=11, loc="left", pad=10)


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
    bar.set_label(column_of(name) if column_of(name) == name else f"{column_of(name)} ({name})")
    ticks = np.unique(values) if len(np.unique(values)) <= 8 else norm.inverse(np.linspace(0, 1, 6))
    bar.set_ticks(list(ticks), labels=[format_count(float(tick)) for tick in ticks])
    bar.minorticks_off()
