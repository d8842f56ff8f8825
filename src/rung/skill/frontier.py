"""What a size can reach: the upper quantile of scores over scale, checked on later models where dates are known.

    q(u) = floor + span / (1 + exp(-k (u - middle))),    u = log scale

minimises the pinball loss tau r + eps log(1 + exp(-r / eps)) of r = score - q(u), which is the quantile's as eps goes to 0, with weak
penalties on slope and middle. Intervals resample models. With a column of dates the frontier is also fitted to the earlier models alone,
and its coverage counted on the later ones: a frontier that moves with time falls short there.

Source: Zhang et al. 2026, arXiv:2602.15327, for the quantile frontier in pretraining compute and its check on later models.
Differs: the fit is smoothed and penalised, and the check is part of every answer.

Shapes: `n` models, `B` resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.findings import Finding
from rung.laws import column_of
from rung.messages import did_you_mean, listed, require_level
from rung.results import Result, Summary, Table
from rung.runs import Runs, as_runs
from rung.units import format_count, format_interval

_FEWEST = 30
_SMOOTH = 0.003
_RESAMPLES = 60
_EARLIER = 0.7
"""Share of the models, by date, that are earlier."""

_MOVED = 0.02
"""By how much coverage on later models may differ from the quantile."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricFrontier:
    """The frontier of one metric.

    Attributes:
        metric: The metric.
        models: How many models.
        coefficients: floor, span, log k and middle (4,).
        points: Scale and score of the models (n, 2).
        reach: What each asked scale reaches, with its interval.
        inside: The share of the models at or below the frontier.
        later: How many models are later, and the share of them at or below the frontier of the earlier ones; None without dates.
    """

    metric: str
    models: int
    coefficients: Array
    points: Array
    reach: tuple[tuple[float, float, float], ...]
    inside: float
    later: tuple[int, float] | None

    def __call__(self, scale: Array) -> Array:
        """What a scale reaches, of the shape of the scales."""
        return _curve(self.coefficients, np.log(scale))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Frontiers(Result):
    """What sizes can reach.

    Attributes:
        frontiers: Each metric.
        along: The column of the scale.
        asked: The scales that are asked about.
        quantile: The quantile that is the frontier.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    frontiers: tuple[MetricFrontier, ...]
    along: str
    asked: tuple[float, ...]
    quantile: float
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """What the largest asked scale reaches, or how many frontiers hold on later models."""
        if self.asked:
            told = [f"{one.metric} {one.reach[-1][0]:.3f}" for one in self.frontiers]
            return f"{self.along} {format_count(self.asked[-1])} reaches {listed(told, most=4)}"
        checked = [one for one in self.frontiers if one.later]
        held = sum(abs(one.later[1] - self.quantile) <= _MOVED for one in checked if one.later)
        return f"{held} of {len(checked)} frontiers hold on later models" if checked else f"frontiers of {len(self.frontiers)} metrics"  # fmt: skip

    def describe(self) -> Summary:
        """Each metric: what is reached, and the check on later models."""
        rows = [
            [
                one.metric,
                str(one.models),
                *(f"{value:.3f} ({format_interval(low, high, lambda end: f'{end:.3f}')})" for value, low, high in one.reach),
                f"{one.inside:.3f}",
                "-" if one.later is None else f"{one.later[1]:.3f} of {one.later[0]}",
            ]
            for one in self.frontiers
        ]  # fmt: skip
        asked = [f"at {self.along} {format_count(one)}" for one in self.asked]
        header = [f"{self.quantile:g} quantile of", "models", *asked, "below it", "later models below it"]
        return Summary([Table(header, rows), f"verdict  {self.headline()}"])

    def to_frame(self) -> pl.DataFrame:
        """One row per metric and asked scale."""
        rows = [
            {"metric": one.metric, self.along: scale, "reach": value, "low": low, "high": high}
            for one in self.frontiers
            for scale, (value, low, high) in zip(self.asked, one.reach, strict=True)
        ]
        return pl.DataFrame(rows, schema={"metric": pl.String, self.along: pl.Float64, "reach": pl.Float64, "low": pl.Float64, "high": pl.Float64})  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The frontiers as plain values."""
        return {
            "along": self.along,
            "quantile": self.quantile,
            "asked": list(self.asked),
            "level": self.level,
            "frontiers": [
                {
                    "metric": one.metric,
                    "models": one.models,
                    "reach": [list(value) for value in one.reach],
                    "inside": one.inside,
                    "later": None if one.later is None else {"models": one.later[0], "inside": one.later[1]},
                }
                for one in self.frontiers
            ],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def frontiers(
    models: Any,
    metrics: Sequence[str],
    *,
    along: str = "C",
    asked: Sequence[float] = (),
    quantile: float = 0.98,
    date: str | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Frontiers:
    """What sizes can reach.

    Args:
        models: A table of models, a row each.
        metrics: Columns of scores; higher is better.
        along: C, N, D or a column: the scale.
        asked: Scales that are asked about.
        quantile: The quantile that is the frontier.
        date: The column of dates; the latest three in ten models check the frontier of the earlier ones.
        level: Coverage of the intervals.
        seed: Seed of the resamples.

    Raises:
        SkillError: A column is missing, or there are fewer than thirty models.
    """
    require_level(level, SkillError)
    if not 0.5 <= quantile < 1:
        raise SkillError(f"--quantile {quantile:g}: a frontier is an upper quantile, from 0.5 to below 1.")
    table = as_runs(models)
    column = column_of(along)
    if not metrics:
        raise SkillError(f"name the metrics: --metric COLUMN; {table.source} has {listed(table.columns, most=8)}.")
    for name in (*metrics, column, *([date] if date else [])):
        if not table.has(name):
            raise SkillError(f"{table.source} has no column {name!r}.{did_you_mean(name, table.columns)}")
    scale = table.numbers(column, "the scale")
    order = _by_date(table, date) if date else None
    rng = np.random.default_rng(seed)
    found = [_frontier(table.numbers(one), scale, one, asked, quantile, order, level, rng) for one in metrics]
    moved = [one for one in found if one.later and abs(one.later[1] - quantile) > _MOVED]
    findings = [
        Finding(
            "moving_frontier",
            f"{one.metric}: {one.later[1]:.3f} of the later models lie below the frontier of the earlier ones, where {quantile:g} should: it moves with time.",
        )
        for one in moved
        if one.later
    ]
    return Frontiers(
        frontiers=tuple(found),
        along=column,
        asked=tuple(asked),
        quantile=quantile,
        level=level,
        warnings=tuple(findings),
    )


def _by_date(table: Runs, date: str) -> Array:
    """The rank of each model by date, from 0 to 1; nan without a date."""
    texts = table.frame[date].cast(pl.String)
    rank = texts.rank("average").cast(pl.Float64).to_numpy()
    return np.asarray(rank / np.nanmax(rank), dtype=float)


def _frontier(
    score: Array,
    scale: Array,
    metric: str,
    asked: Sequence[float],
    quantile: float,
    order: Array | None,
    level: float,
    rng: np.random.Generator,
) -> MetricFrontier:
    known = np.isfinite(score) & np.isfinite(scale) & (scale > 0)
    if known.sum() < _FEWEST:
        raise SkillError(
            f"{metric}: a frontier needs {_FEWEST} models or more; {int(known.sum())} have a score and a scale."
        )
    u, y = np.log(scale[known]), score[known]
    coefficients = _fitted(u, y, quantile)
    at = np.log(np.asarray(asked, dtype=float))
    reach = []
    if len(at):
        drawn = []
        for _ in range(_RESAMPLES):
            rows = rng.integers(len(u), size=len(u))
            drawn.append(_curve(_fitted(u[rows], y[rows], quantile, start=coefficients), at))
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        reach = list(zip(_curve(coefficients, at).tolist(), low.tolist(), high.tolist(), strict=True))
    later = None
    if order is not None:
        rank = order[known]
        dated = np.isfinite(rank)
        first, last = dated & (rank <= _EARLIER), dated & (rank > _EARLIER)
        if min(first.sum(), last.sum()) >= _FEWEST:
            earlier = _fitted(u[first], y[first], quantile)
            later = (int(last.sum()), float(np.mean(y[last] <= _curve(earlier, u[last]))))
    return MetricFrontier(
        metric=metric,
        models=int(known.sum()),
        coefficients=coefficients,
        points=np.column_stack([scale[known], y]),
        reach=tuple(reach),
        inside=float(np.mean(y <= _curve(coefficients, u))),
        later=later,
    )  # fmt: skip


def _curve(coefficients: Array, u: Array) -> Array:
    from scipy.special import expit

    floor, span, slope, middle = coefficients
    return np.asarray(floor + span * expit(np.exp(slope) * (u - middle)))


def _fitted(u: Array, y: Array, quantile: float, start: Array | None = None) -> Array:
    """The coefficients with the least penalised pinball loss."""
    from scipy.optimize import minimize

    spread = float(np.ptp(y)) or 1.0
    centre, wide = float(u.mean()), max(float(u.std()), 1e-6)

    def loss(p: Array) -> float:
        r = (y - _curve(p, u)) / spread
        pinball = quantile * r + _SMOOTH * np.logaddexp(0, -r / _SMOOTH)
        return float(pinball.mean() + 1e-4 * ((p[2] + np.log(wide)) ** 2 + ((p[3] - centre) / wide) ** 2))

    if start is not None:
        return np.asarray(minimize(loss, start, method="Nelder-Mead", options={"maxiter": 800}).x)
    starts = [
        [float(np.quantile(y, 0.1)), spread, slope - np.log(wide), centre + shift * wide]
        for slope in (-0.7, 0.4)
        for shift in (-0.5, 0.7)
    ]
    found = [minimize(loss, one, method="Nelder-Mead", options={"maxiter": 4000}) for one in starts]
    return np.asarray(min(found, key=lambda one: one.fun).x)
