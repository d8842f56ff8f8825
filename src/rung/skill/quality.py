"""Which benchmark, score and size can order models.

    stability      Kendall's tau-b of step and score over the checkpoints of a run, the mean over runs; with the sign of the score
    consistency    Kendall's tau-b between the scores of base models and those of the models tuned from them
    signal/noise   the range of the runs' ends over the scatter of their last checkpoints

How many items order two models is a column of `comparing`. Intervals of consistency resample models. The error of stability is that of noise about
the course of a run: checkpoint i agrees with h_i of the others, tau_a is the mean of h, and with H_b the means of h over blocks of L checkpoints

    var tau = (4 / n) L mean_b (H_(b+1) - H_b)^2 / 2,    the larger of L = 1 and L = sqrt(n)

since the course moves h little from one block to the next and noise moves it at once. Two checkpoints in the wrong order are the least error.

Source: Chen et al. 2025, arXiv:2503.00812, for stability and consistency; Heineman et al. 2025, arXiv:2508.13144, for signal and noise.

Shapes: `n` checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array, Indices
from rung.errors import SkillError
from rung.findings import Finding
from rung.fitting.uncertainty import student_quantile
from rung.messages import did_you_mean, listed, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.runs import Runs, as_runs
from rung.skill.run_ends import require_steps_once
from rung.skill.verdicts import is_lower, require_asked
from rung.units import format_interval

_RESAMPLES = 400
_LAST = 0.1
_FEWEST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureQuality:
    """What one measure can tell.

    Attributes:
        metric: The column.
        lower: Whether lower is better; tau has its sign turned then.
        runs: Runs with five checkpoints or more.
        stability: Mean tau-b of step and score; nan without such runs.
        low: Lower bound of its interval.
        high: Upper bound.
        ratio: Signal to noise of the ends of the runs; nan with one run.
        consistency: Tau-b of base and tuned models; nan without such pairs.
        consistency_low: Lower bound of its interval.
        consistency_high: Upper bound.
        pairs: Number of pairs of a base and a tuned model.
    """

    metric: str
    lower: bool
    runs: int
    stability: float
    low: float
    high: float
    ratio: float
    consistency: float
    consistency_low: float
    consistency_high: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Quality(Result):
    """What several measures can tell, the most stable first.

    Attributes:
        measures: Each measure.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    measures: tuple[MeasureQuality, ...]
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The measure that orders best."""
        best = self.measures[0]
        if np.isfinite(best.stability):
            return f"{best.metric} orders checkpoints best: tau {best.stability:.2f}"
        if not np.isfinite(best.consistency):
            return "no measure varies, so none orders anything"
        return f"{best.metric} orders tuned models as their bases best: tau {best.consistency:.2f}"

    def describe(self) -> Summary:
        """Each measure."""
        percent = f"{100 * self.level:g} %"
        rows = [
            [
                one.metric,
                *((f"{one.stability:.2f}", format_interval(one.low, one.high, _two), str(one.runs)) if one.runs else ("-", "-", "0")),
                f"{one.ratio:.1f}" if np.isfinite(one.ratio) else "-",
                *(
                    (f"{one.consistency:.2f}", format_interval(one.consistency_low, one.consistency_high, _two), str(one.pairs))
                    if one.pairs
                    else ("-", "-", "0")
                ),
            ]
            for one in self.measures
        ]  # fmt: skip
        header = ["measure", "stability", percent, "runs", "signal/noise", "consistency", percent, "pairs"]
        return Summary([Table(header, rows), f"verdict  {self.headline()}"])

    def to_frame(self) -> pl.DataFrame:
        """One row per measure."""
        return pl.DataFrame([plain_fields(one) for one in self.measures])

    def to_dict(self) -> dict[str, Any]:
        """The measures as plain values."""
        rows = [plain_fields(one) for one in self.measures]
        return {"level": self.level, "measures": rows, "warnings": [one.to_dict() for one in self.warnings]}


def quality(
    runs: Any,
    metrics: Sequence[str],
    *,
    lower: Sequence[str] = (),
    base: str | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Quality:
    """Which measures can order models.

    Args:
        runs: A table of checkpoints (run with step or tokens), or of models with the column of their base model.
        metrics: Columns.
        lower: Metrics of which lower is better, besides those whose names say so.
        base: The column that names the model which each row was tuned from.
        level: Coverage of the intervals.
        seed: Seed of the resamples.

    Raises:
        SkillError: A column is missing, or neither checkpoints nor pairs are there.
    """
    require_level(level, SkillError)
    table = as_runs(runs)
    if not metrics:
        raise SkillError(f"name the measures: --metric COLUMN; {table.source} has {listed(table.columns, most=8)}.")
    require_asked(lower, metrics)
    for name in (*metrics, *([base] if base else [])):
        if not table.has(name):
            raise SkillError(f"{table.source} has no column {name!r}.{did_you_mean(name, table.columns)}")
    series = _series(table)
    tuned = _pairs(table, base) if base else []
    if not series and not tuned:
        raise SkillError(
            f"{table.source} has neither runs with {_FEWEST} checkpoints (run, and step or tokens) nor tuned models (--base COLUMN), so nothing can be ordered."
        )
    found = [
        _measured(table.numbers(metric), metric, series, tuned, is_lower(metric, lower), level, seed)
        for metric in metrics
    ]
    key = (lambda one: -one.stability) if series else (lambda one: -one.consistency)
    return Quality(measures=tuple(sorted(found, key=key)), level=level, warnings=())


def tau_b(one: Array, other: Array) -> float:
    """Kendall's tau-b; nan where one of both does not vary."""
    from scipy.stats import kendalltau

    return float(kendalltau(one, other).statistic)


def _two(value: float) -> str:
    return f"{value:.2f}"


def _series(table: Runs) -> list[Any]:
    """The rows of each run with enough checkpoints, in the order of its steps, with the steps."""
    clock = next((name for name in ("step", "tokens") if table.has(name)), None)
    if clock is None or not table.has("run"):
        return []
    require_steps_once(table, clock)
    time, names = table.numbers(clock), table.texts("run")
    found = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero((names == name) & np.isfinite(time))
        if len(rows) >= _FEWEST:
            rows = rows[np.argsort(time[rows], kind="stable")]
            found.append((rows, time[rows]))
    return found


def _pairs(table: Runs, base: str) -> list[tuple[int, int]]:
    """Rows of a base model and of a model tuned from it."""
    label = next((name for name in ("run", "model_name", "model", "name") if table.has(name)), None)
    if label is None:
        raise SkillError(
            f"{table.source}: --base {base} needs a column run, model or name that holds the names of the models."
        )
    names = {str(name): row for row, name in enumerate(table.frame[label].to_list()) if name is not None}
    bases = [None if one is None else str(one).strip() for one in table.frame[base].to_list()]
    found = [(names[one], row) for row, one in enumerate(bases) if one and one in names and names[one] != row]
    unknown = sorted({one for one in bases if one and one not in names})
    if not found:
        raise SkillError(
            f"{table.source}: no base model of column {base!r} is in the table itself{f' ({unknown[0]} for one)' if unknown else ''}."
        )
    return found


def _measured(
    values: Array,
    metric: str,
    series: Sequence[Any],
    pairs: Sequence[tuple[int, int]],
    lower: bool,  # noqa: FBT001  # a value of the metric, as in the result
    level: float,
    seed: int,
) -> MeasureQuality:
    sign = -1.0 if lower else 1.0
    rng = np.random.default_rng(seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    kept = [(time, sign * values[rows]) for rows, time in series]
    kept = [(time[np.isfinite(y)], y[np.isfinite(y)]) for time, y in kept]
    kept = [one for one in kept if len(one[0]) >= _FEWEST and np.ptp(one[1]) > 0]
    stability, low, high = _stability(kept, level)
    consistency = c_low = c_high = float("nan")
    usable = [one for one in pairs if np.isfinite(values[list(one)]).all()]
    if len(usable) > 2:
        first, second = (values[[pair[side] for pair in usable]] for side in (0, 1))
        consistency = tau_b(first, second)
        picks = rng.integers(len(usable), size=(_RESAMPLES, len(usable)))
        resampled = [tau_b(first[rows], second[rows]) for rows in picks]
        c_low, c_high = (float(one) for one in np.nanquantile(resampled, tails))
    return MeasureQuality(
        metric=metric,
        lower=lower,
        runs=len(kept),
        stability=stability,
        low=low,
        high=high,
        ratio=_signal_to_noise(kept),
        consistency=consistency,
        consistency_low=c_low,
        consistency_high=c_high,
        pairs=len(usable) if len(usable) > 2 else 0,
    )


def _stability(kept: Sequence[tuple[Array, Array]], level: float) -> tuple[float, float, float]:
    """The mean tau of step and score, and its interval; nan without a series."""
    if not kept:
        return float("nan"), float("nan"), float("nan")
    stability = float(np.mean([tau_b(*one) for one in kept]))
    parts = [_tau_variance(y) for _, y in kept]
    error = float(np.sqrt(sum(variance for variance, _ in parts))) / len(parts)
    half = student_quantile((1 + level) / 2, float(sum(degrees for _, degrees in parts))) * error
    return stability, max(stability - half, -1.0), min(stability + half, 1.0)


def _tau_variance(y: Array) -> tuple[float, int]:
    """The variance of a run's tau by the noise of its checkpoints, in the order of their steps, and its degrees of freedom."""
    count = len(y)
    ordered = np.sort(y)
    lower, higher = np.searchsorted(ordered, y, "left"), count - np.searchsorted(ordered, y, "right")
    lower_before, higher_before = _before(y)
    # Lower before and higher behind agree with the steps; the other way round they do not.
    agreeing = (2 * (lower_before - higher_before) + higher - lower) / (count - 1)
    root = max(round(np.sqrt(count)), 2)
    variance = 4 / count * max(_between_blocks(agreeing, size) for size in (1, root))
    # Ties shorten what tau-b is divided by.
    untied = float((lower + higher).sum()) / (count * (count - 1))
    least = 4 / (count * (count - 1))
    return max(variance / untied, least**2), max(count // root - 1, 1)


def _before(y: Array) -> tuple[Indices, Indices]:
    """How many values before each one are lower, and how many higher, in n log(n)^2 steps and n numbers of memory (n,).

    In blocks of 1, 2, 4, ... each value of a right half is compared with the left half beside it, so that every pair is met once.
    """
    rank = np.unique(y, return_inverse=True)[1].astype(np.int64)
    at, span = np.arange(len(y)), int(rank.max()) + 1
    lower, higher = np.zeros(len(y), np.intp), np.zeros(len(y), np.intp)
    size = 1
    while size < len(y):
        pair, right = at // (2 * size), (at // size) % 2 == 1
        left = np.sort(pair[~right] * span + rank[~right])
        first = np.searchsorted(left, pair[right] * span)
        lower[right] += np.searchsorted(left, pair[right] * span + rank[right], "left") - first
        higher[right] += size - (np.searchsorted(left, pair[right] * span + rank[right], "right") - first)
        size *= 2
    return lower, higher


def _between_blocks(values: Array, size: int) -> float:
    """The long-run variance of a series about its course, by differences of neighbouring blocks, over every start of the blocks."""
    blocks = len(values) // size
    starts = range(len(values) - blocks * size + 1)
    means = np.stack([values[at : at + blocks * size].reshape(blocks, size).mean(axis=1) for at in starts])
    return float(size * np.mean(np.diff(means, axis=1) ** 2) / 2)


def _signal_to_noise(kept: Sequence[tuple[Array, Array]]) -> float:
    """The deviation of the runs' ends over that of their last checkpoints about their own mean."""
    if len(kept) < 2:
        return float("nan")
    tails = [y[-max(int(_LAST * len(y)), 3) :] for _, y in kept]
    noise = float(np.sqrt(np.mean([np.var(tail, ddof=1) for tail in tails])))
    signal = float(np.ptp([tail.mean() for tail in tails]))
    return signal / noise if noise > 0 else float("inf")
