"""`rung fit`: a law from a table of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rung.cli.backtest import summary
from rung.cli.table_options import LAW, LawOptions, TableOptions, pairs, read_law, read_selected, say, unused_maps
from rung.cli.text import table
from rung.errors import ReportError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.forecasting import HeldOut
    from rung.runs import Runs

RESULT = Group("Result", sort_key=2)


def fit(
    runs: Annotated[str, Parameter(name="RUNS")],
    /,
    *,
    law: Annotated[str, Parameter(group=LAW)] = "chinchilla",
    fix: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    borrow: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    prior: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    measure: LawOptions = LawOptions(),  # noqa: B008  # frozen
    selection: TableOptions = TableOptions(),  # noqa: B008  # frozen
    hold_out: Annotated[str | None, Parameter(group=RESULT)] = None,
    level: Annotated[float, Parameter(group=RESULT)] = 0.9,
    interval: Annotated[str | None, Parameter(group=RESULT)] = None,
    draws: Annotated[int, Parameter(group=RESULT)] = 1000,
    seed: Annotated[int, Parameter(group=RESULT)] = 0,
    output: Annotated[
        tuple[str, ...], Parameter(name=["-o", "--output"], group=RESULT, negative="", consume_multiple=False)
    ] = (),
    figure: Annotated[str | None, Parameter(group=RESULT)] = None,
    json: Annotated[bool, Parameter(group=RESULT, negative="")] = False,
) -> None:
    """Fit a law to a table of runs.

    Parameters
    ----------
    runs
        A table of runs: CSV, TSV, Parquet or JSONL; - for CSV on standard input.
    law
        A law of the book (rung laws), or a formula: "E + A / N^alpha + B / D^beta with alpha in (0, 2)".
        Chinchilla's by default.
    fix
        Hold a coefficient at a value: E=1.69. Repeatable.
    borrow
        Take coefficients from a law of the book or a kept fit: alpha,beta=besiroglu-2024. Repeatable.
    prior
        What is known of a coefficient beforehand: alpha=0.34+-0.02, or alpha,beta=besiroglu-2024. Repeatable.
    hold_out
        Leave these rows out of the fit and forecast them instead: "params > 1e9".
    level
        Coverage that the intervals aim at; 0.9 by default.
    interval
        profile (the default), sandwich (quick) or bootstrap; statistical is the default without what backtests say the law strays by.
    draws
        Resamples of the bootstrap over runs, 1000 by default; 0 takes standard errors from the curvature.
    seed
        Seed of starts and resamples; 0 by default.
    output
        Keep the result: fit.json for rung forecast, or page.html to look at. Repeatable.
    figure
        Draw data, law and residuals: a .png or .svg file.
    json
        Print one JSON object instead of tables.
    """
    from rung.files import require_writable, write_all
    from rung.fitting import fit as fit_law
    from rung.forecasting import compare_held_out, split
    from rung.units import parse_number

    kinds = _kinds(output, figure)
    for path in kinds:
        require_writable(path)
    table_of_runs = read_selected(runs, selection)
    chosen = read_law(law, table_of_runs, selection, measure)
    fitted_on, held = split(chosen.runs, hold_out)
    if measure.weights:
        fitted_on = fitted_on.drop_weightless(measure.weights)
    result = fit_law(
        fitted_on,
        chosen.law,
        objective=chosen.objective,
        delta=measure.delta,
        target=chosen.target,
        weights=measure.weights,
        fix={name: parse_number(value) for name, value in pairs(fix, "--fix").items()},
        borrow=_sources(borrow, "--borrow"),
        prior=_sources(prior, "--prior"),
        level=level,
        interval=interval,
        draws=draws,
        seed=seed,
    )
    comparison = compare_held_out(result, held) if held is not None else None
    write_all({path: _content(kind, result, fitted_on, comparison) for path, kind in kinds.items()})
    print(_json(result, comparison) if json else describe(result, fitted_on, comparison))
    say(*(f"warning: {finding.text}" for finding in result.warnings), *unused_maps(selection, chosen.used, hold_out))


def _sources(texts: Sequence[str], option: str) -> dict[str, str]:
    """alpha,beta=SOURCE as a source for each name."""
    return {name.strip(): source for names, source in pairs(texts, option).items() for name in names.split(",")}


def _kinds(output: Sequence[str], figure: str | None) -> dict[str, str]:
    """What each file holds, by the ending of its name."""
    kinds = {}
    for path in output:
        kinds[path] = path.rpartition(".")[2].lower()
        if kinds[path] not in {"json", "html"}:
            raise ReportError(
                f"-o {path}: the ending says what is written; use .json for the fit or .html for the page."
            )
    if figure:
        from rung.report import figure_kind

        kinds[figure] = figure_kind(figure)
    return kinds


def _content(kind: str, result: Fit, runs: Runs, comparison: HeldOut | None) -> bytes:
    from rung.report import page_text, render_figure

    match kind:
        case "json":
            return (_json(result, comparison) + "\n").encode()
        case "html":
            return page_text(result, runs, comparison).encode()
        case _:
            return render_figure(result, runs, comparison, kind)


def _json(result: Fit, comparison: HeldOut | None) -> str:
    content = result.to_dict()
    if comparison is not None:
        content["held_out"] = comparison.to_dict()
    return json.dumps(content, allow_nan=False)


def describe(result: Fit, runs: Runs, comparison: HeldOut | None) -> str:
    """A fit as text for people."""
    from rung.units import format_count, format_error, format_interval, format_value

    law = result.law
    mapping = ", ".join(f"{name} = {source}" for name, source in result.mapping.items())
    counted = (
        f"{result.rows} rows"
        if result.rows == result.runs
        else f"{result.rows} rows of {result.runs} run{'s' if result.runs > 1 else ''}"
    )
    value = f"{result.objective.name}{f' (delta {result.objective.delta:g})' if result.objective.delta else ''}"
    lines = [
        f"law        {law.name}: {law.text}",
        f"read       {runs.source}: {mapping}",
        f"fitted     {counted}" + "".join(f"; {note}" for note in runs.notes),
        f"objective  {value}: {result.objective_value:.7g}; {result.starts_agreed} of {result.starts_tried} starts agree; "
        f"{result.status}",
        "range      "
        + ", ".join(
            f"{name} {format_count(low)} to {format_count(high)}" for name, (low, high) in result.ranges.items()
        ),
        "",
    ]
    percent = f"{100 * result.level:g} % interval"
    rows = [
        [name, format_value(e.value), format_interval(e.low, e.high), format_error(e.std_error, e.low, e.high)]
        for name, e in (*result.coefficients.items(), *result.derived.items())
    ]
    lines.append(table(["coefficient", "value", percent, "std. error"], rows))
    if comparison is not None:
        lines += ["", describe_held_out(comparison, result)]
    if result.backtest is not None:
        lines += ["", summary(result.backtest)]
    return "\n".join(lines)


def describe_held_out(comparison: HeldOut, result: Fit) -> str:
    """Forecasts of held-out rows beside their measurements."""
    from rung.units import format_count, format_interval, format_percent, format_value

    rows = [
        [
            point.name,
            *point.levels.values(),
            *(format_count(number) for number in point.inputs.values()),
            format_value(point.measured),
            format_value(point.forecast),
            format_percent(point.error, signed=True),
            format_interval(point.low, point.high),
            "yes" if point.inside else "no",
        ]
        for point in comparison.points[:20]
    ]
    names = [*comparison.points[0].levels, *comparison.points[0].inputs]
    header = [
        "held out",
        *names,
        "measured",
        "forecast",
        "error",
        f"{100 * result.level:g} % for a new run",
        "inside",
    ]
    more = len(comparison.points) - len(rows)
    return "\n".join(
        [
            table(header, rows),
            *([f"and {more} more"] if more > 0 else []),
            f"{comparison.inside} of {len(comparison.points)} inside; mean absolute error "
            f"{format_percent(comparison.mean_error)}",
        ]
    )
