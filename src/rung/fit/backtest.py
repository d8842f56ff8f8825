"""The verb: how wrong a law would have been about the larger scales of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.errors import FitError
from rung.fit.cuts import CUTS, SAME_SCALE, Scored, choose_cuts, scale_levels, score
from rung.fit.discrepancy import Discrepancy, learn, prior
from rung.fit.objective import Objective
from rung.fit.search import search
from rung.fit.setup import Setup, scale_of, set_up
from rung.fit.student import student_quantile
from rung.laws import Law
from rung.laws.tree import Array

MOST_ROWS = 5_000
"""Rows that a backtest is made on at most, a random part of a longer table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutScore:
    """One cut: a fit on the rows up to a scale, scored on the rows beyond.

    Attributes:
        at: The largest scale fitted.
        rows: Rows fitted.
        scored: Rows scored.
        factor: The farthest of those, as a multiple of `at`.
        bias: Median of forecast minus measurement, relative to the measurement.
        error: Median of its size.
        inside: Share of measurements inside the interval of a new run; None where the cut does not determine the law.
        last_error: The same error for the baseline that repeats the largest scale fitted.
        line_error: The same for a straight line in the logarithms.
    """

    at: float
    rows: int
    scored: int
    factor: float
    bias: float
    error: float
    inside: float | None
    last_error: float
    line_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A law scored on scales that it was not fitted to.

    Attributes:
        by: What was cut along.
        level: Coverage that the intervals aimed at.
        cuts: Each cut, by rising scale.
        skipped: The scales of cuts at which the law could not be fitted.
        bias: Median relative error over all cuts, each with the same weight.
        error: Median of its size.
        inside: Share of measurements inside their interval; None where no cut has one.
        last_error: Error of the baseline that repeats the largest scale fitted.
        line_error: Error of the baseline of a straight line.
    """

    by: str
    level: float
    cuts: tuple[CutScore, ...]
    skipped: tuple[float, ...]
    bias: float
    error: float
    inside: float | None
    last_error: float
    line_error: float

    def to_dict(self) -> dict[str, Any]:
        """The backtest as plain values."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        cuts = [{name: getattr(cut, name) for name in cut.__dataclass_fields__} for cut in self.cuts]
        return {**content, "cuts": cuts, "skipped": list(self.skipped)}


def backtest(
    runs: Any,
    law: str | Law = "chinchilla",
    *,
    by: str | None = None,
    cuts: int = CUTS,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Backtest:
    """Fit a law to the smaller scale of a table and score it on the larger, over rolling cuts.

    Args:
        runs: A table, as for `fit`.
        law: A law, as for `fit`.
        by: The symbol or column to cut along; flops by default, else the law's first variable.
        cuts: How many cuts, at most.
        objective: As for `fit`, and so the others.
        delta: See `fit`.
        target: See `fit`.
        weights: See `fit`.
        fix: See `fit`.
        level: Coverage that the intervals of a new run aim at.
        seed: Seed of the starts.

    Raises:
        RunsError: The table cannot be read or used.
        FormulaError: The formula cannot be read.
        FitError: The law cannot be fitted, or the table has too few scales to hold some out.
    """
    if not 0 < level < 1:
        raise FitError(f"level {level} must lie between 0 and 1, as in --level 0.9.")
    if cuts < 1:
        raise FitError(f"{cuts} cuts: a backtest needs at least one.")
    setup = set_up(runs, law, objective=objective, delta=delta, target=target, weights=weights, fix=fix)
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        internal = search(setup.problem, rng).internal
        found = roll(setup, internal, rng, by=by, most=cuts)
        if found.scored is None:
            raise FitError(_too_few(setup, found))
        return found.summary(setup.problem.objective, prior(), level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """A rolling backtest before it is summed up.

    Attributes:
        by: What was cut along; None where the law has no positive variable.
        scale: Its value in each row (n,).
        cuts: The largest scale of each fit.
        scored: The scored rows; None where there is no cut, or the law could be fitted at none.
    """

    by: str | None
    scale: Array
    cuts: Array
    scored: Scored | None

    def summary(self, objective: Objective, before: Discrepancy, level: float) -> Backtest:
        """The backtest as told to people; its intervals know the smaller cuts and the studies alone."""
        assert self.scored is not None
        assert self.by is not None
        scored = self.scored
        half = half_widths(scored, self.scale, self.cuts, before, level)
        measured = objective.untransform(scored.measured)
        size = np.maximum(np.abs(measured), 1e-300)
        relative = {
            name: (objective.untransform(getattr(scored, name)) - measured) / size
            for name in ("forecast", "last", "line")
        }
        inside = np.where(np.isfinite(half), np.abs(scored.error) <= half, np.nan)
        told = []
        for place in np.unique(scored.cut):
            rows = scored.cut == place
            told.append(
                CutScore(
                    at=float(self.cuts[place]),
                    rows=int(np.sum(self.scale <= self.cuts[place])),
                    scored=int(np.sum(rows)),
                    factor=float(np.exp(np.max(scored.distance[rows]))),
                    bias=float(np.median(relative["forecast"][rows])),
                    error=float(np.median(np.abs(relative["forecast"][rows]))),
                    inside=float(np.mean(inside[rows])) if np.all(np.isfinite(inside[rows])) else None,
                    last_error=float(np.median(np.abs(relative["last"][rows]))),
                    line_error=float(np.median(np.abs(relative["line"][rows]))),
                )
            )
        judged = inside[np.isfinite(inside)]
        fitted = {cut.at for cut in told}
        return Backtest(
            by=self.by,
            level=level,
            cuts=tuple(told),
            skipped=tuple(float(at) for at in self.cuts if float(at) not in fitted),
            bias=float(np.median([cut.bias for cut in told])),
            error=float(np.median([cut.error for cut in told])),
            inside=float(np.mean(judged)) if len(judged) else None,
            last_error=float(np.median([cut.last_error for cut in told])),
            line_error=float(np.median([cut.line_error for cut in told])),
        )


NOT_ROLLED = Rolled(by=None, scale=np.empty(0), cuts=np.empty(0), scored=None)


def roll(setup: Setup, internal: Array, rng: np.random.Generator, *, by: str | None = None, most: int = CUTS) -> Rolled:
    """Fit and score at every cut, on a random part of a long table."""
    found = scale_of(setup, by)
    if found is None:
        return NOT_ROLLED
    name, scale = found
    problem = setup.problem
    if problem.design.rows > MOST_ROWS:
        rows = np.sort(rng.permutation(problem.design.rows)[:MOST_ROWS])
        problem, scale = problem.part(rows), scale[rows]
    cuts = choose_cuts(problem, scale, most)
    scored = score(problem, scale, cuts, internal, rng) if len(cuts) else None
    return Rolled(by=name, scale=scale, cuts=cuts, scored=scored)


def half_widths(scored: Scored, scale: Array, cuts: Array, before: Discrepancy, level: float) -> Array:
    """Half width of each scored row's interval on the residual's scale (m,), as the cut could have known it.

    What the law strays by is learnt from the smaller cuts alone, scored on rows that this cut was fitted to.
    """
    half = np.full(len(scored.cut), np.nan)
    for place in np.unique(scored.cut):
        rows = scored.cut == place
        seen = (scored.cut < place) & (scale[scored.row] <= cuts[place])
        known = learn(scored.take(seen), before) if seen.any() else before
        wander = known.spread(scored.distance[rows], 1.0) * scored.noise[rows]
        spread = np.sqrt(scored.law_error[rows] ** 2 + scored.noise[rows] ** 2 + wander**2)
        half[rows] = student_quantile((1 + level) / 2, max(int(np.sum(scale <= cuts[place])) - 5, 1)) * spread
    return half


def _too_few(setup: Setup, found: Rolled) -> str:
    source = setup.table.source
    if found.by is None:
        return f"{source}: the law has no positive variable to cut along. Name a column: --by."
    if len(found.cuts):
        return f"{source}: the law could not be fitted below any of {len(found.cuts)} cuts along {found.by}. Try a simpler law."
    levels = len(scale_levels(found.scale))
    return (
        f"{source} has {levels} distinct scale{'s' if levels > 1 else ''} of {found.by} (within {100 * (SAME_SCALE - 1):.0f} %) in "
        f"{len(found.scale)} rows: too few to hold the largest out and still fit {setup.problem.design.size} coefficients. Add runs at "
        "other scales, or cut along another column (--by)."
    )
