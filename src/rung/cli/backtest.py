"""`rung backtest`: how wrong a law would have been about the larger scales of a table."""

from __future__ import annotations

from rung.cli.options import Along, Cuts, Figure, Fix, Json, Law, Level, More, Output, Runs, Seed
from rung.cli.output import figure_kinds, require_kinds, say, show, write_result
from rung.cli.table_options import LawOptions, TableOptions, pairs, read_law, read_selected, unused_maps


def backtest(
    runs: Runs,
    /,
    *more: More,
    law: Law = "chinchilla",
    fix: Fix = (),
    options: LawOptions = LawOptions(),  # noqa: B008  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    along: Along = None,
    cuts: Cuts = 6,
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Fit a law to the smaller scales of a table and score it on the larger ones, over rolling cuts."""
    from rung.fitting.backtest import backtest as backtest_law
    from rung.units import parse_number

    kinds = require_kinds(output, {".json": "the backtest", ".csv": "its cuts"}) | figure_kinds(figure)
    chosen = read_law(law, read_selected([runs, *more], rows, options.target), rows, options)
    found = backtest_law(
        chosen.runs,
        chosen.law,
        along=along,
        cuts=cuts,
        objective=chosen.objective,
        delta=options.delta,
        target=chosen.target,
        weights=options.weights,
        fix={name: parse_number(value) for name, value in pairs(fix, "--fix").items()},
        level=level,
        seed=seed,
    )
    write_result(found, kinds)
    show(found, json=json)
    say(*unused_maps(rows, [*chosen.used, *([along] if along else [])]))
