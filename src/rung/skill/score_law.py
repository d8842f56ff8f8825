"""From the loss on a task to its score: a logistic between chance and ceiling.

    score = floor + (top - floor) / (1 + exp(k (loss - middle)))

Few ladders show both ends of the curve, so each end is drawn to what is known of the task, and the slope to what tasks have:

    floor ~ N(chance, 0.05)    top ~ N(ceiling, 0.2 (ceiling - chance))    log(k mean(loss)) ~ N(1.2, 1.5)

Checkpoints of one run are no independent points: a run counts for at most eight of them, and draws resample whole runs.

Source: Bhagia et al. 2024, arXiv:2412.04403, section 3.2, for the logistic in the loss on the task, fitted to checkpoints.
Differs: floor and top are drawn to the task's own ends, where the paper leaves them free; docs/benchmarks.md has both.

Shapes: `n` points, `B` draws, `K` coefficients, `m` questions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices

_PER_RUN = 8
"""Points for which a run counts at most."""

_FLOOR_STD, _TOP_STD = 0.05, 0.2
_SLOPE, _SLOPE_STD = 1.2, 1.5
_STEEPEST = 8.0
"""Largest logarithm of k mean(loss)."""

_LEAST_NOISE = 0.002
_ROUNDS = 3
"""Rounds in which the noise of a point and the coefficients are found in turn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreLaw:
    """A logistic from loss to score.

    Attributes:
        coefficients: log(k mean(loss)), middle, top and floor (K,).
        draws_BK: The same from resamples of whole runs.
        centre: The mean loss, which is the unit of the slope.
        noise: Standard deviation of a point about the curve.
    """

    coefficients: Array
    draws_BK: Array
    centre: float
    noise: float

    @property
    def slope(self) -> float:
        """k, by loss."""
        return float(np.exp(self.coefficients[0]) / self.centre)

    @property
    def middle(self) -> float:
        """The loss half way between floor and top."""
        return float(self.coefficients[1])

    @property
    def floor(self) -> float:
        """The score at a high loss."""
        return float(self.coefficients[3])

    @property
    def top(self) -> float:
        """The score at a low loss."""
        return float(self.coefficients[2])

    def __call__(self, loss: Array | float) -> Array:
        """The score at some losses (m,)."""
        return _curve(self.coefficients, np.asarray(loss, dtype=float), self.centre)

    def drawn(self, loss: Array) -> Array:
        """The score at each loss by a draw of its own (B,), the draws in turn."""
        rows = np.arange(len(loss)) % len(self.draws_BK)
        return _curve(self.draws_BK[rows].T, loss, self.centre)


def fit_score_law(
    loss: Array, score: Array, runs: Indices, *, ends: tuple[float, float], draws: int = 100, seed: int = 0
) -> ScoreLaw:
    """Fit the logistic from loss to score.

    Args:
        loss: Loss on the task at each point (n,).
        score: Score at each point (n,).
        runs: The number of the run of each point (n,).
        ends: Score by chance, and the highest score there is.
        draws: Resamples of runs.
        seed: Their seed.
    """
    centre = float(np.mean(np.abs(loss))) or 1.0
    count = len(np.unique(runs))
    weights = np.full(len(loss), min(1.0, count * _PER_RUN / len(loss)))
    noise, found = 0.02, np.zeros(4)
    for _ in range(_ROUNDS):
        starts = [[_SLOPE + shift, float(np.median(loss)), *ends[::-1]] for shift in (-1.0, 0.0, 1.5)]
        found = min(
            (_solved(loss, score, weights, noise, ends, one, centre) for one in starts), key=lambda one: one[1]
        )[0]
        gaps = _curve(found, loss, centre) - score
        noise = max(float(np.sqrt((weights * gaps**2).sum() / max(weights.sum() - 3, 1.0))), _LEAST_NOISE)
    rng = np.random.default_rng(seed)
    numbers = np.unique(runs)
    rows_of = [np.flatnonzero(runs == one) for one in numbers]
    drawn = []
    for _ in range(draws):
        rows = np.concatenate([rows_of[one] for one in rng.integers(len(numbers), size=len(numbers))])
        # The ends that were drawn to are known no better than so: each resample is drawn to ends of its own.
        around = (ends[0] + _FLOOR_STD * rng.standard_normal(), ends[1] + _top_std(ends) * rng.standard_normal())
        solved, _ = _solved(loss[rows], score[rows], weights[rows], noise, around, found, centre, std=ends)
        drawn.append(solved)
    return ScoreLaw(coefficients=found, draws_BK=np.array(drawn).reshape(-1, 4), centre=centre, noise=noise)


def _top_std(ends: tuple[float, float]) -> float:
    return _TOP_STD * (ends[1] - ends[0])


def _curve(coefficients: Array, loss: Array, centre: float) -> Array:
    slope, middle, top, floor = coefficients
    from scipy.special import expit

    steep = np.exp(np.minimum(slope, _STEEPEST)) / centre
    return np.asarray(floor + (top - floor) * expit(-steep * (loss - middle)))


def _solved(
    loss: Array,
    score: Array,
    weights: Array,
    noise: float,
    ends: tuple[float, float],
    start: Array | list[float],
    centre: float,
    std: tuple[float, float] | None = None,
) -> tuple[Array, float]:
    """The coefficients with the least penalised sum of squares, and half that sum."""
    from scipy.optimize import least_squares

    root = np.sqrt(weights) / noise
    top_std = _top_std(std or ends)

    def residuals(theta: Array) -> Array:
        prior = [(theta[3] - ends[0]) / _FLOOR_STD, (theta[2] - ends[1]) / top_std, (theta[0] - _SLOPE) / _SLOPE_STD]
        return np.concatenate([(_curve(theta, loss, centre) - score) * root, prior])

    found = least_squares(residuals, start, max_nfev=200, x_scale=[1.0, centre, 1.0, 1.0])
    return np.asarray(found.x), float(found.cost)
