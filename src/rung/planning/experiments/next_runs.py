"""Which runs to make next, so that a forecast or a decision becomes sharper for what they cost.

A run adds the information of its row, and how much it reduces the variance of a target follows without making it. Runs
are added one after another by reduction over a power of their cost, for several powers; the design that leaves the
least variance for the budget is kept. Beyond the largest run the model discrepancy grows with distance, so a larger run
shortens it.

A fit says how sure it is of itself. A table may be as short as two runs: the law is then known through a weak prior,
every optimum that explains the runs, and a model discrepancy that grows away from the targets. Make one run at a time,
each after the last was measured, and the plan is a sequential design.

Source: V-optimal design; sequential gain per power of cost as in arXiv:2604.22753. Differs: the power is chosen by what
the whole budget leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError, RungError
from rung.findings import Finding
from rung.fitting import Fit
from rung.fitting.uncertainty import student_quantile
from rung.laws import SYMBOL_OF, SYMBOLS, Law, symbol_of, to_text
from rung.messages import require_level, require_number, require_seed
from rung.planning.cost.cost_formula import COST, evaluate_cost
from rung.planning.experiments.candidates import BEYOND, RATIO_SLACK, affordable_points, box_points, pool_points
from rung.planning.experiments.greedy_design import GreedyDesign, greedy_design
from rung.planning.experiments.information import InformationState, information_from
from rung.planning.experiments.predictive import JointPredictive
from rung.planning.experiments.result import NextRuns, PlannedRun, TargetForecast
from rung.planning.experiments.targets import Present, make_targets
from rung.runs import Runs, as_runs
from rung.units import format_count, format_percent, format_value

POWERS = (0.2, 0.4, 0.6)
"""Powers of the cost that reductions are divided by; each is tried."""

MOST = 100

_LEAST_NOISE = 1e-9
"""Least noise of a run that is stated, as a share of the loss."""

_OPEN = 1000.0
"""How many times its lower end the upper end of an interval is, from which its target counts as undetermined."""

_LITTLE = 0.05
"""Share by which a plan narrows the targets' intervals below which it is said to buy next to nothing."""

_MOSTLY = 0.5
"""Share of the targets' variance from which discrepancy is named as most of it."""


def next_runs(
    known: Any,
    *,
    budget: float | None = None,
    targets: Sequence[Mapping[str, float]] = (),
    decide: float | None = None,
    law: str | Law = "chinchilla",
    target: str | None = None,
    pool: Any = None,
    design: Any = None,
    box: Mapping[str, tuple[float, float]] | None = None,
    cost: str = COST,
    most: int = MOST,
    level: float = 0.9,
    noise: float | None = None,
    seed: int = 0,
) -> NextRuns:
    """Choose the runs that sharpen a forecast or a decision most for a budget.

    Args:
        known: A fit; a table of two runs or more; or the name of a law of the book with constants, without runs.
        budget: What all new runs may cost together, in the unit of the cost formula; a design needs none.
        targets: Points at which the law is to be known, by symbol or column.
        decide: A compute at which the best N is to be known (C = 6 N D); needs a fit.
        law: The law of a table of runs.
        target: The column of the table that the law predicts; the law's own by default.
        pool: The runs that can be made, as a table with the law's variables.
        design: Runs that are all to be made, as such a table: how sharp the targets then are.
        box: Smallest and largest value of each variable instead; by default 10x beyond the runs, near their D / N.
        cost: What a run costs, as a formula.
        most: The largest number of runs.
        level: Coverage of the intervals.
        noise: Standard deviation of a run about the law, in its logarithm; from the runs by default.
        seed: Seed of the starts, where a table is given.

    Raises:
        PlanError: No run is affordable, nothing is to be sharpened, or a number is not positive.
    """
    _require_valid(budget, design, targets, decide, most, noise, level, seed)
    table = next((as_runs(one) for one in (design, pool) if one is not None), None)
    state = information_from(_source(known), law=law, target=target, box=_box_of(table) or box, level=level, seed=seed)
    points, words = _candidates(state, targets, table, box)
    points, costs, tree = affordable_points(state.law, points, cost, budget or np.inf)
    wanted = make_targets(state.law.variables, targets, None if decide is None else state.decision(decide))
    predictive = _noisy(state.predictive(points, wanted), noise)
    best = _best_design(predictive, costs, budget, most)
    forecasts, error_after = _target_forecasts(wanted.names, predictive, best, state.reach(wanted), level)
    return NextRuns(
        runs=_planned(best, state.law, points, costs, error_after),
        spent=float(costs[best.selected].sum()),
        budget=budget or float(costs.sum()),
        cost=to_text(tree),
        power=best.power,
        targets=forecasts,
        level=level,
        candidates=len(costs),
        prior=state.prior,
        box=words,
        warnings=(*_findings(best, forecasts, costs), *_affordable_findings(targets, cost, budget), *state.findings()),
    )


def _noisy(predictive: JointPredictive, noise: float | None) -> JointPredictive:
    return predictive if noise is None else replace(predictive, noise=noise**2)


def _best_design(predictive: JointPredictive, costs: Array, budget: float | None, most: int) -> GreedyDesign:
    """The design that leaves the least variance for a budget; all candidates without one."""
    if budget is None:
        return greedy_design((predictive,), costs, np.inf, 0.0, len(costs), all_of_them=True)
    designs = [greedy_design((predictive,), costs, budget, power, most) for power in POWERS]
    return min(designs, key=lambda design: design.variance[-1])


def _box_of(table: Runs | None) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each variable of a table of candidates."""
    found = {}
    for symbol, column in SYMBOLS.items():
        if table is not None and table.has(column) and symbol not in {"L", "C"}:
            values = table.numbers(column)
            found[symbol] = (float(np.nanmin(values)), float(np.nanmax(values)))
    return found


def _candidates(
    state: InformationState,
    targets: Sequence[Mapping[str, float]],
    table: Runs | None,
    box: Mapping[str, tuple[float, float]] | None,
) -> tuple[dict[str, Array], str | None]:
    """The runs that can be made: those of a table, or of a box; and the default box in words."""
    if table is not None:
        return pool_points(state.law, table), None
    ratios = _ratios(state, targets) if box is None else None
    points = box_points(state.law.variables, state.ranges, box, ratios)
    return points, _default_box(ratios) if box is None else None


def _ratios(state: InformationState, targets: Sequence[Mapping[str, float]]) -> tuple[float, float] | None:
    """D / N of the default box: that of the runs and of the targets, with some slack; None where there is none."""
    found = [state.ratios] if state.ratios else []
    for target in targets:
        named = {symbol_of(name): value for name, value in target.items()}
        if {"N", "D"} <= set(named):
            found.append((named["D"] / named["N"],) * 2)
    if not found or state.ratios is None:
        return None
    return min(low for low, _ in found) / RATIO_SLACK, max(high for _, high in found) * RATIO_SLACK


def _default_box(ratios: tuple[float, float] | None) -> str:
    """The default box in words."""
    text = f"each variable from its smallest run to {BEYOND:g}x its largest"
    return (
        text if ratios is None else f"{text}, D / N from {format_value(ratios[0], 3)} to {format_value(ratios[1], 3)}"
    )


def _source(known: Any) -> Fit | Runs | str:
    """A fit or the name of a law as it is; anything else as a table of runs."""
    if isinstance(known, Fit):
        return known
    named = isinstance(known, str) and not Path(known).suffix and not Path(known).exists()
    return known if named else as_runs(known)


def _planned(
    design: GreedyDesign, law: Law, points: Mapping[str, Array], costs: Array, error_after: Callable[[float], float]
) -> tuple[PlannedRun, ...]:
    return tuple(
        PlannedRun(
            inputs={SYMBOLS.get(name, name): float(points[name][at]) for name in law.variables},
            cost=float(costs[at]),
            relative_se_after=error_after(float(variance)),
        )
        for at, variance in zip(design.selected, design.variance[1:], strict=True)
    )


def _require_valid(
    budget: float | None,
    design: Any,
    targets: Sequence[Mapping[str, float]],
    decide: float | None,
    most: int,
    noise: float | None,
    level: float,
    seed: int,
) -> None:
    """Refuse a plan for nothing, and numbers that cannot be."""
    require_level(level, PlanError)
    require_seed(seed, PlanError)
    if (budget is None) == (design is None):
        raise PlanError("give a budget (--flops 1e21) for runs to be chosen, or a --design whose runs are all made.")
    if budget is not None and not (np.isfinite(require_number(budget, "budget", PlanError)) and budget > 0):
        raise PlanError(f"the budget {budget:g} must be positive.")
    if not targets and decide is None:
        raise PlanError(
            "state what is to become sharper: a forecast (--target N=70B,D=1.4T) or a decision (--decide 1e24)."
        )
    if noise is not None and not (_LEAST_NOISE <= noise <= 1):
        raise PlanError(f"--noise {noise:g} must be a share of the loss from {_LEAST_NOISE:g} to 1, such as 0.01.")
    for name, value in ((name, value) for one in targets for name, value in one.items()):
        if not (np.isfinite(value) and value > 0):
            raise PlanError(f"the target's {name} is {value:g}, and must be positive.")
    if decide is not None and not (np.isfinite(decide) and decide > 0):
        raise PlanError(f"--decide {decide:g} must be a positive compute.")
    if most < 1:
        raise PlanError(f"{most} runs: plan at least one.")


def _target_forecasts(
    names: Sequence[str], predictive: JointPredictive, design: GreedyDesign, reach: Sequence[Present], level: float
) -> tuple[tuple[TargetForecast, ...], Callable[[float], float]]:
    """Each target's interval now and after the plan, and the standard error that a variance of the design means.

    Where the profile says how far an interval reaches, that is used: a forecast's is that of a new run, as `forecast`
    gives it. From its square the plan takes what it takes from the coefficients and the discrepancy, after every run as at
    the end: noise stays.
    """
    quantile = student_quantile((1 + level) / 2, predictive.degrees)
    found: list[TargetForecast] = []
    law_squares, whole_squares = [], []
    for index, name in enumerate(names):
        before, after = (part[index] for part in design.coefficients)
        far, nearer = (part[index] for part in design.discrepancy)
        half = quantile * np.sqrt(before)
        sides = np.array([predictive.inflation * half if side is None else side for side in reach[index].law])
        now = np.hypot(sides, quantile * np.sqrt(far))
        then = np.hypot(sides * np.sqrt(after / before), quantile * np.sqrt(nearer))
        law_squares.append(float(np.mean(now**2)))
        run = reach[index].run
        if run is not None and None not in run:
            whole = np.array(run, dtype=float)
            now, then = whole, whole * np.sqrt(np.maximum(1 - (now**2 - then**2) / np.maximum(whole, now) ** 2, 0.0))
        whole_squares.append(float(np.mean(now**2)))
        value = predictive.mean[predictive.candidates + index]
        intervals = [(float(np.exp(value - low)), float(np.exp(value + high))) for low, high in (now, then)]
        found.append(TargetForecast(name=name, value=float(np.exp(value)), before=intervals[0], after=intervals[1]))
    first = float(design.variance[0])
    law, whole_square = (float(np.mean(squares)) / quantile**2 for squares in (law_squares, whole_squares))

    def error_after(variance: float) -> float:
        gone = law * (1 - variance / first) if first > 0 else 0.0
        return float(np.sqrt(max(whole_square - gone, 0.0)))

    return tuple(found), error_after


def _findings(design: GreedyDesign, targets: Sequence[TargetForecast], costs: Array) -> tuple[Finding, ...]:
    return (
        *_undetermined_findings(targets),
        *_discrepancy_findings(design),
        *_gain_findings(targets, float(costs[design.selected].sum())),
    )


def _undetermined_findings(targets: Sequence[TargetForecast]) -> tuple[Finding, ...]:
    """The finding that the present runs leave a target open: where its interval now begins at nothing or spans a thousandfold."""
    return tuple(
        Finding(
            "undetermined_target",
            f"the runs at hand do not determine {one.name}: its interval reaches from {format_count(one.before[0])} to "
            f"{format_count(one.before[1])}. What the plan is expected to give holds near the present estimate alone: make the first "
            "of these runs, and plan again.",
        )
        for one in targets
        if one.before[1] > _OPEN * one.before[0]
    )


def _gain_findings(targets: Sequence[TargetForecast], spent: float) -> tuple[Finding, ...]:
    """The finding that the plan narrows the intervals by next to nothing."""
    before, after = (
        float(np.mean([np.log(ends[1] / ends[0]) for ends in intervals if ends[0] > 0] or [0.0]))
        for intervals in ([one.before for one in targets], [one.after for one in targets])
    )
    gain = 1 - after / before if before > 0 else 0.0
    if gain >= _LITTLE:
        return ()
    return (
        Finding(
            "little_gain",
            f"these runs narrow the targets' intervals by {format_percent(gain)} for {format_count(spent)}: "
            "the budget buys next to nothing here. Allow larger runs (--box, --pool), raise the budget, or keep it.",
        ),
    )


def _affordable_findings(
    targets: Sequence[Mapping[str, float]], cost: str, budget: float | None
) -> tuple[Finding, ...]:
    """The finding that a target is itself within the budget."""
    for one in targets:
        try:
            price = evaluate_cost(cost, {SYMBOL_OF.get(name, name): value for name, value in one.items()})
        except RungError:
            continue
        if budget is not None and price <= budget:
            shown = ", ".join(f"{name}={format_count(value)}" for name, value in one.items())
            return (
                Finding(
                    "target_affordable",
                    f"the run {shown} itself costs {format_count(price)}, which is within the budget of {format_count(budget)}: making it "
                    "tells its loss, and leaves nothing to forecast.",
                ),
            )
    return ()


def _discrepancy_findings(design: GreedyDesign) -> tuple[Finding, ...]:
    share = float(np.mean(design.discrepancy[0]) / design.variance[0])
    if share < _MOSTLY:
        return ()
    return (
        Finding(
            "mostly_discrepancy",
            f"{100 * share:.0f} % of the targets' variance is model discrepancy beyond the largest run: smaller runs sharpen little. "
            "Only larger runs come nearer to the target.",
        ),
    )
