"""A report on runs: the answer in words, then what it rests on, in one page that works offline and without a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import RungError
from rung.files import write_text
from rung.fitting import PUBLISHED, Fit, Selection, as_fit, select
from rung.forecasting import Forecast, HeldOut, forecast
from rung.laws import column_of
from rung.planning.allocation import Allocation, allocate
from rung.report.checklist import checklist
from rung.report.data_section import data_and_law, explorer_of, points_of
from rung.report.figures import Scene
from rung.report.figures.fit_data import kept_runs
from rung.report.html import environment
from rung.report.result_sections import (
    backtest_section,
    coefficients_section,
    findings_section,
    read_section,
    result_section,
)
from rung.report.sections import (
    Code,
    Definitions,
    Report,
    Section,
)
from rung.runs import Runs
from rung.units import (
    flops_6nd,
    format_count,
    format_interval,
    format_percent,
    format_value,
)

_FARTHER = 10.0
"""How many times the largest run the target lies, where none is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a report is asked.

    Attributes:
        inputs: The run that is forecast, by symbol or column, and the level of each group; empty for one at ten times the
            largest compute of the runs.
        flops: The budget of the allocation; None for that of the run.
        command: How the report was asked for, to reproduce it; empty for Python.
        held_out: Rows that the fit was not fitted on, with their forecasts.
    """

    inputs: Mapping[str, float | str]
    flops: float | None = None
    command: str = ""
    held_out: HeldOut | None = None


def make_report(fit: Fit | str | Path, runs: Runs | None = None, asked: Asked = Asked(inputs={})) -> Report:  # frozen
    """A report on a fit and its runs.

    Args:
        fit: The fit, or its file.
        runs: The runs that it was fitted on; by default those that it keeps.
        asked: The run to forecast, and the budget to allocate.
    """
    fit = as_fit(fit)
    table = runs if runs is not None else kept_runs(fit)
    scene = Scene(fit=fit, runs=table, held_out=asked.held_out)
    target, why_no_target = _target(fit, asked)
    allocation, why_no_allocation = _allocation(fit, asked, target)
    selection, why_no_selection = _selection(fit, table)
    sections = [
        data_and_law(fit, table, scene),
        result_section("target", "What it says of the target", target, why_no_target, scene, explorer_of(fit, target)),
        backtest_section(fit, scene),
        result_section("allocation", "Allocation", allocation, why_no_allocation, scene),
        result_section("selection", "Which law", selection, why_no_selection, Scene()),
        coefficients_section(fit),
        findings_section([fit, target, allocation], points_of(fit, table, asked.held_out)),
        Section(
            "checklist",
            "Checklist of a scaling law",
            [Definitions(checklist(fit, table, asked.held_out))] if table else [],
        ),
        read_section(fit, table),
        _reproduce(fit, asked),
    ]
    return Report(
        title=_title(fit),
        answers=_answers(fit, target, allocation, selection, why_no_target),
        sections=[section for section in sections if section.blocks],
    )


def _title(fit: Fit) -> str:
    name = fit.law.name if fit.law.name != "custom" else "A law"
    return f"{name} with published constants" if fit.status == PUBLISHED else f"{name} on {fit.source or 'runs'}"


def write_report(path: str | Path, report: Report) -> None:
    """Write a report as one HTML file.

    Raises:
        ReportError: The file cannot be written.
    """
    write_text(path, report_text(report))


def report_text(report: Report) -> str:
    """A report as HTML. The same report gives the same text."""
    return environment().get_template("report.html").render(report=report)


def _target(fit: Fit, asked: Asked) -> tuple[Forecast | None, str]:
    """The forecast of the run that is asked about, or of one at ten times the largest compute; or why there is none."""
    inputs: dict[str, Any] = {**(asked.inputs or farther(fit))}
    try:
        return forecast(fit, **inputs), ""
    except RungError as error:
        return None, error.text


def farther(fit: Fit) -> dict[str, float | str]:
    """Ten times the largest run: of N and D at its compute and its tokens per parameter, else along each variable's own."""
    found: dict[str, float | str] = {group: levels[0] for group, levels in fit.groups.items()}
    if fit.table is None:
        # A long table is not kept: from the ranges of what was fitted.
        reach = {name: ends[1] for name, ends in fit.ranges.items() if name in fit.law.variables}
        times = _FARTHER ** (1 / 2 if {"N", "D"} <= reach.keys() else 1)
        return found | {
            name: times * value if name in {"N", "D"} or len(reach) == 1 else value for name, value in reach.items()
        }
    columns = fit.table.columns
    if {"N", "D"} <= set(columns):
        largest = int(np.argmax(flops_6nd(columns["N"], columns["D"])))
        times = np.sqrt(_FARTHER)
        found |= {name: float(times * columns[name][largest]) for name in ("N", "D")}
        found |= {name: float(values[largest]) for name, values in columns.items() if name not in {"N", "D", "C"}}
        return found
    return found | {name: float(_FARTHER * np.max(values)) for name, values in columns.items()}


def _allocation(fit: Fit, asked: Asked, target: Forecast | None) -> tuple[Allocation | None, str]:
    flops = asked.flops
    if flops is None and target is not None and {"params", "tokens"} <= set(target.inputs):
        flops = float(flops_6nd(float(target.inputs["params"]), float(target.inputs["tokens"])))
    if flops is None:
        return None, "" if {"N", "D"} - set(fit.law.variables) else "no budget is given: --flops 1e24."
    given: dict[str, Any] = {
        name: value
        for name, value in (target.inputs if target else asked.inputs).items()
        if name in fit.groups or name in set(map(column_of, fit.law.variables)) - {"params", "tokens", "flops"}
    }
    try:
        return allocate(fit, flops=flops, **given), ""
    except RungError as error:
        return None, error.text


def _selection(fit: Fit, runs: Runs | None) -> tuple[Selection | None, str]:
    if runs is None or fit.groups:
        return None, ""
    try:
        return select(runs, objective=fit.objective.name, target=fit.target, level=fit.level), ""
    except RungError:
        # No laws are usual on these columns, or none can be fitted: nothing is missing from the answer.
        return None, ""


def _answers(
    fit: Fit, target: Forecast | None, allocation: Allocation | None, selection: Selection | None, why: str
) -> list[str]:
    """The answer in sentences."""
    percent = f"{100 * fit.level:g} %"
    found = []
    if target is not None:
        at = ", ".join(
            f"{name} {value if isinstance(value, str) else format_count(value)}"
            for name, value in target.inputs.items()
        )
        beyond = f", {target.extrapolation_factor:.3g} times beyond the runs" if target.extrapolation_factor > 1 else ""
        found.append(
            f"At {at}{beyond}, {fit.target} is forecast at {format_value(target.value, 4)}; "
            + (
                "the runs do not determine its interval."
                if target.run_interval == (None, None)
                else f"a new run comes out at {_interval(target.run_interval)} ({percent})."
            )
        )
    elif why:
        found.append(f"No forecast: {why}")
    if allocation is not None:
        best = ", ".join(
            f"{name} {format_count(choice.value)} ({format_interval(*choice.interval, format_count)})"
            for name, choice in allocation.choices.items()
        )
        found.append(
            f"For {format_count(allocation.budget)} FLOP the lowest {fit.target}, {format_value(allocation.loss, 4)}, takes {best} ({percent})."
        )
    if fit.backtest is not None:
        found.append(
            f"Fitted to the smaller runs, the law missed the larger ones by {format_percent(fit.backtest.error)}; repeating the largest "
            f"run missed them by {format_percent(fit.backtest.last_error)}."
        )
    if selection is not None and selection.cuts:
        apart = (
            ""
            if fit.law.name in {one.fit.law.name for one in selection.laws}
            else " The law of this page is not among them."
        )
        found.append(f"Of the laws that are usual here: {selection.headline()}.{apart}")
    severe = sum(one.severity == "severe" for one in fit.warnings)
    if severe:
        found.append(
            f"{severe} of the findings below {'is' if severe == 1 else 'are'} severe: read them before the numbers."
        )
    return found


def _interval(bounds: tuple[float | None, float | None]) -> str:
    return format_interval(*bounds, lambda value: format_value(value, 4))


def _reproduce(fit: Fit, asked: Asked) -> Section:
    pairs = [
        ("objective", f"{fit.objective.name}, summed: {format_value(fit.objective_value, 7)}"),
        ("starts", f"{fit.starts_agreed} of {fit.starts_tried} agree; {fit.status.replace('_', ' ')}"),
        ("seed", str(fit.seed)),
        ("digest of the data", fit.data_digest),
        ("Rung", fit.version),
    ]
    return Section(
        "reproduce", "How to reproduce", [*([Code(asked.command)] if asked.command else []), Definitions(pairs)]
    )
