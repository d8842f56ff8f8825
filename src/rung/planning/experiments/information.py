"""What is known of a law before new runs: one protocol, and three sources.

`FromFit` has the runs of a fit; `FromRuns` a table with any number of runs from two on, which a weak prior supports;
`FromBook` the published constants of a law, for want of any runs.

Shapes: `M` candidates, `K` unconstrained parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from rung.arrays import Array, Indices
from rung.errors import PlanError
from rung.findings import Finding
from rung.fitting import Fit, reopen
from rung.fitting.estimate import Problem, design_of_any_size, make_problem, objective_named
from rung.forecasting import forecast
from rung.laws import Law, find_law, law_book, target_of
from rung.planning.allocation.allocate import allocate, best_gradient
from rung.planning.experiments.discrepancy_process import discrepancy_around
from rung.planning.experiments.linear_information import (
    BOOK_STD,
    DEFAULT_BOOK_STD,
    RANGE_STD,
    LinearInformation,
    log_scale,
)
from rung.planning.experiments.posterior_modes import find_modes
from rung.planning.experiments.predictive import JointPredictive, predictive_of_modes
from rung.planning.experiments.targets import Decision, Targets
from rung.runs import Runs

Reach = tuple[float | None, float | None]
"""How far an interval reaches below and above its value, in logarithms; None where the profile does not say."""

_BOOK_NOISE = 0.01
"""Standard deviation of a run about the law, in the logarithm, where no run shows it: that of seeds in public studies."""

_BOOK_DEGREES = 10_000
"""Degrees of freedom of an interval that no run has narrowed: those of a normal distribution."""

_FEWEST_RUNS = 2

_MOST_ROWS = 300
"""Rows of a table that are used, nearest to the targets first: the cost of the process grows as their cube."""

_MOST_WATCHED = 200
"""Points at which a law must be plausible, at most, and targets at which a value is expected."""

_LANES = 64
"""Coefficient vectors that are evaluated together at the watched points."""

_PRIOR_DOMINATES = 2.0
"""Runs for each coefficient below which the prior still shapes the answer."""


class InformationState(Protocol):
    """What is known of a law before new runs."""

    @property
    def law(self) -> Law:
        """The law."""

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest value of each variable that was run, or that can be."""

    @property
    def prior(self) -> str | None:
        """The law of the book that takes the place of runs; None where runs were made."""

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        """The joint predictive distribution of candidates (M,) and targets."""

    def decision(self, flops: float) -> Decision:
        """The best size at a compute.

        Raises:
            PlanError: This source cannot say.
        """

    def reach(self, targets: Targets) -> list[Reach]:
        """How far the present interval of each target reaches, by the profile."""

    def findings(self) -> tuple[Finding, ...]:
        """What speaks against plans made from this source."""


def _no_decision() -> PlanError:
    return PlanError(
        "--decide needs a fit of runs that were made: rung fit RUNS -o fit.json. With few runs or a law of the book, plan for a "
        "--target."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFit:
    """The runs of a fit.

    Attributes:
        fit: The fit.
        linear: Its law about the optimum.
        prior: None: runs were made.
    """

    fit: Fit
    linear: LinearInformation
    prior: None = None

    @property
    def law(self) -> Law:
        return self.linear.law

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return self.linear.ranges

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        return self.linear.predictive(columns, targets)

    def decision(self, flops: float) -> Decision:
        value, slopes = best_gradient(self.fit, flops, self.linear.unconstrained)
        return Decision(flops=flops, log_params=value, slopes=slopes)

    def reach(self, targets: Targets) -> list[Reach]:
        found = []
        for index in range(targets.points):
            asked: dict[str, Any] = {name: float(column[index]) for name, column in targets.columns.items()}
            answer = forecast(self.fit, **asked)
            found.append((answer.value, answer.law_interval))
        if targets.decision is not None:
            choice = allocate(self.fit, flops=targets.decision.flops).choices["params"]
            found.append((choice.value, choice.interval))
        return [
            (None if low is None else float(np.log(value / low)), None if high is None else float(np.log(high / value)))
            for value, (low, high) in found
        ]

    def findings(self) -> tuple[Finding, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FromBook:
    """The published constants of a law, for want of runs.

    Attributes:
        linear: The law about those constants.
        prior: Its name in the book.
    """

    linear: LinearInformation
    prior: str

    @property
    def law(self) -> Law:
        return self.linear.law

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return self.linear.ranges

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        return self.linear.predictive(columns, targets)

    def decision(self, flops: float) -> Decision:
        raise _no_decision()

    def reach(self, targets: Targets) -> list[Reach]:
        return [(None, None)] * len(targets.names)

    def findings(self) -> tuple[Finding, ...]:
        return ()


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

    def decision(self, flops: float) -> Decision:
        raise _no_decision()

    def reach(self, targets: Targets) -> list[Reach]:
        return [(None, None)] * len(targets.names)

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


def information_from(
    known: Fit | Runs | str,
    *,
    law: str | Law,
    target: str | None,
    box: Mapping[str, tuple[float, float]] | None,
    level: float,
    seed: int,
) -> InformationState:
    """The information state of a fit, of a table of runs, or of a law of the book by its name.

    Args:
        known: The source.
        law: The law of a table of runs.
        target: The column of a table that the law predicts; the law's own by default.
        box: The box of a law of the book.
        level: Coverage of the intervals.
        seed: Seed of the starts, for a table.

    Raises:
        PlanError: The source does not say enough.
        FitError: A row of the table cannot be used.
    """
    match known:
        case str():
            return information_from_book(known, box)
        case Runs():
            chosen = find_law(law, known.columns) if isinstance(law, str) else law
            return information_from_runs(known, chosen, target or target_of(chosen), seed)
        case _:
            return information_from_fit(replace(known, level=level))


def information_from_fit(fit: Fit) -> FromFit:
    """What the runs of a fit say.

    Raises:
        PlanError: The fit does not say how sure it is, or is of another kind.
    """
    if fit.objective.residual != "log":
        raise PlanError(f"planning needs a law fitted in logarithms, and this fit's objective is {fit.objective.name}.")
    _require_no_groups(fit.law)
    profiler = reopen(fit)
    if profiler is None:
        raise PlanError(
            "the fit keeps no rows, or none beyond its coefficients, so it does not say how sure it is. Fit again with more runs."
        )
    curvature, design = profiler.curvature, profiler.problem.design
    # What the runs do not determine is known as far as a coefficient's range says: a weak prior.
    weak = np.diag([RANGE_STD[coefficient.scale] ** -2.0 for coefficient in fit.law.free])
    known = np.linalg.pinv(curvature.sandwich_KK, rcond=1e-12, hermitian=True)
    jacobian = profiler.optimum.jacobian_Kn * np.sqrt(design.weights)
    rank = max(int(np.linalg.matrix_rank(curvature.inverse_KK)), 1)
    # Under a robust objective a row says less than its variance would: the runs made show by how much.
    worth = float(np.trace(curvature.inverse_KK @ jacobian @ jacobian.T)) / rank
    linear = LinearInformation(
        law=fit.law,
        unconstrained=profiler.optimum.unconstrained,
        covariance_KK=np.linalg.inv(known + weak),
        noise=curvature.noise_scale * max(worth, 1.0),
        discrepancy=fit.discrepancy.tau**2 * float(np.var(fit.noise)) if fit.discrepancy and len(fit.noise) else 0.0,
        largest=float(np.max(log_scale(design.columns))),
        ranges={name: fit.ranges[name] for name in fit.law.variables},
        degrees=curvature.degrees,
    )
    return FromFit(fit=fit, linear=linear)


def information_from_book(name: str, box: Mapping[str, tuple[float, float]] | None) -> FromBook:
    """What the published constants of a law say of another study's runs: little, as the standard deviations above show.

    Args:
        name: A law of the book.
        box: The smallest and largest value of each variable that can be run.

    Raises:
        PlanError: The book has no constants of that law, or the box not its variables.
    """
    entry = law_book().get(name)
    if entry is None or set(entry.law.coefficient_names) - set(entry.constants):
        able = [slug for slug, one in law_book().items() if not set(one.law.coefficient_names) - set(one.constants)]
        raise PlanError(
            f"no runs were made, and the law book has no constants of {name!r} to start from; it has those of {', '.join(able)}."
        )
    law = entry.law
    unknown = [variable for variable in box or {} if variable not in law.variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which {name} has not; its variables are {', '.join(law.variables)}."
        )
    if box is None or set(box) != set(law.variables):
        raise PlanError(
            f"without runs, state what can be run: the smallest and largest of {' and '.join(law.variables)}, --box "
            + ",".join(f"{variable}=LOW:HIGH" for variable in law.variables)
        )
    linear = LinearInformation(
        law=law,
        unconstrained=np.array([float(c.to_unconstrained(entry.constants[c.name])) for c in law.free]),
        covariance_KK=np.diag([BOOK_STD.get(c.name, DEFAULT_BOOK_STD) ** 2 for c in law.free]),
        noise=_BOOK_NOISE**2,
        discrepancy=0.0,
        largest=-np.inf,
        ranges=dict(box),
        degrees=_BOOK_DEGREES,
    )
    return FromBook(linear=linear, prior=name)


def information_from_runs(runs: Runs, law: Law, target: str, seed: int) -> FromRuns:
    """What a table of runs says, however few they are.

    Raises:
        PlanError: There are fewer than two, a loss is not positive, or the law has coefficients for groups.
        FitError: A row cannot be used.
    """
    _require_no_groups(law)
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


def _require_no_groups(law: Law) -> None:
    if law.groups:
        raise PlanError(
            "planning needs a law without groups, and this one has coefficients of its own for each "
            f"{', '.join(law.groups)}. Keep the group that the runs are for: --where."
        )


def _evenly(first: int, end: int) -> Indices:
    """Indices from the first to before the end: all of them, or as many as are watched."""
    return np.unique(np.linspace(first, end - 1, _MOST_WATCHED).round().astype(np.intp))
