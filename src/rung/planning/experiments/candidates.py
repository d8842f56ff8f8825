"""The runs that could be made, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.laws import SYMBOLS, Expression, Law, evaluate, symbol_of, to_text
from rung.planning.cost.cost_formula import COST, read_cost
from rung.runs import Runs
from rung.units import flops_6nd, format_count

Ranges = Mapping[str, tuple[float, float]]

_PER_AXIS = 25
"""Points along each variable of a box: steps of less than 1.5x over three decades."""

_MOST_POINTS = 4000
"""Points of a box; with more than two variables, fewer along each."""

BEYOND = 10.0
"""How far beyond the largest run the default box reaches."""

RATIO_SLACK = 2.0
"""Factor beyond the tokens per parameter of the runs and the targets up to which the default box reaches: a corner of few
tokens and many parameters would be informative only if the law held where nobody tried it."""


def pool_points(law: Law, pool: Runs) -> dict[str, Array]:
    """The runs of a table as candidates: each variable of the law (M,).

    Raises:
        PlanError: The table is empty, or a value is not positive.
    """
    found = {}
    for name in law.variables:
        values = pool.numbers(SYMBOLS.get(name, name), "the pool")
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(bad):
            raise PlanError(
                f"{pool.row_name(int(bad[0]))}: {name} of the pool is {values[bad[0]]:g}, and must be positive."
            )
        found[name] = values
    if not len(pool):
        raise PlanError("the pool has no runs.")
    return _with_compute(found)


def box_points(
    variables: Sequence[str], ranges: Ranges, box: Ranges | None, ratios: tuple[float, float] | None = None
) -> dict[str, Array]:
    """A grid of candidates, evenly spaced in logarithms: each variable of the law (M,).

    Args:
        variables: The law's variables.
        ranges: Smallest and largest value of each that was run; the box reaches ten times beyond by default.
        box: Smallest and largest value of a variable, by symbol or column, where it is given.
        ratios: Smallest and largest D / N of the candidates; none for any.

    Raises:
        PlanError: The box has a variable that the law has not, or bounds that are no range.
    """
    given = {symbol_of(name): pair for name, pair in (box or {}).items()}
    unknown = [name for name in given if name not in variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which the law has not; its variables are {', '.join(variables)}."
        )
    per_axis = min(_PER_AXIS, int(_MOST_POINTS ** (1 / len(variables))))
    axes = []
    for name in variables:
        low, high = given.get(name, (ranges[name][0], BEYOND * ranges[name][1]))
        if not 0 < low <= high:
            raise PlanError(
                f"the box of {name} is {low:g} to {high:g}; write LOW:HIGH with LOW above 0 and not above HIGH."
            )
        axes.append(np.geomspace(low, high, per_axis if high > low else 1))
    mesh = np.meshgrid(*axes, indexing="ij")
    points = {name: part.ravel() for name, part in zip(variables, mesh, strict=True)}
    if ratios is not None:
        ratio = points["D"] / points["N"]
        kept = (ratio >= ratios[0] * (1 - 1e-9)) & (ratio <= ratios[1] * (1 + 1e-9))
        points = {name: part[kept] for name, part in points.items()}
    return _with_compute(points)


def affordable_points(
    law: Law, points: Mapping[str, Array], cost: str, budget: float
) -> tuple[dict[str, Array], Array, Expression]:
    """The candidates that the budget can pay for, their costs (M,), and the cost's formula.

    Raises:
        FormulaError: The cost is no formula.
        PlanError: The cost cannot be worked out for every candidate, or none is affordable.
    """
    if cost == COST and not {"N", "D"} <= set(law.variables):
        raise PlanError(
            f"{law.formula!r} is a law of {' and '.join(law.variables)}, so a run has no 6 N D. State the cost of a run: "
            '--cost "120*N^2".'
        )
    tree = read_cost(cost, [*law.variables, "C"], "the law")
    costs = np.broadcast_to(evaluate(tree, points), np.shape(next(iter(points.values())))).astype(float)
    if not np.all(np.isfinite(costs) & (costs > 0)):
        raise PlanError(f"the cost {to_text(tree)} is not a positive number for every run that could be made.")
    affordable = costs <= budget
    if not affordable.any():
        raise PlanError(
            f"no run that could be made is affordable: the cheapest of {len(costs)} costs {format_count(float(costs.min()))} by "
            f"{to_text(tree)}, and the budget is {format_count(budget)}."
        )
    return {name: values[affordable] for name, values in points.items()}, costs[affordable], tree


def _with_compute(columns: dict[str, Array]) -> dict[str, Array]:
    if {"N", "D"} <= set(columns) and "C" not in columns:
        with np.errstate(over="ignore"):
            return {**columns, "C": flops_6nd(columns["N"], columns["D"])}
    return columns
