"""The verb: what one recipe is worth against another, and whether the gain lasts with scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.errors import Caution, WorthError
from rung.fit import Combinations, Fitted, coefficient_names, fitted, interval_of, scale_levels
from rung.laws import SYMBOLS
from rung.laws.tree import Array
from rung.runs import Runs
from rung.units import flops_6nd, format_count
from rung.worth.gains import SIDES, Gains, Recipe
from rung.worth.pairs import clusters, matched

OBJECTIVE = "log-squares"
MARGIN = 1.25
"""The most by which a multiplier may change over the runs and be called constant, as a factor."""

_SURE = 0.95
_FEWEST, _NARROWEST = 4, 4.0
"""Scales of each recipe, and the factor that they span, without which nothing is compared."""

_TOGETHER = 0.98
"""Correlation of log N and log D from which the two count as one path."""

_POINTS = 5
_SHARED_NOISE = 0.5
"""Correlation of the residuals of matched runs from which they are taken as pairs."""

_VANISHING = 0.02
"""Share of the lowest loss under which an irreducible loss counts as none."""

_NEAR = 2.0
"""Difference of two objectives, in twice their noise, within which neither form is preferred."""

CONSTANT, EXPONENT, FLOOR, EITHER, UNDETERMINED = (
    "constant gain",
    "change of exponent",
    "change of floor",
    "changes with scale, by exponent or floor",
    "undetermined",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """How many times as much the control would need: above 1 the treated recipe is better.

    Attributes:
        of: "size", "data" or "compute".
        at: The scale at which it is told; None for a constant one.
        value: The estimate; nan where the control reaches that loss at no scale.
        low: Lower end of its interval; None where it is open.
        high: Upper end.
    """

    of: str
    at: float | None
    value: float
    low: float | None
    high: float | None

    @property
    def above(self) -> bool | None:
        """Whether it lies above 1: True, False, or None where the interval holds both."""
        if self.low is not None and self.low > 1:
            return True
        return False if self.high is not None and self.high < 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two recipes over scale.

    Attributes:
        control: The recipe that is the measure.
        treated: The recipe that is measured.
        formula: The law of a constant gain.
        along: The scale: N, D or C.
        constant: The multipliers of a constant gain.
        by_scale: The multiplier along the scale, where exponents may differ.
        growth: The last of those over the first.
        verdict: CONSTANT, EXPONENT, FLOOR, EITHER or UNDETERMINED.
        better: Which recipe is better at the largest scale; None where that is undetermined.
        exponents: The treated recipe's exponents over the control's, by name.
        floor: The treated recipe's floor over the control's; None without one.
        shared: Scales that both recipes ran.
        lower: At how many of them the treated recipe has the lower loss.
        correlation: Correlation of the residuals of matched runs; None with too few.
        paired: Whether matched runs were taken as pairs.
        level: Coverage that intervals aim at.
        cautions: What a user should know.
    """

    control: str
    treated: str
    formula: str
    along: str
    constant: tuple[Multiplier, ...]
    by_scale: tuple[Multiplier, ...]
    growth: Multiplier
    verdict: str
    better: str | None
    exponents: tuple[tuple[str, Multiplier], ...]
    floor: Multiplier | None
    shared: int
    lower: int
    correlation: float | None
    paired: bool
    level: float
    cautions: tuple[Caution, ...]

    @property
    def dominant(self) -> str | None:
        """The recipe that is better on every axis: each multiplier, each scale of the runs, each matched run; None where none is."""
        sides = {one.above for one in (*self.constant, *self.by_scale)}
        if len(sides) != 1 or None in sides or self.verdict not in {CONSTANT, UNDETERMINED}:
            return None
        treated = sides.pop() is True
        if self.shared and self.lower != (self.shared if treated else 0):
            return None
        return self.treated if treated else self.control

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""

        def told(one: Multiplier) -> dict[str, Any]:
            value = one.value if np.isfinite(one.value) else None
            return {"of": one.of, "at": one.at, "value": value, "low": one.low, "high": one.high}

        return {
            "control": self.control,
            "treated": self.treated,
            "formula": self.formula,
            "along": self.along,
            "constant": [told(one) for one in self.constant],
            "by_scale": [told(one) for one in self.by_scale],
            "growth": told(self.growth),
            "verdict": self.verdict,
            "better": self.better,
            "dominant": self.dominant,
            "exponents": {name: told(one) for name, one in self.exponents},
            "floor": told(self.floor) if self.floor else None,
            "shared": self.shared,
            "lower": self.lower,
            "correlation": self.correlation,
            "paired": self.paired,
            "level": self.level,
            "warnings": [{"code": c.code, "text": c.text} for c in self.cautions],
        }


def compare(
    control: Runs,
    treated: Runs,
    *,
    names: tuple[str, str] = ("A", "B"),
    along: str | None = None,
    floor: bool | None = None,
    target: str = "loss",
    objective: str = OBJECTIVE,
    level: float = 0.9,
    seed: int = 0,
) -> Comparison:
    """Measure one recipe by another.

    Args:
        control: Runs of the recipe that is the measure.
        treated: Runs of the recipe that is measured.
        names: What the recipes are called.
        along: N, D or C: compare along this scale alone. By default, over N and D where both vary freely, else along C,
            N or D, the first that varies.
        floor: Whether the law has an irreducible loss; by default where the runs show one.
        target: The column compared; lower is better.
        objective: As for `fit`; log-squares by default, whose intervals are right for few runs.
        level: Coverage that intervals aim at.
        seed: Seed of the solver's starts.

    Raises:
        WorthError: A ladder is too poor, the tables count params otherwise, or share runs.
        RunsError: A column is missing.
        FitError: A law cannot be fitted.
    """
    if not 0 < level < 1:
        raise WorthError(f"level {level} must lie between 0 and 1, as in --level 0.9.")
    if names[0] == names[1]:
        raise WorthError(f"both recipes are called {names[0]!r}. Name them apart.")
    for runs in (control, treated):
        runs.numbers(target, "the target")
    _require_apart(control, treated, names, target)
    axes, scale = _axes((control, treated), along)
    ladders = [
        _ladder(runs, axes, target, name, side)
        for runs, name, side in zip((control, treated), names, SIDES, strict=True)
    ]
    for ladder, name in zip(ladders, names, strict=True):
        _require_ladder(ladder, scale, name)
    pairs = matched(*(ladder.select(axes).to_numpy() for ladder in ladders))
    table = pl.concat(ladders)

    def fit(kind: str, shared: NDArray[np.intp] | None = None) -> Fitted:
        law = _law(axes, kind, floor=floor is not False)
        return fitted(table, law, target=target, objective=objective, seed=seed, clusters=shared)

    constant = fit("constant")
    if floor is None:
        floor = _shows_floor(constant)
        constant = constant if floor else fit("constant")
    correlation = _correlation(constant, len(ladders[0]), pairs)
    paired = correlation is not None and correlation > _SHARED_NOISE
    shared = clusters(len(ladders[0]), len(ladders[1]), pairs) if paired else None
    if paired:
        constant = fit("constant", shared)
    free = {kind: fit(kind, shared) for kind in (("exponent", "floor") if floor else ("exponent",))}
    scales = _scale(table, axes)
    at = np.geomspace(scales.min(), scales.max(), _POINTS)
    moving = Gains(free["exponent"].problem, Recipe.of(axes), tuple(np.log(at)))
    found = interval_of(free["exponent"].profiler, moving, "profile", level)
    by_scale = [
        _multiplier(_word(axes), float(x), *ends)
        for x, ends in zip(at, zip(found.value, found.low, found.high, strict=True), strict=False)
    ]
    growth = _multiplier("growth", None, found.value[-1], found.low[-1], found.high[-1])
    exponents, floors = _differences(free["exponent"], level), _differences(free.get("floor"), level)
    verdict = _verdict(free, growth, level)
    told = _constant(constant, axes, level)
    changes = verdict in {EXPONENT, FLOOR, EITHER}
    # To call one better takes more than to give an interval: half the chance of a false word.
    sure = interval_of(free["exponent"].profiler, moving, "profile", _SURE) if changes else None
    largest = (
        _multiplier("", None, *(part[-2] for part in (sure.value, sure.low, sure.high)))
        if sure
        else _constant(constant, axes, _SURE)[-1]
    )
    losses = [ladder[target].to_numpy() for ladder in ladders]
    return Comparison(
        control=names[0],
        treated=names[1],
        formula=constant.problem.law.formula,
        along=scale,
        constant=tuple(told),
        by_scale=tuple(by_scale),
        growth=growth,
        verdict=verdict,
        better={True: names[1], False: names[0], None: None}[largest.above],
        exponents=tuple((name, one) for name, one in exponents if name != "E"),
        floor=next((one for name, one in floors if name == "E"), None),
        shared=len(pairs),
        lower=int(np.sum([losses[1][b] < losses[0][a] for a, b in pairs])),
        correlation=correlation,
        paired=paired,
        level=level,
        cautions=_cautions(ladders, axes, names),
    )


def _require_apart(control: Runs, treated: Runs, names: tuple[str, str], target: str) -> None:
    """Refuse tables that count params by different conventions, or that share runs."""
    counted = [runs.mapping.get("params", "params") for runs in (control, treated)]
    if control.has("params") and treated.has("params") and counted[0] != counted[1]:
        kinds = {name for name in counted if "embed" in name or "active" in name or "total" in name}
        if kinds:
            raise WorthError(
                f"{names[0]} counts params as {counted[0]} and {names[1]} as {counted[1]}: two conventions of N. Map the same "
                "one in both: --map N=COLUMN."
            )
    shared = [
        name for name in ("run", "params", "tokens", "flops", "step", target) if control.has(name) and treated.has(name)
    ]
    rows = [set(runs.frame.select(shared).rows()) for runs in (control, treated)]
    both = rows[0] & rows[1]
    if both:
        row = ", ".join(f"{name} {value}" for name, value in zip(shared, next(iter(both)), strict=True))
        raise WorthError(
            f"{len(both)} run{'s stand' if len(both) > 1 else ' stands'} in both {names[0]} and {names[1]} ({row}): a run has one "
            "recipe. Take them out of one."
        )


def _axes(tables: Sequence[Runs], along: str | None) -> tuple[list[str], str]:
    """The columns of the law, and the symbol of the scale."""
    columns = {"N": "params", "D": "tokens", "C": "flops"}

    def varies(name: str) -> bool:
        return all(_known(runs, name) and len(scale_levels(_numbers(runs, name))) >= _FEWEST for runs in tables)

    if along is not None:
        column = SYMBOLS.get(along, along)
        symbol = next((symbol for symbol, name in columns.items() if name == column), None)
        if symbol is None:
            raise WorthError(f"--along {along}: a scale is N, D or C.")
        return [column], symbol
    if varies("params") and varies("tokens") and not any(map(_one_path, tables)):
        return ["params", "tokens"], "C"
    for symbol in ("C", "N", "D"):
        if varies(columns[symbol]):
            return [columns[symbol]], symbol
    if all(runs.has("params") for runs in tables):
        return ["params"], "N"
    raise WorthError("neither flops, params nor tokens vary in both tables: there is no scale to compare along.")


def _known(runs: Runs, column: str) -> bool:
    """Whether a table has a scale: flops also as 6 N D."""
    return runs.has(column) or (column == "flops" and runs.has("params") and runs.has("tokens"))


def _numbers(runs: Runs, column: str) -> Array:
    """A scale, positive in every row."""
    if column == "flops" and not runs.has("flops"):
        return np.asarray(flops_6nd(_numbers(runs, "params"), _numbers(runs, "tokens")))
    values = runs.numbers(column, "the scale")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise WorthError(
            f"{runs.row_name(int(bad[0]))}: {column} is {runs.shown(column, int(bad[0]))}, and a scale is a positive number. Leave "
            "such rows out: --where."
        )
    return values


def _one_path(runs: Runs) -> bool:
    x, y = (np.log(_numbers(runs, name)) for name in ("params", "tokens"))
    return bool(abs(np.corrcoef(x, y)[0, 1]) > _TOGETHER)


def _ladder(runs: Runs, axes: Sequence[str], target: str, name: str, side: str) -> pl.DataFrame:
    labels = runs.texts("run") if runs.has("run") else np.arange(len(runs)).astype(str)
    columns = {column: _numbers(runs, column) for column in axes}
    values = runs.numbers(target, "the target")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise WorthError(
            f"{runs.row_name(int(bad[0]))}: {target} is {runs.shown(target, int(bad[0]))}. Leave such rows out: --drop-nonfinite."
        )
    scale = np.log(_numbers(runs, axes[0]) if len(axes) == 1 else _numbers(runs, "flops"))
    if np.ptp(scale) > 0 and np.corrcoef(scale, values)[0, 1] > 0:
        raise WorthError(
            f"{target} of {name} rises with scale: what is compared is better when lower. Take an error instead, such as --map "
            f"'error=1-{target}' --target error."
        )
    return pl.DataFrame(
        {
            **columns,
            target: values,
            "recipe": [side] * len(runs),
            "run": [f"{side} {label}" for label in labels],
        }
    )


def _require_ladder(ladder: pl.DataFrame, scale: str, name: str) -> None:
    values = _scale(ladder, [column for column in ladder.columns if column in {"params", "tokens", "flops"}])
    levels = len(scale_levels(values))
    span = float(values.max() / values.min())
    if levels < _FEWEST or span < _NARROWEST:
        raise WorthError(
            f"{name} has {levels} scale{'s' if levels > 1 else ''} of {scale} that span {span:.3g}x: too poor a ladder. At least {_FEWEST} "
            f"scales over {_NARROWEST:g}x are needed to tell a gain from its noise; add runs."
        )


def _scale(table: pl.DataFrame, axes: Sequence[str]) -> Array:
    if len(axes) == 2:
        return np.asarray(flops_6nd(table["params"].to_numpy(), table["tokens"].to_numpy()))
    return np.asarray(table[axes[0]].to_numpy())


def _word(axes: Sequence[str]) -> str:
    return "compute" if len(axes) == 2 else {"params": "size", "tokens": "data", "flops": "compute"}[axes[0]]


def _law(axes: Sequence[str], kind: str, *, floor: bool) -> str:
    """The law of both recipes, in which factors differ, and one thing more."""
    own = "[recipe]"
    rest = f"E{own if kind == 'floor' else ''} + " if floor else ""
    power = own if kind == "exponent" else ""
    symbols = {"params": "N", "tokens": "D", "flops": "C"}
    terms = [
        f"{factor}{own} / {symbols[column]}^{exponent}{power}"
        for column, factor, exponent in zip(axes, "AB", ("alpha", "beta"), strict=False)
    ]
    return rest + " + ".join(terms)


def _shows_floor(constant: Fitted) -> bool:
    """Whether the runs bound the irreducible loss away from zero."""
    problem = constant.problem
    place = [c.name for c in problem.design.numbers(problem.law)].index("E")
    if place in constant.profiler.shape.gone:
        return False
    unit = np.eye(problem.design.size)[[place]]
    low = float(interval_of(constant.profiler, Combinations(unit), "profile", _SURE).low[0])
    return bool(np.exp(low) > _VANISHING * float(np.min(problem.design.target)))


def _correlation(constant: Fitted, first: int, pairs: Sequence[tuple[int, int]]) -> float | None:
    if len(pairs) < _FEWEST:
        return None
    residual = constant.profiler.optimum.residuals
    one, other = (
        np.array([residual[place] for place in places])
        for places in zip(*((a, first + b) for a, b in pairs), strict=True)
    )
    # Residuals sum to about zero in each recipe, whose factor is its own.
    both = np.std(one) * np.std(other)
    return float(np.mean((one - one.mean()) * (other - other.mean())) / both) if both else None


def _multiplier(of: str, at: float | None, value: float, low: float, high: float) -> Multiplier:
    with np.errstate(over="ignore"):
        ends = [float(np.exp(end)) for end in (value, low, high)]
    return Multiplier(
        of=of,
        at=at,
        value=ends[0],
        low=ends[1] if np.isfinite(ends[1]) and ends[1] > 0 else None,
        high=ends[2] if np.isfinite(ends[2]) else None,
    )


def _constant(constant: Fitted, axes: Sequence[str], level: float) -> list[Multiplier]:
    """The multipliers of size, data and compute, the last along the scale."""
    gains = Gains(constant.problem, Recipe.of(axes), ())
    found = interval_of(constant.profiler, gains, "profile", level)
    words = ("size", "data", "compute") if len(axes) == 2 else (_word(axes),)
    return [
        _multiplier(word, None, *ends)
        for word, ends in zip(words, zip(found.value, found.low, found.high, strict=True), strict=True)
    ]


def _differences(free: Fitted | None, level: float) -> list[tuple[str, Multiplier]]:
    """The treated recipe's exponents and floor over the control's: ratios, since their internal numbers are logarithms."""
    if free is None:
        return []
    problem = free.problem
    names = coefficient_names(problem.law, problem.design.level_names)
    wanted = [c.name for c in problem.law.free if c.group and c.name in {"E", "alpha", "beta"}]
    weights = np.zeros((len(wanted), len(names)))
    control, treated = SIDES
    for row, name in enumerate(wanted):
        weights[row, names.index(f"{name}[{treated}]")] = 1.0
        weights[row, names.index(f"{name}[{control}]")] = -1.0
    found = interval_of(free.profiler, Combinations(weights), "profile", level)
    return [
        (name, _multiplier(name, None, *ends))
        for name, ends in zip(wanted, zip(found.value, found.low, found.high, strict=True), strict=True)
    ]


def _verdict(free: dict[str, Fitted], growth: Multiplier, level: float) -> str:
    del level
    changed = {
        kind: any(one.above is not None for _, one in _differences(found, _SURE)) for kind, found in free.items()
    }
    if not any(changed.values()):
        low, high = growth.low, growth.high
        steady = low is not None and high is not None and low > 1 / MARGIN and high < MARGIN
        return CONSTANT if steady else UNDETERMINED
    if len(free) == 1:
        return EXPONENT
    noise = free["exponent"].profiler.shape.noise_scale
    gap = free["floor"].profiler.lowest - free["exponent"].profiler.lowest
    if abs(gap) * 2 <= _NEAR * noise:
        return EITHER
    return EXPONENT if gap > 0 else FLOOR


def _cautions(ladders: Sequence[pl.DataFrame], axes: Sequence[str], names: tuple[str, str]) -> tuple[Caution, ...]:
    one, other = (_scale(ladder, axes) for ladder in ladders)
    if other.min() > one.max() or one.min() > other.max():
        text = (
            f"the scales of {names[0]} and {names[1]} do not overlap ({format_count(one.min())} to {format_count(one.max())}, and "
            f"{format_count(other.min())} to {format_count(other.max())}): the comparison is all extrapolation. Are their units the same?"
        )
    elif not 0.5 <= other.max() / one.max() <= 2:
        text = (
            f"the largest run of {names[1]} has {other.max() / one.max():.3g} times the scale of that of {names[0]}: beyond the smaller one "
            "the comparison rests on an extrapolated law."
        )
    else:
        return ()
    return (Caution("scales_differ", text),)
