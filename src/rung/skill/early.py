"""The order of models early in training, against the order at the end and against what their sizes alone say.

For every metric, over models:

    early    Kendall's tau-b between the scores at a share of the training and those at the end
    size     the same between sizes and the scores at the end: what is known before any training
    shuffled the early scores dealt to the models at random

and the gain of early over size, with intervals over metrics (resampled together with the models). Similarity: Spearman's correlation
of the courses of two models on the axis of the share of their tokens.

Source: Yang et al. 2024, arXiv:2404.01204, for early checkpoints and the likeness of courses; the prior of size is ours.

Shapes: `m` models, `t` shares of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, did_you_mean, listed, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.runs import as_runs
from rung.skill.quality import tau_b
from rung.skill.run_ends import require_steps_once
from rung.skill.verdicts import is_lower, require_asked
from rung.units import format_interval

_RESAMPLES = 500
_SHUFFLES = 200
_FEWEST = 3
_GRID = np.linspace(0.05, 1.0, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyMetric:
    """One metric.

    Attributes:
        metric: The metric.
        models: How many models.
        early: Tau of the early and the final order; nan where a score does not vary.
        size: Tau of size and the final order.
        decision: Share of pairs of models that the early scores order as the end does.
        similarity: Mean Spearman correlation of the courses of two models.
    """

    metric: str
    models: int
    early: float
    size: float
    decision: float
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EarlyOrder(Result):
    """Early order against the end.

    Attributes:
        metrics: Each metric.
        at: The share of the training.
        early: Mean tau over metrics, and its interval.
        size: The same of size alone.
        gain: Of early over size.
        shuffled: Of early scores dealt at random.
        wins: On how many metrics early is better, equal and worse than size.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    metrics: tuple[EarlyMetric, ...]
    at: float
    early: tuple[float, float, float]
    size: tuple[float, float, float]
    gain: tuple[float, float, float]
    shuffled: tuple[float, float, float]
    wins: tuple[int, int, int]
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """Whether early scores say more than size."""
        _, low, high = self.gain
        told = (
            "say more than size alone"
            if low > 0
            else "say less than size alone"
            if high < 0
            else "are not shown to say more than size alone"
        )
        return f"scores at {100 * self.at:.0f} % of the training {told}: gain {self.gain[0]:+.2f} ({low:+.2f} to {high:+.2f})"  # fmt: skip

    def describe(self) -> Summary:
        """Each metric, then the means."""
        rows = [
            [one.metric, str(one.models), _two(one.early), _two(one.size), f"{one.decision:.0%}", _two(one.similarity)]
            for one in self.metrics
        ]
        means = [
            ["early and final order", *_shown(self.early)],
            ["size and final order", *_shown(self.size)],
            ["gain of early over size", *_shown(self.gain)],
            ["early scores shuffled", *_shown(self.shuffled)],
        ]
        better, same, worse = self.wins
        return Summary(
            [
                Table(["metric", "models", "tau early", "tau size", "pairs in order", "likeness of courses"], rows),
                Table([f"mean of {counted(len(self.metrics), 'metric')}", "tau", f"{100 * self.level:g} %"], means),
                f"verdict  {self.headline()}; better on {better}, equal on {same}, worse on {worse}",
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per metric."""
        return pl.DataFrame([plain_fields(one) for one in self.metrics])

    def to_dict(self) -> dict[str, Any]:
        """The orders as plain values."""
        return {
            "at": self.at,
            "metrics": [plain_fields(one) for one in self.metrics],
            **{name: list(getattr(self, name)) for name in ("early", "size", "gain", "shuffled", "wins")},
            "level": self.level,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def early_order(
    runs: Any,
    metrics: Sequence[str],
    *,
    at: float = 0.3,
    lower: Sequence[str] = (),
    level: float = 0.9,
    seed: int = 0,
) -> EarlyOrder:
    """Whether the order of models early in training is that at its end, and more than their sizes say.

    Args:
        runs: A table of checkpoints: run, params, tokens (or step), and the metrics.
        metrics: Columns.
        at: The share of each training that is seen.
        lower: Metrics of which lower is better, besides those whose names say so.
        level: Coverage of the intervals.
        seed: Seed of resamples and shuffles.

    Raises:
        SkillError: A column is missing, or fewer than three models have checkpoints on both sides.
    """
    require_level(level, SkillError)
    if not 0 < at < 1:
        raise SkillError(f"--at {at:g}: a share of the training lies between 0 and 1.")
    require_asked(lower, metrics)
    table = as_runs(runs)
    for name in (*metrics, "run", "params"):
        if not table.has(name):
            hint = did_you_mean(name, table.columns) or (
                f" Name it: --map {name}=COLUMN." if name not in metrics else ""
            )
            raise SkillError(f"{table.source} has no column {name!r}.{hint}")
    if not metrics:
        raise SkillError(f"name the metrics: --metric COLUMN; {table.source} has {listed(table.columns, most=8)}.")
    clock = next((name for name in ("tokens", "step") if table.has(name)), None)
    if clock is None:
        raise SkillError(f"{table.source} has neither tokens nor step, so nothing says what is early.")
    require_steps_once(table, clock)
    names, time, params = table.texts("run"), table.numbers(clock), table.numbers("params")
    courses = []
    for metric in metrics:
        values = table.numbers(metric) * (-1.0 if is_lower(metric, lower) else 1.0)
        courses.append(_courses(names, time, params, values, at))
    usable = [(metric, found) for metric, found in zip(metrics, courses, strict=True) if len(found) >= _FEWEST]
    if not usable:
        raise SkillError(
            f"fewer than {_FEWEST} models have checkpoints up to {100 * at:.0f} % of their training and at its end, for any metric."
        )
    return _summary(usable, at, level, seed)


@dataclass(frozen=True, slots=True)
class _Course:
    """One model on one metric: its size, its score early and at the end, and its course at shares of the training (t,)."""

    params: float
    early: float
    final: float
    course: Array


def _courses(names: Any, time: Array, params: Array, values: Array, at: float) -> list[_Course]:
    found = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero((names == name) & np.isfinite(values) & np.isfinite(time))
        rows = rows[np.argsort(time[rows], kind="stable")]
        if len(rows) < 2:
            continue
        share = time[rows] / time[rows][-1]
        if share[0] > at:
            continue
        found.append(
            _Course(
                float(params[rows[0]]),
                float(values[rows[share <= at][-1]]),
                float(values[rows[-1]]),
                np.interp(_GRID, share, values[rows]),
            )
        )
    return found


def _summary(usable: Sequence[tuple[str, list[_Course]]], at: float, level: float, seed: int) -> EarlyOrder:
    usable = [(metric, models) for metric, models in usable if np.ptp([one.final for one in models]) > 0]
    if not usable:
        raise SkillError("no metric differs between the models at the end of their training, so there is no order.")
    rows = [_metric(metric, models) for metric, models in usable]
    rng = np.random.default_rng(seed)
    early, size = (np.array([getattr(one, name) for one in rows]) for name in ("early", "size"))
    drawn = np.array([_resampled(usable, rng) for _ in range(_RESAMPLES)])
    shuffled = np.array(
        [
            np.nanmean([tau_b(rng.permutation([one.early for one in models]), np.array([one.final for one in models])) for _, models in usable])
            for _ in range(_SHUFFLES)
        ]
    )  # fmt: skip
    tails = [(1 - level) / 2, (1 + level) / 2]

    def around(value: float, column: Array) -> tuple[float, float, float]:
        low, high = np.nanquantile(column, tails)
        return value, float(low), float(high)

    gaps = np.round(early - size, 9)
    return EarlyOrder(
        metrics=tuple(rows),
        at=at,
        early=around(float(np.nanmean(early)), drawn[:, 0]),
        size=around(float(np.nanmean(size)), drawn[:, 1]),
        gain=around(float(np.nanmean(early - size)), drawn[:, 0] - drawn[:, 1]),
        shuffled=around(float(np.nanmean(shuffled)), shuffled),
        wins=(int((gaps > 0).sum()), int((gaps == 0).sum()), int((gaps < 0).sum())),
        level=level,
        warnings=(),
    )


def _metric(metric: str, models: Sequence[_Course]) -> EarlyMetric:
    from scipy.stats import spearmanr

    early, final = np.array([one.early for one in models]), np.array([one.final for one in models])
    pairs = [(i, j) for i, j in combinations(range(len(models)), 2) if final[i] != final[j]]
    right = [float((early[i] - early[j]) * (final[i] - final[j]) > 0) for i, j in pairs]
    alike = [
        float(spearmanr(one.course, other.course).statistic)
        for one, other in combinations(models, 2)
        if np.ptp(one.course) > 0 and np.ptp(other.course) > 0
    ]
    return EarlyMetric(
        metric=metric,
        models=len(models),
        early=tau_b(early, final),
        size=_size_tau(models, final),
        decision=float(np.mean(right)) if right else float("nan"),
        similarity=float(np.mean(alike)) if alike else float("nan"),
    )


def _size_tau(models: Sequence[_Course], final: Array) -> float:
    """Tau of size and the final order; 0 where all are of one size, which orders nothing."""
    params = np.array([one.params for one in models])
    return tau_b(params, final) if np.ptp(params) > 0 else 0.0


def _resampled(usable: Sequence[tuple[str, list[_Course]]], rng: np.random.Generator) -> tuple[float, float]:
    """Mean taus of a resample of metrics, each with a resample of its models of at least two different ones."""
    early, size = [], []
    for index in rng.integers(len(usable), size=len(usable)):
        models = usable[index][1]
        picked = [models[row] for row in rng.integers(len(models), size=len(models))]
        final = np.array([one.final for one in picked])
        early.append(tau_b(np.array([one.early for one in picked]), final))
        size.append(_size_tau(picked, final))
    known = np.isfinite(early) & np.isfinite(size)
    if not known.any():
        return float("nan"), float("nan")
    return float(np.mean(np.array(early)[known])), float(np.mean(np.array(size)[known]))


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _shown(value: tuple[float, float, float]) -> list[str]:
    return [f"{value[0]:+.2f}", format_interval(value[1], value[2], lambda end: f"{end:+.2f}")]
