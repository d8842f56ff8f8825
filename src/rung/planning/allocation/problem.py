"""The allocation problem: a law to be minimised over its variables, their cost, and the limits on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.fitting import Fit, reopen
from rung.fitting.uncertainty import Profiler
from rung.laws import Expression, Law, Surface, law_book, names, symbol_of, to_text
from rung.planning.allocation.frontier import Frontier, log_limits
from rung.planning.allocation.repeats import Repeats
from rung.planning.cost.cost_formula import COST, read_cost

_SEARCHED_BELOW = 30.0
"""How far below the largest size the search reaches at least, in the logarithm: thirteen orders of magnitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationProblem:
    """A law to be minimised at a cost, and its limits.

    Attributes:
        fit: The fit.
        frontier: The law over its variables, and their cost.
        tree: The formula of the cost.
        theta: Unconstrained parameters of the law at the given levels (K,).
        indices: Their indices among the fit's unconstrained parameters; empty where the fit keeps no rows.
        profiler: The fit's optimum, for profile intervals; None where the fit keeps no rows.
        known: Given values of other variables, by symbol.
        levels: The given level of each group.
        unique: Unique tokens, where they limit a law without U of its own; None otherwise.
        searched: Logarithms of the bounds of the search in each variable (V, 2); nan where a user set them.
    """

    fit: Fit
    frontier: Frontier
    tree: Expression
    theta: Array
    indices: tuple[int, ...]
    profiler: Profiler | None
    known: Mapping[str, float]
    levels: Mapping[str, str]
    unique: float | None
    searched: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on an allocation; None where there is none.

    Attributes:
        tokens_per_param: D / N, where it is fixed.
        unique_tokens: Unique tokens; more of D are repeats.
        max_params: The largest N.
    """

    tokens_per_param: float | None = None
    unique_tokens: float | None = None
    max_params: float | None = None


def allocation_problem(
    fit: Fit,
    cost: str = COST,
    given: Mapping[str, float | str] | None = None,
    limits: Limits = Limits(),  # frozen
) -> AllocationProblem:
    """The problem of an allocation, checked against the law.

    Args:
        fit: The fit.
        cost: The formula of what a run costs.
        given: Other variables of the law or the cost by name, and the level of each group.
        limits: Limits on the allocation.

    Raises:
        PlanError: The cost, a name or a limit does not suit the law.
    """
    given = given or {}
    law, unique = fit.law, limits.unique_tokens
    levels = {name: str(value) for name, value in given.items() if name in fit.groups}
    known = {symbol_of(name): float(value) for name, value in given.items() if name not in fit.groups}
    if unique is not None and "U" in law.variables:
        known["U"], unique = unique, None
    tree = _cost_tree(cost, law, known)
    in_cost = {node.name for node in names(tree)}
    for name in known:
        if name not in law.variables and name not in in_cost:
            raise PlanError(f"{name} is in neither the law ({law.formula}) nor the cost ({cost}).")
    chosen = tuple(name for name in law.variables if name not in known)
    _require_open(fit, chosen, in_cost, tree, limits.tokens_per_param, unique)
    ordered = tuple(sorted(chosen, key=lambda name: (name != "N", name == "D")))
    bounds, searched = _search_range(fit, ordered, limits.max_params)
    estimate, _ = fit.vectors(levels)
    single = replace(law, coefficients=tuple(replace(c, group=None) for c in law.coefficients))
    theta = np.array([float(c.to_unconstrained(estimate[c.name])) for c in single.free])
    problem = AllocationProblem(
        fit=fit,
        frontier=Frontier(
            variables=ordered,
            law=Surface.of(
                law.computed, ordered, single.coefficients, {n: known[n] for n in law.variables if n in known}
            ),
            cost=Surface.of(tree, ordered, (), {name: known[name] for name in in_cost if name in known}),
            limits=bounds,
            ratio=limits.tokens_per_param,
        ),
        tree=tree,
        theta=np.nan_to_num(theta, posinf=1e4, neginf=-1e4),
        indices=_indices(fit, levels),
        profiler=None if fit.interval == "bootstrap" else reopen(fit),
        known=known,
        levels=levels,
        unique=unique,
        searched=searched,
    )
    _require_growing(problem)
    if unique is None:
        return problem
    return replace(problem, frontier=replace(problem.frontier, repeats=_repeats(problem, unique)))


def _search_range(fit: Fit, variables: tuple[str, ...], max_params: float | None) -> tuple[Array, Array]:
    """Logarithms of the bounds of each variable (V, 2), and the same with nan for those that a user set (V, 2)."""
    bounds = log_limits(fit.ranges, variables)
    searched = bounds.copy()
    if max_params is not None:
        if "N" not in variables:
            raise PlanError("a largest size needs N among the variables that are chosen.")
        index = variables.index("N")
        bounds[index] = min(bounds[index, 0], np.log(max_params) - _SEARCHED_BELOW), np.log(max_params)
        searched[index, 1] = np.nan
    return bounds, searched


def _require_open(
    fit: Fit,
    chosen: tuple[str, ...],
    asked: Collection[str],
    tree: Expression,
    ratio: float | None,
    unique: float | None,
) -> None:
    """Check which variables are open, that is, to be chosen.

    Raises:
        PlanError: No variable or too many are open, one costs nothing or is not positive, or a limit is on one not open.
    """
    law = fit.law
    unknown = [name for name in chosen if name not in fit.ranges]
    if unknown:
        raise PlanError(
            f"the law book does not say over which {unknown[0]} {law.name} holds, so it cannot be chosen. Give it: "
            f"{unknown[0]}=VALUE."
        )
    idle = [name for name in chosen if name not in asked]
    if idle or not chosen:
        raise PlanError(
            f"the cost {to_text(tree)} does not depend on {' and '.join(idle)}, so more of it would be free. Give it "
            f"({idle[0]}=VALUE), or a cost that depends on it: --cost."
            if idle
            else f"every variable of {law.formula!r} is given: there is nothing to choose."
        )
    if len(chosen) > 3:
        raise PlanError(f"{len(chosen)} variables are open ({', '.join(chosen)}); give all but three.")
    if ratio is not None and set(chosen) != {"N", "D"}:
        raise PlanError("--tokens-per-param ties D to N: leave both open, and no other variable.")
    if unique is not None and "D" not in chosen:
        raise PlanError("--unique-tokens limits D, which is given, or is not in this law.")
    low = [name for name in chosen if fit.ranges[name][0] <= 0]
    if low:
        raise PlanError(f"{low[0]} is not positive in the runs, so it cannot be chosen. Give it: {low[0]}=VALUE.")


def _cost_tree(text: str, law: Law, known: Mapping[str, float]) -> Expression:
    """The formula of a cost in the law's variables and the given names."""
    tree = read_cost(text, [*law.variables, *known], "the law")
    if not any(node.name in law.variables for node in names(tree)):
        raise PlanError(f"the cost {text!r} does not grow with any variable of {law.formula!r}.")
    return tree


def _indices(fit: Fit, levels: Mapping[str, str]) -> tuple[int, ...]:
    """Indices of the law's unconstrained parameters at some levels among those of the fit (K,)."""
    order = {name: index for index, name in enumerate(fit.coefficients)}
    return tuple(order[f"{c.name}[{levels[c.group]}]" if c.group else c.name] for c in fit.law.free)


def _require_growing(problem: AllocationProblem) -> None:
    """Refuse a cost that falls, or stays the same everywhere, as a variable grows."""
    frontier = problem.frontier
    points = np.linspace(frontier.limits[:, 0], frontier.limits[:, 1], 9)
    log_costs, slopes = frontier.costs(points)
    for index, name in enumerate(frontier.variables):
        if np.any(np.isnan(log_costs)) or np.any(slopes[index] < 0) or not np.any(slopes[index] > 0):
            raise PlanError(
                f"the cost {to_text(problem.tree)} does not grow with {name} everywhere: a budget would not limit it. "
                "Write a cost that rises in every variable."
            )


def _repeats(problem: AllocationProblem, unique: float) -> Repeats:
    """The worth of repeats, with the constants R_D* and R_N* of the data-constrained law in the law book."""
    book = law_book()["muennighoff-2023"].constants
    frontier = problem.frontier
    both = frontier.ratio is None and frontier.variables == ("N", "D")
    return Repeats(
        unique=unique,
        size=frontier.usable_size(problem.theta, float(np.log(unique))) if both else None,
        tokens_last=book["RD"],
        params_last=book["RN"],
    )
