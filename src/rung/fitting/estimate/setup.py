"""From a table and a specification to a problem that can be solved, in one way for every fitting function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rung.fitting.estimate.design import make_design
from rung.fitting.estimate.objective import objective_named
from rung.fitting.estimate.problem import Problem, make_problem
from rung.fitting.estimate.specification import FitSpecification
from rung.messages import counted
from rung.runs import Runs, as_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A problem, with the table and the choices that it was made from.

    Attributes:
        table: The rows.
        problem: The law over those rows with an objective.
        target: The column that is fitted.
        weights: The column of row weights, if any.
        level: Coverage of the intervals.
        seed: Seed of the starts and resamples.
    """

    table: Runs
    problem: Problem
    target: str
    weights: str | None
    level: float
    seed: int


def set_up(runs: Any, specification: FitSpecification) -> Setup:
    """Read a table, and check it against a specification.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        specification: What is fitted to the table.

    Raises:
        RunsError: The table cannot be read or used.
        FormulaError: The formula cannot be read.
        FitError: The law cannot be fitted to this table.
    """
    table = as_runs(runs).without_repeats()
    if specification.weights:
        table = table.drop_weightless(specification.weights)
    chosen = specification.resolved(table.columns)
    objective = objective_named(chosen.objective, chosen.delta)
    design = make_design(table, chosen.law, objective, target=chosen.target, weights=chosen.weights)
    if {"U", "D"} <= set(design.columns):
        unseen = int(np.sum(design.columns["U"] > design.columns["D"]))
        if unseen:
            note = f"in {counted(unseen, 'row')} U is above D and counts as D: a run sees no more tokens than it reads"
            table = replace(table, notes=(*table.notes, note))
    return Setup(
        table=table,
        problem=make_problem(chosen.law, design, objective),
        target=chosen.target,
        weights=chosen.weights,
        level=specification.level,
        seed=specification.seed,
    )
