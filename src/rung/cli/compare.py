"""`rung compare`: what one recipe is worth against another, and whether it lasts."""

from __future__ import annotations

import json as json_module
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rung.cli.table_options import TableOptions as Rows
from rung.cli.table_options import read_selected, say
from rung.cli.text import table
from rung.errors import WorthError

if TYPE_CHECKING:
    from rung.runs import Runs
    from rung.worth import Comparison


def compare(
    control: Annotated[str, Parameter(name="A")],
    treated: Annotated[str | None, Parameter(name="B")] = None,
    /,
    *,
    by: str | None = None,
    names: str | None = None,
    along: str | None = None,
    floor: bool | None = None,
    target: str = "loss",
    objective: str = "log-squares",
    level: float = 0.9,
    seed: int = 0,
    rows: Rows = Rows(),  # noqa: B008  # frozen
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure recipe B by recipe A: effective size, data and compute, and whether the gain is constant over scale.

    Parameters
    ----------
    control
        A table of runs of the recipe that is the measure; with --by, of both.
    treated
        A table of runs of the recipe that is measured.
    by
        A column of one table that tells the two recipes apart.
    names
        What the recipes are called, A,B; with --by, the two values of the column, the measure first.
    along
        Compare along N, D or C alone; by default over N and D where both vary freely, else along the first of C, N, D that varies.
    floor
        Whether the law has an irreducible loss; by default where the runs show one.
    target
        The column compared; loss by default, lower is better.
    objective
        log-squares by default; log-huber where odd runs are among them.
    level
        Coverage that intervals aim at; 0.9 by default.
    seed
        Seed of the starts; 0 by default.
    json
        Print one JSON object instead of text.
    """
    from rung.worth import compare as compare_recipes

    pair = [name.strip() for name in names.split(",")] if names else []
    if pair and (len(pair) != 2 or not all(pair)):
        raise WorthError(f"--names {names}: write the two names with a comma between, control,treated.")
    if by is None:
        if treated is None:
            raise WorthError("give two tables, or one with --by COLUMN that tells the recipes apart.")
        first, second = (read_selected(path, rows) for path in (control, treated))
        called = (pair[0], pair[1]) if pair else _stems(control, treated)
    else:
        if treated is not None:
            raise WorthError("--by takes both recipes from one table; leave the second out.")
        first, second, called = _parted(read_selected(control, rows), by, pair)
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
    print(json_module.dumps(found.to_dict(), allow_nan=False) if json else describe(found))
    say(*(f"warning: {finding.text}" for finding in found.warnings))


def _stems(control: str, treated: str) -> tuple[str, str]:
    stems = (Path(control).stem, Path(treated).stem)
    return stems if stems[0] != stems[1] else ("A", "B")


def _parted(runs: Runs, by: str, pair: list[str]) -> tuple[Runs, Runs, tuple[str, str]]:
    labels = runs.texts(by)
    known = sorted({str(label) for label in labels})
    if not pair and len(known) != 2:
        raise WorthError(
            f"{by} has {len(known)} values ({', '.join(known[:8])}); name two of them, the measure first: --names {known[0]},OTHER."
        )
    one, other = pair or known
    missing = [name for name in (one, other) if name not in known]
    if missing:
        raise WorthError(f"{by} has no {missing[0]!r}; it has {', '.join(known[:12])}.")
    parts = [replace(runs.take(labels == name)) for name in (one, other)]
    return parts[0], parts[1], (one, other)


def describe(found: Comparison) -> str:
    """A comparison as text for people."""
    from rung.units import format_count, format_interval, format_value

    percent = f"{100 * found.level:g} % interval"

    def times(number: float) -> str:
        return f"{format_value(number, 3)}x" if math.isfinite(number) else "at no scale"

    rows = [
        [
            one.of if one.at is None else f"{one.of} at {found.along} = {format_count(one.at)}",
            times(one.value),
            format_interval(one.low, one.high, times),
        ]
        for one in (*found.constant, *found.by_scale)
    ]
    split = len(found.constant)
    lines = [
        f"{found.treated} measured by {found.control}: how many times as much {found.control} would need for the same loss",
        "",
        table(["if the gain is constant", "", percent], rows[:split]),
        "",
        table(["if it may change with scale", "", percent], rows[split:]),
        "",
        f"verdict    {_verdict(found)}",
    ]
    lines += [
        f"{name:<10} {found.treated} over {found.control}: {format_value(one.value, 3)} ({format_interval(one.low, one.high, lambda x: format_value(x, 3))})"
        for name, one in (*found.exponents, *([("floor", found.floor)] if found.floor else []))
    ]
    if found.shared:
        paired = (
            f"; residuals of matched runs correlate by {found.correlation:+.2f}, so they were {'' if found.paired else 'not '}taken as pairs"
            if found.correlation is not None
            else ""
        )
        lines.append(
            f"matched    {found.treated} has the lower loss at {found.lower} of {found.shared} scales that both ran{paired}"
        )
    lines.append(f"law        {found.formula}, along {found.along}")
    return "\n".join(lines)


def _verdict(found: Comparison) -> str:
    if found.dominant:
        side = f"{found.dominant} is better {'on every axis' if len(found.constant) > 1 else 'at every scale'}"
    elif found.better:
        side = f"{found.better} is better at the largest scale"
    else:
        side = "which is better at the largest scale is undetermined"
    lasts = (
        "whether the gain changes with scale is undetermined: the runs allow both"
        if found.verdict == "undetermined"
        else found.verdict
    )
    return f"{lasts}; {side}"
