"""`rung compare`: what one recipe is worth against another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.options import QUESTION, Json, Level, Output, Seed
from rung.cli.output import require_kinds, show, write_result
from rung.cli.table_options import TableOptions, read_selected
from rung.errors import WorthError

if TYPE_CHECKING:
    from rung.runs import Runs


def compare(
    control: Annotated[str, Parameter(name="A")],
    treated: Annotated[str | None, Parameter(name="B")] = None,
    /,
    *,
    by: Annotated[str | None, Parameter(group=QUESTION)] = None,
    names: Annotated[str | None, Parameter(group=QUESTION)] = None,
    along: Annotated[str | None, Parameter(group=QUESTION)] = None,
    floor: Annotated[bool | None, Parameter(group=QUESTION)] = None,
    target: Annotated[str, Parameter(group=QUESTION)] = "loss",
    objective: Annotated[str, Parameter(group=QUESTION)] = "log-squares",
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    json: Json = False,
) -> None:
    """Measure recipe B by recipe A: effective size, data and compute, and whether the gain is constant over scale.

    Parameters
    ----------
    control
        A table of runs of the control recipe; with --by, of both. - for CSV on standard input.
    treated
        A table of runs of the recipe that is measured.
    by
        A column of one table that distinguishes the two recipes.
    names
        What the recipes are called, A,B; with --by, the two values of the column, the control first.
    along
        Compare along N, D or C alone; by default over N and D where both vary freely, else along the first of C, N, D that varies.
    floor
        Whether the law has an irreducible loss; by default where the runs show one.
    target
        The column compared; loss by default, lower is better.
    objective
        log-squares by default; log-huber where there are outliers.
    """
    from rung.worth import compare as compare_recipes

    kinds = require_kinds(output, {".json": "the comparison", ".csv": "its multipliers"})
    first, second, called = _recipes(control, treated, by, names, rows, target)
    if rows.drop_nonfinite:
        used = ["params", "tokens", "flops", target]
        first, second = (runs.drop_nonfinite([name for name in used if runs.has(name)]) for runs in (first, second))
    found = compare_recipes(
        first,
        second,
        names=called,
        along=along,
        floor=floor,
        target=target,
        objective=objective,
        level=level,
        seed=seed,
    )
    write_result(found, kinds)
    show(found, json=json)


def _recipes(
    control: str, treated: str | None, by: str | None, names: str | None, rows: TableOptions, target: str
) -> tuple[Runs, Runs, tuple[str, str]]:
    """The runs of both recipes, and what they are called."""
    pair = [name.strip() for name in names.split(",")] if names else []
    if pair and (len(pair) != 2 or not all(pair)):
        raise WorthError(f"--names {names}: write the two names with a comma between, control,treated.")
    if by is not None:
        if treated is not None:
            raise WorthError("--by takes both recipes from one table; leave the second out.")
        return _parted(read_selected(control, rows, target), by, pair)
    if treated is None:
        raise WorthError("give two tables, or one with --by COLUMN, which distinguishes the recipes.")
    first, second = (read_selected(path, rows, target) for path in (control, treated))
    return first, second, (pair[0], pair[1]) if pair else _stems(control, treated)


def _stems(control: str, treated: str) -> tuple[str, str]:
    stems = (Path(control).stem, Path(treated).stem)
    return stems if stems[0] != stems[1] else ("A", "B")


def _parted(runs: Runs, by: str, pair: list[str]) -> tuple[Runs, Runs, tuple[str, str]]:
    labels = runs.texts(by)
    known = sorted({str(label) for label in labels})
    if not pair and len(known) != 2:
        raise WorthError(
            f"{by} has {len(known)} values ({', '.join(known[:8])}); name two of them, the control first: --names {known[0]},OTHER."
        )
    one, other = pair or known
    missing = [name for name in (one, other) if name not in known]
    if missing:
        raise WorthError(f"{by} has no {missing[0]!r}; it has {', '.join(known[:12])}.")
    first, second = (runs.take(labels == name) for name in (one, other))
    return first, second, (one, other)
