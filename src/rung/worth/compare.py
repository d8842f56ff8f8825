"""What one recipe is worth against another, and whether the gain lasts with scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import WorthError
from rung.fitting import Fitted, fitted
from rung.fitting.estimate import Combinations, coefficient_names
from rung.fitting.uncertainty import interval_of
from rung.messages import require_level
from rung.runs import as_runs
from rung.worth.comparison import CONSTANT, EITHER, EXPONENT, FLOOR, UNDETERMINED, Comparison, Multiplier
from rung.worth.matched_runs import Match, clusters, matched
from rung.worth.multipliers import SIDES, Gains, Recipe
from rung.worth.two_ladders import Ladders, ladder_findings, read_ladders, scale_of

OBJECTIVE = "log-squares"
MARGIN = 1.25
"""The most by which a multiplier may change over the runs and be called constant, as a factor."""

_SURE = 0.95
"""Coverage of the interval of the irreducible loss from which the runs show one."""

_CERTAIN = 0.98
"""Coverage of the intervals behind a verdict. A gain is looked for at the largest scale, in the exponent and in the floor:
at 0.95 each, equal recipes would be told apart in one comparison of nine, at 0.98 in one of 25 (benchmarks/comparisons.py)."""

_FEWEST_PAIRS = 4
_ALONE = 4
"""Runs for each scale of the law up to which one recipe by itself is not asked for its irreducible loss."""

_POINTS = 5
_SHARED_NOISE = 0.5
"""Correlation of the residuals of matched runs from which they are taken as pairs."""

_VANISHING = 0.02
"""Share of the lowest loss under which an irreducible loss counts as none."""

_NEAR = 2.0
"""Difference of two objectives, in twice their noise, within which neither form is preferred."""


def compare(
    control: Any,
    treated: Any,
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
        control: Runs of the control recipe, or anything that `read_runs` takes.
        treated: Runs of the recipe that is measured, likewise.
        names: What the recipes are called.
        along: N, D or C: compare along this scale alone. By default over N and D where both vary freely, else along C,
            N or D, the first that varies.
        floor: Whether the law has an irreducible loss; by default where the runs show one.
        target: The column compared; lower is better.
        objective: As for `fit`; log-squares by default, whose intervals are right for few runs.
        level: Coverage of the intervals.
        seed: Seed of the solver's starts.

    Raises:
        WorthError: A table has too few runs, the tables count params differently, or share runs.
        RunsError: A column is missing.
        FitError: A law cannot be fitted.
    """
    require_level(level, WorthError)
    if names[0] == names[1]:
        raise WorthError(f"both recipes are called {names[0]!r}. Name them apart.")
    ladders = read_ladders(as_runs(control).without_repeats(), as_runs(treated).without_repeats(), names, along, target)
    pairs = matched(*(one.select(ladders.axes).to_numpy() for one in (ladders.control, ladders.treated)))
    fits = _fits(ladders, pairs, objective, seed, floor=floor)
    return _comparison(ladders, names, pairs, fits, target, level)


def _comparison(
    ladders: Ladders,
    names: tuple[str, str],
    pairs: Sequence[Match],
    fits: _Fits,
    target: str,
    level: float,
) -> Comparison:
    """The verdict and the multipliers that the fits give."""
    scales = scale_of(ladders.both, ladders.axes)
    at = np.geomspace(scales.min(), scales.max(), _POINTS)
    growth = _along(fits.free["exponent"], ladders, at, level)[-1]
    verdict = _verdict(fits.free, growth)
    # The multiplier along the scale comes from the form that the verdict names.
    form = fits.free["floor" if verdict == FLOOR else "exponent"]
    *by_scale, growth = _along(form, ladders, at, level)
    # To call one recipe better takes more than to give an interval: half the probability of a wrong word.
    changes = verdict in {EXPONENT, FLOOR, EITHER}
    largest = _along(form, ladders, at, _CERTAIN)[-2] if changes else _constant(fits.constant, ladders, _CERTAIN)[-1]
    losses = [one[target].to_numpy() for one in (ladders.control, ladders.treated)]
    return Comparison(
        control=names[0],
        treated=names[1],
        formula=fits.constant.problem.law.formula,
        along=ladders.along,
        constant=tuple(_constant(fits.constant, ladders, level)),
        by_scale=tuple(by_scale),
        growth=growth,
        verdict=verdict,
        better={True: names[1], False: names[0], None: None}[largest.above],
        exponents=tuple(_differences(fits.free["exponent"], level)),
        floor=_differences(fits.free["floor"], level)[0][1] if "floor" in fits.free else None,
        shared=len(pairs),
        lower=sum(bool(losses[1][one.second].mean() < losses[0][one.first].mean()) for one in pairs),
        runs=(len(ladders.control), len(ladders.treated)),
        correlation=fits.correlation,
        paired=fits.paired,
        level=level,
        warnings=ladder_findings(ladders, names),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fits:
    """The laws of both recipes.

    Attributes:
        constant: That of a constant gain.
        free: With exponents or a floor of each recipe's own, by what is free.
        correlation: Correlation of the residuals of matched runs; None with too few.
        paired: Whether those were taken as pairs.
    """

    constant: Fitted
    free: dict[str, Fitted]
    correlation: float | None
    paired: bool


def _fits(ladders: Ladders, pairs: Sequence[Match], objective: str, seed: int, *, floor: bool | None) -> _Fits:
    table = ladders.both

    def fit(kind: str, shared: NDArray[np.intp] | None = None, *, floor: bool) -> Fitted:
        law = _law(ladders.axes, kind, floor=floor)
        return fitted(table, law, target=ladders.target, objective=objective, seed=seed, clusters=shared)

    constant = fit("constant", floor=floor is not False)
    if floor is None:
        floor = _shows_floor(constant) or any(
            _alone(ladders, one, objective, seed) for one in (ladders.control, ladders.treated)
        )
        constant = constant if floor else fit("constant", floor=floor)
    first, second = len(ladders.control), len(ladders.treated)
    correlation = _correlation(constant, first, pairs)
    paired = correlation is not None and correlation > _SHARED_NOISE
    shared = clusters(first, second, pairs) if paired else None
    return _Fits(
        constant=fit("constant", shared, floor=floor) if paired else constant,
        free={kind: fit(kind, shared, floor=floor) for kind in (("exponent", "floor") if floor else ("exponent",))},
        correlation=correlation,
        paired=paired,
    )


def _alone(ladders: Ladders, ladder: pl.DataFrame, objective: str, seed: int) -> bool:
    """Whether one recipe by itself shows an irreducible loss: where the floors differ, one for both may show none."""
    law = _law(ladders.axes, "constant", floor=True, own="")
    if len(ladder) <= _ALONE * len(ladders.axes):
        return False
    return _shows_floor(fitted(ladder, law, target=ladders.target, objective=objective, seed=seed))


def _law(axes: Sequence[str], kind: str, *, floor: bool, own: str = "[recipe]") -> str:
    """The law of both recipes, in which factors differ, and one thing more."""
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
    index = [c.name for c in problem.design.parameters(problem.law)].index("E")
    if index in constant.profiler.curvature.inactive:
        return False
    unit = np.eye(problem.design.size)[[index]]
    low = float(interval_of(constant.profiler, Combinations(unit), "profile", _SURE).low[0])
    return bool(np.exp(low) > _VANISHING * float(np.min(problem.design.target)))


def _correlation(constant: Fitted, first: int, pairs: Sequence[Match]) -> float | None:
    if len(pairs) < _FEWEST_PAIRS:
        return None
    residual = constant.profiler.optimum.residuals
    one, other = (
        np.array([residual[rows].mean() for rows in indices])
        for indices in zip(*((match.first, first + match.second) for match in pairs), strict=True)
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


def _constant(constant: Fitted, ladders: Ladders, level: float) -> list[Multiplier]:
    """The multipliers of size, data and compute, the last along the scale."""
    gains = Gains(constant.problem, Recipe.of(ladders.axes), ())
    found = interval_of(constant.profiler, gains, "profile", level)
    words = ("size", "data", "compute") if len(ladders.axes) == 2 else (ladders.word,)
    return [
        _multiplier(word, None, *ends)
        for word, ends in zip(words, zip(found.value, found.low, found.high, strict=True), strict=True)
    ]


def _along(form: Fitted, ladders: Ladders, at: Array, level: float) -> list[Multiplier]:
    """The multiplier at each scale, and last what it is at the last scale over the first."""
    gains = Gains(form.problem, Recipe.of(ladders.axes), tuple(np.log(at)))
    found = interval_of(form.profiler, gains, "profile", level)
    names = [(ladders.word, float(x)) for x in at] + [("growth", None)]
    return [
        _multiplier(of, x, *ends)
        for (of, x), ends in zip(names, zip(found.value, found.low, found.high, strict=True), strict=True)
    ]


def _differences(free: Fitted, level: float) -> list[tuple[str, Multiplier]]:
    """The treated recipe's exponents or floor over the control's: ratios, since their unconstrained parameters are logarithms."""
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


def _verdict(free: dict[str, Fitted], growth: Multiplier) -> str:
    changed = {
        kind: any(one.above is not None for _, one in _differences(found, _CERTAIN)) for kind, found in free.items()
    }
    if not any(changed.values()):
        low, high = growth.low, growth.high
        steady = low is not None and high is not None and low > 1 / MARGIN and high < MARGIN
        return CONSTANT if steady else UNDETERMINED
    if len(free) == 1:
        return EXPONENT
    noise = free["exponent"].profiler.curvature.noise_scale
    gap = free["floor"].profiler.lowest - free["exponent"].profiler.lowest
    if abs(gap) * 2 <= _NEAR * noise:
        return EITHER
    return EXPONENT if gap > 0 else FLOOR
