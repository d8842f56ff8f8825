"""From a table and a law, as a user names them, to a problem that can be solved: the same for every verb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.errors import FitError
from rung.fit.design import Design, column_of, make_design
from rung.fit.objective import objective_named
from rung.fit.search import Problem, make_problem
from rung.laws import Law, find_law, law_book
from rung.laws.tree import Array
from rung.runs import Runs, read_runs
from rung.units import flops_6nd


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A problem, and where it came from.

    Attributes:
        table: The rows.
        problem: The law over them with an objective.
        target: The column fitted.
        weights: The column of row weights, if any.
    """

    table: Runs
    problem: Problem
    target: str
    weights: str | None


def set_up(
    runs: Any,
    law: str | Law,
    *,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
) -> Setup:
    """Read and check what `fit` was given; see there for the arguments and errors."""
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    if weights:
        table = table.drop_weightless(weights)
    chosen = find_law(law, table.columns) if isinstance(law, str) else law
    entry = law_book().get(chosen.name)
    target = target or (entry.target if entry else "loss")
    measure = objective_named(objective or (entry.objective if entry else "log-huber"), delta)
    chosen = chosen.fix(fix or {})
    design = make_design(table, chosen, measure, target=target, weights=weights)
    return Setup(table=table, problem=make_problem(chosen, design, measure), target=target, weights=weights)


def scale_of(setup: Setup, by: str | None) -> tuple[str, Array] | None:
    """What a backtest cuts along, and each row's value of it (n,); None where the law has no positive variable.

    By default C, as a column of the law or as 6 N D, else the law's first positive variable of N, D, S and the rest.

    Raises:
        RunsError: There is no such column.
        FitError: It is not positive in every row.
    """
    design = setup.problem.design
    table = setup.table
    if (
        by is not None
        and column_of(by) == "flops"
        and not table.has("flops")
        and table.has("params")
        and table.has("tokens")
    ):
        return by, flops_6nd(table.numbers("params"), table.numbers("tokens"))
    if by is not None:
        values = setup.table.numbers(column_of(by), "--by")
        bad = np.flatnonzero(~(values > 0) | np.isinf(values))
        if len(bad):
            raise FitError(
                f"{setup.table.row_name(int(bad[0]))}: {column_of(by)} is {values[bad[0]]:g}, and a backtest cuts along a "
                "column that is positive in every row. Choose another: --by."
            )
        return by, values
    columns = design.columns
    if "C" not in columns and {"N", "D"} <= set(columns):
        return "C", flops_6nd(columns["N"], columns["D"])
    ordered = sorted(columns, key=lambda name: "CNDS".find(name) % 5)
    return next(((name, columns[name]) for name in ordered if spread_of(design, name) > 1), None)


def spread_of(design: Design, name: str) -> float:
    """Largest over smallest value of a positive variable, 1 for another."""
    column = design.columns[name]
    return float(column.max() / column.min()) if np.all(column > 0) else 1.0
