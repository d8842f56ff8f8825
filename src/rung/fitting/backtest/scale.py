"""The scale that a backtest cuts along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.estimate.design import Design
from rung.fitting.estimate.setup import Setup
from rung.laws import column_of
from rung.units import flops_6nd


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale to cut along.

    Attributes:
        name: The symbol or column.
        values: Its value in each row (n,).
        column: The column of the file that compute was read from; empty for 6 N D, and for other scales.
    """

    name: str
    values: Array
    column: str = ""


def scale_of(setup: Setup, along: str | None) -> Scale | None:
    """The scale that a backtest cuts along; None where the law has no positive variable.

    By default it is C: a variable of the law, the table's own column flops, or 6 N D; else the law's first positive
    variable of N, D, S and the rest.

    Raises:
        RunsError: There is no such column.
        FitError: It is not positive in every row.
    """
    if along is not None:
        return Scale(along, _column(setup, along), _own_compute(setup) if column_of(along) == "flops" else "")
    design = setup.problem.design
    columns = design.columns
    if "C" not in columns and {"N", "D"} <= set(columns):
        own = _own_compute(setup)
        values = setup.table.numbers("flops") if own else flops_6nd(columns["N"], columns["D"])
        return Scale("C", values, own)
    ordered = sorted(columns, key=lambda name: "CNDS".find(name) % 5)
    name = next((name for name in ordered if _range_ratio(design, name) > 1), None)
    return None if name is None else Scale(name, columns[name])


def _own_compute(setup: Setup) -> str:
    """The column of the file that holds the compute of every row; empty where it has none."""
    table = setup.table
    if not table.has("flops"):
        return ""
    values = table.numbers("flops")
    return table.mapping.get("flops", "flops") if np.all(np.isfinite(values) & (values > 0)) else ""


def _column(setup: Setup, along: str) -> Array:
    table, name = setup.table, column_of(along)
    if name == "flops" and not table.has("flops") and table.has("params") and table.has("tokens"):
        return flops_6nd(table.numbers("params"), table.numbers("tokens"))
    values = table.numbers(name, "--along")
    bad = np.flatnonzero(~(values > 0) | np.isinf(values))
    if len(bad):
        raise FitError(
            f"{table.row_name(int(bad[0]))}: {name} is {values[bad[0]]:g}, and a backtest needs a column that is "
            "positive in every row to cut along. Choose another: --along."
        )
    return values


def _range_ratio(design: Design, name: str) -> float:
    """Largest over smallest value of a positive variable; 1 for any other."""
    column = design.columns[name]
    if not np.all(column > 0):
        return 1.0
    with np.errstate(over="ignore"):
        return float(column.max() / column.min())
