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
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from rung.arrays import Array, Indices
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, listed, require_level
from rung.skill.looks import ManyLooks, many_looks
from rung.skill.mean_tests import items_needed, jackknife, mean_interval, two_sided, welch
from rung.skill.proportions import benjamini_hochberg
from rung.skill.score_comparison import ScoreComparison, ScoreComparisons
from rung.skill.score_table import ScoreColumns, Scores, read_scores
from rung.skill.verdicts import is_lower
from rung.units import format_value
from rung.worth import detectable_difference

_FEW_CLUSTERS = 10


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
        lower: Whether a lower score is better, as it is for losses, bits per byte and errors.
        level: Coverage of the intervals.
        seed: Seed of the resamples that tell what choosing the best costs.

    Raises:
        SkillError: There are fewer than two models, their items differ, or the scores cannot be used.
    """
    require_level(level, SkillError)
    found = read_scores(sources, columns)
    names = list(dict.fromkeys(one.model for one in found))
    pairs = _pairs(names, control, every_pair=every_pair)
    lower = lower or is_lower(found[0].score, ())
    findings: list[Finding] = []
    compared: list[ScoreComparison] = []
    looks: list[ManyLooks] = []
    for task in dict.fromkeys(one.task for one in found):
        models = {one.model: one for one in found if one.task == task}
        for one, other in pairs:
            if one in models and other in models:
                compared.append(_compared(models[one], models[other], level, unpaired=unpaired, findings=findings))
        if len(models) > 2 and not unpaired:
            looks.append(many_looks(list(models.values()), task, seed, lower=lower))
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


def _pairs(names: Sequence[str], control: str | None, *, every_pair: bool) -> list[tuple[str, str]]:
    """Which models are compared with which."""
    if len(names) < 2:
        raise SkillError(
            f"there is one model alone ({names[0]}). Give a table for each, or one with a column model (--model COLUMN)."
        )
    if control is not None and control not in names:
        raise SkillError(f"--control {control}: the models are {listed(names, most=8)}.")
    first = control or names[0]
    return list(combinations(names, 2)) if every_pair else [(first, name) for name in names if name != first]


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
    _require_one_scale(one, other)
    if unpaired:
        return _unpaired(one, other, level)
    common = [name for name in one.units if name in other.at]
    if not common or len(common) < max(len(one.units), len(other.units)):
        missing = next(name for name in (*one.units, *other.units) if not (name in one.at and name in other.at))
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


def _require_one_scale(one: Scores, other: Scores) -> None:
    """Both are shares, or both are not.

    Raises:
        SkillError: One lies between 0 and 1, and the other goes far beyond, as a percentage does.
    """
    highest = sorted((float(np.abs(each.values).max()), each.model) for each in (one, other))
    if 0 < highest[0][0] <= 1 and 10 < highest[1][0] <= 100:
        raise SkillError(
            f"the scores of {highest[0][1]} go up to {highest[0][0]:g} and those of {highest[1][1]} up to {highest[1][0]:g}, which looks like percent. Give both in one unit."
        )


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
    most = _most(one, other)
    return ScoreComparison(
        task=one.task,
        control=one.model,
        treated=other.model,
        items=(len(gaps), len(gaps)),
        clusters=None if groups is None else int(groups.max()) + 1,
        means=(float(ours.mean()), float(theirs.mean())),
        intervals=(mean_interval(ours, groups, level), mean_interval(theirs, groups, level)),
        difference=difference,
        low=max(centre - half, -most),
        high=min(centre + half, most),
        error=error,
        p_value=p_value,
        q_value=p_value,
        p_unpaired=welch(ours, theirs)[0],
        detectable=detectable if (detectable := detectable_difference(error, degrees)) <= most else float("nan"),
        test="McNemar, exact" if exact else "paired t" if groups is None else f"paired t over groups ({one.cluster})",
        needed=items_needed(difference, error, len(gaps)),
    )


def _most(one: Scores, other: Scores) -> float:
    """The largest difference of means: shares of right answers differ by 1 at most, so fewer items than show 1 show nothing."""
    return 1.0 if one.binary and other.binary else float("inf")


def _unpaired(one: Scores, other: Scores, level: float) -> ScoreComparison:
    from scipy.stats import t

    p_value, error, degrees = welch(one.values, other.values)
    most = _most(one, other)
    difference = float(other.values.mean() - one.values.mean())
    half = float(t.ppf((1 + level) / 2, degrees) * error) if degrees > 0 else float("nan")
    return ScoreComparison(
        task=one.task,
        control=one.model,
        treated=other.model,
        items=(len(one.values), len(other.values)),
        clusters=None,
        means=(float(one.values.mean()), float(other.values.mean())),
        intervals=(mean_interval(one.values, None, level), mean_interval(other.values, None, level)),
        difference=difference,
        low=max(difference - half, -most),
        high=min(difference + half, most),
        error=error,
        p_value=p_value,
        q_value=p_value,
        p_unpaired=p_value,
        detectable=detectable if (detectable := detectable_difference(error, degrees)) <= most else float("nan"),
        test="Welch's t",
        needed=items_needed(difference, error, min(len(one.values), len(other.values))),
    )
