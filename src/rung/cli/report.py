"""`rung report`: a page to look at."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import RESULT, Budget, Json, Law, Level, Output, Seed
from rung.cli.output import as_json, require_kinds, say
from rung.cli.table_options import (
    LawOptions,
    TableOptions,
    pairs,
    read_law,
    read_selected,
    selected_rows,
    tables_and_inputs,
)
from rung.errors import ReportError

if TYPE_CHECKING:
    from rung.fitting import Fit
    from rung.forecasting import HeldOut
    from rung.runs import Runs

Source = Annotated[str, Parameter(name="SOURCE|NAME=VALUE")]


def report(
    *inputs: Source,
    flops: Budget = None,
    law: Law = "chinchilla",
    options: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    hold_out: Annotated[str | None, Parameter(group=RESULT)] = None,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    json: Json = False,
) -> None:
    """Write a page about runs: the answer in words with its interval, and everything that it rests on.

    Parameters
    ----------
    inputs
        A fit (.json), a law of the book with constants, tables of runs, or the folder of a ladder; and the run to forecast, N=70B D=1.4T, by default one of ten times the largest compute.
    hold_out
        Rows to leave out of the fit, and to forecast: "params > 1e9".
    """
    from rung.files import write_all
    from rung.report import Asked, make_report, report_text
    from rung.units import parse_number

    kinds = require_kinds(output or ("report.html",), {".html": "the page"})
    sources, named = tables_and_inputs(inputs)
    if not sources:
        raise ReportError(
            "name a table of runs, a fit (.json) or the folder of a ladder: rung report runs.csv -o page.html."
        )
    fit, runs, held_out = _fitted(sources, law, options, rows, hold_out, level, seed)
    given: dict[str, Any] = {
        name: text if name in fit.groups else parse_number(text) for name, text in pairs(named, "input").items()
    }
    asked = Asked(
        inputs=given,
        flops=None if flops is None else parse_number(flops),
        command=shlex.join(["rung", *sys.argv[1:]]),
        held_out=held_out,
    )
    made = make_report(fit, runs, asked)
    page = report_text(made).encode()
    write_all(dict.fromkeys(kinds, page))
    if json:
        print(as_json({"title": made.title, "answers": list(made.answers), "pages": list(kinds)}))
    else:
        print("\n".join(made.answers))
    say(*(f"{path}: {len(page) / 1000:,.0f} kB" for path in kinds))


def _fitted(
    sources: list[str],
    law: str,
    options: LawOptions,
    rows: TableOptions,
    hold_out: str | None,
    level: float,
    seed: int,
) -> tuple[Fit, Runs | None, HeldOut | None]:
    """The fit that was given, or one of the tables."""
    from rung.fitting import as_fit, is_published
    from rung.fitting import fit as fit_law
    from rung.forecasting import compare_held_out, split

    if len(sources) == 1 and (sources[0].lower().endswith(".json") or is_published(sources[0])):
        if (law, options, rows, hold_out) != ("chinchilla", LawOptions(), TableOptions(), None):
            raise ReportError(
                f"{sources[0]} is fitted already: laws, columns and rows are chosen where the fit is made, with rung fit."
            )
        return as_fit(sources[0]), None, None
    if len(sources) == 1 and Path(sources[0]).is_dir():
        from rung.ladder import read_ladder_runs

        mapping = pairs(rows.map, "--map")
        read = read_ladder_runs(sources[0], mapping, lambda text: say(f"warning: {text}"), unfinished=rows.unfinished)
        table = selected_rows(read, rows, options.target)
    else:
        table = read_selected(sources, rows, options.target, shown=True)
    chosen = read_law(law, table, rows, options)
    fitted_on, held = split(chosen.runs, hold_out)
    found = fit_law(
        fitted_on,
        chosen.law,
        objective=chosen.objective,
        delta=options.delta,
        target=chosen.target,
        weights=options.weights,
        level=level,
        seed=seed,
    )
    return found, fitted_on, compare_held_out(found, held) if held is not None else None
