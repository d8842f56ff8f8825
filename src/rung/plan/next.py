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
from rung.laws import SYMBOLS, Law, find_law, law_book
from rung.laws.tree import Array, Expression, evaluate, to_text
from rung.plan.allocate import allocate, best_gradient
from rung.plan.belief import Belief
from rung.plan.formula import COST, read_cost
from rung.plan.greedy import Purchase, buy
from rung.plan.knowledge import Aims, FewRuns, Knowledge, known_from_book, known_from_fit, known_from_runs
from rung.runs import Runs
from rung.units import flops_6nd, format_count

POWERS = (0.2, 0.4, 0.6)
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
_MOST_POINTS = 4000
"""Points of a box: more than two variables are laid out more coarsely."""

_ENOUGH = 2.0
"""Runs for each coefficient under which the prior still speaks."""

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
    known: Fit | Runs | str,
    *,
    budget: float,
    targets: Sequence[Mapping[str, float]] = (),
    decide: float | None = None,
    law: str | Law = "chinchilla",
    loss_column: str | None = None,
    pool: Runs | None = None,
    box: Mapping[str, tuple[float, float]] | None = None,
    cost: str = COST,
    most: int = MOST,
    level: float = 0.9,
    noise: float | None = None,
    seed: int = 0,
) -> NextRuns:
    """Choose the runs that sharpen a forecast or a decision most for a budget.

    A fit tells how sure it is of itself. A table may be as short as two runs: what it says of the law is then taken
    with a weak prior, with every optimum that explains the runs, and with an error of the law that grows away from
    the targets. Made one run at a time, each after the last was measured, that is a sequential design.

    Args:
        known: A fit of the runs that were made, a table of them, or the name of a law of the book with constants,
            where none were.
        budget: What all new runs may cost together.
        targets: Points at which the law is to be known, by symbol or column.
        decide: A compute at which the best N is to be known (C = 6 N D); needs a fit.
        law: The law that a table of runs is taken to obey.
        loss_column: The column of the table that the law predicts; the law's own by default.
        pool: The runs that can be made, with the law's variables.
        box: The smallest and largest value of each variable, instead of a pool; by default from the smallest run to
            ten times the largest.
        cost: What a run costs.
        most: How many runs, at most.
        level: Coverage that intervals aim at.
        noise: Spread of a run about the law, in its logarithm; from the runs by default.
        seed: Seed of the starts, where a table is given.

    Raises:
        PlanError: No run is affordable, nothing is to be sharpened, or a number is not positive.
        FormulaError: The law is none, or the cost no formula.
    """
    _require_sense(budget, targets, decide, most, level, noise)
    what = _known(known, law, loss_column, box, level, seed)
    points = _pool(what.law, pool) if pool is not None else _box(what, box)
    tree, prices = _prices(what.law, points, cost)
    affordable = prices <= budget
    if not affordable.any():
        raise PlanError(
            f"no run that could be made is affordable: the cheapest of {len(prices)} costs {format_count(float(prices.min()))} by "
            f"{to_text(tree)}, the budget is {format_count(budget)}."
        )
    points = {name: values[affordable] for name, values in points.items()}
    prices = prices[affordable]
    aims = _aims(what, [_point(what.law.variables, one) for one in targets], decide)
    if isinstance(what, FewRuns):
        belief, modes = what.belief(points, aims)
        degrees = modes.degrees
    else:
        belief, degrees = what.belief(points, aims), what.degrees
    if noise is not None:
        belief = replace(belief, noise=noise**2)
    best = min((buy((belief,), prices, budget, power, most) for power in POWERS), key=lambda plan: plan.variance[-1])
    told, measure = _told(aims, belief, degrees, best, _reach(what, aims, decide), level)
    return NextRuns(
        runs=tuple(
            PlannedRun(
                inputs={SYMBOLS.get(name, name): float(points[name][at]) for name in what.law.variables},
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
        prior=known if isinstance(known, str) else None,
        cautions=(*_cautions(best), *_few(what)),
    )


def _known(
    known: Fit | Runs | str,
    law: str | Law,
    loss_column: str | None,
    box: Mapping[str, tuple[float, float]] | None,
    level: float,
    seed: int,
) -> Knowledge | FewRuns:
    if isinstance(known, str):
        return known_from_book(known, box)
    if isinstance(known, Runs):
        chosen = find_law(law, known.columns) if isinstance(law, str) else law
        entry = law_book().get(chosen.name)
        return known_from_runs(known, chosen, loss_column or (entry.target if entry else "loss"), seed)
    return known_from_fit(replace(known, level=level))


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


def _box(known: Knowledge | FewRuns, box: Mapping[str, tuple[float, float]] | None) -> dict[str, Array]:
    variables = known.law.variables
    symbols = {column: symbol for symbol, column in SYMBOLS.items()}
    ends = {symbols.get(name, name): pair for name, pair in (box or {}).items()}
    unknown = [name for name in ends if name not in variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which the law has not; its variables are {', '.join(variables)}."
        )
    per_axis = min(_PER_AXIS, int(_MOST_POINTS ** (1 / len(variables))))
    axes = []
    for name in variables:
        low, high = ends.get(name, (known.ranges[name][0], 10 * known.ranges[name][1]))
        if not 0 < low <= high:
            raise PlanError(
                f"the box of {name} is {low:g} to {high:g}; write LOW:HIGH with LOW above 0 and under HIGH."
            )
        axes.append(np.geomspace(low, high, per_axis if high > low else 1))
    mesh = np.meshgrid(*axes, indexing="ij")
    return _completed({name: part.ravel() for name, part in zip(variables, mesh, strict=True)})


def _completed(columns: dict[str, Array]) -> dict[str, Array]:
    if {"N", "D"} <= set(columns) and "C" not in columns:
        return {**columns, "C": flops_6nd(columns["N"], columns["D"])}
    return columns


def _aims(known: Knowledge | FewRuns, targets: Sequence[dict[str, Array]], decide: float | None) -> Aims:
    names = [
        "loss at " + ", ".join(f"{name}={format_count(float(x[0]))}" for name, x in one.items()) for one in targets
    ]
    decision = None
    if decide is not None:
        if isinstance(known, FewRuns) or known.fit is None:
            raise PlanError(
                "--decide needs a fit of runs that were made: rung fit RUNS -o fit.json. From few runs or a law of the book, plan "
                "for a --target."
            )
        names.append(f"best N at C={format_count(decide)}")
        decision = best_gradient(known.fit, decide, known.internal)
    columns = {name: np.array([float(one[name][0]) for one in targets]) for name in known.law.variables}
    return Aims(names=tuple(names), columns=columns, decision=decision)


def _reach(known: Knowledge | FewRuns, aims: Aims, decide: float | None) -> list[tuple[float | None, float | None]]:
    """How far each target's interval reaches below and above it, on the logarithm's scale, by the profile; None where that does not tell."""
    fit = None if isinstance(known, FewRuns) else known.fit
    if fit is None:
        return [(None, None)] * len(aims.names)
    found = []
    for place in range(len(aims.names) - (decide is not None)):
        asked: dict[str, Any] = {name: float(column[place]) for name, column in aims.columns.items()}
        said = forecast(fit, **asked)
        found.append((said.value, said.law_interval))
    if decide is not None:
        choice = allocate(fit, flops=decide).choices["params"]
        found.append((choice.value, choice.interval))
    return [
        (None if low is None else float(np.log(value / low)), None if high is None else float(np.log(high / value)))
        for value, (low, high) in found
    ]


def _told(
    aims: Aims,
    belief: Belief,
    degrees: int,
    best: Purchase,
    reach: Sequence[tuple[float | None, float | None]],
    level: float,
) -> tuple[tuple[Target, ...], float]:
    """Each target's interval now and then, and by how much a standard error is more than the curvature says.

    Where the profile tells how far an interval reaches, that is taken, and shrinks as the curvature says.
    """
    root = student_quantile((1 + level) / 2, degrees)
    told, measures = [], []
    for place, name in enumerate(aims.names):
        (before, after), (stray, later) = ([part[place] for part in parts] for parts in (best.known, best.stray))
        half = root * np.sqrt(before)
        sides = np.array([belief.stretch * half if side is None else side for side in reach[place]])
        ends = (
            np.hypot(sides, root * np.sqrt(stray)),
            np.hypot(sides * np.sqrt(after / before), root * np.sqrt(later)),
        )
        measures.append(float(np.mean(ends[0]) / np.hypot(half, root * np.sqrt(stray))))
        value = belief.mean[belief.candidates + place]
        now, then = ((float(np.exp(value - low)), float(np.exp(value + high))) for low, high in ends)
        told.append(Target(name=name, value=float(np.exp(value)), before=now, after=then))
    return tuple(told), float(np.mean(measures))


def _few(known: Knowledge | FewRuns) -> tuple[Caution, ...]:
    """That the prior still speaks, where few runs were made."""
    if not isinstance(known, FewRuns) or known.problem.design.rows >= _ENOUGH * known.problem.design.size:
        return ()
    design = known.problem.design
    return (
        Caution(
            "few_runs",
            f"{design.rows} runs for {design.size} coefficients: a weak prior holds the law, and the intervals lean on it. Make the "
            "first of these runs and plan again.",
        ),
    )


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
