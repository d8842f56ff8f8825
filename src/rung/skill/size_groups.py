"""Scores by groups of size: whether larger models are better, the cheapest group that is not worse than the best, and inversions.

    Kruskal-Wallis  whether the groups differ at all
    Dunn            z_ij = (R_i - R_j) / sqrt((n (n + 1) / 12 - sum_t (t^3 - t) / (12 (n - 1))) (1 / n_i + 1 / n_j)), R the mean ranks, t
                    the sizes of ties; adjusted by Holm

A group is as good as the best where the upper bound (one-sided, 95 %) of what it lacks lies within the margin: a plateau begins at the
smallest such group. No plateau: the largest group is the best, and Dunn's test tells it from the next. Otherwise there is no verdict.

Source: Kruskal and Wallis 1952; Dunn 1964; the use on groups of model size is that of arXiv:2505.16276, section 4.

Shapes: `n` scores, `G` groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, listed, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.runs import as_runs
from rung.skill.dunn import dunn
from rung.skill.mean_tests import welch
from rung.skill.proportions import benjamini_hochberg
from rung.skill.run_ends import ends_of_runs, left_out
from rung.skill.siblings import Inversion, inversions
from rung.skill.verdicts import is_lower, require_asked
from rung.units import format_count

BINS = (3e9, 8e9, 33e9)
"""Bounds of the groups: up to 3B, 8B, 33B, and above."""

_SURE = 0.05

PLATEAU, RISING, UNDETERMINED = "plateau", "no plateau", "undetermined"
"""Verdicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeGroup:
    """Models of similar size.

    Attributes:
        name: Its bounds.
        params: The smallest and the largest of its models.
        count: How many scores.
        mean: Their mean.
        p_best: Holm's p-value that it differs from the best group; 1 for that group.
        behind: By how much it is worse than the best group, at most (one-sided 95 %).
    """

    name: str
    params: tuple[float, float]
    count: int
    mean: float
    p_best: float
    behind: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVerdict:
    """Groups of size on one metric.

    Attributes:
        metric: The metric.
        groups: The groups, by size.
        p_value: Kruskal and Wallis's.
        q_value: The same adjusted for all metrics.
        verdict: plateau, no plateau or undetermined.
        cheapest: The smallest group that is not worse than the best; None where that is not shown of any but the best.
    """

    metric: str
    groups: tuple[SizeGroup, ...]
    p_value: float
    q_value: float
    verdict: str
    cheapest: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SizeGroups(Result):
    """Groups of size on several metrics.

    Attributes:
        metrics: The verdict on each.
        inversions: Larger siblings that score less than smaller ones.
        siblings: How many pairs of siblings there are.
        margin: The difference in score that does not matter.
        points: The models: metric, params and score, a row for each.
        warnings: Findings.
    """

    metrics: tuple[GroupVerdict, ...]
    inversions: tuple[Inversion, ...]
    siblings: int
    margin: float
    points: pl.DataFrame
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The verdicts, counted."""
        said = [one.verdict for one in self.metrics]
        return ", ".join(f"{said.count(name)} {name}" for name in dict.fromkeys(said))

    def describe(self) -> Summary:
        """Each metric by group, then the inversions."""
        names = [one.name for one in self.metrics[0].groups]
        rows = [
            [
                one.metric,
                *(f"{group.mean:.3f} ({group.count})" for group in one.groups),
                f"{one.q_value:.2g}",
                one.verdict + (f" from the group {one.cheapest}" if one.verdict == PLATEAU else ""),
            ]
            for one in self.metrics
        ]
        blocks: list[str | Table] = [Table(["metric", *names, "q", "verdict"], rows)]
        blocks.append(
            f"verdict  {self.headline()}; a plateau begins at the smallest group that is at most {self.margin:g} behind the best (95 %)"
        )
        shown = [one for one in self.inversions if one.q_value < _SURE] or self.inversions
        if self.siblings:
            sure = sum(one.q_value < _SURE for one in self.inversions)
            told = "" if all(np.isnan(one.q_value) for one in self.inversions) else f", {sure} of them more than the items explain"  # fmt: skip
            blocks.append(f"siblings  {counted(len(self.inversions), 'inversion')} of {counted(self.siblings, 'pair')}{told}")  # fmt: skip
        if shown:
            blocks.append(
                Table(
                    ["larger below smaller", "family", "metric", "difference", "q"],
                    [
                        [f"{one.larger} below {one.smaller}", one.family, one.metric, f"{one.difference:+.3f}", "-" if np.isnan(one.q_value) else f"{one.q_value:.2g}"]
                        for one in shown[:20]
                    ],
                )
            )  # fmt: skip
            if len(shown) > 20:
                blocks.append(f"and {len(shown) - 20} more; -o inversions.csv has all")
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row per inversion."""
        schema = dict.fromkeys(("family", "metric", "smaller", "larger"), pl.String) | dict.fromkeys(
            ("difference", "low", "high", "q_value"), pl.Float64
        )
        rows = [plain_fields(one) for one in self.inversions]
        return pl.DataFrame(rows, schema=schema)

    def to_dict(self) -> dict[str, Any]:
        """The groups as plain values."""
        return {
            "metrics": [
                {**plain_fields(one), "groups": [plain_fields(group) for group in one.groups]} for one in self.metrics
            ],
            "inversions": [plain_fields(one) for one in self.inversions],
            "siblings": self.siblings,
            "margin": self.margin,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def size_groups(
    models: Any,
    metrics: Sequence[str],
    *,
    bins: Sequence[float] = BINS,
    family: str | None = None,
    items: int | None = None,
    margin: float = 0.02,
    lower: Sequence[str] = (),
    level: float = 0.9,
) -> SizeGroups:
    """Whether larger models are better, by groups of size and within families.

    Args:
        models: A table of models with params: one row per model, or per repetition.
        metrics: Columns of scores, or of losses, of which lower is better.
        bins: Bounds of the groups in parameters, ascending.
        family: The column of families; by default family where there is one.
        items: Items of each benchmark, which give every score an error; a column items_METRIC says so metric by metric.
        margin: The difference in score that does not matter.
        lower: Metrics of which lower is better, besides those whose names say so.
        level: Coverage of the intervals of inversions.

    Raises:
        SkillError: A column is missing, a score is no share, or fewer than two groups have models.
    """
    require_level(level, SkillError)
    if not 0 <= margin < np.inf:
        raise SkillError(f"--margin {margin:g}: a difference in score is 0 or more.")
    if items is not None and items < 1:
        raise SkillError(f"--items {items}: give 1 item or more.")
    require_asked(lower, metrics)
    table, findings = ends_of_runs(as_runs(models))
    params = table.numbers("params")
    if list(bins) != sorted(set(bins)) or not bins or bins[0] <= 0:
        raise SkillError(f"--bins {','.join(f'{one:g}' for one in bins)}: bounds are positive and ascend.")
    if not metrics:
        raise SkillError(f"name the metrics: --metric COLUMN; {table.source} has {listed(table.columns, most=8)}.")
    signs = {metric: -1.0 if is_lower(metric, lower) else 1.0 for metric in metrics}
    for metric in metrics:
        score = table.numbers(metric)
        findings += left_out(table, metric, np.isfinite(score) & np.isfinite(params))
        counted_items = items is not None or table.has(f"items_{metric}")
        if counted_items and ((score < 0) | (score > 1)).any():
            raise SkillError(
                f"{metric} has a number of items, and is no share of right answers, from 0 to 1. In percent: --map '{metric}={metric}/100'."
            )
    found = [_grouped(signs[metric] * table.numbers(metric), params, bins, metric, margin) for metric in metrics]
    found = [_turned(one) if signs[one.metric] < 0 else one for one in found]
    adjusted = benjamini_hochberg([one.p_value for one in found])
    column = family or ("family" if table.has("family") else None)
    turned, pairs = inversions(table, params, signs, column, items, level) if column else ([], 0)
    return SizeGroups(
        metrics=tuple(replace(one, q_value=float(q)) for one, q in zip(found, adjusted, strict=True)),
        inversions=tuple(turned),
        siblings=pairs,
        margin=margin,
        points=pl.concat([_points(one, params, table.numbers(one)) for one in metrics]),
        warnings=tuple(findings),
    )


def _points(metric: str, params: Array, score: Array) -> pl.DataFrame:
    return pl.DataFrame({"metric": [metric] * len(params), "params": params, "score": score})


def _turned(one: GroupVerdict) -> GroupVerdict:
    """The verdict on a loss, with its means as they are."""
    return replace(one, groups=tuple(replace(group, mean=-group.mean) for group in one.groups))


def _grouped(score: Array, params: Array, bins: Sequence[float], metric: str, margin: float) -> GroupVerdict:
    from scipy.stats import kruskal, t

    known = np.isfinite(score) & np.isfinite(params)
    number = np.digitize(params, bins, right=True)
    bounds = [0.0, *bins, np.inf]
    names = [_name(low, high) for low, high in pairwise(bounds)]
    there = [group for group in range(len(names)) if (known & (number == group)).sum() >= 2]
    if len(there) < 2:
        raise SkillError(
            f"{metric}: fewer than two groups of size have two models or more ({', '.join(names)}). Choose other bounds: --bins 1B,8B."
        )
    scores = [score[known & (number == group)] for group in there]
    p_value = float(kruskal(*scores).pvalue) if any(np.ptp(one) > 0 for one in scores) or len({one[0] for one in scores}) > 1 else 1.0  # fmt: skip
    means = np.array([one.mean() for one in scores])
    best = int(np.argmax(means))
    p_pairs = dunn(np.concatenate(scores), np.repeat(np.arange(len(scores)), [len(one) for one in scores]))
    groups = []
    for index, (group, one) in enumerate(zip(there, scores, strict=True)):
        _, error, degrees = welch(one, scores[best])
        behind = 0.0 if index == best else float(means[best] - means[index] + t.ppf(0.95, degrees) * error)
        p = 1.0 if index == best else p_pairs[min(index, best), max(index, best)]
        sizes = params[known & (number == group)]
        ends = (float(sizes.min()), float(sizes.max()))
        groups.append(
            SizeGroup(name=names[group], params=ends, count=len(one), mean=float(means[index]), p_best=p, behind=behind)
        )
    # The cheapest group such that neither it nor any larger one up to the best may be worse by more than the margin.
    same = [group.behind <= margin for group in groups]
    cheapest = next((index for index in range(best + 1) if all(same[index : best + 1]) or index == best), best)
    last = len(groups) - 1
    if p_value < _SURE and cheapest < last and means[last] - means[cheapest] <= margin:
        verdict = PLATEAU
    elif best == last and p_value < _SURE and groups[last - 1].p_best < _SURE:
        verdict = RISING
    else:
        verdict = UNDETERMINED
    return GroupVerdict(
        metric=metric,
        groups=tuple(groups),
        p_value=p_value,
        q_value=p_value,
        verdict=verdict,
        cheapest=groups[cheapest].name if verdict == PLATEAU else None,
    )


def _name(low: float, high: float) -> str:
    if np.isinf(high):
        return f"above {format_count(low)}"
    return f"to {format_count(high)}" if low == 0 else f"{format_count(low)} to {format_count(high)}"
