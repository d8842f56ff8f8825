"""Columns that cannot tell coefficients apart: constant, proportional, or the target itself."""

from __future__ import annotations

import itertools

import numpy as np

from rung.findings import Finding
from rung.fitting.estimate.problem import Problem
from rung.laws import column_of, names, sums
from rung.units import format_value

_PROPORTIONAL = 0.02
"""Spread of one variable around a power of another, in its own spread, under which the two count as one."""


def column_findings(problem: Problem, target: str) -> list[Finding]:
    """The target among the variables, and variables that cannot tell coefficients apart: constant, or in proportion."""
    columns = problem.design.columns
    found = []
    if target in map(column_of, columns):
        found.append(
            Finding(
                "target_in_formula",
                f"the formula predicts {target} from the measured {target} itself: residuals and intervals are too small, and a "
                "forecast needs what it should predict.",
            )
        )
    found += [
        Finding(
            "constant_column",
            f"{name} has the same value in every row: coefficients of its term cannot be told from a constant.",
        )
        for name, column in columns.items()
        if np.ptp(column) <= 1e-12 * np.max(np.abs(column))
    ]
    if np.ptp(problem.design.target) <= 1e-12 * np.max(np.abs(problem.design.target)):
        found.append(
            Finding(
                "constant_target", f"{target} has the same value in every row: there is nothing for a law to explain."
            )
        )
    for first, second, slope, spread in proportions(problem):
        ratio = float(np.exp(np.mean(np.log(columns[second]) - slope * np.log(columns[first]))))
        grows = f"{format_value(ratio, 4)} times {first}" + (f"^{slope:.3g}" if abs(slope - 1) > _PROPORTIONAL else "")
        nearly = f", to within {100 * spread:.2g} %" if spread > 1e-3 else ""
        found.append(
            Finding(
                "fixed_proportion",
                f"{second} is {grows} in every row{nearly}: their terms can trade against each other, and forecasts hold only "
                "along this proportion.",
            )
        )
    return found


def proportions(problem: Problem) -> list[tuple[str, str, float, float]]:
    """Pairs of variables of which one is a rising power of the other in every row, or nearly.

    Each with the power's exponent and the largest deviation from it.
    """
    columns = problem.design.columns
    logs = {name: np.log(column) for name, column in columns.items() if np.all(column > 0) and np.ptp(column) > 0}
    found = []
    for first, second in itertools.combinations(logs, 2):
        x, y = (logs[name] - np.mean(logs[name]) for name in (first, second))
        slope = float(x @ y / (x @ x))
        off = y - slope * x
        if slope > 0 and np.std(off) <= _PROPORTIONAL * np.std(y):
            found.append((first, second, slope, float(np.max(np.abs(off)))))
    return found


def exchangeable_indices(problem: Problem, first: str, second: str) -> set[int]:
    """Places of coefficients in terms of a sum that change places when two variables do."""
    found: set[str] = set()
    for terms in sums(problem.law.tree):
        members = [{name.name for name in names(term)} for term in terms]
        apart = [present for present in members if (first in present) != (second in present)]
        if {first, second} <= set().union(*apart):
            found |= set().union(*apart)
    return {index for index, c in enumerate(problem.design.parameters(problem.law)) if c.name in found}
