"""One function for every figure: which picture a result has, and how it becomes a file.

Each kind of result has a module here with a function `draw`, which draws on one pair of axes, or `layout`, which divides a
whole figure; both take the result and the scene, what stands around it.
"""

from __future__ import annotations

import importlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.errors import ReportError
from rung.files import write_bytes
from rung.report.figures.style import SIZE, STYLE
from rung.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rung.fitting import Fit
    from rung.forecasting import HeldOut

KINDS = ("png", "svg", "pdf")
"""Endings of the files that figures are written to."""

_MODULES = {
    "Fit": "fit",
    "Fits": "fits",
    "Forecast": "forecast",
    "PlanForecasts": "plans",
    "SeveralForecasts": "plans",
    "Backtest": "backtest",
    "Selection": "selection",
    "Allocation": "allocation",
    "BudgetFrontier": "frontier",
    "Approaches": "profiles",
    "Comparison": "comparison",
    "PinnedComparison": "comparison",
    "SeedComparison": "comparison",
    "SeveralComparisons": "comparison",
    "Density": "density",
    "Densities": "densities",
    "Effects": "effects",
    "ScoreForecasts": "scores",
    "FamilyForecasts": "families",
    "PassRates": "pass_rates",
    "Verdicts": "verdicts",
    "SizeGroups": "size_groups",
    "Frontiers": "frontiers",
    "Quality": "quality",
    "EarlyOrder": "early",
    "ScoreComparisons": "compared",
    "Preferences": "preferences",
    "Subsets": "subsets",
    "DataCurves": "data_curves",
    "LineageReport": "lineage",
    "NextRuns": "next_runs",
    "Tuning": "tuning",
    "Price": "price",
    "Curves": "curves",
}
"""The module that draws each kind of result."""

_LARGEST = 60.0
"""Largest width or height of a figure [inch]."""

_RESOLUTION = 200
"""Dots per inch of a picture of dots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What stands around a result in its figure.

    Attributes:
        fit: The fit that the result follows from; without one a figure shows the result alone.
        runs: The runs, or anything that `read_runs` takes; by default those that the fit keeps.
        held_out: Rows that a fit was not fitted on, with their forecasts.
    """

    fit: Fit | None = None
    runs: Any = None
    held_out: HeldOut | None = None


def can_draw(result: Result) -> bool:
    """Whether a kind of result has a figure."""
    return type(result).__name__ in _MODULES


def draw_figure(
    to: str | Path | Axes,
    result: Result,
    runs: Any = None,
    held_out: HeldOut | None = None,
    *,
    fit: Fit | None = None,
    size: tuple[float, float] | None = None,
) -> None:
    """Draw a result.

    Args:
        to: A .png, .svg or .pdf file, or the Axes of a figure of your own, on which the main panel is drawn.
        result: A fit, a forecast, an allocation, a comparison, or any other result.
        runs: The runs that it follows from, or anything that `read_runs` takes; by default those that the fit keeps.
        held_out: Rows that a fit was not fitted on, drawn apart.
        fit: The fit that a forecast, an allocation or a plan follows from.
        size: Width and height of the file's figure [inch].

    Raises:
        ReportError: The file's type is none of these, it cannot be written, or the result has no figure.
    """
    scene = Scene(fit=fit, runs=runs, held_out=held_out)
    if isinstance(to, str | Path):
        write_bytes(to, render_figure(result, figure_kind(to), scene, size))
    else:
        _module(result).draw(to, result, scene)


def figure_kind(path: str | Path) -> str:
    """Which kind of figure a file's name asks for: "png", "svg" or "pdf".

    Raises:
        ReportError: None of them.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in KINDS:
        raise ReportError(f"{path}: a figure is a .png, .svg or .pdf file.")
    return kind


def render_figure(
    result: Result,
    kind: str,
    scene: Scene = Scene(),
    size: tuple[float, float] | None = None,  # frozen
) -> bytes:
    """The figure of a result as the content of a file; see `draw_figure`. The same result gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    module = _module(result)
    if size is not None and not (np.all(np.isfinite(size)) and min(size) >= 1 and max(size) <= _LARGEST):
        raise ReportError(f"size {size}: width and height of a figure are 1 to {_LARGEST:g} inches.")
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, and stands in full in the text beside.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size or getattr(module, "SIZE", SIZE), layout="constrained")
        if hasattr(module, "layout"):
            module.layout(figure, result, scene)
        else:
            module.draw(figure.subplots(), result, scene)
        return _content(figure, kind, result.headline())


def _content(figure: Figure, kind: str, title: str) -> bytes:
    """A figure as bytes, with the result in words as its title, for who cannot see it."""
    metadata: dict[str, Any] = {"Title": title}
    if kind == "svg":
        metadata["Date"] = None
    elif kind == "pdf":
        metadata |= {"CreationDate": None, "Producer": None, "Creator": None}
    else:
        metadata["Software"] = None
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=_RESOLUTION, metadata=metadata)
    return content.getvalue()


def _module(result: Result) -> Any:
    name = _MODULES.get(type(result).__name__)
    if name is None:
        raise ReportError(f"{type(result).__name__} has no figure.")
    return importlib.import_module(f"rung.report.figures.{name}")
