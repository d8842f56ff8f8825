"""Errors for budgets and targets that no allocation can meet, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.laws import to_text
from rung.messages import require_number
from rung.planning.allocation.problem import AllocationProblem
from rung.units import format_count


def require_one_question(flops: float | None, loss: float | None) -> None:
    """Refuse a budget and a target loss together, neither, and a target loss that is no number.

    Raises:
        PlanError: It is so.
    """
    if (flops is None) == (loss is None):
        raise PlanError("give either a budget (--flops 1e24) or a target loss (--loss 2.0).")
    if loss is not None and not np.isfinite(require_number(loss, "loss", PlanError)):
        raise PlanError(f"a target loss of {loss:g} is not a finite number.")


def require_numbers(given: Mapping[str, Sequence[float | None]]) -> None:
    """Refuse limits that are not positive.

    Raises:
        PlanError: One is not.
    """
    for name, numbers in given.items():
        for number in numbers:
            if number is not None and not (np.isfinite(require_number(number, name, PlanError)) and number > 0):
                raise PlanError(f"{name} {number:g} must be a positive number.")


def require_choice(tokens_per_param: float | None, *, limited: bool) -> None:
    """Refuse a limit on a size that the budget alone decides.

    Raises:
        PlanError: D / N is fixed, and the size is limited.
    """
    if tokens_per_param is not None and limited:
        raise PlanError(
            "--tokens-per-param leaves nothing to choose: the budget alone then decides the size, so a limit on it is of no use. "
            "Leave one out."
        )


def require_shares(tolerance: float, active_share: float | None) -> None:
    """Refuse a tolerance or a share of active parameters that is no share.

    Raises:
        PlanError: One is not between 0 and 1.
    """
    if not 0 < tolerance < 1:
        raise PlanError(f"--tolerance {tolerance:g} must lie between 0 and 1; 0.001 is a tenth of a percent.")
    if active_share is not None and not 0 < active_share <= 1:
        raise PlanError(f"--active-share {active_share:g} must lie between 0 and 1: active over all parameters.")


def require_inside_search(problem: AllocationProblem, best: Array) -> None:
    """Refuse a best point at a bound of the search that no user has set.

    Raises:
        PlanError: A variable is at such a bound.
    """
    for name, x, bounds in zip(problem.frontier.variables, best, problem.searched, strict=True):
        if np.any(np.abs(x - bounds) < 1e-9):
            raise PlanError(
                f"the best {name} lies at {format_count(float(np.exp(x)))}, where the search ends, far beyond the runs "
                f"({format_count(problem.fit.ranges[name][0])} to {format_count(problem.fit.ranges[name][1])}): the law or the cost cannot be "
                "trusted there. Ask about a point nearer to the runs, or set a limit."
            )


def require_covered(problem: AllocationProblem, flops: float) -> None:
    """Refuse a budget below the cost of the smallest run.

    Raises:
        PlanError: The budget is too small.
    """
    smallest = np.log([problem.fit.ranges[name][0] for name in problem.frontier.variables])
    least = float(np.exp(problem.frontier.costs(smallest[None, :])[0][0]))
    if flops < least:
        raise PlanError(
            f"a budget of {format_count(flops)} by {to_text(problem.tree)} is below the smallest run: the smallest "
            f"{' and '.join(problem.frontier.variables)} of the runs cost {format_count(least)} together. Give a larger budget."
        )


def unreachable_target(problem: AllocationProblem, target: float) -> str:
    """The message for a target loss that the law does not reach at any cost within the limits."""
    theta, frontier = problem.theta[None, :], problem.frontier
    least, most = frontier.costs(frontier.limits.T)[0].tolist()
    costs = np.linspace(least, most, 49)
    wide = np.tile(theta, (len(costs), 1))
    reached = frontier.losses(wide, frontier.best(wide, costs))[0]
    lowest = float(np.nanmin(reached)) if np.any(np.isfinite(reached)) else np.nan
    free = frontier.repeats is None and not np.isnan(problem.searched).any()
    return (
        f"no cost reaches a {problem.fit.target} of {target:g}: the law's lowest is {lowest:.5g}"
        f"{' (its irreducible loss)' if free else ' under these limits'}. Ask for a higher one{'' if free else ', or lift a limit'}."
    )


def too_small_budget(problem: AllocationProblem, budget: float) -> str:
    """The message for a budget that is too small for any run within the limits."""
    least = problem.frontier.costs(problem.frontier.limits[:, 0][None, :])[0][0]
    return (
        f"a budget of {format_count(float(np.exp(budget)))} by {to_text(problem.tree)} is too small for any run within the "
        f"limits: the smallest costs {format_count(float(np.exp(least)))}. Give a larger budget, or lift a limit."
    )
