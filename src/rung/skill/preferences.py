"""How often a score prefers what people prefer, and how often where style cannot tell.

    accuracy     the share of pairs whose preferred answer has the higher score; ties count half
    controlled   the same, with each pair weighted by P(the other side is preferred | style): among pairs so weighted, style says nothing
    content      b of  logit P(preferred) = b m + l s,  m the margin of the score, s = c . style the part that style alone explains

P(preferred | style) and c come from pairs other than the one they are applied to (cross-fitting); in one fit of score and style on the same
pairs b is too high, by the more the more there is of style. b is in units of the margin's root mean square.

Source: Wang et al. 2025, arXiv:2505.10527, for a logistic regression of preferences on margin and style. Differs: it is cross-fitted, and accuracy under
control is by overlap weights (Li, Morgan and Zaslavsky 2018, arXiv:1404.1785), so that a score that follows style alone has one half.

Shapes: `n` pairs, `p` features of style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array, Indices, Mask
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, plural_of, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.preference_table import PreferenceTable, read_preferences
from rung.skill.proportions import normal_quantile, wilson
from rung.units import format_interval

_FOLDS = 10
_FEWEST = 40
_PER_FEATURE = 5
_LEFT = 20
"""Pairs that count in full, below which style all but decides."""

_DECIDED = 0.95
"""Share of pairs that style alone is right on, from which on it all but decides."""

_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceScore:
    """A score on a group of pairs.

    Attributes:
        score: The stem of its columns.
        group: The group; empty for all pairs.
        pairs: How many.
        accuracy: The share of them that it orders as people do.
        interval: Wilson's.
        controlled: The share where style cannot tell.
        controlled_interval: Its interval.
        content: What its margin says beyond style, in logits per root mean square of the margin.
        content_interval: Its interval.
        content_naive: The same from one fit on the same pairs.
        explained: The share of the margin's square that style explains, cross-fitted.
        p_value: Of no content: the controlled share is one half.
    """

    score: str
    group: str
    pairs: int
    accuracy: float
    interval: tuple[float, float]
    controlled: float
    controlled_interval: tuple[float, float]
    content: float
    content_interval: tuple[float, float]
    content_naive: float
    explained: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Preferences(Result):
    """Scores and the preferences of people.

    Attributes:
        scores: Each score on each group.
        style: Each feature: what it is called, its weight in logits per root mean square, and the error of that.
        style_accuracy: How often style alone orders a pair as people do, cross-fitted.
        pairs: How many pairs.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    scores: tuple[PreferenceScore, ...]
    style: tuple[tuple[str, float, float], ...]
    style_accuracy: float
    pairs: int
    level: float
    warnings: tuple[Finding, ...]

    @property
    def style_intervals(self) -> tuple[tuple[float, float], ...]:
        """The interval of the weight of each feature of style."""
        z = normal_quantile((1 + self.level) / 2)
        return tuple((weight - z * error, weight + z * error) for _, weight, error in self.style)

    def headline(self) -> str:
        """The first score, with and without style."""
        one = self.scores[0]
        return f"{one.score} is right on {one.accuracy:.1%} of pairs, on {one.controlled:.1%} ({format_interval(*one.controlled_interval, _share)}) where style cannot tell"

    def describe(self) -> Summary:
        """Each score, then what style weighs."""
        percent = f"{100 * self.level:g} %"
        rows = [
            [
                one.score,
                one.group or "all",
                f"{one.pairs:,}",
                f"{one.accuracy:.3f}",
                format_interval(*one.interval, _share),
                f"{one.controlled:.3f}",
                format_interval(*one.controlled_interval, _share),
                f"{one.content:+.2f}",
                format_interval(*one.content_interval, _signed),
                f"{one.explained:.0%}",
                f"{one.p_value:.3g}",
            ]
            for one in self.scores
        ]
        header = ["score", "group", "pairs", "right", percent, "style controlled", percent, "content", percent, "margin by style", "p"]  # fmt: skip
        weights = [
            [name, f"{weight:+.2f}", format_interval(*interval, _signed)]
            for (name, weight, _), interval in zip(self.style, self.style_intervals, strict=True)
        ]
        return Summary(
            [
                Table(header, rows),
                Table(["style", "weight in logits", percent], weights),
                f"style alone is right on {self.style_accuracy:.1%} of {self.pairs:,} pairs",
                f"verdict  {self.headline()}",
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per score and group."""
        return pl.DataFrame([_plain(one) for one in self.scores])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "pairs": self.pairs,
            "level": self.level,
            "style_accuracy": self.style_accuracy,
            "scores": [plain_fields(one) for one in self.scores],
            "style": [{"feature": name, "weight": weight, "error": error} for name, weight, error in self.style],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def preferences(
    pairs: Any,
    *,
    scores: Sequence[str] = (),
    style: Sequence[str] = (),
    group: str | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Preferences:
    """How often scores prefer what people prefer, with and without style.

    Args:
        pairs: A table of pairs: scores of both answers, and their texts or columns of their style.
        scores: Stems of the scores, one per model.
        style: Stems of the style's columns, or what is counted in texts; by default what `read_preferences` takes for style.
        group: A column of groups that are judged apart too.
        level: Coverage of the intervals.
        seed: Seed of the folds.

    Raises:
        SkillError: A column is missing, or there are too few pairs.
    """
    require_level(level, SkillError)
    table = read_preferences(pairs, scores, style, group)
    count, features = table.style.shape
    fewest = max(_FEWEST, _PER_FEATURE * features)
    if count < fewest:
        raise SkillError(f"{table.source} has {count} pairs; {features} features of style need {fewest} or more (--style chooses features).")  # fmt: skip
    styles = table.style / np.sqrt(np.mean(table.style**2, axis=0))
    fold = np.random.default_rng(seed).permutation(count) % _FOLDS
    part = _apart(styles, fold)
    weights, curvature = _logistic(styles)
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))
    groups = [("", np.ones(count, bool))]
    names = table.group or ()
    groups += [(name, np.array([one == name for one in names])) for name in dict.fromkeys(names)]
    found, findings = _judged(table, groups, styles, part, fold, level)
    return Preferences(
        scores=tuple(found),
        style=tuple(zip(table.features, weights.tolist(), errors.tolist(), strict=True)),
        style_accuracy=float(np.mean(np.where(part == 0, 0.5, part > 0))),
        pairs=count,
        level=level,
        warnings=(*table.findings, *findings, *_decided(table.source, part)),
    )


def _judged(
    table: PreferenceTable,
    groups: Sequence[tuple[str, Mask]],
    styles: Array,
    part: Array,
    fold: Indices,
    level: float,
) -> tuple[list[PreferenceScore], list[Finding]]:
    """Every score on every group that has pairs enough, and which have not."""
    found: list[PreferenceScore] = []
    findings: list[Finding] = []
    for stem, margin in table.margins.items():
        if not margin.any():
            raise SkillError(f"{stem} scores both answers of every pair alike, so it prefers none.")
        for name, rows in groups:
            if not name or (rows.sum() >= _FEWEST and margin[rows].any()):
                found.append(_measured(stem, name, margin[rows], styles[rows], part[rows], fold[rows], level))
            elif rows.sum() >= _FEWEST:
                findings.append(Finding("left_out_rows", f"{table.source}: {stem} scores both answers of every pair of {name} alike, which is not judged apart."))  # fmt: skip
    few = sorted({name for name, rows in groups if name and rows.sum() < _FEWEST})
    if few:
        text = f"{table.source}: {counted(len(few), 'group')} of fewer than {_FEWEST} pairs {plural_of(len(few), 'is', 'are')} not judged apart, {few[0]!r} for one."
        findings.append(Finding("left_out_rows", text))
    return found, findings


def _decided(source: str, part: Array) -> list[Finding]:
    """A finding that style alone all but decides which side is preferred."""
    left, right = _worth(_overlap(part)), float(np.mean(part > 0))
    if left >= _LEFT and right <= _DECIDED:
        return []
    text = f"{source}: style alone is right on {right:.1%} of pairs, and what is left counts as {left:.0f} pairs."
    return [Finding("style_decides", text)]


def _overlap(part: Array) -> Array:
    """The weight of each pair: the probability, by style, that its other side is preferred (n,)."""
    from scipy.special import expit

    weight: Array = expit(-part)
    return weight


def _worth(weight: Array) -> float:
    """Pairs of equal weight that would know as much; at least one, where style decides all."""
    return max(float(weight.sum() ** 2 / max(np.sum(weight**2), 1e-300)), 1.0)


def _apart(styles: Array, fold: Indices) -> Array:
    """For each pair the logit that style alone gives its preferred side, from the other folds (n,)."""
    found = np.empty(len(styles))
    for number in range(_FOLDS):
        rows = fold == number
        found[rows] = styles[rows] @ _logistic(styles[~rows])[0]
    return found


def _logistic(rows: Array) -> tuple[Array, Array]:
    """Weights of the logistic regression in which every outcome is the first side, and the curvature there; without an intercept, since sides are symmetric."""
    from scipy.special import expit

    weights = np.zeros(rows.shape[1])
    curvature = np.eye(rows.shape[1])
    # A weak ridge keeps weights finite where style separates all pairs.
    ridge = 1e-3 * np.eye(rows.shape[1])
    for _ in range(_STEPS):
        share = expit(rows @ weights)
        curvature = (rows * (share * (1 - share))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, rows.T @ (1 - share) - ridge @ weights)
        # Steps that leap make Newton's method circle on separated pairs.
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return weights, curvature


def _measured(
    stem: str, group: str, margin: Array, styles: Array, part: Array, fold: Indices, level: float
) -> PreferenceScore:
    from scipy.stats import norm

    margin = margin / np.sqrt(np.mean(margin**2))
    right = np.where(margin == 0, 0.5, margin > 0).astype(float)
    weight = _overlap(part)
    controlled = float(weight @ right / max(weight.sum(), 1e-300))
    count = _worth(weight)
    both, curvature = _logistic(np.column_stack([margin, part]))
    content_error = float(np.sqrt(np.linalg.inv(curvature)[0, 0]))
    z = normal_quantile((1 + level) / 2)
    accuracy = float(right.mean())
    return PreferenceScore(
        score=stem,
        group=group,
        pairs=len(margin),
        accuracy=accuracy,
        interval=wilson(accuracy, len(margin), level),
        controlled=controlled,
        controlled_interval=wilson(controlled, count, level),
        content=float(both[0]),
        content_interval=(float(both[0] - z * content_error), float(both[0] + z * content_error)),
        content_naive=float(_logistic(np.column_stack([margin, styles]))[0][0]),
        explained=_explained(margin, styles, fold),
        p_value=float(2 * norm.sf(abs(controlled - 0.5) * 2 * np.sqrt(count))),
    )


def _explained(margin: Array, styles: Array, fold: Indices) -> float:
    """The share of the margin's square that a line in style explains on pairs that it was not fitted to; 0 where it explains nothing."""
    left = 0.0
    for number in range(_FOLDS):
        rows = fold == number
        if rows.all() or not rows.any():
            continue
        line = np.linalg.lstsq(styles[~rows], margin[~rows], rcond=None)[0]
        left += float(np.sum((margin[rows] - styles[rows] @ line) ** 2))
    return max(1 - left / float(np.sum(margin**2)), 0.0)


def _plain(one: PreferenceScore) -> dict[str, Any]:
    row = plain_fields(one)
    for name in ("interval", "controlled_interval", "content_interval"):
        low, high = row.pop(name)
        stem = name.removesuffix("interval")
        row |= {f"{stem}low": low, f"{stem}high": high}
    return row


def _share(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}"
