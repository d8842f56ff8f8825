"""Compared scores: what `compare_scores` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.findings import Finding
from rung.messages import counted, listed
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.looks import ManyLooks
from rung.units import format_interval, format_value

_SURE = 0.05
_COUNTABLE = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreComparison:
    """Two models on one task.

    Attributes:
        task: The task; empty where there is one alone.
        control: The model that is the measure.
        treated: The model that is measured.
        items: How many items or seeds both have; of each model where they are not paired.
        clusters: How many groups they come from; None without groups.
        means: The mean score of the control and of the treated model.
        intervals: Their intervals: Wilson's for scores of 0 and 1, of the effective number of items where there are clusters.
        difference: Treated less control.
        low: Lower bound of its interval.
        high: Upper bound.
        error: Its standard error.
        p_value: Two-sided p-value that there is no difference.
        q_value: The same adjusted for all comparisons of this table (Benjamini and Hochberg).
        p_unpaired: The p-value that Welch's unpaired test gives, beside.
        detectable: The difference that so many items find four times in five; nan where none is large enough.
        test: Which test gives the p-value.
        needed: Items with which two models as far apart come out in this order nine times in ten; infinite for equal ones.
    """

    task: str
    control: str
    treated: str
    items: tuple[int, int]
    clusters: int | None
    means: tuple[float, float]
    intervals: tuple[tuple[float, float], tuple[float, float]]
    difference: float
    low: float
    high: float
    error: float
    p_value: float
    q_value: float
    p_unpaired: float
    detectable: float
    test: str
    needed: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ScoreComparisons(Result):
    """Models compared by item or by seed.

    Attributes:
        comparisons: Every pair on every task.
        unit: What the units are called.
        score: What the scores are called.
        paired: Whether the same items or seeds were compared.
        looks: What choosing the best of several models on these items costs, by task; empty for two models.
        lower: Whether a lower score is better.
        level: Coverage of the intervals.
        warnings: Findings that speak against the comparison.
    """

    comparisons: tuple[ScoreComparison, ...]
    unit: str
    score: str
    paired: bool
    looks: tuple[ManyLooks, ...]
    lower: bool
    level: float
    warnings: tuple[Finding, ...]

    @property
    def real(self) -> tuple[ScoreComparison, ...]:
        """The comparisons whose q-value is below 0.05."""
        return tuple(one for one in self.comparisons if one.q_value < _SURE)

    def headline(self) -> str:
        """How many differences are real; of a single comparison, which is better."""
        if len(self.comparisons) == 1:
            (one,) = self.comparisons
            if min(one.items) < 2:
                return f"one {self.unit} shows no difference"
            if not one.q_value < _SURE:
                found = f"a difference of {one.detectable:.3g} would be found four times in five"
                return f"no difference is shown: p = {one.p_value:.3g}; " + (
                    found if np.isfinite(one.detectable) else f"so few {self.unit}s show none"
                )
            better = one.treated if (one.difference > 0) != self.lower else one.control
            return f"{better} is better: p = {one.p_value:.3g}, below 0.05"
        return (
            f"{len(self.real)} of {len(self.comparisons)} differences are shown (q below 0.05, Benjamini and Hochberg)"
        )

    def describe(self) -> Summary:
        """Each comparison, and what many looks cost."""
        rows = [
            [
                f"{one.treated} less {one.control}" + (f", {one.task}" if one.task else ""),
                f"{one.items[0]:,}" if one.items[0] == one.items[1] else f"{one.items[0]:,} and {one.items[1]:,}",
                *(format_value(mean) for mean in one.means),
                f"{one.difference:+.4g}",
                format_interval(one.low, one.high),
                f"{one.p_value:.3g}",
                f"{one.q_value:.3g}",
                f"{one.p_unpaired:.3g}",
                f"{one.detectable:.3g}" if np.isfinite(one.detectable) else "-",
                f"{int(np.ceil(one.needed)):,}" if one.needed < _COUNTABLE else "-",
            ]
            for one in self.comparisons
        ]
        header = [
            "difference", f"{self.unit}s", "control", "treated", "", f"{100 * self.level:g} %", "p", "q", "p unpaired", "detectable", "to order",
        ]  # fmt: skip
        tests = listed(list(dict.fromkeys(one.test for one in self.comparisons)))
        blocks: list[str | Table] = [
            Table(header, rows),
            f"test       {tests}; q is adjusted for {counted(len(self.comparisons), 'comparison')}; a detectable difference is found four times in five; to order: {self.unit}s that order both rightly nine times in ten",
            f"verdict    {self.headline()}",
        ]
        if self.looks:
            blocks.append(
                Table(
                    ["best of", "models", "score", "corrected", "too high by"],
                    [
                        [
                            one.best + (f", {one.task}" if one.task else ""),
                            str(one.models),
                            format_value(one.score),
                            format_value(one.corrected),
                            f"{one.optimism:.3g}",
                        ]
                        for one in self.looks
                    ],
                )
            )
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row per comparison."""
        return pl.DataFrame(
            [
                {
                    "task": one.task,
                    "control": one.control,
                    "treated": one.treated,
                    "items_control": one.items[0],
                    "items_treated": one.items[1],
                    "clusters": one.clusters,
                    "mean_control": one.means[0],
                    "mean_treated": one.means[1],
                    **{
                        name: getattr(one, name)
                        for name in (
                            "difference", "low", "high", "error", "p_value", "q_value", "p_unpaired", "detectable", "test", "needed",
                        )
                    },
                }
                for one in self.comparisons
            ]
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The comparisons as plain values."""
        return {
            "unit": self.unit,
            "score": self.score,
            "paired": self.paired,
            "lower": self.lower,
            "level": self.level,
            "comparisons": [plain_fields(one) for one in self.comparisons],
            "looks": [plain_fields(one) for one in self.looks],
            "warnings": [one.to_dict() for one in self.warnings],
        }
