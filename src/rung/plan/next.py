"""The verb: which runs to make next, so that a forecast or a decision becomes sharper for what they cost.

A run adds the information of its row; what it takes off the variance of a target follows from that without making it.
Runs are added one after another by gain over a power of their cost, for several powers, and the plan that leaves the
least variance for the budget is kept. Beyond the largest run a law strays with distance: a larger run shortens it.

Source: V-optimal design; sequential gain per power of cost as in arXiv:2604.22753, whose one power is here chosen by
what the whole budget buys.

Shapes: `M` candidates, `K` internal numbers of the coefficients, `Q` targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.errors import Caution, PlanError
from rung.fit import Fit, Problem, make_design, make_problem, objective_named, reopen, student_quantile
from rung.forecast import forecast
from rung.laws import SYMBOLS, Entry, law_book
from rung.laws.coefficients import Scale
from rung.laws.tree import Array, evaluate, to_text
from rung.plan.allocate import allocate, best_gradient
from rung.plan.formula import COST, read_cost
from rung.runs import Runs, read_runs
from rung.units import flops_6nd, format_count

POWERS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Powers of the cost by which gains are divided, each tried."""

MOST = 100
_PER_AXIS = 25
_WIDE = {Scale.REAL: 3.0, Scale.ABOVE: 2.0, Scale.BELOW: 2.0, Scale.BETWEEN: 2.0}
"""Standard deviation of an internal number before any run: a factor of e squared for a positive coefficient."""

_BOOK = {"alpha": 0.2, "beta": 0.2, "E": 0.2}
_BOOK_WIDE = 1.0
"""Standard deviation of the logarithm of a constant of the law book for another study's runs: of exponents and the
floor, and of the rest."""

_NOISE = 0.01
"""Spread of a run about the law, in the logarithm, where no run tells it."""

_LEAST_GAIN = 1e-4
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

    def to_ladder(self) -> str:
        """The runs as a ladder file: a [[rung]] each."""
        lines = [f"# {len(self.runs)} runs for {format_count(self.budget)} by {self.cost}, most useful first."]
        for one in self.runs:
            lines += ["", "[[rung]]", *(f"{name} = {value:.6g}" for name, value in one.inputs.items())]
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
    state = _from_book(fit, box, noise) if isinstance(fit, str) else _from_fit(replace(fit, level=level), noise)
    law = state.problem.law
    wanted = [_point(law.variables, one) for one in targets]
    candidates = _pool(state, pool) if pool is not None else _box(state, box)
    if cost == COST and not {"N", "D"} <= set(law.variables):
        raise PlanError(
            f'{law.formula!r} is a law of {" and ".join(law.variables)}, so a run has no 6 N D. Say what one costs: --cost "120*N^2".'
        )
    tree = read_cost(cost, [*law.variables, "C"], "the law")
    prices = np.broadcast_to(evaluate(tree, candidates), (len(next(iter(candidates.values()))),)).astype(float)
    if not np.all(np.isfinite(prices) & (prices > 0)):
        raise PlanError(f"the cost {to_text(tree)} is not a positive number for every run that could be made.")
    affordable = prices <= budget
    if not affordable.any():
        raise PlanError(
            f"no run that could be made is affordable: the cheapest of {len(prices)} costs {format_count(float(prices.min()))} by "
            f"{to_text(tree)}, the budget is {format_count(budget)}."
        )
    candidates = {name: values[affordable] for name, values in candidates.items()}
    prices = prices[affordable]
    slopes = state.slopes({name: candidates[name] for name in law.variables})
    called, values, gradients, scales = _gradients(state, wanted, decide)
    usable = np.all(np.isfinite(slopes), axis=0)
    plans = [
        _greedy(state, slopes, prices, _scale(candidates), gradients, scales, budget, power, most, usable)
        for power in POWERS
    ]
    best = min(plans, key=lambda plan: plan.variance[-1])
    root = student_quantile((1 + level) / 2, max(state.degrees, 1))
    present = _present(state, wanted, decide, best, root)
    told = tuple(
        Target(
            name=name,
            value=float(np.exp(value)),
            before=_ends(value, *_widened(low, high, 1.0, root**2 * best.stray[0][place])),
            after=_ends(
                value,
                *_widened(
                    low, high, np.sqrt(best.known[1][place] / best.known[0][place]), root**2 * best.stray[1][place]
                ),
            ),
        )
        for place, (name, value, (low, high)) in enumerate(zip(called, values, present, strict=True))
    )
    # The curvature alone may say more or less than the profile; what is told after each run is in the profile's measure.
    wide = np.sqrt(best.known[0] + best.stray[0])
    seen = [
        np.hypot((low + high) / 2 / root, np.sqrt(stray))
        for (low, high), stray in zip(present, best.stray[0], strict=True)
    ]
    measure = float(np.mean(np.array(seen) / wide))
    runs = tuple(
        PlannedRun(
            inputs={SYMBOLS.get(name, name): float(candidates[name][at]) for name in law.variables},
            cost=float(prices[at]),
            spread_after=measure * float(np.sqrt(left)),
        )
        for at, left in zip(best.chosen, best.variance[1:], strict=True)
    )
    return NextRuns(
        runs=runs,
        spent=float(prices[best.chosen].sum()),
        budget=budget,
        cost=to_text(tree),
        power=best.power,
        targets=told,
        level=level,
        candidates=len(prices),
        prior=fit if isinstance(fit, str) else None,
        cautions=_cautions(state, best, scales),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is known before the new runs.

    Attributes:
        problem: The law over the runs made; over none, where it comes from the book.
        internal: Internal numbers of the coefficients (K,).
        covariance_KK: How well they are known.
        variance: Variance of what one run says of the law, on the residual's scale.
        stray: Variance by which the law strays for each factor e beyond the largest run.
        largest: Logarithm of the largest scale that was run; -inf without runs.
        ranges: Smallest and largest value of each variable that was run.
        degrees: Degrees of freedom of the intervals.
        fit: The fit; None where the law comes from the book.
    """

    problem: Problem
    internal: Array
    covariance_KK: Array
    variance: float
    stray: float
    largest: float
    ranges: Mapping[str, tuple[float, float]]
    degrees: int
    fit: Fit | None

    def slopes(self, columns: Mapping[str, Array]) -> Array:
        """Derivatives of the law on the residual's scale at points (K, M)."""
        design = self.problem.design
        count = len(next(iter(columns.values())))
        groups = {group: np.zeros(count, dtype=np.intp) for group in design.groups}
        space = design.at(columns, groups).workspace(self.problem.law, self.problem.objective.residual, 1)
        with np.errstate(all="ignore"):
            return np.array(space.evaluate(self.internal[None, :])[1][:, 0])

    def value(self, columns: Mapping[str, Array]) -> Array:
        """The law on the residual's scale at points (M,)."""
        design = self.problem.design
        count = len(next(iter(columns.values())))
        groups = {group: np.zeros(count, dtype=np.intp) for group in design.groups}
        space = design.at(columns, groups).workspace(self.problem.law, self.problem.objective.residual, 1)
        with np.errstate(all="ignore"):
            return np.array(space.evaluate(self.internal[None, :])[0][0])


def _from_fit(fit: Fit, noise: float | None) -> _State:
    if fit.objective.residual != "log":
        raise PlanError(
            f"runs are planned for laws fitted in logarithms, and this fit's objective is {fit.objective.name}."
        )
    if fit.groups:
        raise PlanError(
            f"runs are planned for a law without groups, and this one has coefficients of its own for each {', '.join(fit.groups)}. Fit "
            "the group that the runs are for: --where."
        )
    profiler = reopen(fit)
    if profiler is None:
        raise PlanError(
            "the fit keeps no rows, or none beyond its coefficients, so it does not tell how sure it is. Fit again with more runs."
        )
    shape, problem = profiler.shape, profiler.problem
    numbers = problem.design.numbers(problem.law)
    # What the runs do not determine is known as far as a coefficient's range tells: a weak prior.
    weak = np.diag([_WIDE[number.scale] ** -2.0 for number in numbers])
    known = np.linalg.pinv(shape.sandwich_KK, rcond=1e-12, hermitian=True)
    covariance = np.linalg.inv(known + weak)
    jacobian = profiler.optimum.jacobian_Kn * np.sqrt(problem.design.weights)
    rank = max(int(np.linalg.matrix_rank(shape.inverse_KK)), 1)
    # Of a robust objective a row says less than its variance would: by how much, the runs made tell.
    worth = float(np.trace(shape.inverse_KK @ jacobian @ jacobian.T)) / rank
    variance = noise**2 if noise is not None else shape.noise_scale * max(worth, 1.0)
    columns = dict(problem.design.columns)
    stray = fit.discrepancy.tau**2 * float(np.var(fit.noise)) if fit.discrepancy and len(fit.noise) else 0.0
    return _State(
        problem=problem,
        internal=profiler.optimum.internal,
        covariance_KK=covariance,
        variance=variance,
        stray=stray,
        largest=float(np.log(np.max(_sizes(columns)))),
        ranges={name: (float(column.min()), float(column.max())) for name, column in columns.items()},
        degrees=shape.degrees,
        fit=fit,
    )


def _from_book(name: str, box: Mapping[str, tuple[float, float]] | None, noise: float | None) -> _State:
    entry: Entry | None = law_book().get(name)
    if entry is None or set(entry.law.coefficient_names) - set(entry.constants):
        known = [slug for slug, one in law_book().items() if not set(one.law.coefficient_names) - set(one.constants)]
        raise PlanError(
            f"no runs were made, and the law book has no constants of {name!r} to begin with; it has those of {', '.join(known)}."
        )
    unknown = [variable for variable in box or {} if variable not in entry.law.variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which {name} has not; its variables are {', '.join(entry.law.variables)}."
        )
    if box is None or set(box) != set(entry.law.variables):
        raise PlanError(
            f"without runs, say what can be run: the smallest and largest of {' and '.join(entry.law.variables)}, --box "
            + ",".join(f"{variable}=LOW:HIGH" for variable in entry.law.variables)
        )
    # A few rows of the law itself give the design its shape; they carry no information.
    rows = {
        SYMBOLS.get(variable, variable): np.geomspace(*box[variable], len(entry.law.free) + 2)
        for variable in entry.law.variables
    }
    target = np.asarray(
        entry.law.value(
            entry.constants, {variable: rows[SYMBOLS.get(variable, variable)] for variable in entry.law.variables}
        )
    )
    measure = objective_named("log-squares", None)
    design = make_design(read_runs(pl.DataFrame({**rows, "loss": target})), entry.law, measure)
    problem = make_problem(entry.law, design, measure)
    numbers = problem.design.numbers(entry.law)
    internal = np.array([float(c.to_internal(entry.constants[c.name])) for c in numbers])
    spread = np.array([_BOOK.get(c.name, _BOOK_WIDE) for c in numbers])
    return _State(
        problem=problem,
        internal=internal,
        covariance_KK=np.diag(spread**2),
        variance=(noise if noise is not None else _NOISE) ** 2,
        stray=0.0,
        largest=-np.inf,
        ranges={variable: box[variable] for variable in entry.law.variables},
        degrees=10_000,
        fit=None,
    )


def _sizes(columns: Mapping[str, Array]) -> Array:
    """The scale of points: 6 N D where both are known, else the first variable."""
    if {"N", "D"} <= set(columns):
        return np.asarray(flops_6nd(columns["N"], columns["D"]))
    return np.asarray(columns["C"] if "C" in columns else next(iter(columns.values())))


def _scale(columns: Mapping[str, Array]) -> Array:
    return np.log(_sizes(columns))


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


def _pool(state: _State, pool: Runs) -> dict[str, Array]:
    found = {}
    for name in state.problem.law.variables:
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


def _box(state: _State, box: Mapping[str, tuple[float, float]] | None) -> dict[str, Array]:
    variables = state.problem.law.variables
    symbols = {column: symbol for symbol, column in SYMBOLS.items()}
    ends = {symbols.get(name, name): pair for name, pair in (box or {}).items()}
    unknown = [name for name in ends if name not in variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which the law has not; its variables are {', '.join(variables)}."
        )
    axes = []
    for name in variables:
        low, high = ends.get(name, (state.ranges[name][0], 10 * state.ranges[name][1]))
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


def _gradients(
    state: _State, targets: Sequence[dict[str, Array]], decide: float | None
) -> tuple[list[str], list[float], Array, Array]:
    """Each target's name, value in logarithms, derivatives (Q, K), and logarithm of its scale (-inf where it does not stray)."""
    told, values, gradients, scales = [], [], [], []
    for point in targets:
        told.append("loss at " + ", ".join(f"{name}={format_count(float(value[0]))}" for name, value in point.items()))
        values.append(float(state.value(point)[0]))
        gradients.append(state.slopes(point)[:, 0])
        scales.append(float(_scale(point)[0]))
    if decide is not None:
        if state.fit is None:
            raise PlanError("--decide needs a fit of runs that were made; from a law of the book, plan for a --target.")
        told.append(f"best N at C={format_count(decide)}")
        value, gradient = best_gradient(state.fit, decide, state.internal)
        values.append(value)
        gradients.append(gradient)
        scales.append(-np.inf)
    return told, values, np.array(gradients), np.array(scales)


@dataclass(frozen=True, slots=True)
class _Greedy:
    """One plan.

    Attributes:
        power: The power of the cost.
        chosen: Places of the candidates, in order.
        variance: Mean variance of the targets before the plan and after each run (one more than places).
        known: Variance of each target by the coefficients, before and after.
        stray: What the law strays by there, before and after.
    """

    power: float
    chosen: Array
    variance: tuple[float, ...]
    known: tuple[Array, Array]
    stray: tuple[Array, Array]


def _greedy(
    state: _State,
    slopes_KM: Array,
    prices: Array,
    sizes: Array,
    gradients_QK: Array,
    scales: Array,
    budget: float,
    power: float,
    most: int,
    usable: NDArray[np.bool_],
) -> _Greedy:
    covariance = state.covariance_KK
    left, largest = budget, state.largest
    open_ = usable.copy()

    def strays(top: Any) -> Array:
        """What the law strays by at each target, for one or many largest runs (..., Q)."""
        reach = np.asarray(top)[..., None]
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isfinite(reach) & np.isfinite(scales), scales - reach, 0.0)
        return np.asarray(state.stray * np.maximum(distance, 0.0))

    def variances(covariance_KK: Array) -> Array:
        return np.asarray(np.einsum("qk,kl,ql->q", gradients_QK, covariance_KK, gradients_QK))

    known, stray = variances(covariance), strays(largest)
    told = [float(np.mean(known + stray))]
    chosen: list[int] = []
    while len(chosen) < most:
        can = open_ & (prices <= left)
        if not can.any():
            break
        moved = covariance @ slopes_KM
        spread = state.variance + np.einsum("km,km->m", slopes_KM, moved)
        shrink = (gradients_QK @ moved) ** 2 / spread
        # Only as far as the budget still allows does a larger run shorten the way to the target.
        nearer = strays(largest) - strays(np.maximum(sizes, largest))
        gain = np.mean(shrink.T + nearer, axis=1)
        score = np.where(can, gain / prices**power, -np.inf)
        at = int(np.argmax(score))
        if gain[at] <= _LEAST_GAIN * told[-1] and chosen:
            break
        chosen.append(at)
        open_[at] = False
        left -= float(prices[at])
        covariance = covariance - np.outer(moved[:, at], moved[:, at]) / spread[at]
        largest = max(largest, float(sizes[at]))
        told.append(float(np.mean(variances(covariance) + strays(largest))))
    ends = (variances(covariance), strays(largest))
    return _Greedy(power, np.array(chosen, dtype=int), tuple(told), (known, ends[0]), (stray, ends[1]))


def _cautions(state: _State, best: _Greedy, scales: Array) -> tuple[Caution, ...]:
    if not state.stray or not len(scales) or not np.any(np.isfinite(scales)):
        return ()
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


def _present(
    state: _State, targets: Sequence[dict[str, Array]], decide: float | None, best: _Greedy, root: float
) -> list[tuple[float, float]]:
    """How far each target's interval reaches below and above it now, on the logarithm's scale: the profile's where runs were made."""
    halves = root * np.sqrt(best.known[0])
    if state.fit is None:
        return [(float(half), float(half)) for half in halves]
    found: list[Sequence[float | None]] = []
    values = []
    for point in targets:
        asked: dict[str, Any] = {name: float(value[0]) for name, value in point.items()}
        said = forecast(state.fit, **asked)
        found.append(said.law_interval)
        values.append(said.value)
    if decide is not None:
        choice = allocate(state.fit, flops=decide).choices["params"]
        found.append(choice.interval)
        values.append(choice.value)
    return [
        (
            float(half) if low is None else float(np.log(value / low)),
            float(half) if high is None else float(np.log(high / value)),
        )
        for half, value, (low, high) in zip(halves, values, found, strict=True)
    ]


def _widened(low: float, high: float, share: float, stray: float) -> tuple[float, float]:
    """The reach of an interval to either side, a share of it, with what the law strays by."""
    return float(np.hypot(share * low, np.sqrt(stray))), float(np.hypot(share * high, np.sqrt(stray)))


def _ends(value: float, low: float, high: float) -> tuple[float, float]:
    return float(np.exp(value - low)), float(np.exp(value + high))
