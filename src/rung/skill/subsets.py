"""Subsets of items that score models as all items do.

Items are chosen on some models and judged on others (five folds): the error of a model's score, and Kendall's tau-b of the order of all models.

    random      items dealt at random, all of one weight
    spread      items sorted by their mean score, one from each of k equal parts
    anchors     k-means of the items in the principal components of their scores over the models; the item nearest to each centre, weighted by its cluster's size

The way whose error is lowest on models that did not choose is taken; where none beats random, random is.

Source: Polo et al. 2024, arXiv:2402.14992, for anchors. Differs: every way is judged on models held out, beside items dealt at random.

Shapes: `M` models, `I` items, `k` items of a subset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array, Indices
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, listed, plural_of
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.score_table import ScoreColumns, Scores, read_scores

SIZES = (10, 20, 50, 100, 200, 500)
_FOLDS, _FEWEST_MODELS, _RANDOM = 5, 6, 20
_STARTS, _PARTS = 2, 8
"""Starts of k-means, and the principal components in which it looks for clusters."""

_MOST_ANCHORS = 100
"""Items that k-means chooses, at most: larger subsets gain nothing by it and take long."""

Choice = Callable[[Array, int, np.random.Generator], tuple[Indices, Array]]
"""From scores (M, I) and k to the items that are chosen and their weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetSize:
    """Subsets of one size, judged on models that did not choose them.

    Attributes:
        items: k.
        way: How the items are chosen: random, spread or anchors.
        error: Mean absolute error of a model's score.
        tau: Tau-b of the models by the subset and by all items.
        error_random: The error of items dealt at random, the mean over deals.
        tau_random: Their tau-b.
    """

    items: int
    way: str
    error: float
    tau: float
    error_random: float
    tau_random: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Subsets(Result):
    """Subsets of the items of one task.

    Attributes:
        task: The task; empty where there is one alone.
        sizes: Each size.
        chosen: The items of the asked size, or of the smallest that keeps the order.
        weights: Their weights, which sum to 1.
        order: The tau-b that counts as keeping the order.
        models: How many models chose.
        items: How many items there are.
        warnings: Findings.
    """

    task: str
    sizes: tuple[SubsetSize, ...]
    chosen: tuple[str, ...]
    weights: tuple[float, ...]
    order: float
    models: int
    items: int
    warnings: tuple[Finding, ...]

    @property
    def _taken(self) -> SubsetSize:
        return next(one for one in self.sizes if one.items == len(self.chosen))

    def headline(self) -> str:
        """How well the chosen subset does."""
        one = self._taken
        keeps = "keep" if one.tau >= self.order else "do not keep"
        return f"{one.items} of {self.items:,} items ({one.way}) {keeps} the order of models that did not choose them: tau {one.tau:.2f}, {one.error:.3g} off"

    def describe(self) -> Summary:
        """Each size beside random items."""
        rows = [
            [str(one.items), one.way, f"{one.tau:.3f}", f"{one.error:.4f}", f"{one.tau_random:.3f}", f"{one.error_random:.4f}"]
            for one in self.sizes
        ]  # fmt: skip
        header = ["items", "chosen by", "tau", "error", "tau at random", "error at random"]
        return Summary(
            [
                Table(header, rows),
                f"chosen   {listed(self.chosen, most=8)} (all with weights: -o items.csv)",
                f"verdict  {self.headline()}",
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per chosen item with its weight."""
        return pl.DataFrame({"item": self.chosen, "weight": self.weights})

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "task": self.task,
            "models": self.models,
            "items": self.items,
            "order": self.order,
            "sizes": [plain_fields(one) for one in self.sizes],
            "chosen": [
                {"item": name, "weight": weight} for name, weight in zip(self.chosen, self.weights, strict=True)
            ],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def item_subsets(
    sources: Sequence[Any],
    *,
    columns: ScoreColumns | None = None,
    items: int | None = None,
    order: float = 0.9,
    seed: int = 0,
) -> Subsets:
    """Choose items that score and order models as all items do.

    Args:
        sources: One table with a column of models, or one table for each model, with a score for every item.
        columns: Which columns mean what.
        items: How many items; by default the fewest of `SIZES` whose order reaches `order` on models held out.
        order: The tau-b that counts as keeping the order.
        seed: Seed of folds and of random items.

    Raises:
        SkillError: There are several tasks, fewer than six models, or items that not every model has scored.
    """
    if not 0 < order <= 1:
        raise SkillError(f"--order {order:g}: a rank correlation lies above 0 and at most at 1.")
    found = read_scores(sources, columns)
    tasks = list(dict.fromkeys(one.task for one in found))
    if len(tasks) > 1:
        raise SkillError(f"items of one task at a time: {listed(tasks, most=6)} are there. Give one of them.")
    names, scores, findings = _matrix(found)
    models, count = scores.shape
    if models < _FEWEST_MODELS:
        raise SkillError(f"{counted(models, 'model')} cannot choose items for others; {_FEWEST_MODELS} or more can.")
    if not np.ptp(scores.mean(axis=1)):
        raise SkillError("all models have the same score on these items, so there is no order to keep.")
    if items is not None and not 1 <= items < count:
        raise SkillError(f"--items {items}: {counted(count, 'item')} are there; a subset has 1 to {count - 1}.")
    asked = sorted({*(one for one in SIZES if one < count), *([items] if items else [])})
    if not asked:
        raise SkillError(f"{counted(count, 'item')} are too few to choose from.")
    sizes = [_judged(scores, size, seed) for size in asked]
    # From there on all larger ones keep the order too: one size alone may do so by chance.
    enough = [one.items for at, one in enumerate(sizes) if all(larger.tau >= order for larger in sizes[at:])]
    size = items or (enough[0] if enough else sizes[-1].items)
    way = next(one.way for one in sizes if one.items == size)
    chosen, weights = _WAYS[way](scores, size, np.random.default_rng(seed))
    return Subsets(
        task=tasks[0],
        sizes=tuple(sizes),
        chosen=tuple(names[index] for index in chosen),
        weights=tuple((weights / weights.sum()).tolist()),
        order=order,
        models=models,
        items=count,
        warnings=tuple(findings),
    )


def _matrix(found: Sequence[Scores]) -> tuple[list[str], Array, list[Finding]]:
    """The items that every model has scored, and their scores (M, I)."""
    every = list(dict.fromkeys(name for one in found for name in one.units))
    common = [name for name in every if all(name in one.at for one in found)]
    if not common:
        raise SkillError("no item was scored by every model.")
    findings = []
    if len(common) < len(every):
        lacking = len(every) - len(common)
        example = next(name for name in every if name not in set(common))
        was, left = plural_of(lacking, "was", "were"), plural_of(lacking, "is", "are")
        text = f"{counted(lacking, 'item')} of {len(every):,} {was} not scored by every model and {left} left out, {example!r} for one."
        findings.append(Finding("left_out_items", text))
    scores = np.array([[one.values[one.at[name]] for name in common] for one in found])
    return common, scores, findings


def _random(scores: Array, size: int, rng: np.random.Generator) -> tuple[Indices, Array]:
    return rng.choice(scores.shape[1], size, replace=False), np.ones(size)


def _spread(scores: Array, size: int, rng: np.random.Generator) -> tuple[Indices, Array]:
    ranked = np.lexsort((rng.random(scores.shape[1]), scores.mean(axis=0)))
    parts = np.array_split(ranked, size)
    return np.array([part[len(part) // 2] for part in parts]), np.array([float(len(part)) for part in parts])


def _anchors(scores: Array, size: int, rng: np.random.Generator) -> tuple[Indices, Array]:
    from scipy.cluster.vq import kmeans2

    centred = scores - scores.mean(axis=1, keepdims=True)
    left, extent, _ = np.linalg.svd(centred.T, full_matrices=False)
    points = left[:, :_PARTS] * extent[:_PARTS]
    best: tuple[float, Indices, Array] | None = None
    for _ in range(_STARTS):
        # Equal items have no distance, from which k-means would draw its starts: a trace of noise tells them apart.
        shaken = points + 1e-6 * rng.standard_normal(points.shape)
        centres, label = kmeans2(shaken, size, minit="++", seed=rng, missing="warn")
        filled = np.unique(label)
        distance = ((shaken - centres[label]) ** 2).sum(axis=1)
        nearest = np.array([np.flatnonzero(label == one)[np.argmin(distance[label == one])] for one in filled])
        weight = np.bincount(label, minlength=size)[filled].astype(float)
        if best is None or distance.sum() < best[0]:
            best = float(distance.sum()), nearest, weight
    assert best is not None
    return best[1], best[2]


_WAYS: dict[str, Choice] = {"anchors": _anchors, "spread": _spread, "random": _random}


def _judged(scores: Array, size: int, seed: int) -> SubsetSize:
    """Each way on models that did not choose."""
    ways = [way for way in _WAYS if way != "random" and (way != "anchors" or size <= _MOST_ANCHORS)]
    found = {way: _held_out(scores, size, way, seed) for way in ways}
    deals = [_held_out(scores, size, "random", seed + deal) for deal in range(_RANDOM)]
    error, tau = (float(np.mean([one[part] for one in deals])) for part in (0, 1))
    found["random"] = error, tau
    way = min(found, key=lambda name: found[name][0])
    return SubsetSize(items=size, way=way, error=found[way][0], tau=found[way][1], error_random=error, tau_random=tau)


def _held_out(scores: Array, size: int, way: str, seed: int) -> tuple[float, float]:
    """Error and tau-b of models whose items others have chosen; tau-b over pairs of a held-out model and any other, both scored by the same items."""
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(scores)) % min(_FOLDS, len(scores))
    truth = scores.mean(axis=1)
    gaps, agreeing, apart_here, apart_there = [], 0.0, 0, 0
    for number in np.unique(fold):
        held = fold == number
        chosen, weights = _WAYS[way](scores[~held], size, rng)
        guessed = scores[:, chosen] @ weights / weights.sum()
        gaps.append(np.abs(guessed - truth)[held])
        for one in np.flatnonzero(held):
            # A pair of two held-out models is met once.
            others = np.flatnonzero(~held | (np.arange(len(held)) > one))
            here, there = np.sign(guessed[one] - guessed[others]), np.sign(truth[one] - truth[others])
            agreeing += float(here @ there)
            apart_here, apart_there = apart_here + int((here != 0).sum()), apart_there + int((there != 0).sum())
    tau = agreeing / np.sqrt(apart_here * apart_there) if apart_here and apart_there else 0.0
    return float(np.mean(np.concatenate(gaps))), float(tau)
