"""Whether a task can be predicted at all, said before any forecast.

    signal           the range of scores over runs, from the mean of the lowest to the mean of the highest quarter
    noise            the standard deviation of a checkpoint about the course of its run; without checkpoints, about a smooth curve over scale
    above chance     whether the highest quarter of the runs lies above chance by more than two standard errors
    trend            Spearman's rank correlation of score and compute over runs

Source: Heineman et al. 2025, arXiv:2508.13144, for signal against noise of checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.skill.task_table import TaskTable

_LEAST = 3.0
"""Least ratio of signal to noise of a task that can be predicted."""

_SURE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What the runs show of a task.

    Attributes:
        low: Mean score of the lowest quarter of the runs by compute.
        high: Mean score of the highest quarter.
        noise: Noise of one checkpoint, or about a smooth curve.
        ratio: Signal to noise.
        rank: Spearman's correlation of score and compute.
        p_value: Its p-value, one-sided.
        predictable: Whether the task can be predicted.
        reason: Why not; empty where it can.
    """

    low: float
    high: float
    noise: float
    ratio: float
    rank: float
    p_value: float
    predictable: bool
    reason: str


def signal_of(table: TaskTable) -> Signal:
    """What the runs show of a task, and whether it can be predicted."""
    from scipy.stats import spearmanr

    ends = table.ends.sort("flops")
    score = ends["score"].to_numpy()
    quarter = max(len(score) // 4, 1)
    low, high = float(score[:quarter].mean()), float(score[-quarter:].mean())
    noise = table.noise if table.noise is not None else _about_curve(np.log(ends["flops"].to_numpy()), score)
    ratio = (high - low) / noise if noise > 0 else float("inf") if high > low else 0.0
    rank, p_value = (
        (0.0, 1.0) if np.ptp(score) == 0 else spearmanr(ends["flops"].to_numpy(), score, alternative="greater")
    )
    error = max(noise, float(np.std(score[-quarter:]))) / np.sqrt(quarter)
    reason = ""
    if high < table.task.chance + 2 * error:
        reason = f"its scores are at chance ({table.task.chance:.3g}), the largest runs at {high:.3g}"
    elif not p_value < _SURE:
        reason = f"its scores do not rise with compute (rank correlation {rank:+.2f})"
    elif ratio < _LEAST:
        reason = f"its scores rise by {high - low:.3g}, and one checkpoint scatters by {noise:.2g}"
    return Signal(
        low=low,
        high=high,
        noise=float(noise),
        ratio=float(ratio),
        rank=float(rank),
        p_value=float(p_value),
        predictable=not reason,
        reason=reason,
    )


def _about_curve(scale: Array, score: Array) -> float:
    """Standard deviation about a parabola over the logarithm of compute; a straight line through few runs."""
    degree = 2 if len(score) > 6 else 1 if len(score) > 3 else 0
    gaps = score - np.polyval(np.polyfit(scale, score, degree), scale)
    return float(np.sqrt((gaps**2).sum() / max(len(score) - degree - 1, 1)))
