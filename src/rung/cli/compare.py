"""`rung compare`: what one recipe is worth against another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.table_options import TableOptions, pairs, read_selected
from rung.errors import WorthError
from rung.messages import listed

if TYPE_CHECKING:
    from rung.results import Result
    from rung.runs import Runs
    from rung.worth import AnyComparison


@Parameter(name="*", group=QUESTION)
@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is compared, and how."""

    by: str | None = None
    """A column of one table that distinguishes the recipes."""
    names: str | None = None
    """What the recipes are called, A,B; with --by, the values of the column, the control first: two, or more at once."""
    along: str | None = None
    """Compare along N, D or C alone; by default over N and D where both vary freely, else along the first of C, N, D that varies."""
    floor: bool | None = None
    """Whether the law has an irreducible loss; by default where the runs show one."""
    pin: str | None = None
    """Compare scale by scale under a law whose floor and exponent are given: E=1.6,alpha=0.0941."""
    threshold: float | None = None
    """Instead of B: test whether the mean of A's runs, seeds of one setting, beats this number."""
    higher: Annotated[bool, Parameter(negative="")] = False
    """Among seeds of one scale, higher is better: a score."""
    target: str = "loss"
    """The column compared; loss by default, lower is better."""
    objective: str = "log-squares"
    """log-squares by default; log-huber where there are outliers."""


def compare(
    control: Annotated[str, Parameter(name="A")],
    treated: Annotated[str | None, Parameter(name="B")] = None,
    /,
    *,
    options: CompareOptions = CompareOptions(),  # frozen
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Measure recipe B by recipe A: effective size, data and compute, and whether the gain is constant over scale.

    Where all runs have one scale, they are seeds of two settings: their difference is tested instead.

    Parameters
    ----------
    control
        A table of runs of the control recipe; with --by, of all. - for CSV on standard input.
    treated
        A table of runs of the recipe that is measured.
    """
    from rung.worth import compare_several

    kinds = require_kinds(output, {".json": "the comparison", ".csv": "its multipliers"}) | figure_kinds(figure)
    tables = _recipes(control, treated, options, rows)
    if rows.drop_nonfinite:
        used = ["params", "tokens", "flops", options.target]
        tables = {
            name: runs.drop_nonfinite([column for column in used if runs.has(column)]) for name, runs in tables.items()
        }
    first, *others = tables
    if options.threshold is not None:
        found: Result = _one(options.threshold, tables[first], (f"{options.threshold:g}", first), options, level, seed)
    elif len(others) == 1:
        found = _one(tables[first], tables[others[0]], (first, others[0]), options, level, seed)
    else:
        found = compare_several(
            others, lambda name, each: _one(tables[first], tables[name], (first, name), options, each, seed), level
        )
    write_result(found, kinds)
    show(found, json=json)


def _one(
    first: Runs | float, second: Runs, called: tuple[str, str], options: CompareOptions, level: float, seed: int
) -> AnyComparison:
    """One recipe against the control, or against a threshold: by seeds, under a pinned law, or over scale."""
    from rung.units import parse_number
    from rung.worth import compare as compare_recipes
    from rung.worth import compare_pinned, compare_seeds, one_scale

    over_scale = (options.along, options.floor, options.objective) != (None, None, "log-squares")
    if isinstance(first, float) or (options.pin is None and not over_scale and one_scale([first, second])):
        return compare_seeds(first, second, names=called, target=options.target, higher=options.higher, level=level)
    if options.higher:
        raise WorthError(
            "--higher is for seeds of one scale. Over scales compare an error: --map 'error=1-score' --target error."
        )
    if options.pin is not None:
        pins = {name: parse_number(text) for name, text in pairs(options.pin.split(","), "--pin").items()}
        return compare_pinned(
            first, second, pins, names=called, along=options.along or "C", target=options.target, level=level
        )
    return compare_recipes(
        first,
        second,
        names=called,
        along=options.along,
        floor=options.floor,
        target=options.target,
        objective=options.objective,
        level=level,
        seed=seed,
    )


def _recipes(control: str, treated: str | None, options: CompareOptions, rows: TableOptions) -> dict[str, Runs]:
    """The runs of each recipe by what it is called, the control first."""
    called = [name.strip() for name in options.names.split(",")] if options.names else []
    if called and (len(called) < 2 or not all(called) or len(set(called)) < len(called)):
        raise WorthError(f"--names {options.names}: write the names with commas between, control,treated.")
    if options.threshold is not None:
        if treated is not None or options.by is not None:
            raise WorthError("--threshold tests the runs of one table; leave the second, and --by, out.")
        return {Path(control).stem: read_selected(control, rows, options.target)}
    if options.by is not None:
        if treated is not None:
            raise WorthError("--by takes all recipes from one table; leave the second out.")
        return _parted(read_selected(control, rows, options.target), options.by, called)
    if treated is None:
        raise WorthError("give two tables, or one with --by COLUMN, which distinguishes the recipes.")
    if len(called) > 2:
        raise WorthError("two tables have two names; more recipes come from one table: --by COLUMN.")
    pair = called or list(_stems(control, treated))
    return {
        name: read_selected(path, rows, options.target) for name, path in zip(pair, (control, treated), strict=True)
    }


def _stems(control: str, treated: str) -> tuple[str, str]:
    stems = (Path(control).stem, Path(treated).stem)
    return stems if stems[0] != stems[1] else ("A", "B")


def _parted(runs: Runs, by: str, called: list[str]) -> dict[str, Runs]:
    labels = runs.texts(by)
    known = sorted({str(label) for label in labels})
    if not called and len(known) != 2:
        raise WorthError(
            f"{by} has {len(known)} values ({listed(known, 9)}); name those to compare, the control first: --names {known[0]},OTHER."
        )
    missing = [name for name in called if name not in known]
    if missing:
        raise WorthError(f"{by} has no {missing[0]!r}; it has {listed(known, 13)}.")
    return {name: runs.take(labels == name) for name in called or known}
