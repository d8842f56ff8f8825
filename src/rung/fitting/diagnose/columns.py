"""Columns that cannot separate the coefficients of a law: constant, proportional, or the target itself."""

from __future__ import annotations

import itertools

import numpy as np

from rung.findings import Finding
from rung.fitting.estimate.problem import Problem
from rung.laws import column_of, names, sums
from rung.units import format_value

_PROPORTIONAL = 0.02
"""Standard deviation of log y about a line in log x, over that of log y, up to which y counts as a power of x.

An exponent within the same distance of 1 is not printed."""


def column_findings(problem: Problem, target: str) -> list[Finding]:
    """The target among the variables, and variables that are constant or in fixed proportion."""
    columns = problem.design.columns
    found = []
    if target in map(column_of, columns):
        found.append(
            Finding(
                "target_in_formula",
                f"the formula predicts {target} from the measured {target} itself: residuals and intervals are too "
                f"small, and a forecast needs the value that it should predict. Take {target} out of the formula.",
            )
        )
    found += [
        Finding(
            "constant_column",
            f"{name} has the same value in every row, so the coefficients of its term cannot be separated from a "
            f"constant. Add runs that vary {name}, or leave it out of the law.",
        )
        for name, column in columns.items()
        if np.ptp(column) <= 1e-12 * np.max(np.abs(column))
    ]
    if np.ptp(problem.design.target) <= 1e-12 * np.max(np.abs(problem.design.target)):
        found.append(
            Finding(
                "constant_target",
                f"{target} has the same value in every row, so there is nothing for a law to explain. Choose another "
                "target, or add runs.",
            )
        )
    for first, second, slope, deviation in proportions(problem):
        ratio = float(np.exp(np.mean(np.log(columns[second]) - slope * np.log(columns[first]))))
        multiple = f"{format_value(ratio, 4)} times {first}" + (
            f"^{slope:.3g}" if abs(slope - 1) > _PROPORTIONAL else ""
        )
        within = f", to within {100 * deviation:.2g} %" if deviation > 1e-3 else ""
        found.append(
            Finding(
                "fixed_proportion",
                f"{second} is {multiple} in every row{within}: their terms can trade off against each other, and "
                "forecasts hold only along this proportion. Add runs off it.",
            )
        )
    return found


def proportions(problem: Problem) -> list[tuple[str, str, float, float]]:
    """Pairs of variables x, y of which y is a rising power of x in every row, or nearly.

    The regression of log y on log x has the slope and deviations, with X and Y the centred logarithms,

        b = sum_i X_i Y_i / sum_i X_i^2,   d_i = Y_i - b X_i.

    Each pair comes with b and the largest |d_i|.
    """
    columns = problem.design.columns
    logs = {name: np.log(column) for name, column in columns.items() if np.all(column > 0) and np.ptp(column) > 0}
    found = []
    for first, second in itertools.combinations(logs, 2):
        x, y = (logs[name] - np.mean(logs[name]) for name in (first, second))
        slope = float(x @ y / (x @ x))
        deviations = y - slope * x
        if slope > 0 and np.std(deviations) <= _PROPORTIONAL * np.std(y):
            found.append((first, second, slope, float(np.max(np.abs(deviations)))))
    return found


def exchangeable_indices(problem: Problem, first: str, second: str) -> set[int]:
    """Indices of the coefficients in terms that can trade off where two variables are in fixed proportion.

    These are the terms of one sum that contain one of the two variables and not the other.
    """
    found: set[str] = set()
    for terms in sums(problem.law.computed):
        members = [{name.name for name in names(term)} for term in terms]
        apart = [present for present in members if (first in present) != (second in present)]
        if {first, second} <= set().union(*apart):
            found |= set().union(*apart)
    return {index for index, c in enumerate(problem.design.parameters(problem.law)) if c.name in found}
