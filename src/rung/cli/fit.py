"""`rung fit`: a law from a table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import LAW, RESULT, Figure, Fix, Json, Law, Level, More, Output, Runs, Seed
from rung.cli.output import content_of, require_kinds, say, show
from rung.cli.table_options import LawOptions, TableOptions, pairs, read_law, read_selected, unused_maps

if TYPE_CHECKING:
    from rung.fitting import Fit
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
    """
    from rung.files import write_all
    from rung.fitting import fit as fit_law
    from rung.forecasting import compare_held_out, split
    from rung.units import parse_number

    kinds = require_kinds(output, _KINDS) | _figure_kinds(figure)
    chosen = read_law(law, read_selected([runs, *more], rows, options.target), rows, options)
    fitted_on, held = split(chosen.runs, hold_out)
    result = fit_law(
        fitted_on,
        chosen.law,
        objective=chosen.objective,
        delta=options.delta,
        target=chosen.target,
        weights=options.weights,
        fix={name: parse_number(value) for name, value in pairs(fix, "--fix").items()},
        borrow=_sources(borrow, "--borrow"),
        prior=_sources(prior, "--prior"),
        level=level,
        interval=intervals.interval,
        draws=intervals.draws,
        seed=seed,
    )
    comparison = compare_held_out(result, held) if held is not None else None
    table = fitted_on.drop_weightless(options.weights) if options.weights else fitted_on
    write_all({path: _content(kind, result, table, comparison) for path, kind in kinds.items()})
    held_out = {} if comparison is None else {"held_out": comparison.to_dict()}
    show(result, json=json, more=held_out, below=[comparison] if comparison else [])
    say(*unused_maps(rows, chosen.used, hold_out))


def _sources(texts: Sequence[str], option: str) -> dict[str, str]:
    """alpha,beta=SOURCE as a source for each name."""
    return {name.strip(): source for names, source in pairs(texts, option).items() for name in names.split(",")}


def _figure_kinds(figures: Sequence[str]) -> dict[str, str]:
    from rung.files import require_writable

    if not figures:
        return {}
    from rung.report import figure_kind

    for path in figures:
        require_writable(path)
    return {path: figure_kind(path) for path in figures}


def _content(kind: str, result: Fit, runs: Table, comparison: HeldOut | None) -> bytes:
    from rung.report import page_text, render_figure

    match kind:
        case ".json" if comparison is not None:
            from rung.cli.output import as_json

            return (as_json({**result.to_dict(), "held_out": comparison.to_dict()}) + "\n").encode()
        case ".json" | ".csv":
            return content_of(result, kind)
        case ".html":
            return page_text(result, runs, comparison).encode()
        case _:
            return render_figure(result, runs, comparison, kind)
