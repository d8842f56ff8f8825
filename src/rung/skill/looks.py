"""What many looks at one validation set cost: the best of several models, chosen on the items that score it, scores too high.

Resamples of the items choose a winner each, and the items that a resample leaves out score it:

    optimism = mean over resamples of (score of the winner on the items that chose it - its score on the items left out) (1 - 1/e)

The factor counts that a resample holds the share 1 - 1/e of the items, so that a choice by all items rests on more.

Source: Tsamardinos, Greasidou and Borboudakis 2018, doi:10.1007/s10994-018-5714-4, for choosing and scoring by resamples.
Differs: the factor is ours; benchmarks/real_or_not.py measures what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.skill.score_table import Scores

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyLooks:
    """The best of several models on one task.

    Attributes:
        task: The task.
        best: The model with the best score.
        models: How many were compared.
        score: Its score on all items.
        corrected: Its score without the gain of having been chosen.
        optimism: By how much the score is too good.
    """

    task: str
    best: str
    models: int
    score: float
    corrected: float
    optimism: float


def many_looks(models: Sequence[Scores], task: str, seed: int, *, lower: bool) -> ManyLooks:
    """What choosing the best of some models on their common items costs.

    Args:
        models: Their scores on one task.
        task: The task.
        seed: Seed of the resamples.
        lower: Whether a lower score is better.
    """
    common = [name for name in models[0].units if all(name in one.at for one in models)]
    values_MI = np.array([one.values[[one.at[name] for name in common]] for one in models])
    sign = -1.0 if lower else 1.0
    means = values_MI.mean(axis=1) if common else np.array([one.values.mean() for one in models])
    best = int(np.argmax(sign * means))
    optimism = 0.0
    if len(common) > 2:
        rng = np.random.default_rng(seed)
        counts_BI = rng.multinomial(len(common), np.full(len(common), 1 / len(common)), size=_RESAMPLES)
        inside_BM = counts_BI @ values_MI.T / len(common)
        left_BI = (counts_BI == 0).astype(float)
        outside_BM = left_BI @ values_MI.T / np.maximum(left_BI.sum(axis=1, keepdims=True), 1)
        winners = np.argmax(sign * inside_BM, axis=1)
        rows = np.arange(_RESAMPLES)
        gaps = sign * (inside_BM[rows, winners] - outside_BM[rows, winners])
        optimism = max(float(gaps.mean()) * (1 - 1 / np.e), 0.0)
    score = float(means[best])
    return ManyLooks(
        task=task,
        best=models[best].model,
        models=len(models),
        score=score,
        corrected=score - sign * optimism,
        optimism=optimism,
    )
