"""The verb: which runs to make next, so that a forecast or a decision becomes sharper for what they cost.

A run adds the information of its row; what it takes off the variance of a target follows from that without making it.
Runs are added one after another by gain over a power of their cost, for several powers, and the plan that leaves the
least variance for the budget is kept. Beyond the largest run a law strays with distance: a larger run shortens it.

Source: V-optimal design; sequential gain per power of cost as in arXiv:2604.22753, whose one power is here chosen by
what the whole budget buys.

"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rung.errors import Caution, PlanError
from rung.fit import Fit, student_quantile
from rung.forecast import forecast
from rung.laws import SYMBOLS, Law
from rung.laws.tree import Array, Expression, evaluate, to_text
from rung.plan.allocate import allocate, best_gradient
from rung.plan.formula import COST, read_cost
from rung.plan.greedy import Aims, Candidates, Purchase, buy
from rung.plan.knowledge import Knowledge, known_from_book, known_from_fit, log_scale
from rung.runs import Runs
from rung.units import flops_6nd, format_count

POWERS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Powers of the cost by which gains are divided, each tried."""

MOST = 100

HEAD = """
# What the runs are: change it to your own, or plan with --like LADDER.toml. rung ladder families lists what there is.
[family]
name = "gpt"
head_width = 8
aspect = 16.0

[corpus]
name = "python"       # the source of Python's standard library; your text: name = "text", path = "FOLDER"
"""
"""What a ladder file says beside its runs, where nobody said otherwise."""

_PER_AXIS = 25
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run to make.

    Attributes:
        inputs: Its variables, by column.
        cost: What it costs.
        spread_after: The mean relative standard error of the targets once it and those before it are made.
    """

    inputs: Mapping[str, float]
    cost: float
    spread_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to become sharper.

    Attributes:
        name: In words.
        value: Its present estimate.
        before: Its present interval.
        after: The interval expected once the plan is made.
    """

    name: str
    value: float
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRuns:
    """A plan of runs.

    Attributes:
        runs: The runs, most useful first.
        spent: What they cost together.
        budget: What might be spent.
        cost: The cost formula.
        power: The power of the cost that served best.
        targets: What becomes sharper, and by how much.
        level: Coverage that intervals aim at.
        candidates: How many runs could be chosen among.
        prior: The law of the book that stands in for runs; None where runs were made.
        cautions: What a user should know.
    """

    runs: tuple[PlannedRun, ...]
    spent: float
    budget: float
    cost: str
    power: float
    targets: tuple[Target, ...]
    level: float
    candidates: int
    prior: str | None
    cautions: tuple[Caution, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "runs": [{**one.inputs, "cost": one.cost, "spread_after": one.spread_after} for one in self.runs],
            "spent": self.spent,
            "budget": self.budget,
            "cost": self.cost,
            "power": self.power,
            "targets": [
                {"name": one.name, "value": one.value, "before": list(one.before), "after": list(one.after)}
                for one in self.targets
            ],
            "level": self.level,
            "candidates": self.candidates,
            "prior": self.prior,
            "warnings": [{"code": c.code, "text": c.text} for c in self.cautions],
        }

    def to_csv(self) -> str:
        """The runs as CSV."""
        columns = [*self.runs[0].inputs, "cost"]
        rows = [",".join(f"{value:.6g}" for value in (*one.inputs.values(), one.cost)) for one in self.runs]
        return "\n".join([",".join(columns), *rows]) + "\n"

    def to_ladder(self, head: str = HEAD) -> str:
        """The runs as a ladder file: a [[rung]] each, below what the file says of family, corpus and recipe."""
        lines = [
            f"# {len(self.runs)} runs for {format_count(self.budget)} by {self.cost}, most useful first.",
            "",
            head.strip(),
        ]
        for seed, one in enumerate(self.runs):
            named = (("steps" if name == "step" else name, value) for name, value in one.inputs.items())
            # A seed for each: two runs whose sizes are built alike are a repetition, and no copy.
            lines += ["", "[[rung]]", *(f"{name} = {value:.6g}" for name, value in named), f"seed = {seed}"]
        return "\n".join(lines) + "\n"


def next_runs(
    fit: Fit | str,
    *,
    budget: float,
    targets: Sequence[Mapping[str, float]] = (),
    decide: float | None = None,
    pool: Runs | None = None,
    box: Mapping[str, tuple[float, float]] | None = None,
    cost: str = COST,
    most: int = MOST,
    level: float = 0.9,
    noise: float | None = None,
) -> NextRuns:
    """Choose the runs that sharpen a forecast or a decision most for a budget.

    Args:
        fit: A fit of the runs that were made, or the name of a law of the book with constants, where none were.
        budget: What all new runs may cost together.
        targets: Points at which the law is to be known, by symbol or column.
        decide: A compute at which the best N is to be known (C = 6 N D).
        pool: The runs that can be made, with the law's variables.
        box: The smallest and largest value of each variable, instead of a pool; by default from the smallest run to
            ten times the largest.
        cost: What a run costs.
        most: How many runs, at most.
        level: Coverage that intervals aim at.
        noise: Spread of a run about the law, in its logarithm; from the fit by default.

    Raises:
        PlanError: No run is affordable, nothing is to be sharpened, or a number is not positive.
    """
    _require_sense(budget, targets, decide, most, level, noise)
    known = (
        known_from_book(fit, box, noise) if isinstance(fit, str) else known_from_fit(replace(fit, level=level), noise)
    )
    points = _pool(known.law, pool) if pool is not None else _box(known, box)
    tree, prices = _prices(known.law, points, cost)
    affordable = prices <= budget
    if not affordable.any():
        raise PlanError(
            f"no run that could be made is affordable: the cheapest of {len(prices)} costs {format_count(float(prices.min()))} by "
            f"{to_text(tree)}, the budget is {format_count(budget)}."
        )
    points = {name: values[affordable] for name, values in points.items()}
    prices = prices[affordable]
    wanted = [_point(known.law.variables, one) for one in targets]
    aims = _aims(known, wanted, decide)
    runs = Candidates(slopes_KM=known.evaluate(points)[1], prices=prices, sizes=log_scale(points))
    best = min((buy(known, runs, aims, budget, power, most) for power in POWERS), key=lambda plan: plan.variance[-1])
    told, measure = _told(known, aims, best, _reach(known, wanted, decide), level)
    return NextRuns(
        runs=tuple(
            PlannedRun(
                inputs={SYMBOLS.get(name, name): float(points[name][at]) for name in known.law.variables},
                cost=float(prices[at]),
                spread_after=measure * float(np.sqrt(left)),
            )
            for at, left in zip(best.chosen, best.variance[1:], strict=True)
        ),
        spent=float(prices[best.chosen].sum()),
        budget=budget,
        cost=to_text(tree),
        power=best.power,
        targets=told,
        level=level,
        candidates=len(prices),
        prior=fit if isinstance(fit, str) else None,
        cautions=_cautions(best),
    )


def _require_sense(
    budget: float,
    targets: Sequence[Mapping[str, float]],
    decide: float | None,
    most: int,
    level: float,
    noise: float | None,
) -> None:
    """Refuse a wish for nothing, and numbers that cannot be."""
    if not (np.isfinite(budget) and budget > 0):
        raise PlanError(f"the budget {budget:g} must be positive.")
    if not targets and decide is None:
        raise PlanError(
            "say what is to become sharper: a forecast (--target N=70B,D=1.4T) or a decision (--decide 1e24)."
        )
    if not 0 < level < 1:
        raise PlanError(f"level {level:g} must lie between 0 and 1, as in --level 0.9.")
    if noise is not None and not (np.isfinite(noise) and noise > 0):
        raise PlanError(f"--noise {noise:g} must be a positive share of the loss, such as 0.01.")
    if decide is not None and not (np.isfinite(decide) and decide > 0):
        raise PlanError(f"--decide {decide:g} must be a positive compute.")
    if most < 1:
        raise PlanError(f"{most} runs: plan at least one.")


def _prices(law: Law, points: Mapping[str, Array], cost: str) -> tuple[Expression, Array]:
    """The cost's formula, and what each point costs (M,)."""
    if cost == COST and not {"N", "D"} <= set(law.variables):
        raise PlanError(
            f'{law.formula!r} is a law of {" and ".join(law.variables)}, so a run has no 6 N D. Say what one costs: --cost "120*N^2".'
        )
    tree = read_cost(cost, [*law.variables, "C"], "the law")
    prices = np.broadcast_to(evaluate(tree, points), np.shape(next(iter(points.values())))).astype(float)
    if not np.all(np.isfinite(prices) & (prices > 0)):
        raise PlanError(f"the cost {to_text(tree)} is not a positive number for every run that could be made.")
    return tree, prices


def _point(variables: Sequence[str], given: Mapping[str, float]) -> dict[str, Array]:
    symbols = {column: symbol for symbol, column in SYMBOLS.items()}
    named = {symbols.get(name, name): value for name, value in given.items()}
    lacking = [name for name in variables if name not in named]
    unknown = [name for name in named if name not in variables]
    if lacking or unknown:
        raise PlanError(
            f"a target gives each of {', '.join(variables)}: {'missing ' + ', '.join(lacking) if lacking else 'unknown ' + ', '.join(unknown)}."
        )
    for name, value in named.items():
        if not (np.isfinite(value) and value > 0):
            raise PlanError(f"the target's {name}={value:g} must be positive.")
    return {name: np.array([float(named[name])]) for name in variables}


def _pool(law: Law, pool: Runs) -> dict[str, Array]:
    found = {}
    for name in law.variables:
        values = pool.numbers(SYMBOLS.get(name, name), "the pool")
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(bad):
            raise PlanError(
                f"{pool.row_name(int(bad[0]))}: {name} of the pool is {values[bad[0]]:g}, and must be positive."
            )
        found[name] = values
    if not len(pool):
        raise PlanError("the pool has no runs.")
    return _completed(found)


def _box(known: Knowledge, box: Mapping[str, tuple[float, float]] | None) -> dict[str, Array]:
    variables = known.law.variables
    symbols = {column: symbol for symbol, column in SYMBOLS.items()}
    ends = {symbols.get(name, name): pair for name, pair in (box or {}).items()}
    unknown = [name for name in ends if name not in variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which the law has not; its variables are {', '.join(variables)}."
        )
    axes = []
    for name in variables:
        low, high = ends.get(name, (known.ranges[name][0], 10 * known.ranges[name][1]))
        if not 0 < low <= high:
            raise PlanError(
                f"the box of {name} is {low:g} to {high:g}; write LOW:HIGH with LOW above 0 and under HIGH."
            )
        axes.append(np.geomspace(low, high, _PER_AXIS if high > low else 1))
    mesh = np.meshgrid(*axes, indexing="ij")
    return _completed({name: part.ravel() for name, part in zip(variables, mesh, strict=True)})


def _completed(columns: dict[str, Array]) -> dict[str, Array]:
    if {"N", "D"} <= set(columns) and "C" not in columns:
        return {**columns, "C": flops_6nd(columns["N"], columns["D"])}
    return columns


def _aims(known: Knowledge, targets: Sequence[dict[str, Array]], decide: float | None) -> Aims:
    names, values, slopes, sizes = [], [], [], []
    for point in targets:
        value, slope = known.evaluate(point)
        names.append("loss at " + ", ".join(f"{name}={format_count(float(x[0]))}" for name, x in point.items()))
        values.append(float(value[0]))
        slopes.append(slope[:, 0])
        sizes.append(float(log_scale(point)[0]))
    if decide is not None:
        if known.fit is None:
            raise PlanError("--decide needs a fit of runs that were made; from a law of the book, plan for a --target.")
        best, slope_K = best_gradient(known.fit, decide, known.internal)
        names.append(f"best N at C={format_count(decide)}")
        values.append(best)
        slopes.append(slope_K)
        sizes.append(-np.inf)
    return Aims(names=tuple(names), values=np.array(values), slopes_QK=np.array(slopes), sizes=np.array(sizes))


def _reach(
    known: Knowledge, targets: Sequence[dict[str, Array]], decide: float | None
) -> list[tuple[float | None, float | None]]:
    """How far each target's interval reaches below and above it, on the logarithm's scale, by the profile; None where that does not tell."""
    if known.fit is None:
        return [(None, None)] * len(targets)
    found = []
    for point in targets:
        asked: dict[str, Any] = {name: float(value[0]) for name, value in point.items()}
        said = forecast(known.fit, **asked)
        found.append((said.value, said.law_interval))
    if decide is not None:
        choice = allocate(known.fit, flops=decide).choices["params"]
        found.append((choice.value, choice.interval))
    return [
        (None if low is None else float(np.log(value / low)), None if high is None else float(np.log(high / value)))
        for value, (low, high) in found
    ]


def _told(
    known: Knowledge,
    aims: Aims,
    best: Purchase,
    reach: Sequence[tuple[float | None, float | None]],
    level: float,
) -> tuple[tuple[Target, ...], float]:
    """Each target's interval now and then, and by how much a standard error is more than the curvature says.

    Where the profile tells how far an interval reaches, that is taken, and shrinks as the curvature says.
    """
    root = student_quantile((1 + level) / 2, known.degrees)
    told, measures = [], []
    for place, name in enumerate(aims.names):
        (before, after), (stray, later) = ([part[place] for part in parts] for parts in (best.known, best.stray))
        half = root * np.sqrt(before)
        sides = np.array([half if side is None else side for side in reach[place]])
        ends = (
            np.hypot(sides, root * np.sqrt(stray)),
            np.hypot(sides * np.sqrt(after / before), root * np.sqrt(later)),
        )
        measures.append(float(np.mean(ends[0]) / np.hypot(half, root * np.sqrt(stray))))
        value = aims.values[place]
        now, then = ((float(np.exp(value - low)), float(np.exp(value + high))) for low, high in ends)
        told.append(Target(name=name, value=float(np.exp(value)), before=now, after=then))
    return tuple(told), float(np.mean(measures))


def _cautions(best: Purchase) -> tuple[Caution, ...]:
    share = float(np.mean(best.stray[0]) / best.variance[0])
    if share < _MOSTLY:
        return ()
    return (
        Caution(
            "mostly_discrepancy",
            f"{100 * share:.0f} % of the targets' variance is what the law strays by beyond the largest run: runs below that size "
            "sharpen little. Only larger runs come nearer to the target.",
        ),
    )
