"""What a table of runs says of a law, however few they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices
from rung.errors import PlanError
from rung.findings import Finding
from rung.fitting.estimate import Problem, design_of_any_size, make_problem, objective_named
from rung.laws import Law
from rung.planning.experiments.discrepancy_process import discrepancy_around
from rung.planning.experiments.posterior_modes import find_modes
from rung.planning.experiments.predictive import JointPredictive, predictive_of_modes
from rung.planning.experiments.targets import Decision, Present, Targets, no_decision, ratios_of, require_no_groups
from rung.runs import Runs

_FEWEST_RUNS = 2


_MOST_ROWS = 300
"""Rows of a table that are used, nearest to the targets first: the cost of the process grows as their cube."""


_MOST_WATCHED = 200
"""Points at which a law must be plausible, at most, and targets at which a value is expected."""


_LANES = 64
"""Coefficient vectors that are evaluated together at the watched points."""


_PRIOR_DOMINATES = 2.0
"""Runs for each coefficient below which the prior still shapes the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromRuns:
    """A table of runs, however few.

    Attributes:
        problem: The law over them, with squares of logarithms.
        ranges: Smallest and largest value of each variable that was run.
        seed: Seed of the starts.
        prior: None: runs were made.
    """

    problem: Problem
    ranges: Mapping[str, tuple[float, float]]
    seed: int
    prior: None = None

    @property
    def law(self) -> Law:
        return self.problem.law

    @property
    def ratios(self) -> tuple[float, float] | None:
        return ratios_of(self.problem.design.columns)

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        made, wanted = self.problem.design, len(targets.names)
        points = {name: np.append(columns[name], targets.columns[name]) for name in self.law.variables}
        count = len(points[self.law.variables[0]])
        everywhere = {name: np.append(made.columns[name], points[name]) for name in self.law.variables}
        total = made.rows + count
        discrepancy = discrepancy_around(everywhere, np.arange(total) >= total - wanted)
        # Rows far from every target say next to nothing about it.
        rows = np.sort(np.argsort(discrepancy.std[: made.rows], kind="stable")[:_MOST_ROWS])
        problem = self.problem.part(rows)
        watched = _evenly(0, count)
        plausible_at = made.at({name: column[watched] for name, column in points.items()}, {})
        expected_at = _evenly(count - wanted, count)
        modes = find_modes(
            problem,
            discrepancy.take(rows),
            {name: column[expected_at] for name, column in points.items()},
            discrepancy.take(made.rows + expected_at).distance(discrepancy.take(rows)),
            plausible_at.workspace(self.law, problem.objective.residual, _LANES),
            np.random.default_rng(self.seed),
        )
        both = discrepancy.take(np.concatenate([rows, np.arange(made.rows, total)]))
        return predictive_of_modes(modes, problem, both, points, wanted)

    def decision(self, _flops: float, /) -> Decision:
        raise no_decision()

    def reach(self, targets: Targets) -> list[Present]:
        return [Present()] * len(targets.names)

    def findings(self) -> tuple[Finding, ...]:
        design = self.problem.design
        if design.rows >= _PRIOR_DOMINATES * design.size:
            return ()
        return (
            Finding(
                "few_runs",
                f"there are {design.rows} runs for {design.size} coefficients: a weak prior shapes the law and its intervals. Make "
                "the first of these runs and plan again.",
            ),
        )


def information_from_runs(runs: Runs, law: Law, target: str, seed: int) -> FromRuns:
    """What a table of runs says, however few they are.

    Raises:
        PlanError: There are fewer than two, a loss is not positive, or the law has coefficients for groups.
        FitError: A row cannot be used.
    """
    require_no_groups(law)
    bad = np.flatnonzero(runs.numbers(target, "the target") <= 0)
    if len(bad):
        raise PlanError(
            f"{runs.row_name(int(bad[0]))}: {target} is {runs.shown(target, int(bad[0]))}, and planning needs the logarithm of the "
            f'loss ({len(bad)} such row{"s" if len(bad) > 1 else ""}). Remove them: --where "{target} > 0".'
        )
    objective = objective_named("log-squares")
    design = design_of_any_size(runs, law, objective, target=target)
    if design.rows < _FEWEST_RUNS:
        raise PlanError(
            f"{runs.source}: one run says nothing about a law. Start from the law book (no table, --law besiroglu-2024), or make another."
        )
    return FromRuns(
        problem=make_problem(law, design, objective),
        ranges={name: (float(column.min()), float(column.max())) for name, column in design.columns.items()},
        seed=seed,
    )


def _evenly(first: int, end: int) -> Indices:
    """Indices from the first to before the end: all of them, or as many as are watched."""
    return np.unique(np.linspace(first, end - 1, _MOST_WATCHED).round().astype(np.intp))
