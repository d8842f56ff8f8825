"""The backtest: how wrong a law fitted to smaller scales would have been about the larger scales of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.backtest.discrepancy import Discrepancy, discrepancy_prior, learn
from rung.fitting.backtest.folds import CUTS, SAME_SCALE, ScoredRows, choose_cuts, scale_levels, score
from rung.fitting.backtest.scale import Scale, scale_of
from rung.fitting.estimate.multistart import search
from rung.fitting.estimate.objective import Objective
from rung.fitting.estimate.problem import Problem
from rung.fitting.estimate.setup import Setup, set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.uncertainty.distributions import student_quantile
from rung.laws import Law
from rung.messages import counted
from rung.results import Result, Summary, Table, plain_fields
from rung.units import format_count, format_percent

MOST_ROWS = 5_000
"""Most rows of a backtest; of a longer table, a random part is used."""

_COEFFICIENTS = 5
"""Number of coefficients K in the degrees of freedom n - K of a cut's interval: that of the default law."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutScore:
    """One cut: a fit on the rows up to a scale, scored on the rows beyond.

    Attributes:
        at: The largest scale fitted.
        rows: Rows fitted.
        scored: Rows scored.
        factor: The largest scale scored, as a multiple of `at`.
        bias: Median of the relative error, (forecast - measurement) / |measurement|.
        error: Median of its absolute value.
        inside: Share of measurements inside the prediction interval; None where the cut does not determine the law.
        last_error: `error` of the baseline that repeats the target at the largest scale fitted.
        line_error: `error` of the baseline of a straight line in the logarithm of scale.
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Backtest(Result):
    """A law scored on scales that it was not fitted to.

    Attributes:
        along: The symbol or column of the scale that was cut along.
        column: The column of the file that compute was read from; empty for 6 N D, and for other scales.
        level: Nominal coverage of the intervals.
        cuts: Each cut, in ascending order of scale.
        skipped: Scales of the cuts at which the law could not be fitted.
        bias: Median of the biases of the cuts.
        error: Median of the errors of the cuts.
        inside: Share of measurements inside their prediction interval; None where no cut has one.
        last_error: Median `last_error` of the cuts.
        line_error: Median `line_error` of the cuts.
    """

    along: str
    level: float
    cuts: tuple[CutScore, ...]
    skipped: tuple[float, ...]
    bias: float
    error: float
    inside: float | None
    last_error: float
    line_error: float
    column: str = ""

    def headline(self) -> str:
        """Medians over the cuts."""
        inside = (
            "" if self.inside is None else f", {100 * self.inside:.0f} % inside the {100 * self.level:g} % interval"
        )
        return (
            f"backtest   {counted(len(self.cuts), 'cut')} along {shown_scale(self.along, self.column)}: error {format_percent(self.error)}, "
            f"bias {format_percent(self.bias, signed=True)}{inside}; repeating the largest run "
            f"{format_percent(self.last_error)}, a straight line {format_percent(self.line_error)}"
        )

    def describe(self) -> Summary:
        """Every cut, and the medians."""
        rows = [
            [
                f"{self.along} up to {format_count(cut.at)}",
                str(cut.rows),
                str(cut.scored),
                f"{cut.factor:.3g}x",
                format_percent(cut.bias, signed=True),
                *map(format_percent, (cut.error, cut.inside, cut.last_error, cut.line_error)),
            ]
            for cut in self.cuts
        ]
        header = [
            "fitted on",
            "rows",
            "scored",
            "farthest",
            "bias",
            "error",
            "inside",
            "repeat largest",
            "straight line",
        ]
        skipped = [
            f"no fit with {self.along} up to {format_count(at)}: the law could not be fitted there, or no row was "
            "left to score"
            for at in self.skipped
        ]
        return Summary([Table(header, rows), *skipped, self.headline()])

    def to_frame(self) -> pl.DataFrame:
        """One row per cut."""
        names = CutScore.__dataclass_fields__
        return pl.DataFrame({name: [getattr(cut, name) for cut in self.cuts] for name in names})

    def to_dict(self) -> dict[str, Any]:
        """The backtest as plain values."""
        content = plain_fields(self)
        cuts = [plain_fields(cut) for cut in self.cuts]
        return {**content, "cuts": cuts, "skipped": list(self.skipped)}


def backtest(
    runs: Any,
    law: str | Law = "chinchilla",
    *,
    along: str | None = None,
    cuts: int = CUTS,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Backtest:
    """Fit a law to the smaller scales of a table and score it on the larger ones, over rolling cuts.

    Args:
        runs: A table, as for `fit`.
        law: A law, as for `fit`.
        along: The symbol or column to cut along; C by default, else the law's first variable.
        cuts: Most cuts.
        objective: See `fit`.
        delta: See `fit`.
        target: See `fit`.
        weights: See `fit`.
        fix: See `fit`.
        level: Coverage of the prediction intervals.
        seed: Seed of the starts.

    Raises:
        RunsError: The table cannot be read or used.
        FormulaError: The formula cannot be read.
        FitError: The law cannot be fitted, or the table has too few scales to hold some out.
    """
    if cuts < 1:
        raise FitError(f"cuts is {cuts}, and must be at least 1.")
    setup = set_up(
        runs,
        FitSpecification(
            law=law,
            objective=objective,
            delta=delta,
            target=target,
            weights=weights,
            fix=fix or {},
            level=level,
            seed=seed,
        ),
    )
    problem = setup.problem
    with np.errstate(all="ignore"):
        unconstrained = search(problem, np.random.default_rng(seed)).unconstrained
        rolled = roll(problem, scale_of(setup, along), unconstrained, seed, cuts)
        if rolled.scored is None:
            raise FitError(_too_few(setup, rolled))
        found = rolled.summary(problem.objective, discrepancy_prior(), level)
        if not np.isfinite(found.error):
            raise FitError(f"{problem.law.formula!r} is too large for a number at the larger scales. Take another law.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingBacktest:
    """A rolling backtest before it is summarised.

    Attributes:
        along: The scale that was cut along; None where the law has no positive variable.
        column: The column of the file that compute was read from; empty for 6 N D, and for other scales.
        scale: Its value in each row (n,).
        cuts: The largest scale of each fit.
        scored: The scored rows; None where there is no cut, or the law could not be fitted at any.
    """

    along: str | None
    scale: Array
    cuts: Array
    scored: ScoredRows | None
    column: str = ""

    def summary(self, objective: Objective, prior: Discrepancy, level: float) -> Backtest:
        """The backtest as a result; intervals use only the smaller cuts and the prior from public studies."""
        assert self.scored is not None
        assert self.along is not None
        scored = self.scored
        half = half_widths(scored, self.scale, self.cuts, prior, level)
        measured = objective.untransform(scored.measured)
        size = np.maximum(np.abs(measured), 1e-300)
        relative = {
            name: (objective.untransform(getattr(scored, name)) - measured) / size
            for name in ("forecast", "last", "line")
        }
        inside = np.where(np.isfinite(half), np.abs(scored.error) <= half, np.nan)
        scores = [self._cut_score(int(cut), relative, inside) for cut in np.unique(scored.cut)]
        judged = inside[np.isfinite(inside)]
        fitted = {cut.at for cut in scores}
        return Backtest(
            along=self.along,
            column=self.column,
            level=level,
            cuts=tuple(scores),
            skipped=tuple(float(at) for at in self.cuts if float(at) not in fitted),
            bias=float(np.median([cut.bias for cut in scores])),
            error=float(np.median([cut.error for cut in scores])),
            inside=float(np.mean(judged)) if len(judged) else None,
            last_error=float(np.median([cut.last_error for cut in scores])),
            line_error=float(np.median([cut.line_error for cut in scores])),
        )

    def _cut_score(self, cut: int, relative: Mapping[str, Array], inside: Array) -> CutScore:
        """The score of one cut, from the relative errors of the law and of the baselines (m,)."""
        assert self.scored is not None
        rows = self.scored.cut == cut
        return CutScore(
            at=float(self.cuts[cut]),
            rows=int(np.sum(self.scale <= self.cuts[cut])),
            scored=int(np.sum(rows)),
            factor=float(np.exp(np.max(self.scored.distance[rows]))),
            bias=float(np.median(relative["forecast"][rows])),
            error=float(np.median(np.abs(relative["forecast"][rows]))),
            inside=float(np.mean(inside[rows])) if np.all(np.isfinite(inside[rows])) else None,
            last_error=float(np.median(np.abs(relative["last"][rows]))),
            line_error=float(np.median(np.abs(relative["line"][rows]))),
        )


def shown_scale(along: str, column: str) -> str:
    """A scale in a sentence, with the column that compute was read from."""
    return f"{along} ({column})" if column and column != along else along


NOT_ROLLED = RollingBacktest(along=None, scale=np.empty(0), cuts=np.empty(0), scored=None)


_STREAM = 2
"""Tells the random numbers of the folds from those of the fit, which depend on how many draws it makes."""


def roll(problem: Problem, scale: Scale | None, unconstrained: Array, seed: int, cuts: int = CUTS) -> RollingBacktest:
    """Fit and score at every cut, on a random part of a long table.

    Args:
        problem: The law over all rows.
        scale: The scale to cut along; None where the law has no positive variable.
        unconstrained: Unconstrained parameters of the optimum on all rows (K,).
        seed: Seed of the rows and of new starts; they have a stream of their own, so that a fit and its backtest agree.
        cuts: Most cuts.
    """
    if scale is None:
        return NOT_ROLLED
    values = scale.values
    rng = np.random.default_rng([seed, _STREAM])
    if problem.design.rows > MOST_ROWS:
        rows = np.sort(rng.permutation(problem.design.rows)[:MOST_ROWS])
        problem, values = problem.part(rows), values[rows]
    at = choose_cuts(problem, values, cuts)
    scored = score(problem, values, at, unconstrained, rng) if len(at) else None
    return RollingBacktest(along=scale.name, scale=values, cuts=at, scored=scored, column=scale.column)


def half_widths(scored: ScoredRows, scale: Array, cuts: Array, prior: Discrepancy, level: float) -> Array:
    """Half width of each scored row's prediction interval on the residual's scale (m,), as known at its cut.

        half = t sqrt(law_error^2 + noise^2 + discrepancy^2),   t = t_((1 + level) / 2) with n - 5 degrees of freedom

    for the n rows of the cut. The model discrepancy is learnt from the smaller cuts only, on the scored rows that this
    cut was fitted to.
    """
    half = np.full(len(scored.cut), np.nan)
    for cut in np.unique(scored.cut):
        rows = scored.cut == cut
        seen = (scored.cut < cut) & (scale[scored.row] <= cuts[cut])
        learnt = learn(scored.take(seen), prior) if seen.any() else prior
        beyond = learnt.std(scored.distance[rows], 1.0) * scored.noise[rows]
        std = np.sqrt(scored.law_error[rows] ** 2 + scored.noise[rows] ** 2 + beyond**2)
        degrees = max(int(np.sum(scale <= cuts[cut])) - _COEFFICIENTS, 1)
        half[rows] = student_quantile((1 + level) / 2, degrees) * std
    return half


def _too_few(setup: Setup, found: RollingBacktest) -> str:
    source = setup.table.source
    if found.along is None:
        return f"{source}: the law has no positive variable to cut along. Name a column: --along."
    if len(found.cuts):
        return (
            f"{source}: the law could not be fitted at any cut along {found.along} ({len(found.cuts)} tried). "
            "Try a simpler law."
        )
    levels = len(scale_levels(found.scale))
    return (
        f"{source} has {counted(levels, 'distinct scale')} of {found.along} (within {100 * (SAME_SCALE - 1):.0f} %) "
        f"in {counted(len(found.scale), 'row')}: too few to hold out the largest and still fit "
        f"{counted(setup.problem.design.size, 'coefficient')}. Add runs at other scales, or cut along another column "
        "(--along)."
    )
