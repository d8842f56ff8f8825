"""Larger siblings that score less than smaller ones of their family, with what the number of items explains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rung.arrays import Array
from rung.runs import Runs
from rung.skill.proportions import benjamini_hochberg, normal_quantile
from rung.units import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Inversion:
    """A larger sibling that scores less than a smaller one.

    Attributes:
        family: The family.
        metric: The metric.
        smaller: The smaller model.
        larger: The larger model.
        difference: Score of the larger less that of the smaller.
        low: Lower bound of its interval; nan without item counts.
        high: Upper bound.
        q_value: p-value that they do not differ, adjusted for all pairs of siblings; nan without item counts.
    """

    family: str
    metric: str
    smaller: str
    larger: str
    difference: float
    low: float
    high: float
    q_value: float


def inversions(
    table: Runs, params: Array, signs: Mapping[str, float], family: str, items: int | None, level: float
) -> tuple[list[Inversion], int]:
    """Larger siblings that score less than smaller ones, the largest differences first, and how many pairs of siblings there are.

    Args:
        table: The models.
        params: Their sizes (n,).
        signs: For each metric 1 where higher is better, -1 where lower is.
        family: The column of families.
        items: Items of each benchmark; a column items_METRIC says so metric by metric.
        level: Coverage of the intervals.
    """
    from scipy.stats import norm

    families = table.texts(family)
    names = next((table.texts(one) for one in ("run", "model_name", "model", "name") if table.has(one)), None)
    labels = names if names is not None else np.array([f"{format_count(one)}" for one in params])
    found, p_values, pairs = [], [], 0
    z = normal_quantile((1 + level) / 2)
    for metric, sign in signs.items():
        score = table.numbers(metric)
        count = table.numbers(f"items_{metric}") if table.has(f"items_{metric}") else np.full(len(score), items or np.nan)  # fmt: skip
        for name in np.unique(families):
            rows = np.flatnonzero((families == name) & np.isfinite(score))
            for one, other in combinations(rows[np.argsort(params[rows], kind="stable")], 2):
                if params[one] >= params[other]:
                    continue
                pairs += 1
                difference = float(score[other] - score[one])
                if sign * difference >= 0:
                    continue
                error = np.sqrt(sum(score[at] * (1 - score[at]) / count[at] for at in (one, other)))
                p_values.append(float(2 * norm.sf(abs(difference) / error)) if error > 0 else np.nan)
                found.append(
                    Inversion(
                        family=str(name), metric=metric, smaller=str(labels[one]), larger=str(labels[other]), difference=difference,
                        low=difference - z * error, high=difference + z * error, q_value=np.nan,
                    )
                )  # fmt: skip
    # Pairs that are no inversions are part of the family of comparisons: their one-sided p-values are one.
    adjusted = benjamini_hochberg([*p_values, *[1.0] * (pairs - len(found))])[: len(found)]
    kept = [replace(one, q_value=float(q)) for one, q in zip(found, adjusted, strict=True)]
    return sorted(kept, key=lambda one: signs[one.metric] * one.difference), pairs
