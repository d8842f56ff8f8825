"""One page about a fit, in a single file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.files import write_text
from rung.fitting import Fit
from rung.report.checklist import checklist
from rung.report.figures import Scene, render_figure
from rung.report.figures.fit_data import rows_of
from rung.report.html import environment
from rung.units import format_count, format_error, format_interval, format_percent, format_value

if TYPE_CHECKING:
    from rung.forecasting import HeldOut


def write_page(path: str | Path, fit: Fit, runs: Any = None, held_out: HeldOut | None = None) -> None:
    """Write a page; see page_text.

    Raises:
        ReportError: The file cannot be written.
    """
    write_text(path, page_text(fit, runs, held_out))


def page_text(fit: Fit, runs: Any = None, held_out: HeldOut | None = None) -> str:
    """A page: the figure, coefficients, backtest, held-out rows, warnings, what was read, and the checklist of a law.

    Args:
        fit: The fit.
        runs: The rows that it was fitted on, or anything that `read_runs` takes; by default those that the fit keeps.
        held_out: Rows that it was not fitted on.
    """
    runs = rows_of(fit, runs)
    pages = environment().overlay()
    pages.filters["number"] = format_value
    pages.filters["count"] = format_count
    pages.globals |= {"interval": format_interval, "error": format_error, "percent_of": format_percent}
    svg = render_figure(fit, "svg", Scene(runs=runs, held_out=held_out)).decode()
    return pages.get_template("page.html").render(
        fit=fit,
        runs=runs,
        held_out=held_out,
        checklist=checklist(fit, runs, held_out),
        figure=svg[svg.index("<svg") :],
        percent=f"{100 * fit.level:g}",
    )
