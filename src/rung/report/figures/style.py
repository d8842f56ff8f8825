"""How figures look: a sober style, colours that all eyes tell apart, and logarithmic axes with round numbers on them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.units import format_count, format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.arrays import Array

SIZE = (6.4, 4.2)
"""Width and height of a figure of one panel [inch]."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Colours of series (Okabe and Ito 2008), which people with any kind of colour blindness tell apart."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LAW, RUN, GREY = COLOURS[0], COLOURS[1], "#6b7280"
"""Colours of the law, of a new run, and of what was measured."""

STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "rung",
    "pdf.fonttype": 42,
}

UNITS = {
    "params": "parameters N",
    "tokens": "tokens D",
    "flops": "compute C [FLOP]",
    "loss": "loss [nats per token]",
    "lr": "peak learning rate",
    "batch_tokens": "batch [tokens]",
}
"""What stands on an axis for a column; another column stands by its own name."""

_FEW_DECADES = 0.8
"""Decades of an axis below which its numbers are spaced evenly."""

_LONG = 40
"""Characters of a panel's title, at most."""

_MOST_DECADES = 7
"""Decades up to which every power of ten is labelled."""


def named(column: str) -> str:
    """The label of an axis for a column, with its unit."""
    return UNITS.get(column, column.replace("_", " "))


def panels(figure: Figure, count: int, *, width: float = 3.0, height: float = 2.6) -> list[Axes]:
    """So many axes in rows of two or three, and the size of the figure that they ask for.

    Args:
        figure: The figure.
        count: How many.
        width: The width of each [inch].
        height: Its height [inch].
    """
    columns = 2 if count in {2, 4} else min(3, count)
    rows = -(-count // columns)
    figure.set_size_inches(max(width * columns, 5.0), height * rows + 0.4)
    grid: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in grid[count:]:
        axes.set_visible(False)
    return grid[:count]


def plainly(text: str) -> str:
    """A text in which a dollar is a dollar, and no mathematics."""
    return text.replace("$", r"\$")


def headed(axes: Axes, text: str) -> None:
    """A title to the left, in as many lines as the width of the axes asks for."""
    figure: Any = axes.figure
    across = float(axes.get_position().width or 1.0) * float(figure.get_size_inches()[0])
    wide = max(24, int(13 * across))
    axes.set_title("\n".join(textwrap.wrap(plainly(text), wide)[:3]), loc="left")


def count_axis(axes: Axes, which: str, values: Any) -> None:
    """Make an axis logarithmic, with round numbers such as 10M and 1B on it.

    Args:
        axes: The axes.
        which: "x" or "y".
        values: What is drawn along it.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    known = np.asarray(values, dtype=float).ravel()
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known):
        return
    axis: Any = getattr(axes, f"{which}axis")
    getattr(axes, f"set_{which}scale")("log")
    low, high = np.log10(known.min()), np.log10(known.max())
    low, high = (low - 0.1, high + 0.1) if high - low < 1e-6 else (low, high)
    room = 0.04 * (high - low)
    if high - low < _FEW_DECADES:
        axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    else:
        axis.set_major_locator(FixedLocator(_round(low - room, high + room)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    getattr(axes, f"set_{which}lim")(10 ** (low - room), 10 ** (high + room))


def _round(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten."""
    span = high - low
    steps: tuple[float, ...] = (1.0, 2.0, 5.0) if span <= 1.4 else (1.0, 3.0) if span <= 2.4 else (1.0,)
    every = 1 if span <= _MOST_DECADES else int(np.ceil(span / _MOST_DECADES))
    powers = range(int(np.floor(low)) - 1, int(np.ceil(high)) + 1)
    found = [step * 10.0**power for power in powers if power % every == 0 for step in steps]
    return [one for one in found if 10**low <= one <= 10**high]


def _tick(value: float) -> str:
    return format_count(value) if value >= 1000 else f"{value:g}"


def band(axes: Axes, x: Array, low: Array, high: Array, label: str = "", **style: Any) -> None:
    """A band between two lines, where both are finite."""
    there = np.isfinite(low) & np.isfinite(high)
    if there.any():
        kept: Any = {"color": LAW, "alpha": 0.16, "linewidth": 0, **style}
        axes.fill_between(x, low, high, where=there.tolist(), label=label or None, **kept)


def named_at(axes: Axes, name: str, *, small: bool = True) -> None:
    """What a panel is about, above it to the left."""
    axes.set_title(
        plainly(name if len(name) < _LONG else f"{name[: _LONG - 3]}..."), loc="left", fontsize=8.5 if small else None
    )


def with_intervals(axes: Axes, x: Any, values: Any, bounds: Any, *, color: str, label: str | None = None) -> None:
    """Points with upright intervals.

    Args:
        axes: The axes.
        x: Where each stands (n,).
        values: The values (n,).
        bounds: Their lower and upper bounds (n, 2).
        color: The colour.
        label: What they are called in the legend.
    """
    middle, ends = np.asarray(values, dtype=float), np.asarray(bounds, dtype=float).reshape(-1, 2).T
    reach = np.clip(np.stack([middle - ends[0], ends[1] - middle]), 0, None)
    axes.errorbar(
        x, middle, yerr=np.where(np.isfinite(reach), reach, 0), fmt="D", color=color, markersize=4.5, linewidth=1.4, label=label, zorder=4
    )  # fmt: skip


def bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    bounds: Sequence[Sequence[tuple[float | None, float | None]]],
    *,
    line: float | None = None,
) -> None:
    """Values with intervals, one below the other; of several intervals the first is the widest line.

    Args:
        axes: The axes.
        names: What each is called.
        values: The values.
        bounds: For each kind of interval, that of each value; open bounds (None, or not finite) reach the edge of the axes.
        line: A value of no difference, at which a line stands.
    """
    from matplotlib.ticker import MaxNLocator

    rows = np.arange(len(names))[::-1]
    known = [bound for kind in bounds for pair in kind for bound in pair if bound is not None and np.isfinite(bound)]
    finite = [*known, *[value for value in values if np.isfinite(value)], *([] if line is None else [line])]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    room = 0.06 * (high - low or abs(high) or 1.0)
    for kind, (width, alpha) in zip(bounds, ((5.0, 0.45), (1.6, 0.9)), strict=False):
        for row, (first, last) in zip(rows, kind, strict=True):
            left, right = (None if end is None or not np.isfinite(end) else end for end in (first, last))
            if left is None and right is None:
                continue
            ends = [low - room if left is None else left, high + room if right is None else right]
            axes.plot(ends, [row, row], color=LAW, linewidth=width, alpha=alpha, solid_capstyle="butt")
    axes.plot(values, rows, "o", color="#111827", markersize=4, zorder=4)
    if line is not None:
        axes.axvline(line, color=GREY, linewidth=0.9)
    axes.set_yticks(rows, labels=[plainly(name if len(name) < 34 else f"{name[:31]}...") for name in names])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlim(low - room, high + room)
    axes.grid(visible=False, axis="y")


def shown(value: float, *, count: bool = False) -> str:
    """A value beside a point."""
    return format_count(value) if count or value >= 1e4 else format_value(value, 4)
