"""`rung fit`: a law from a table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import LAW, RESULT, Figure, Fix, Json, Law, Level, More, Output, Runs, Seed
from rung.cli.output import content_of, figure_kinds, require_kinds, say, show, write_result
from rung.cli.table_options import LawOptions, TableOptions, pairs, read_law, read_selected, unused_maps
from rung.errors import FitError

if TYPE_CHECKING:
    from rung.fitting import Fit, LawChoice
    from rung.forecasting import HeldOut
    from rung.runs import Runs as Table

_KINDS = {".json": "the fit", ".html": "the page", ".csv": "the coefficients"}

Sources = Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)]


@Parameter(name="*", group=RESULT)
@dataclass(frozen=True, kw_only=True)
class IntervalOptions:
    """How intervals are found."""

    interval: str | None = None
    """profile (the default), sandwich (quick) or bootstrap; statistical is the default without model discrepancy."""
    draws: int = 1000
    """Resamples of the bootstrap over runs, 1000 by default; 0 takes standard errors from the curvature."""
    effort: str = "full"
    """full, or quick: coefficients and sandwich intervals alone, in a fraction of the time."""


def fit(
    runs: Runs,
    /,
    *more: More,
    law: Law = "chinchilla",
    fix: Fix = (),
    borrow: Sources = (),
    prior: Sources = (),
    options: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    hold_out: Annotated[str | None, Parameter(group=RESULT)] = None,
    each: Annotated[str | None, Parameter(group=RESULT)] = None,
    intervals: IntervalOptions = IntervalOptions(),  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Fit a law to a table of runs: which law, how sure.

    Parameters
    ----------
    borrow
        Take coefficients from a law of the book or a kept fit: alpha,beta=besiroglu-2024. Repeatable.
    prior
        Prior information on a coefficient: alpha=0.34+-0.02, or alpha,beta=besiroglu-2024. Repeatable.
    hold_out
        Leave these rows out of the fit and forecast them instead: "params > 1e9".
    each
        Fit the law to each level of this column by itself. Several targets, --target loss_c4,loss_code, give a fit each too.
    """
    from rung.files import write_all
    from rung.fitting import fit as fit_law
    from rung.forecasting import compare_held_out, split
    from rung.units import parse_number

    kinds = require_kinds(output, _KINDS) | figure_kinds(figure)
    selected = read_selected([runs, *more], rows, options.target, shown=True)
    targets = _several_targets(options.target, selected)
    chosen = read_law(law, selected, rows, replace(options, target=targets[0]) if targets else options)
    fitted_on, held = split(chosen.runs, hold_out)
    settings = {
        **_settings(chosen, options, intervals),
        "fix": {name: parse_number(value) for name, value in pairs(fix, "--fix").items()},
        "borrow": _sources(borrow, "--borrow"),
        "prior": _sources(prior, "--prior"),
        "level": level,
        "seed": seed,
    }
    if each is not None or targets:
        _fit_several(chosen, targets, each, kinds, settings, hold_out, json=json)
        return
    result = fit_law(fitted_on, chosen.law, target=chosen.target, **settings)
    comparison = compare_held_out(result, held) if held is not None else None
    table = fitted_on.drop_weightless(options.weights) if options.weights else fitted_on
    write_all({path: _content(kind, result, table, comparison) for path, kind in kinds.items()})
    held_out = {} if comparison is None else {"held_out": comparison.to_dict()}
    show(result, json=json, more=held_out, below=[comparison] if comparison else [])
    say(*unused_maps(rows, chosen.used, hold_out))


def _settings(chosen: LawChoice, options: LawOptions, intervals: IntervalOptions) -> dict[str, Any]:
    """What the options of objective and intervals say to the function."""
    return {
        "objective": chosen.objective,
        "delta": options.delta,
        "weights": options.weights,
        "interval": intervals.interval,
        "draws": intervals.draws,
        "effort": intervals.effort,
    }


def _several_targets(target: str | None, runs: Table) -> list[str]:
    """The targets, where --target names several."""
    if target is None or "," not in target or runs.has(target):
        return []
    return [name.strip() for name in target.split(",") if name.strip()]


def _fit_several(
    chosen: LawChoice,
    targets: list[str],
    each: str | None,
    kinds: dict[str, str],
    settings: dict[str, Any],
    hold_out: str | None,
    *,
    json: bool,
) -> None:
    """Fit the law to each of several targets, or to each level of a column."""
    from rung.fitting import fit_each

    if hold_out is not None:
        raise FitError("--hold-out goes with one fit: leave out --each, or name one --target.")
    if targets and each is not None:
        raise FitError(f"--each {each} and several targets: give one of the two.")
    pages = [path for path, kind in kinds.items() if kind == ".html"]
    if pages:
        raise FitError(f"{pages[0]}: several fits are written as .json or .csv, or drawn; a page shows one fit.")
    single = {} if targets else {"target": chosen.target}
    found = fit_each(chosen.runs, chosen.law, by=each, targets=targets, **single, **settings)
    write_result(found, kinds)
    show(found, json=json)


def _sources(texts: Sequence[str], option: str) -> dict[str, str]:
    """alpha,beta=SOURCE as a source for each name."""
    return {name.strip(): source for names, source in pairs(texts, option).items() for name in names.split(",")}


def _content(kind: str, result: Fit, runs: Table, comparison: HeldOut | None) -> bytes:
    from rung.report import Scene, page_text, render_figure

    match kind:
        case ".json" if comparison is not None:
            from rung.cli.output import as_json

            return (as_json({**result.to_dict(), "held_out": comparison.to_dict()}) + "\n").encode()
        case ".json" | ".csv":
            return content_of(result, kind)
        case ".html":
            return page_text(result, runs, comparison).encode()
        case _:
            return render_figure(result, kind, Scene(runs=runs, held_out=comparison))
