"""The verb: how large a model and how much data, for a budget or a wished loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rung.errors import Caution, PlanError
from rung.fit import Fit, interval_of
from rung.forecast import Interval, forecast
from rung.laws import SYMBOLS
from rung.laws.tree import Array, to_text
from rung.plan.closed import closed_form
from rung.plan.formula import COST
from rung.plan.frontier import Optima
from rung.plan.task import Task, make_task
from rung.units import format_count

TOLERANCE = 1e-3
"""Share of the lowest loss within which a size counts as good as the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One variable of an allocation.

    Attributes:
        value: The best value.
        interval: Where the best value lies, from the law's uncertainty; (None, None) where nothing is known.
        flat: The values between which the loss stays within the tolerance of the lowest, at equal cost.
    """

    value: float
    interval: Interval
    flat: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What to train for a budget, or for a wished loss.

    Attributes:
        choices: Each variable, by column.
        given: Other variables and levels that were given.
        cost: The cost formula.
        budget: Its value [FLOP]: the budget, or the lowest cost of the wish.
        wish: The wished loss; None for a budget.
        loss: The law there.
        law_interval: Where the law lies there.
        run_interval: Where a new run would come out.
        tolerance: Share of the loss that the flat region allows.
        extrapolation_factor: How far beyond the runs this is.
        closed: Whether the solution has a closed form.
        limited: The columns that stand at a limit.
        cautions: What a user should know.
    """

    choices: Mapping[str, Choice]
    given: Mapping[str, float | str]
    cost: str
    budget: float
    wish: float | None
    loss: float
    law_interval: Interval
    run_interval: Interval
    tolerance: float
    extrapolation_factor: float
    closed: bool
    limited: tuple[str, ...]
    cautions: tuple[Caution, ...]

    @property
    def tokens_per_param(self) -> float | None:
        """D / N, where both are chosen."""
        if {"params", "tokens"} <= set(self.choices):
            return self.choices["tokens"].value / self.choices["params"].value
        return None

    def to_dict(self) -> dict[str, Any]:
        """The allocation as plain values."""
        return {
            "choices": {
                name: {"value": one.value, "interval": list(one.interval), "flat": list(one.flat)}
                for name, one in self.choices.items()
            },
            "tokens_per_param": self.tokens_per_param,
            "given": dict(self.given),
            "cost": self.cost,
            "budget": self.budget,
            "wish": self.wish,
            "loss": self.loss,
            "law_interval": list(self.law_interval),
            "run_interval": list(self.run_interval),
            "tolerance": self.tolerance,
            "extrapolation_factor": self.extrapolation_factor,
            "closed": self.closed,
            "limited": list(self.limited),
            "warnings": [{"code": c.code, "text": c.text} for c in self.cautions],
        }


def allocate(
    fit: Fit,
    *,
    flops: float | None = None,
    loss: float | None = None,
    cost: str = COST,
    tokens_per_param: float | None = None,
    unique_tokens: float | None = None,
    max_params: float | None = None,
    sizes: Sequence[float] = (),
    tolerance: float = TOLERANCE,
    **given: float | str,
) -> Allocation:
    """The variables that give the lowest loss for a budget, or the lowest cost for a wished loss.

    Args:
        fit: The fitted law, of a target that is better when lower.
        flops: The budget, in the unit of the cost formula.
        loss: The wished loss, instead of a budget.
        cost: What a run costs, in the law's variables and the given names, such as "6*N*D + 2*N*2e12".
        tokens_per_param: D / N, where it is to be fixed.
        unique_tokens: Tokens that there are; more are repeats, worth what the data-constrained law says. A law with U
            of its own takes it as U.
        max_params: The largest size.
        sizes: The sizes that can be built, where not all can.
        tolerance: Share of the lowest loss that counts as good as the best.
        **given: Other variables of the law or the cost by name, and the level of each group.

    Raises:
        PlanError: The budget, the wish, the cost or a limit cannot be served.
    """
    if (flops is None) == (loss is None):
        raise PlanError("give either a budget (--flops 1e24) or a wished loss (--loss 2.0).")
    for name, number in (
        ("the budget", flops),
        ("--tokens-per-param", tokens_per_param),
        ("--unique-tokens", unique_tokens),
        ("the largest size", max_params),
        *(("a size", size) for size in sizes),
    ):
        if number is not None and not (np.isfinite(number) and number > 0):
            raise PlanError(f"{name} {number:g} must be a positive number.")
    if loss is not None and not np.isfinite(loss):
        raise PlanError(f"a wished loss of {loss:g} is no finite number.")
    if tokens_per_param is not None and (sizes or max_params is not None):
        raise PlanError(
            "--tokens-per-param leaves nothing to choose: the budget alone decides the size, and no limit can. Leave one out."
        )
    if not 0 < tolerance < 1:
        raise PlanError(f"--within {tolerance:g} must lie between 0 and 1; 0.001 is a tenth of a percent.")
    task = make_task(fit, cost, given, ratio=tokens_per_param, unique=unique_tokens, largest=max_params)
    if sizes:
        return _among(task, sizes, flops, loss, tolerance)
    return _solve(task, flops, loss, tolerance)


def best_sizes(fit: Fit, flops: Array) -> Array:
    """The best N at each compute (m,), by C = 6 N D, without intervals."""
    task = make_task(fit)
    budgets = np.log(np.asarray(flops, dtype=float))
    found = task.frontier.best(np.tile(task.theta, (len(budgets), 1)), budgets)
    return np.asarray(np.exp(found[:, task.frontier.variables.index("N")]))


def best_gradient(fit: Fit, flops: float, internal_K: Array) -> tuple[float, Array]:
    """Logarithm of the best N at a compute, by C = 6 N D, and its derivatives by the fit's internal numbers (K,)."""
    task = make_task(fit)
    budget = float(np.log(flops))
    near = task.frontier.best(task.theta[None, :], np.array([budget]))[0]
    place = task.frontier.variables.index("N")
    value, slopes = Optima(task.frontier, budget, near, task.places, (place,)).evaluate(internal_K[None, :])
    return float(value[0, 0]), slopes[:, 0, 0]


def _solve(task: Task, flops: float | None, loss: float | None, tolerance: float) -> Allocation:
    frontier, theta = task.frontier, task.theta
    if flops is not None:
        _require_covered(task, flops)
    closed = closed_form(task.fit.law, frontier, theta)
    budget = float(np.log(flops)) if flops is not None else closed.cheapest(float(loss or 0)) if closed else None
    best = None if closed is None or budget is None else closed.best(budget)
    inside = best is not None and bool(np.all((frontier.limits[:, 0] <= best) & (best <= frontier.limits[:, 1])))
    if not inside:
        # No closed form, or one that lies beyond a limit.
        if flops is None:
            budget = frontier.cheapest(theta, float(loss or 0))
        if budget is None:
            raise PlanError(_unreachable(task, float(loss or 0)))
        best = frontier.best(theta[None, :], np.array([budget]))[0]
    assert best is not None
    assert budget is not None
    if np.isnan(best).any():
        raise PlanError(_too_little(task, budget))
    _require_near(task, best)
    return _told(task, budget, best, loss, tolerance, closed=inside)


def _require_near(task: Task, best: Array) -> None:
    """Refuse a best point at the end of what is looked over, which no user has set."""
    for name, x, ends in zip(task.frontier.variables, best, task.searched, strict=True):
        if np.any(np.abs(x - ends) < 1e-9):
            raise PlanError(
                f"the best {name} lies at {format_count(float(np.exp(x)))}, where the search ends, far beyond the runs "
                f"({format_count(task.fit.ranges[name][0])} to {format_count(task.fit.ranges[name][1])}): the law or the cost cannot be "
                "trusted there. Ask nearer, or set a limit."
            )


def _require_covered(task: Task, flops: float) -> None:
    """Refuse a budget that the law says nothing about."""
    smallest = np.log([task.fit.ranges[name][0] for name in task.frontier.variables])
    least = float(np.exp(task.frontier.costs(smallest[None, :])[0][0]))
    if flops < least:
        raise PlanError(
            f"a budget of {format_count(flops)} by {to_text(task.tree)} is below the smallest run: the smallest "
            f"{' and '.join(task.frontier.variables)} of the runs cost {format_count(least)} together. Give a larger budget."
        )


def _among(task: Task, sizes: Sequence[float], flops: float | None, loss: float | None, tolerance: float) -> Allocation:
    """The best of the sizes that can be built."""
    if "N" not in task.frontier.variables:
        raise PlanError("a list of sizes needs N among the variables that are chosen.")
    place = task.frontier.variables.index("N")
    tried: list[tuple[float, Task, float, Array]] = []
    for size in sorted(sizes):
        limits = task.frontier.limits.copy()
        limits[place] = np.log(size)
        held = replace(task, frontier=replace(task.frontier, limits=limits))
        budget = float(np.log(flops)) if flops is not None else held.frontier.cheapest(task.theta, float(loss or 0))
        if budget is None:
            continue
        best = held.frontier.best(task.theta[None, :], np.array([budget]))[0]
        if np.isnan(best).any():
            continue
        value = float(task.frontier.losses(task.theta[None, :], best[None, :])[0][0])
        tried.append((value if flops is not None else budget, held, budget, best))
    if not tried:
        raise PlanError(
            f"none of the sizes {', '.join(format_count(size) for size in sizes)} "
            + ("leaves anything for data at this budget." if flops is not None else f"reaches {loss:g} at any cost.")
        )
    lowest, held, budget, best = min(tried, key=lambda one: one[0])
    found = _told(held, budget, best, loss, tolerance, closed=False)
    # What is flat is which of the sizes lose no more than the tolerance; for a wish, which cost no more.
    near = lowest + (tolerance * abs(lowest) if flops is not None else np.log1p(tolerance))
    alike = np.exp([point for measure, _, _, point in tried if measure <= near])
    choices = {
        name: replace(choice, flat=(float(values.min()), float(values.max())))
        for (name, choice), values in zip(found.choices.items(), alike.T, strict=True)
    }
    cautions = tuple(caution for caution in found.cautions if caution.code != "at_limit")
    return replace(found, choices=choices, limited=(), cautions=cautions)


def _told(task: Task, budget: float, best: Array, wish: float | None, tolerance: float, *, closed: bool) -> Allocation:
    fit, frontier = task.fit, task.frontier
    value = float(frontier.losses(task.theta[None, :], best[None, :])[0][0])
    most = value + tolerance * abs(value)
    flat = (best, best) if frontier.tied else frontier.flat(task.theta, budget, best, most)
    intervals = _intervals(task, budget, best)
    seen = (
        best
        if frontier.repeats is None
        else frontier.repeats.worth(task.theta[None, :], best[None, :], frontier.variables)[0][0]
    )
    point = {**task.known, **{name: float(np.exp(x)) for name, x in zip(frontier.variables, seen, strict=True)}}
    asked: dict[str, Any] = {**{name: point[name] for name in fit.law.variables}, **task.levels}
    said = forecast(fit, **asked)
    limited = tuple(
        SYMBOLS.get(name, name)
        for name, x, ends in zip(frontier.variables, best, frontier.limits, strict=True)
        if not frontier.tied and np.any(np.abs(x - ends) < 1e-9)
    )
    choices = {}
    for place, name in enumerate(frontier.variables):
        ends = sorted(float(np.exp(end[place])) for end in flat)
        choices[SYMBOLS.get(name, name)] = Choice(
            value=float(np.exp(best[place])), interval=intervals[place], flat=(ends[0], ends[1])
        )
    given = {SYMBOLS.get(name, name): number for name, number in task.known.items()}
    if task.unique is not None:
        given["unique_tokens"] = task.unique
    return Allocation(
        choices=choices,
        given={**given, **task.levels},
        cost=to_text(task.tree),
        budget=float(np.exp(budget)),
        wish=wish,
        loss=value,
        law_interval=said.law_interval,
        run_interval=said.run_interval,
        tolerance=tolerance,
        extrapolation_factor=said.extrapolation_factor,
        closed=closed,
        limited=limited,
        cautions=(*said.cautions, *_own_cautions(task, best, limited)),
    )


def _own_cautions(task: Task, best: Array, limited: tuple[str, ...]) -> list[Caution]:
    found = []
    repeats = task.frontier.repeats
    if repeats is not None:
        tokens = float(np.exp(best[task.frontier.variables.index("D")]))
        if tokens > repeats.unique:
            found.append(
                Caution(
                    "repeats",
                    f"the data are seen {tokens / repeats.unique:.3g} times; what repeats are worth is taken from Muennighoff et al. "
                    "2023 (tokens lose 1 - 1/e of their worth in 15.4 repetitions, parameters beyond what the unique tokens can use in 5.3), not from "
                    "your runs.",
                )
            )
    if limited:
        found.append(
            Caution("at_limit", f"{' and '.join(limited)} stands at a limit: without it the law would go further.")
        )
    return found


def _intervals(task: Task, budget: float, best: Array) -> list[Interval]:
    frontier, fit = task.frontier, task.fit
    nothing: list[Interval] = [(None, None)] * len(best)
    at_limit = np.any(np.abs(best[:, None] - frontier.limits) < 1e-9)
    if frontier.tied or (at_limit and len(best) == 2):
        # Nothing is left to the law: the budget and the limit decide.
        return [(float(np.exp(x)), float(np.exp(x))) for x in best]
    if task.profiler is None:
        return _from_draws(task, budget, best) if len(fit.draws) else nothing
    quantities = Optima(frontier, budget, best, task.places, tuple(range(len(best))))
    with np.errstate(all="ignore"):
        found = interval_of(task.profiler, quantities, fit.interval, fit.level)
    ends = [(np.exp(low), np.exp(high)) for low, high in zip(found.low, found.high, strict=True)]
    return [_interval(low, high) for low, high in ends]


def _from_draws(task: Task, budget: float, best: Array) -> list[Interval]:
    """Ends over the resampled fits."""
    level = task.fit.level
    _, draws = task.fit.vectors(task.levels)
    theta = np.stack([c.to_internal(draws[c.name]) for c in task.fit.law.free], axis=1)
    theta = theta[np.all(np.isfinite(theta), axis=1)]
    if not len(theta):
        return [(None, None)] * len(best)
    found = task.frontier.best(theta, np.full(len(theta), budget), best)
    ends = np.exp(np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0))
    return [_interval(low, high) for low, high in ends.T]


def _interval(low: float, high: float) -> Interval:
    return (
        float(low) if np.isfinite(low) and low > 0 else None,
        float(high) if np.isfinite(high) else None,
    )


def _unreachable(task: Task, wish: float) -> str:
    theta, frontier = task.theta[None, :], task.frontier
    least, most = frontier.costs(frontier.limits.T)[0].tolist()
    costs = np.linspace(least, most, 49)
    wide = np.tile(theta, (len(costs), 1))
    reached = frontier.losses(wide, frontier.best(wide, costs))[0]
    lowest = float(np.nanmin(reached)) if np.any(np.isfinite(reached)) else np.nan
    free = frontier.repeats is None and not np.isnan(task.searched).any()
    return (
        f"no cost reaches a {task.fit.target} of {wish:g}: the law's lowest is {lowest:.5g}"
        f"{' (its irreducible loss)' if free else ' under these limits'}. Wish for a higher one{'' if free else ', or lift a limit'}."
    )


def _too_little(task: Task, budget: float) -> str:
    least = task.frontier.costs(task.frontier.limits[:, 0][None, :])[0][0]
    return (
        f"a budget of {format_count(float(np.exp(budget)))} by {to_text(task.tree)} buys nothing within the limits: the "
        f"least that can be trained costs {format_count(float(np.exp(least)))}."
    )
