"""Sections of a report that show one result each, for the report itself and for the pages of the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rung.errors import RungError
from rung.files import csv_text
from rung.fitting import Fit
from rung.report.data_section import Point, named_points, svg_of
from rung.report.figures import Scene
from rung.report.sections import (
    Block,
    Definitions,
    Findings,
    MarkedFinding,
    Paragraph,
    Picture,
    Section,
    TableBlock,
)
from rung.results import Result, Table
from rung.runs import Runs
from rung.units import format_count, format_error, format_interval, format_value


def result_section(
    anchor: str, title: str, result: Result | None, why: str, scene: Scene, *more: Block | None
) -> Section:
    """The section of one result: its summary and its figure; without one, why."""
    if result is None:
        return Section(anchor, title, [Paragraph(f"None: {why}")] if why else [])
    blocks: list[Block] = [
        TableBlock(block) if isinstance(block, Table) else Paragraph(block)
        for block in result.describe().blocks
        if block != result.headline()
    ]
    try:
        csv = _csv(result)
        blocks.insert(0, Picture(svg=svg_of(result, scene), words=result.headline(), name=f"{anchor}.csv", csv=csv))
    except RungError as error:
        blocks.append(Paragraph(f"No figure: {error.text}"))
    return Section(anchor, title, [*blocks, *(block for block in more if block is not None)])


def _csv(result: Result) -> str:
    """The tables of a result as CSV."""
    tables = [block for block in result.describe().blocks if isinstance(block, Table)]
    return csv_text(row for table in tables for row in (table.header, *table.rows))


def backtest_section(fit: Fit, scene: Scene) -> Section:
    """The backtest that a fit carries."""
    if fit.backtest is None:
        return Section(
            "backtest",
            "Backtest",
            [
                Paragraph(
                    "This fit has none: it was made without one, or its runs have too few scales. rung backtest tries one."
                )
            ],
        )
    return result_section("backtest", "How wrong it would have been", fit.backtest, "", scene)


def coefficients_section(fit: Fit) -> Section:
    """The coefficients of a fit, with those that were given."""
    rows = [
        [
            name,
            format_value(estimate.value),
            format_interval(estimate.low, estimate.high),
            format_error(estimate.std_error, estimate.low, estimate.high),
        ]
        for name, estimate in {**fit.coefficients, **fit.derived}.items()
    ]
    fixed = [[one.name, format_value(one.fixed), "fixed", "-"] for one in fit.law.coefficients if one.fixed is not None]
    header = ["coefficient", "value", f"{100 * fit.level:g} % interval", "std. error"]
    return Section("coefficients", "Coefficients", [TableBlock(Table(header, [*rows, *fixed]))])


def findings_section(results: Sequence[Result | None], points: Mapping[str, Point] = MappingProxyType({})) -> Section:
    """What speaks against results, each with the points of the figure that it names."""
    found = {one.text: one for result in results if result is not None for one in result.findings()}
    if not found:
        return Section("findings", "Findings", [Paragraph("Nothing speaks against the fit.")])
    marked = [MarkedFinding(one, named_points(one.text, points)) for one in found.values()]
    return Section("findings", "Findings", [Findings(marked)])


def read_section(fit: Fit, runs: Runs | None) -> Section:
    """What was read, mapped and left out."""
    pairs = [(column, source) for column, source in fit.mapping.items()]
    pairs += [
        (f"range of {name}", f"{format_count(low)} to {format_count(high)}") for name, (low, high) in fit.ranges.items()
    ]
    pairs += [
        ("left out, or understood", note) for note in (runs.notes if runs is not None and runs.notes else fit.notes)
    ]
    return Section("read", "What was read", [Definitions(pairs)])
