"""What is known of a law before new runs: from a fit, from a table of few runs, or from the law book for want of any.

Shapes: `M` points, `K` internal numbers of the coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.errors import PlanError
from rung.fit import (
    Fit,
    Modes,
    Problem,
    few_design,
    find_modes,
    make_problem,
    misfit_around,
    objective_named,
    reopen,
)
from rung.laws import Law, Surface, law_book
from rung.laws.coefficients import Scale
from rung.laws.tree import Array
from rung.plan.belief import Belief, Straying, belief_of_modes, linear_belief
from rung.runs import Runs
from rung.units import flops_6nd

_WIDE = {Scale.REAL: 3.0, Scale.ABOVE: 2.0, Scale.BELOW: 2.0, Scale.BETWEEN: 2.0}
"""Standard deviation of an internal number before any run: a factor of e squared for a positive coefficient."""

_BOOK = {"alpha": 0.2, "beta": 0.2, "E": 0.2}
_BOOK_WIDE = 1.0
"""Standard deviation of the logarithm of a constant of the law book for another study's runs: of exponents and the
floor, and of the rest."""

_NOISE = 0.01
"""Spread of a run about the law, in the logarithm, where no run tells it."""

_GROUPED = (
    "runs are planned for a law without groups, and this one has coefficients of its own for each {}. Take "
    "the group that the runs are for: --where."
)

_FEWEST = 2
_MOST_ROWS = 300
"""Rows of a table that are taken in, nearest to the aims first."""

_WATCHED = 200
"""Most points over which a law has to make sense, and most aims that a value is expected at."""

_LANES = 64

_MANY = 10_000
"""Degrees of freedom of an interval that no run has narrowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What is to become sharper.

    Attributes:
        names: In words (Q,).
        columns: Each variable at the points where the law is to be known.
        decision: Logarithm of the best size, the last of the aims, and its derivatives by the internal numbers (K,).
    """

    names: tuple[str, ...]
    columns: Mapping[str, Array]
    decision: tuple[float, Array] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known before the new runs.

    Attributes:
        law: The law.
        internal: Internal numbers of its coefficients (K,).
        covariance_KK: How well they are known.
        variance: Variance of what one run says of the law, in the logarithm.
        stray: Variance by which the law strays for each factor e beyond the largest run.
        largest: Logarithm of the largest scale that was run; -inf without runs.
        ranges: Smallest and largest value of each variable that was run.
        degrees: Degrees of freedom of the intervals.
        fit: The fit; None where the law comes from the book.
    """

    law: Law
    internal: Array
    covariance_KK: Array
    variance: float
    stray: float
    largest: float
    ranges: Mapping[str, tuple[float, float]]
    degrees: int
    fit: Fit | None

    def belief(self, columns: Mapping[str, Array], aims: Aims) -> Belief:
        """What is believed of candidates (M,) and aims."""
        value, slopes = self.evaluate(
            {name: np.append(columns[name], aims.columns[name]) for name in self.law.variables}
        )
        if aims.decision is not None:
            value = np.append(value, aims.decision[0])
            slopes = np.column_stack([slopes, aims.decision[1]])
        sizes = log_scale(columns)
        beyond = log_scale(aims.columns) if len(aims.columns[self.law.variables[0]]) else np.empty(0)
        straying = Straying(
            variance=self.stray,
            largest=self.largest,
            sizes=sizes,
            aims=np.append(beyond, -np.inf) if aims.decision is not None else beyond,
        )
        return linear_belief(value, slopes, self.covariance_KK, self.variance, straying)

    def evaluate(self, columns: Mapping[str, Array]) -> tuple[Array, Array]:
        """Logarithm of the law at points (M,), and its derivatives by the internal numbers (K, M)."""
        variables = self.law.variables
        logs = np.log(np.column_stack([columns[name] for name in variables]))
        theta = np.tile(self.internal, (len(logs), 1))
        surface = Surface.of(self.law.tree, variables, self.law.coefficients)
        values, slopes = surface.evaluate(np.concatenate([theta, logs], axis=1))
        with np.errstate(all="ignore"):
            return np.log(values), slopes[: len(self.internal)] / values


def log_scale(columns: Mapping[str, Array]) -> Array:
    """Logarithm of the scale of points (M,): 6 N D where both are known, else C or the first variable."""
    if {"N", "D"} <= set(columns):
        return np.asarray(np.log(flops_6nd(columns["N"], columns["D"])))
    return np.log(columns["C"] if "C" in columns else next(iter(columns.values())))


def known_from_fit(fit: Fit) -> Knowledge:
    """What the runs of a fit say.

    Raises:
        PlanError: The fit does not tell how sure it is, or is of another kind.
    """
    if fit.objective.residual != "log":
        raise PlanError(
            f"runs are planned for laws fitted in logarithms, and this fit's objective is {fit.objective.name}."
        )
    if fit.groups:
        raise PlanError(_GROUPED.format(", ".join(fit.groups)))
    profiler = reopen(fit)
    if profiler is None:
        raise PlanError(
            "the fit keeps no rows, or none beyond its coefficients, so it does not tell how sure it is. Fit again with more runs."
        )
    shape, design = profiler.shape, profiler.problem.design
    # What the runs do not determine is known as far as a coefficient's range tells: a weak prior.
    weak = np.diag([_WIDE[coefficient.scale] ** -2.0 for coefficient in fit.law.free])
    known = np.linalg.pinv(shape.sandwich_KK, rcond=1e-12, hermitian=True)
    jacobian = profiler.optimum.jacobian_Kn * np.sqrt(design.weights)
    rank = max(int(np.linalg.matrix_rank(shape.inverse_KK)), 1)
    # Of a robust objective a row says less than its variance would: by how much, the runs made tell.
    worth = float(np.trace(shape.inverse_KK @ jacobian @ jacobian.T)) / rank
    return Knowledge(
        law=fit.law,
        internal=profiler.optimum.internal,
        covariance_KK=np.linalg.inv(known + weak),
        variance=shape.noise_scale * max(worth, 1.0),
        stray=fit.discrepancy.tau**2 * float(np.var(fit.noise)) if fit.discrepancy and len(fit.noise) else 0.0,
        largest=float(np.max(log_scale(design.columns))),
        ranges={name: fit.ranges[name] for name in fit.law.variables},
        degrees=shape.degrees,
        fit=fit,
    )


def known_from_book(name: str, box: Mapping[str, tuple[float, float]] | None) -> Knowledge:
    """What the published constants of a law say of another study's runs: little, and so much is written above.

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
            f"no runs were made, and the law book has no constants of {name!r} to begin with; it has those of {', '.join(able)}."
        )
    law = entry.law
    unknown = [variable for variable in box or {} if variable not in law.variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which {name} has not; its variables are {', '.join(law.variables)}."
        )
    if box is None or set(box) != set(law.variables):
        raise PlanError(
            f"without runs, say what can be run: the smallest and largest of {' and '.join(law.variables)}, --box "
            + ",".join(f"{variable}=LOW:HIGH" for variable in law.variables)
        )
    return Knowledge(
        law=law,
        internal=np.array([float(c.to_internal(entry.constants[c.name])) for c in law.free]),
        covariance_KK=np.diag([_BOOK.get(c.name, _BOOK_WIDE) ** 2 for c in law.free]),
        variance=_NOISE**2,
        stray=0.0,
        largest=-np.inf,
        ranges=dict(box),
        degrees=_MANY,
        fit=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FewRuns:
    """What a table of runs says, however few they are.

    Attributes:
        problem: The law over them, in squares of logarithms.
        ranges: Smallest and largest value of each variable that was run.
        seed: Seed of the starts.
    """

    problem: Problem
    ranges: Mapping[str, tuple[float, float]]
    seed: int

    @property
    def law(self) -> Law:
        return self.problem.law

    def belief(self, columns: Mapping[str, Array], aims: Aims) -> tuple[Belief, Modes]:
        """What is believed of candidates (M,) and aims, and of the coefficients."""
        made = self.problem.design
        ahead = {name: np.append(columns[name], aims.columns[name]) for name in self.law.variables}
        points = len(ahead[self.law.variables[0]])
        everywhere = {name: np.append(made.columns[name], ahead[name]) for name in self.law.variables}
        misfit = misfit_around(everywhere, np.arange(made.rows + points) >= made.rows + points - len(aims.names))
        # Rows far from every aim say next to nothing of it.
        rows = np.sort(np.argsort(misfit.swell[: made.rows], kind="stable")[:_MOST_ROWS])
        problem = self.problem.part(rows)
        some = _spread_over(0, points)
        watched = made.at({name: column[some] for name, column in ahead.items()}, {})
        wanted = _spread_over(points - len(aims.names), points)
        modes = find_modes(
            problem,
            misfit.take(rows),
            {name: column[wanted] for name, column in ahead.items()},
            misfit.take(made.rows + wanted).distance(misfit.take(rows)),
            watched.workspace(self.law, problem.objective.residual, _LANES),
            np.random.default_rng(self.seed),
        )
        misfit = misfit.take(np.concatenate([rows, np.arange(made.rows, made.rows + points)]))
        return belief_of_modes(modes, problem, misfit, ahead, len(aims.names)), modes


def known_from_runs(runs: Runs, law: Law, target: str, seed: int) -> FewRuns:
    """What a table of runs says, however few they are.

    Raises:
        PlanError: There are fewer than two, a loss is not positive, or the law has coefficients for groups.
        FitError: A row cannot be used.
    """
    if law.groups:
        raise PlanError(_GROUPED.format(", ".join(law.groups)))
    bad = np.flatnonzero(runs.numbers(target, "the target") <= 0)
    if len(bad):
        raise PlanError(
            f"{runs.row_name(int(bad[0]))}: {target} is {runs.shown(target, int(bad[0]))}, and runs are planned by the logarithm "
            f'of the loss ({len(bad)} such row{"s" if len(bad) > 1 else ""}). Remove them: --where "{target} > 0".'
        )
    measure = objective_named("log-squares")
    design = few_design(runs, law, measure, target=target)
    if design.rows < _FEWEST:
        raise PlanError(
            f"{runs.source}: one run says nothing of a law. Begin from the law book (no table, --law besiroglu-2024), or make another."
        )
    return FewRuns(
        problem=make_problem(law, design, measure),
        ranges={name: (float(column.min()), float(column.max())) for name, column in design.columns.items()},
        seed=seed,
    )


def _spread_over(first: int, end: int) -> NDArray[np.intp]:
    """Places from the first to before the end: all, or as many as are watched."""
    return np.unique(np.linspace(first, end - 1, _WATCHED).round().astype(np.intp))
