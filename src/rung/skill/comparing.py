"""Whether one model is better than another on the same items or seeds.

The scores of two models on one item are a pair. With d_i = treated_i - control_i and clusters g = 1..G:

    difference   mean of d_i
    error        leave-one-cluster-out jackknife, sqrt((G - 1) / G sum_g (d_(-g) - d)^2), with G - 1 degrees of freedom
    p-value      Student's t; for scores of 0 and 1 without clusters the exact test of McNemar, which is binomial in the pairs that differ
    interval     Student's t; for scores of 0 and 1 without clusters with half a pair added to each of the four cells

Without clusters every item is its own, and the jackknife is the standard error of the mean.

Source: McNemar 1947; Agresti and Min 2005 for the half pairs; MacKinnon, Nielsen and Webb 2023, arXiv:2205.03285, for the jackknife
over clusters, whose test keeps its size with few and unequal clusters; Miller 2024, arXiv:2411.00640, for pairs and clusters of items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array, Indices
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, listed, require_level
from rung.results import Result, Summary, Table
from rung.skill.looks import ManyLooks, many_looks
from rung.skill.proportions import benjamini_hochberg, wilson
from rung.skill.score_table import ScoreColumns, Scores, read_scores
from rung.units import format_interval, format_value
from rung.worth import detectable_difference

_FEW_CLUSTERS = 10
_SURE = 0.05


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
        detectable: The difference that so many items find four times in five.
        test: Which test gives the p-value.
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
            if not one.q_value < _SURE:
                return f"no difference is shown: p = {one.p_value:.3g}; a difference of {one.detectable:.3g} would be found four times in five"
            better = one.treated if (one.difference > 0) != self.lower else one.control
            return f"{better} is better: p = {one.p_value:.3g}"
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
                f"{one.detectable:.3g}",
            ]
            for one in self.comparisons
        ]
        header = [
            "difference", f"{self.unit}s", "control", "treated", "", f"{100 * self.level:g} %", "p", "q", "p unpaired", "detectable",
        ]  # fmt: skip
        tests = listed(list(dict.fromkeys(one.test for one in self.comparisons)))
        blocks: list[str | Table] = [
            Table(header, rows),
            f"test       {tests}; q is adjusted for {counted(len(self.comparisons), 'comparison')}; a detectable difference is found four times in five",
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
                            "difference", "low", "high", "error", "p_value", "q_value", "p_unpaired", "detectable", "test",
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
            "comparisons": [
                {name: getattr(one, name) for name in one.__dataclass_fields__} for one in self.comparisons
            ],
            "looks": [{name: getattr(one, name) for name in one.__dataclass_fields__} for one in self.looks],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def compare_scores(
    sources: Sequence[Any],
    *,
    columns: ScoreColumns | None = None,
    control: str | None = None,
    every_pair: bool = False,
    unpaired: bool = False,
    lower: bool = False,
    level: float = 0.9,
    seed: int = 0,
) -> ScoreComparisons:
    """Compare models by the items or seeds that they have in common.

    Args:
        sources: One table with a column of models, or one table for each model: paths or frames.
        columns: Which columns mean what.
        control: The model that the others are compared with; the first by default.
        every_pair: Whether all models are compared with each other.
        unpaired: Whether the items or seeds of two models are not the same, and Welch's test compares their means.
        lower: Whether a lower score is better, as it is for one called loss.
        level: Coverage of the intervals.
        seed: Seed of the resamples that tell what choosing the best costs.

    Raises:
        SkillError: There are fewer than two models, their items differ, or the scores cannot be used.
    """
    require_level(level, SkillError)
    found = read_scores(sources, columns)
    names = list(dict.fromkeys(one.model for one in found))
    if len(names) < 2:
        raise SkillError(
            f"there is one model alone ({names[0]}). Give a table for each, or one with a column model (--model COLUMN)."
        )
    if control is not None and control not in names:
        raise SkillError(f"--control {control}: the models are {listed(names, most=8)}.")
    first = control or names[0]
    pairs = list(combinations(names, 2)) if every_pair else [(first, name) for name in names if name != first]
    by = {(one.model, one.task): one for one in found}
    lower = lower or found[0].score == "loss"
    findings: list[Finding] = []
    compared, looks = [], []
    for task in dict.fromkeys(one.task for one in found):
        for one, other in pairs:
            if (one, task) in by and (other, task) in by:
                compared.append(_compared(by[one, task], by[other, task], level, unpaired=unpaired, findings=findings))
        models = [by[name, task] for name in names if (name, task) in by]
        if len(models) > 2 and not unpaired:
            looks.append(many_looks(models, task, seed, lower=lower))
    if not compared:
        raise SkillError(f"no task is scored for two of the models {listed(names, most=8)}.")
    adjusted = benjamini_hochberg([one.p_value for one in compared])
    findings += _about(found, looks)
    return ScoreComparisons(
        comparisons=tuple(replace(one, q_value=float(q)) for one, q in zip(compared, adjusted, strict=True)),
        unit=found[0].unit,
        score=found[0].score,
        paired=not unpaired,
        looks=tuple(looks),
        lower=lower,
        level=level,
        warnings=tuple(dict.fromkeys(findings)),
    )


def _about(found: Sequence[Scores], looks: Sequence[ManyLooks]) -> list[Finding]:
    findings = []
    repeated = [one for one in found if one.repeats > 1]
    if repeated:
        findings.append(
            Finding(
                "averaged_repeats",
                f"{repeated[0].model} has {repeated[0].repeats:.3g} scores for each {repeated[0].unit}; they are averaged.",
            )
        )
    findings += [
        Finding(
            "many_looks",
            f"{one.best} is the best of {one.models} models on the items that score it{f' ({one.task})' if one.task else ''}: "
            f"its {format_value(one.score)} is too good by about {one.optimism:.2g}.",
        )
        for one in looks
        if one.optimism > 0
    ]
    return findings


def _compared(one: Scores, other: Scores, level: float, *, unpaired: bool, findings: list[Finding]) -> ScoreComparison:
    if unpaired:
        return _unpaired(one, other, level)
    common = [name for name in one.units if name in other.at]
    if not common or len(common) < max(len(one.units), len(other.units)):
        missing = next(iter({*one.units} ^ {*other.units}))
        if len(common) < 2:
            raise SkillError(
                f"{one.model} and {other.model} have {'no' if not common else 'one'} {one.unit} in common, so they are no pairs. "
                "Compare the same ones, or their means alone: --unpaired."
            )
        findings.append(
            Finding(
                "left_out_items",
                f"{one.model} and {other.model} have {len(common):,} of {len(one.units):,} and {len(other.units):,} {one.unit}s in common; "
                f"the others are left out, {one.unit} {missing!r} for one.",
            )
        )
    rows = [one.at[name] for name in common]
    ours, theirs = one.values[rows], other.values[[other.at[name] for name in common]]
    groups = None if one.clusters is None else np.unique([one.clusters[row] for row in rows], return_inverse=True)[1]
    if groups is not None and groups.max() + 1 < _FEW_CLUSTERS:
        findings.append(
            Finding(
                "few_clusters",
                f"the {len(common):,} {one.unit}s come from {counted(int(groups.max()) + 1, 'group')}; standard errors over so few are hardly known.",
            )
        )
    return _paired(one, other, (ours, theirs), groups, level)


def _paired(
    one: Scores, other: Scores, values: tuple[Array, Array], groups: Indices | None, level: float
) -> ScoreComparison:
    from scipy.stats import binomtest, t

    ours, theirs = values
    gaps = theirs - ours
    difference = float(gaps.mean())
    error, degrees = jackknife(gaps, groups)
    centre = difference
    exact = groups is None and one.binary and other.binary
    if exact:
        gained, lost = int((gaps > 0).sum()), int((gaps < 0).sum())
        p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
        count = len(gaps) + 2
        centre = (gained - lost) / count
        error = float(np.sqrt((gained + lost + 1) / count - centre**2) / np.sqrt(count))
    else:
        p_value = two_sided(difference, error, degrees)
    half = float(t.ppf((1 + level) / 2, degrees) * error) if degrees > 0 else float("nan")
    return ScoreComparison(
        task=one.task,
        control=one.model,
        treated=other.model,
        items=(len(gaps), len(gaps)),
        clusters=None if groups is None else int(groups.max()) + 1,
        means=(float(ours.mean()), float(theirs.mean())),
        intervals=(_interval(ours, groups, level), _interval(theirs, groups, level)),
        difference=difference,
        low=centre - half,
        high=centre + half,
        error=error,
        p_value=p_value,
        q_value=p_value,
        p_unpaired=welch(ours, theirs)[0],
        detectable=detectable_difference(error, degrees),
        test="McNemar, exact" if exact else "paired t" if groups is None else "paired t over groups",
    )


def _unpaired(one: Scores, other: Scores, level: float) -> ScoreComparison:
    from scipy.stats import t

    p_value, error, degrees = welch(one.values, other.values)
    difference = float(other.values.mean() - one.values.mean())
    half = float(t.ppf((1 + level) / 2, degrees) * error) if degrees > 0 else float("nan")
    return ScoreComparison(
        task=one.task,
        control=one.model,
        treated=other.model,
        items=(len(one.values), len(other.values)),
        clusters=None,
        means=(float(one.values.mean()), float(other.values.mean())),
        intervals=(_interval(one.values, None, level), _interval(other.values, None, level)),
        difference=difference,
        low=difference - half,
        high=difference + half,
        error=error,
        p_value=p_value,
        q_value=p_value,
        p_unpaired=p_value,
        detectable=detectable_difference(error, degrees),
        test="Welch's t",
    )


def jackknife(values: Array, groups: Indices | None) -> tuple[float, float]:
    """The standard error of a mean over groups of items, and its degrees of freedom; nan for a single group.

    Args:
        values: One value per item (n,).
        groups: The number of each item's group (n,); None where every item is its own.
    """
    if groups is None:
        count = len(values)
        return (float(np.std(values, ddof=1) / np.sqrt(count)), count - 1.0) if count > 1 else (float("nan"), 0.0)
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    count = len(sums)
    if count < 2:
        return float("nan"), 0.0
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    return float(np.sqrt((count - 1) / count * ((without - values.mean()) ** 2).sum())), count - 1.0


def two_sided(difference: float, error: float, degrees: float) -> float:
    """The two-sided p-value of a difference by Student's t; 1 where nothing differs, nan where no error is known."""
    from scipy.stats import t

    if not (np.isfinite(error) and degrees > 0):
        return float("nan")
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * t.sf(abs(difference) / error, degrees))


def welch(ours: Array, theirs: Array) -> tuple[float, float, float]:
    """Welch's two-sided p-value that two means agree, the standard error of their difference and its degrees of freedom."""
    if min(len(ours), len(theirs)) < 2:
        return float("nan"), float("nan"), 0.0
    parts = [np.var(one, ddof=1) / len(one) for one in (ours, theirs)]
    error = float(np.sqrt(sum(parts)))
    below = sum(part**2 / (len(one) - 1) for part, one in zip(parts, (ours, theirs), strict=True))
    degrees = float(sum(parts) ** 2 / below) if below > 0 else float(len(ours) + len(theirs) - 2)
    return two_sided(float(theirs.mean() - ours.mean()), error, degrees), error, degrees


def _interval(values: Array, groups: Indices | None, level: float) -> tuple[float, float]:
    """The interval of a mean score: Wilson's for scores of 0 and 1, of the effective number of items; otherwise Student's t."""
    from scipy.stats import t

    mean = float(values.mean())
    error, degrees = jackknife(values, groups)
    if np.isin(values, (0.0, 1.0)).all():
        effective = mean * (1 - mean) / error**2 if groups is not None and error > 0 else float(len(values))
        return wilson(mean, max(min(effective, len(values)), 1.0), level)
    if not degrees:
        return float("nan"), float("nan")
    half = float(t.ppf((1 + level) / 2, degrees) * error)
    return mean - half, mean + half
