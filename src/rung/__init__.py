"""Rung: from a table of training runs to a scaling law, a forecast and its uncertainty.

Everything public is reachable from here and imported when first used, so `import rung` stays light.

    >>> import rung
    >>> rung.Law.parse("E + A / N^alpha").coefficient_names
    ('E', 'A', 'alpha')
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.errors import (
        FitError,
        ForecastError,
        FormulaError,
        PapersError,
        PlanError,
        ReportError,
        RungError,
        RunsError,
        WorthError,
    )
    from rung.fit import Backtest, Fit, Objective, Selection, backtest, fit, read_fit, read_selection, select  # type: ignore[no-redef]
    from rung.forecast import Forecast, forecast, forecast_grid, forecast_selection, invert  # type: ignore[no-redef]
    from rung.laws import Law, law_book
    from rung.papers import reproduce
    from rung.plan import Allocation, allocate, cost, next_runs, tune  # type: ignore[no-redef]
    from rung.report import draw_figure, write_page
    from rung.runs import Runs, read_runs
    from rung.worth import Comparison, Density, compare, density, density_trend  # type: ignore[no-redef]

__version__ = "0.1.0"

_HOME = {
    "Allocation": "rung.plan",
    "allocate": "rung.plan",
    "next_runs": "rung.plan",
    "tune": "rung.plan",
    "cost": "rung.plan",
    "PlanError": "rung.errors",
    "WorthError": "rung.errors",
    "Comparison": "rung.worth",
    "Density": "rung.worth",
    "compare": "rung.worth",
    "density": "rung.worth",
    "density_trend": "rung.worth",
    "PapersError": "rung.errors",
    "reproduce": "rung.papers",
    "select": "rung.fit",
    "read_selection": "rung.fit",
    "forecast_selection": "rung.forecast",
    "Selection": "rung.fit",
    "Backtest": "rung.fit",
    "Fit": "rung.fit",
    "FitError": "rung.errors",
    "Forecast": "rung.forecast",
    "ForecastError": "rung.errors",
    "FormulaError": "rung.errors",
    "Law": "rung.laws",
    "Objective": "rung.fit",
    "ReportError": "rung.errors",
    "RungError": "rung.errors",
    "Runs": "rung.runs",
    "RunsError": "rung.errors",
    "backtest": "rung.fit",
    "draw_figure": "rung.report",
    "fit": "rung.fit",
    "forecast": "rung.forecast",
    "forecast_grid": "rung.forecast",
    "invert": "rung.forecast",
    "law_book": "rung.laws",
    "read_fit": "rung.fit",
    "read_runs": "rung.runs",
    "write_page": "rung.report",
}

__all__ = [
    "Allocation",
    "Backtest",
    "Comparison",
    "Density",
    "Fit",
    "FitError",
    "Forecast",
    "ForecastError",
    "FormulaError",
    "Law",
    "Objective",
    "PapersError",
    "PlanError",
    "ReportError",
    "RungError",
    "Runs",
    "RunsError",
    "Selection",
    "WorthError",
    "__version__",
    "allocate",
    "backtest",
    "compare",
    "cost",
    "density",
    "density_trend",
    "draw_figure",
    "fit",
    "forecast",
    "forecast_grid",
    "forecast_selection",
    "invert",
    "law_book",
    "next_runs",
    "read_fit",
    "read_runs",
    "read_selection",
    "reproduce",
    "select",
    "tune",
    "write_page",
]


class _Verbs(ModuleType):
    """The package, where a verb keeps its name though the room that it lives in is called the same.

    Importing `rung.fit` would bind the room over the verb; the room stays reachable by import.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'rung' has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__


sys.modules[__name__].__class__ = _Verbs
