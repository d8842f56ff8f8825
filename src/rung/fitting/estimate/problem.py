"""Problem: a law over the rows of a table with an objective, ready for the solver."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.estimate.design import Design, coefficient_names
from rung.fitting.estimate.levenberg_marquardt import TOLERANCE, Solutions, SolverOptions, solve
from rung.fitting.estimate.loss import Loss, RowLoss, Space
from rung.fitting.estimate.objective import LAD_DELTA, Objective
from rung.fitting.estimate.penalty import PenalisedLoss, Prior
from rung.laws import Law, Scale, Workspace

_EXACT = 1e-26
"""Mean squared residual, in squared units of the residual, below which the solver stops: relative tests mean nothing
there."""


_REACH = 1.0
"""Most that an unconstrained parameter moves in one step, where the coefficient has a range. On a logarithmic scale,
one step then changes a coefficient by at most a factor of e."""


_ANNEAL = 5.0
"""Ratio of Huber's thresholds from one stage of the solver to the next."""


_STUDENT_DELTA = 0.01
"""Huber's threshold in the first stage of Student's loss, in standard deviations of the target."""


_SEARCH_ROWS = 4_000
"""Most rows that all starts are solved on; on longer tables, only the best solutions continue on all rows."""

_SEARCH_ROWS_EACH = 20
"""As many rows for each parameter are kept at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A law over a design with an objective: everything that the solver needs.

    Attributes:
        law: The law.
        design: The law's arrays.
        objective: What is minimised.
        target: The target on the residual's scale (n,).
        deltas: Huber's thresholds, one for each stage, from the largest down to the objective's own. Each stage starts
            from the solution of the stage before. A single inf for squares and Student's loss.
        unit: The unit of a residual: 1 on the log and logit scales, `spread` for plain residuals.
        spread: Standard deviation of the target on the residual's scale; its largest absolute value where it is
            constant to rounding.
        prior: The prior of the coefficients, if any.
    """

    law: Law
    design: Design
    objective: Objective
    target: Array
    deltas: tuple[float, ...]
    unit: float
    spread: float
    prior: Prior | None = None

    @property
    def search_rows(self) -> int:
        """Most rows that all starts are solved on."""
        return max(_SEARCH_ROWS, _SEARCH_ROWS_EACH * self.design.size)

    def sampled(self, rng: np.random.Generator, most: int) -> Problem:
        """The problem on a random subset of `most` rows; the problem itself where it has no more than that."""
        if self.design.rows <= most:
            return self
        return self.part(np.sort(rng.permutation(self.design.rows)[:most]))

    def part(self, rows: NDArray[np.intp]) -> Problem:
        """The problem on some of its rows."""
        return replace(self, design=self.design.take(rows), target=self.target[rows])

    def workspace(self, jobs: int) -> Workspace:
        return self.design.workspace(self.law, self.objective.residual, jobs)

    def loss(self, delta: float, scale: float) -> RowLoss:
        if self.objective.loss == "student-t":
            return RowLoss(student_scale=scale)
        return RowLoss(delta=delta)

    @property
    def reach(self) -> Array:
        """The most that each unconstrained parameter moves in one step (K,); inf where the coefficient has no range."""
        numbers = self.design.parameters(self.law)
        return np.array([np.inf if c.scale is Scale.REAL else _REACH for c in numbers])

    def solve(
        self,
        starts_JK: Array,
        weights: Array,
        *,
        scale: float = 1.0,
        warm: bool = False,
        space: Workspace | None = None,
        tolerance: float = TOLERANCE,
    ) -> Solutions:
        """Solve through all stages of delta."""
        space = space or self.workspace(len(starts_JK))
        found = self.stage(space, starts_JK, weights, self.deltas[0], scale, warm=warm, tolerance=tolerance)
        for delta in self.deltas[1:]:
            found = self.stage(space, found.unconstrained_JK, weights, delta, scale, warm=True, tolerance=tolerance)
        return found

    def first_stage(self, space: Workspace, starts_JK: Array, weights: Array) -> Solutions:
        """Solve from many starts, as far as needed to see which of them are good.

        Student's scale is not estimated yet, so Huber's loss near its absolute limit replaces Student's. Squares would
        let outliers decide which starts look good.
        """
        if self.objective.loss != "student-t":
            return self.stage(space, starts_JK, weights, self.deltas[0], 1.0, warm=False)
        return self._solve(space, starts_JK, weights, RowLoss(delta=_STUDENT_DELTA * self.spread))

    def stage(
        self,
        space: Workspace,
        starts_JK: Array,
        weights: Array,
        delta: float,
        scale: float,
        *,
        warm: bool,
        tolerance: float = TOLERANCE,
    ) -> Solutions:
        """Solve at one delta."""
        return self._solve(space, starts_JK, weights, self.loss(delta, scale), warm=warm, tolerance=tolerance)

    def _solve(
        self,
        space: Workspace,
        starts_JK: Array,
        weights: Array,
        loss: RowLoss,
        *,
        warm: bool = False,
        tolerance: float = TOLERANCE,
    ) -> Solutions:
        prior = self.prior
        if prior is None:
            rows: Space = space
            target = self.target
            penalised: Loss = loss
        else:
            rows, penalised = prior.space(space), PenalisedLoss(loss, self.design.rows)
            target = np.concatenate([self.target, prior.mean])
            weights = np.concatenate(
                [weights, np.broadcast_to(prior.weight, (len(weights), len(prior.weight)))], axis=1
            )
        return solve(
            rows,
            starts_JK,
            target,
            weights,
            penalised,
            SolverOptions(
                reach=self.reach,
                floor=_EXACT * self.unit**2 * float(np.max(np.sum(weights, axis=1))),
                warm=warm,
                tolerance=tolerance,
            ),
        )


def make_problem(law: Law, design: Design, objective: Objective) -> Problem:
    """Combine a law, its design and an objective into a problem.

    Raises:
        FitError: Huber's delta is so small that the loss is the absolute deviation.
    """
    target = objective.transform(design.target)
    std = _target_std(target)
    unit = 1.0 if objective.residual != "plain" else std
    if objective.loss == "huber" and objective.solver_delta < LAD_DELTA * unit:
        raise FitError(
            f"--delta {objective.solver_delta:g} is too small to tell from none. Use at least "
            f"{LAD_DELTA * unit:.1g}, or an objective of absolute deviations."
        )
    last = objective.solver_delta * (unit if objective.loss == "absolute" else 1.0)
    # Below about a thousandth of the target's standard deviation, few residuals lie within delta, where the loss has
    # curvature: approach it from larger thresholds.
    first = min(1e-3 * unit, 1e-2 * std)
    deltas = [last]
    if np.isfinite(last) and last < 0.2 * first:
        while deltas[0] < first / _ANNEAL:
            deltas.insert(0, deltas[0] * _ANNEAL)
    return Problem(
        law=law, design=design, objective=objective, target=target, deltas=tuple(deltas), unit=unit, spread=std
    )


def _target_std(target: Array) -> float:
    size = float(np.max(np.abs(target))) or 1.0
    std = float(np.std(target))
    return std if std > 1e-12 * size else size


def names_of(problem: Problem) -> list[str]:
    """The name of each unconstrained parameter: a coefficient, or A[level] for one level of a group."""
    return coefficient_names(problem.law, problem.design.level_names)
