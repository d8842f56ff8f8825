"""The search for the optimum: the solver from many starts, and from more where too few agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.estimate.initial_points import balanced_starts, projected_starts
from rung.fitting.estimate.levenberg_marquardt import Solutions
from rung.fitting.estimate.objective import STUDENT_DEGREES
from rung.fitting.estimate.problem import Problem
from rung.laws import Workspace
from rung.messages import plural_of

FIRST_STARTS = 48
"""Share-balanced starts of the first round."""

PROJECTED_STARTS = 16
"""Starts of the first round by variable projection, for laws with shared linear coefficients."""

PROJECTED_CANDIDATES = 256
"""Draws of the nonlinear coefficients from which the starts by variable projection are selected."""

ROUNDS = ((2048, 128), (8192, 256))
"""Further rounds, run while too few starts agree: candidates screened by their objective, and starts kept."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many starts the search runs.

    Attributes:
        balanced: Share-balanced starts of the first round.
        projected: Starts of the first round by variable projection, where the law has a linear part.
        rounds: Further rounds, run while too few starts agree: candidates screened, and starts kept.
    """

    balanced: int = FIRST_STARTS
    projected: int = PROJECTED_STARTS
    rounds: tuple[tuple[int, int], ...] = ROUNDS


FULL = Effort()
"""The default, for a single fit."""

QUICK = Effort(balanced=20, projected=8, rounds=((2048, 64),))
"""For comparing many laws, or fitting one law many times."""

SAFE_SHARE = 0.1
"""Share of the starts that must agree on the best objective; below it, further rounds follow."""

AGREEMENT = 1e-6
"""Relative difference of the objective within which two starts count as having reached the same optimum."""

_EXACT_AGREEMENT = 1e-20
"""Mean loss per row, in squared units of the residual, within which starts always agree: on exact data the objective is
zero to rounding, and relative differences mean nothing."""

_POLISH = 1e-18
"""The solver's tolerance in the last solve from the optimum, which takes it to rounding."""

_LEADING = 8
"""Most distinct optima of the first stage that continue to later stages or to all rows."""

MEDIAN_OF_NORMAL = 0.6745
"""Median absolute value of a standard normal number: turns the median absolute residual into the first scale."""

_SMALLEST_SCALE = 1e-150
"""Student's scale at which its iteration stops, so that its square stays a positive number."""

_SCALE_TOLERANCE = 1e-10
"""Relative change of Student's scale below which it has converged."""

_ALTERNATIONS = 500
"""Most alternations between the coefficients and Student's scale."""

_SCREEN_ROWS = 512
"""Most rows on which candidates are screened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The best point found.

    Attributes:
        unconstrained: Unconstrained parameters (K,).
        residuals: Target minus prediction on the residual's scale (n,).
        jacobian_Kn: Derivatives of the predictions by the unconstrained parameters (K, n).
        scale: Student's scale; 1 for other losses.
        tried: How many starts were run.
        agreed: How many of them reached this optimum.
        converged: Whether the solver's last step there was negligible.
    """

    unconstrained: Array
    residuals: Array
    jacobian_Kn: Array
    scale: float
    tried: int
    agreed: int
    converged: bool


def search(
    problem: Problem,
    rng: np.random.Generator,
    start: Mapping[str, float] | None = None,
    effort: Effort = FULL,
) -> Optimum:
    """Minimise the objective from share-balanced and projected starts until enough of them agree.

    Agreement is judged by the objective that starts reach on at most `search_rows` of the problem. For Huber's loss
    near its absolute limit and for Student's loss, it is the objective of the first stage. Only the best few solutions
    continue to the final objective on all rows.

    Args:
        problem: What is fitted.
        rng: Source of the starts.
        start: A value for each coefficient; where given, it is the only start.
        effort: How many starts the search runs.

    Raises:
        FitError: No start reached a finite objective.
    """
    solutions = _explore(problem.sampled(rng, problem.search_rows), rng, start, effort)
    space = problem.workspace(_LEADING)
    reached, point, scale, converged = _finish(problem, space, solutions)
    if not np.isfinite(reached):
        raise _no_value(problem, space.evaluate(point[None, :])[0])
    point, settled = _polished(problem, space, point, scale)
    prediction, jacobian = space.evaluate(point[None, :])
    if not np.all(np.isfinite(jacobian)):
        raise FitError(
            f"{problem.law.formula!r} has no finite derivatives at the best point found. Narrow its ranges "
            "(`with alpha in (0, 2)`), or write it another way."
        )
    return Optimum(
        unconstrained=point,
        residuals=problem.target - prediction[0],
        jacobian_Kn=jacobian[:, 0].copy(),
        scale=scale,
        tried=len(solutions.objective_J),
        agreed=_count_agreeing(solutions.objective_J, reached, problem),
        converged=converged if problem.objective.loss == "student-t" else converged or settled,
    )


def _explore(
    problem: Problem, rng: np.random.Generator, start: Mapping[str, float] | None, effort: Effort
) -> Solutions:
    """The solutions of the first stage from all starts, in as many rounds as agreement needs."""
    law, design = problem.law, problem.design
    weights = design.weights[None, :]
    if start is not None:
        starts = _given_start(problem, start)
    else:
        projected = projected_starts(law, design, effort.projected, PROJECTED_CANDIDATES, rng)
        starts = np.concatenate([projected, balanced_starts(law, design, effort.balanced, rng)])
    space = problem.workspace(len(starts))
    found = problem.first_stage(space, starts, weights)
    for candidates, kept in effort.rounds if start is None else ():
        values = found.objective_J
        if _count_agreeing(values, float(np.min(values)), problem) >= SAFE_SHARE * len(values):
            break
        starts = screened_starts(problem, candidates, kept, rng)
        found = found.joined(problem.first_stage(space, starts, weights))
    if not np.isfinite(found.objective_J).any():
        raise _no_value(problem, space.evaluate(starts[: space.lanes])[0])
    return found


def _finish(problem: Problem, space: Workspace, solutions: Solutions) -> tuple[float, Array, float, bool]:
    """Continue the best distinct solutions of the first stage to the final objective, on all rows.

    Returns:
        The winner's objective in the first stage (inf where no solution has a value on all rows), the winner,
        Student's scale, and whether the solver converged there.
    """
    weights = problem.design.weights[None, :]
    values = solutions.objective_J
    order = np.argsort(values)
    leading = [int(order[0])]
    for index in order[1:]:
        if len(leading) < _LEADING and np.isfinite(values[index]) and not _agree(values[leading[-1]], values[index]):
            leading.append(int(index))
    if problem.objective.loss == "student-t":
        found = [_student(problem, space, solutions.unconstrained_JK[index]) for index in leading]
        winner = int(np.argmin([value for value, *_ in found]))
        value, point, scale, converged = found[winner]
        return float(values[leading[winner]]) if np.isfinite(value) else np.inf, point, scale, converged
    if len(problem.deltas) == 1 and problem.design.rows <= problem.search_rows:
        return float(values[order[0]]), solutions.unconstrained_JK[order[0]], 1.0, bool(solutions.converged_J[order[0]])
    last = problem.solve(solutions.unconstrained_JK[leading], weights, warm=True, space=space)
    winner = int(np.argmin(last.objective_J))
    reached = float(values[leading[winner]]) if np.isfinite(last.objective_J[winner]) else np.inf
    return reached, last.unconstrained_JK[winner], 1.0, bool(last.converged_J[winner])


def _no_value(problem: Problem, predictions_Ln: Array) -> FitError:
    """The error for a law that no start gives a value: it names the rows without any value, where there are such."""
    formula, design = problem.law.formula, problem.design
    never = np.flatnonzero(~np.isfinite(predictions_Ln).any(axis=0))
    why = "a division by zero, the logarithm of a number that is not positive, or one too large"
    if len(never) == design.rows:
        return FitError(
            f"{formula!r} has no finite value at any row ({why}). Check the formula and the columns it uses."
        )
    if len(never):
        return FitError(
            f"{design.source}, row {design.row[never[0]]}: {formula!r} has no finite value there ({why}; "
            f"{len(never)} such {plural_of(len(never), 'row')}). Check the formula, or drop such rows with --where."
        )
    return FitError(
        f"no start gave {formula!r} a finite value on all {design.rows} rows together ({why}). "
        "Check its ranges (`with alpha in (0, 2)`) and the columns it uses."
    )


def _given_start(problem: Problem, start: Mapping[str, float]) -> Array:
    numbers = []
    for coefficient in problem.design.parameters(problem.law):
        if coefficient.name not in start:
            raise FitError(f"the start has no value for {coefficient.name}.")
        numbers.append(float(coefficient.to_unconstrained(start[coefficient.name])))
        if not np.isfinite(numbers[-1]):
            raise FitError(f"the start {coefficient.name}={start[coefficient.name]:g} is outside its range.")
    return np.array([numbers])


def _polished(problem: Problem, space: Workspace, point: Array, scale: float) -> tuple[Array, bool]:
    """The optimum to rounding; the many starts stop at a coarser tolerance. Returns it, and whether it converged."""
    weights = problem.design.weights[None, :]
    final = problem.stage(space, point[None, :], weights, problem.deltas[-1], scale, warm=True, tolerance=_POLISH)
    if not np.isfinite(final.objective_J[0]):
        return point, False
    return final.unconstrained_JK[0], bool(final.converged_J[0])


def _agree(best: float, value: float) -> bool:
    return bool(value <= best * (1 + AGREEMENT))


def _count_agreeing(values: Array, best: float, problem: Problem) -> int:
    """How many starts of the first stage reached the objective `best`."""
    if not np.isfinite(best):
        return 0
    negligible = _EXACT_AGREEMENT * problem.unit**2 * float(np.sum(problem.design.weights))
    return int(np.sum(values <= best * (1 + AGREEMENT) + negligible))


def screened_starts(problem: Problem, candidates: int, kept: int, rng: np.random.Generator) -> Array:
    """The best of many share-balanced candidates by their summed absolute residuals on at most 512 rows (kept, K)."""
    design = problem.design
    points = balanced_starts(problem.law, design, candidates, rng)
    part = problem.sampled(rng, _SCREEN_ROWS)
    space = part.workspace(candidates)
    target, weights = part.target, part.design.weights
    values = np.empty(candidates)
    with np.errstate(all="ignore"):
        for first in range(0, candidates, space.lanes):
            block = points[first : first + space.lanes]
            residual = np.abs(target - space.evaluate(block)[0])
            values[first : first + space.lanes] = np.einsum("ln,n->l", np.minimum(residual, 1e6), weights)
    order = np.argsort(np.where(np.isfinite(values), values, np.inf))
    return points[order[:kept]]


def _student(problem: Problem, space: Workspace, start: Array) -> tuple[float, Array, float, bool]:
    """Maximum likelihood of the coefficients and Student's scale, by alternation from one point.

    With the residuals r and v degrees of freedom, the scale s solves s^2 = sum_i w_i h_i r_i^2 / sum_i w_i with the
    weights h_i = (v + 1) / (v + (r_i / s)^2), by fixed-point iteration (the EM step of Student's t).

    Returns:
        The objective, the point, the scale, and whether both converged.
    """
    weights = problem.design.weights
    point = start[None, :]
    residual = problem.target - space.evaluate(point)[0][0]
    scale = float(np.median(np.abs(residual))) / MEDIAN_OF_NORMAL or _SMALLEST_SCALE
    settled = False
    for _ in range(_ALTERNATIONS):
        found = problem.stage(space, point, weights[None, :], np.inf, scale, warm=True)
        point = found.unconstrained_JK
        residual = problem.target - space.evaluate(point)[0][0]
        previous = scale
        for _ in range(200):
            t_weight = (STUDENT_DEGREES + 1) / (STUDENT_DEGREES + (residual / scale) ** 2)
            updated = float(np.sqrt(np.sum(weights * t_weight * residual**2) / np.sum(weights)))
            if updated <= _SMALLEST_SCALE or abs(updated - scale) <= 1e-13 * scale:
                break
            scale = updated
        settled = bool(found.converged_J[0]) and abs(scale - previous) <= _SCALE_TOLERANCE * previous
        if settled:
            break
    return problem.objective.total(residual, weights, scale), point[0], scale, settled


EXACT = 1e-9
"""Root mean square residual, over the target's standard deviation, below which the data were computed by the law."""


def is_exact(problem: Problem, optimum: Optimum) -> bool:
    """Whether the law meets every row to rounding, as data do that were computed by it."""
    return float(np.sqrt(np.mean(optimum.residuals**2))) <= EXACT * problem.spread
