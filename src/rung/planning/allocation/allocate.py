"""Allocation: how large a model and how much data, for a budget or a target loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.findings import Finding
from rung.fitting import Fit, as_fit
from rung.fitting.uncertainty import interval_of
from rung.forecasting import Forecast, Interval, Question, ask, one_point, predict
from rung.laws import SYMBOLS, to_text
from rung.messages import plural_of
from rung.planning.allocation.closed_form import closed_form
from rung.planning.allocation.optima import Optima
from rung.planning.allocation.problem import AllocationProblem, Limits, allocation_problem
from rung.planning.allocation.refusals import (
    require_choice,
    require_covered,
    require_inside_search,
    require_numbers,
    require_one_question,
    require_shares,
    too_small_budget,
    unreachable_target,
)
from rung.planning.allocation.result import Allocation, Choice
from rung.planning.cost.cost_formula import COST, active_cost
from rung.units import format_count, format_percent

TOLERANCE = 1e-3
"""Share of the lowest loss within which a size counts as good as the best: the default width of the flat region."""


def allocate(
    fit: Fit | str | Path,
    *,
    flops: float | None = None,
    loss: float | None = None,
    cost: str = COST,
    tokens_per_param: float | None = None,
    unique_tokens: float | None = None,
    max_params: float | None = None,
    sizes: Sequence[float] = (),
    active_share: float | None = None,
    tolerance: float = TOLERANCE,
    level: float | None = None,
    **given: float | str,
) -> Allocation:
    """The values of the variables that give the lowest loss for a budget, or the lowest cost for a target loss.

    Args:
        fit: The fitted law, or its file; of a target that is better when lower.
        flops: The budget, in the unit of the cost formula.
        loss: The target loss, instead of a budget.
        cost: The formula of what a run costs, in the law's variables and the given names, such as "6*N*D + 2*N*2e12".
        tokens_per_param: D / N, to fix it.
        unique_tokens: Number of unique tokens; further tokens are repeats, valued by the data-constrained law. A law
            with a variable U takes it as U.
        max_params: The largest size.
        sizes: The sizes that can be built; by default any size.
        active_share: Of a mixture of experts, the share of N that one token uses; the default cost is then 6 times it.
        tolerance: Share of the lowest loss that counts as good as the best.
        level: Coverage of the intervals; by default that of the fit.
        **given: Values of other variables of the law or the cost by name, and the level of each group.

    Raises:
        PlanError: The budget, the target loss, the cost or a limit is not valid or cannot be met.
    """
    fit = as_fit(fit, level)
    require_numbers(
        {
            "the budget": [flops],
            "--tokens-per-param": [tokens_per_param],
            "--unique-tokens": [unique_tokens],
            "the largest size": [max_params],
            "a size": sizes,
        }
    )
    require_one_question(flops, loss)
    require_choice(tokens_per_param, limited=bool(sizes) or max_params is not None)
    require_shares(tolerance, active_share)
    cost = cost if active_share is None else active_cost(cost, active_share)
    limits = Limits(tokens_per_param=tokens_per_param, unique_tokens=unique_tokens, max_params=max_params)
    problem = allocation_problem(fit, cost, given, limits)
    found = _among(problem, sizes, flops, loss, tolerance) if sizes else _solve(problem, flops, loss, tolerance)
    return replace(found, active_share=active_share)


def best_sizes(fit: Fit, flops: Array) -> Array:
    """The best N at each compute [FLOP] (m,), with C = 6 N D; without intervals."""
    problem = allocation_problem(fit)
    budgets = np.log(np.asarray(flops, dtype=float))
    found = problem.frontier.best(np.tile(problem.theta, (len(budgets), 1)), budgets)
    return np.asarray(np.exp(found[:, problem.frontier.variables.index("N")]))


def best_gradient(fit: Fit, flops: float, unconstrained_K: Array) -> tuple[float, Array]:
    """Logarithm of the best N at a compute, with C = 6 N D; and derivatives by the unconstrained parameters (K,)."""
    problem = allocation_problem(fit)
    budget = float(np.log(flops))
    near = problem.frontier.best(problem.theta[None, :], np.array([budget]))[0]
    index = problem.frontier.variables.index("N")
    value, slopes = Optima(problem.frontier, budget, near, problem.indices, (index,)).evaluate(unconstrained_K[None, :])
    return float(value[0, 0]), slopes[:, 0, 0]


def _solve(problem: AllocationProblem, flops: float | None, loss: float | None, tolerance: float) -> Allocation:
    """The best allocation: in closed form where that exists and lies within the limits, by the solver otherwise."""
    frontier, theta = problem.frontier, problem.theta
    if flops is not None:
        require_covered(problem, flops)
    closed = closed_form(problem.fit.law, frontier, theta)
    budget = float(np.log(flops)) if flops is not None else closed.cheapest(float(loss or 0)) if closed else None
    best = None if closed is None or budget is None else closed.best(budget)
    inside = best is not None and bool(np.all((frontier.limits[:, 0] <= best) & (best <= frontier.limits[:, 1])))
    if not inside:
        # There is no closed form, or it lies beyond a limit.
        if flops is None:
            budget = frontier.cheapest(theta, float(loss or 0))
        if budget is None:
            raise PlanError(unreachable_target(problem, float(loss or 0)))
        best = frontier.best(theta[None, :], np.array([budget]))[0]
    assert best is not None
    assert budget is not None
    if np.isnan(best).any():
        raise PlanError(too_small_budget(problem, budget))
    require_inside_search(problem, best)
    return _build(problem, budget, best, loss, tolerance, closed=inside)


def _among(
    problem: AllocationProblem, sizes: Sequence[float], flops: float | None, loss: float | None, tolerance: float
) -> Allocation:
    """The best allocation among some sizes: each is solved for with N held."""
    if "N" not in problem.frontier.variables:
        raise PlanError("a list of sizes needs N among the variables that are chosen.")
    index = problem.frontier.variables.index("N")
    tried: list[tuple[float, AllocationProblem, float, Array]] = []
    for size in sorted(sizes):
        limits = problem.frontier.limits.copy()
        limits[index] = np.log(size)
        held = replace(problem, frontier=replace(problem.frontier, limits=limits))
        budget = float(np.log(flops)) if flops is not None else held.frontier.cheapest(problem.theta, float(loss or 0))
        if budget is None:
            continue
        best = held.frontier.best(problem.theta[None, :], np.array([budget]))[0]
        if np.isnan(best).any():
            continue
        value = float(problem.frontier.losses(problem.theta[None, :], best[None, :])[0][0])
        tried.append((value if flops is not None else budget, held, budget, best))
    if not tried:
        raise PlanError(
            f"none of the sizes {', '.join(format_count(size) for size in sizes)} "
            + ("leaves anything for data at this budget." if flops is not None else f"reaches {loss:g} at any cost.")
        )
    lowest, held, budget, best = min(tried, key=lambda one: one[0])
    found = _build(held, budget, best, loss, tolerance, closed=False)
    # The flat region holds the sizes whose loss, or whose cost for a target loss, exceeds the lowest by no more than
    # the tolerance.
    near = lowest + (tolerance * abs(lowest) if flops is not None else np.log1p(tolerance))
    alike = np.exp([point for value, _, _, point in tried if value <= near])
    choices = {
        name: replace(choice, flat=(float(values.min()), float(values.max())))
        for (name, choice), values in zip(found.choices.items(), alike.T, strict=True)
    }
    warnings = tuple(finding for finding in found.warnings if finding.code != "at_limit")
    columns = [SYMBOLS.get(name, name) for name in problem.frontier.variables]
    each = tuple(
        {
            **dict(zip(columns, np.exp(point).tolist(), strict=True)),
            "cost": float(np.exp(cost)),
            problem.fit.target: float(problem.frontier.losses(problem.theta[None, :], point[None, :])[0][0]),
        }
        for _, _, cost, point in tried
    )
    return replace(found, choices=choices, limited=(), warnings=warnings, sizes=each)


def _build(
    problem: AllocationProblem, budget: float, best: Array, target: float | None, tolerance: float, *, closed: bool
) -> Allocation:
    """The result at the best point: its flat region, intervals, forecast and findings."""
    fit, frontier = problem.fit, problem.frontier
    value = float(frontier.losses(problem.theta[None, :], best[None, :])[0][0])
    most = value + tolerance * abs(value)
    flat = (best, best) if frontier.tied else frontier.flat(problem.theta, budget, best, most)
    intervals = _intervals(problem, budget, best)
    predicted = _predicted(problem, best)
    limited = tuple(
        SYMBOLS.get(name, name)
        for name, x, bounds in zip(frontier.variables, best, frontier.limits, strict=True)
        if not frontier.tied and np.any(np.abs(x - bounds) < 1e-9)
    )
    choices = {}
    for index, name in enumerate(frontier.variables):
        bounds = sorted(float(np.exp(bound[index])) for bound in flat)
        choices[SYMBOLS.get(name, name)] = Choice(
            value=float(np.exp(best[index])), interval=intervals[index], flat=(bounds[0], bounds[1])
        )
    given = {SYMBOLS.get(name, name): number for name, number in problem.known.items()}
    if problem.unique is not None:
        given["unique_tokens"] = problem.unique
    return Allocation(
        choices=choices,
        given={**given, **problem.levels},
        cost=to_text(problem.tree),
        budget=float(np.exp(budget)),
        target_loss=target,
        loss=value,
        law_interval=predicted.law_interval,
        run_interval=predicted.run_interval,
        tolerance=tolerance,
        extrapolation_factor=predicted.extrapolation_factor,
        closed=closed,
        limited=limited,
        target=fit.target,
        level=fit.level,
        warnings=(*predicted.warnings, *_own_findings(problem, best, limited)),
    )


def _predicted(problem: AllocationProblem, best: Array) -> Forecast:
    """The forecast at the best point: for the N and D that repeats are worth, as far out as what is trained."""
    fit, frontier = problem.fit, problem.frontier
    question = _question(problem, best)
    if frontier.repeats is not None:
        worth = frontier.repeats.worth(problem.theta[None, :], best[None, :], frontier.variables)[0][0]
        shifts = [
            [
                fit.objective.transform(
                    replace(frontier, repeats=one).losses(problem.theta[None, :], best[None, :])[0][0]
                )
                for one in pair
            ]
            for pair in frontier.repeats.shifted()
        ]
        question = replace(
            _question(problem, worth),
            trained=question.variables,
            spread={"worth of repeats": float(np.sqrt(sum(((high - low) / 2) ** 2 for low, high in shifts)))},
        )
    prediction = predict(fit, question)
    if not np.isfinite(prediction.value[0]):
        raise PlanError(f"{fit.law.formula!r} has no finite value at the best point. Set a limit: --max-params.")
    return one_point(fit, question, prediction)


def _question(problem: AllocationProblem, logs: Array) -> Question:
    point = {**problem.known, **{name: np.exp(x) for name, x in zip(problem.frontier.variables, logs, strict=True)}}
    asked: dict[str, Any] = {**{name: float(point[name]) for name in problem.fit.law.variables}, **problem.levels}
    return ask(problem.fit, asked)


def _own_findings(problem: AllocationProblem, best: Array, limited: tuple[str, ...]) -> list[Finding]:
    """Findings about repeated tokens and about variables at a limit."""
    found = []
    repeats = problem.frontier.repeats
    if repeats is not None:
        tokens = float(np.exp(best[problem.frontier.variables.index("D")]))
        if tokens > repeats.unique:
            found.append(
                Finding(
                    "repeats",
                    f"the data are seen {tokens / repeats.unique:.3g} times; what repeats are worth is taken from Muennighoff et al. "
                    "2023 (tokens lose 1 - 1/e of their worth in 15.4 repetitions, parameters beyond what the unique tokens can use in 5.3), not from "
                    "your runs. Refits of their runs differ by a factor of two, which is in the intervals.",
                )
            )
        if tokens > (1 + repeats.tokens_last) * repeats.unique:
            share = np.exp(-(tokens / repeats.unique - 1) / repeats.tokens_last)
            found.append(
                Finding(
                    "many_epochs",
                    f"at {tokens / repeats.unique:.3g} epochs, one more token is worth {format_percent(float(share))} of a new one, and "
                    "real runs overfit, which no law here describes. Spend less, or find more data.",
                )
            )
    if limited:
        found.append(
            Finding(
                "at_limit",
                f"{' and '.join(limited)} {plural_of(len(limited), 'lies', 'lie')} at a limit: without it, the best value would lie further out.",
            )
        )
    return found


def _intervals(problem: AllocationProblem, budget: float, best: Array) -> list[Interval]:
    """Confidence interval of each best value: a profile interval, or quantiles over draws without a profiler."""
    frontier, fit = problem.frontier, problem.fit
    nothing: list[Interval] = [(None, None)] * len(best)
    at_limit = np.any(np.abs(best[:, None] - frontier.limits) < 1e-9)
    if frontier.tied or (at_limit and len(best) == 2):
        # The budget and the limit decide alone, whatever the coefficients.
        return [(float(np.exp(x)), float(np.exp(x))) for x in best]
    if problem.profiler is None:
        return _from_draws(problem, budget, best) if len(fit.draws) else nothing
    quantities = Optima(frontier, budget, best, problem.indices, tuple(range(len(best))))
    with np.errstate(all="ignore"):
        found = interval_of(problem.profiler, quantities, fit.interval, fit.level)
    low, high = _widened(problem, budget, best, found.low, found.high)
    return [_interval(*pair) for pair in np.exp(np.column_stack([low, high]))]


def _widened(problem: AllocationProblem, budget: float, best: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Bounds of the best logarithms (V,) that also hold the uncertainty of what repeats are worth, in quadrature."""
    if problem.frontier.repeats is None:
        return low, high
    optima = [
        [
            replace(problem.frontier, repeats=one).best(problem.theta[None, :], np.array([budget]), best)[0]
            for one in pair
        ]
        for pair in problem.frontier.repeats.shifted()
    ]
    z = NormalDist().inv_cdf((1 + problem.fit.level) / 2)
    spread = z * np.sqrt(sum(((upper - lower) / 2) ** 2 for lower, upper in optima))
    return best - np.hypot(best - low, spread), best + np.hypot(high - best, spread)


def _from_draws(problem: AllocationProblem, budget: float, best: Array) -> list[Interval]:
    """Quantiles of the best values over the resampled fits."""
    level = problem.fit.level
    _, draws = problem.fit.vectors(problem.levels)
    theta = np.stack([c.to_unconstrained(draws[c.name]) for c in problem.fit.law.free], axis=1)
    theta = theta[np.all(np.isfinite(theta), axis=1)]
    if not len(theta):
        return [(None, None)] * len(best)
    found = problem.frontier.best(theta, np.full(len(theta), budget), best)
    bounds = np.exp(np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0))
    return [_interval(low, high) for low, high in bounds.T]


def _interval(low: float, high: float) -> Interval:
    """An interval with None for a bound that is not finite, or not positive."""
    return (
        float(low) if np.isfinite(low) and low > 0 else None,
        float(high) if np.isfinite(high) else None,
    )
