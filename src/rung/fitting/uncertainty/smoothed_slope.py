"""The slope psi' of the loss at each residual, smoothed where few residuals lie where the loss bends.

For Huber's loss near its absolute limit, few residuals lie within delta. Then psi', the indicator of |r| <= delta, is
smoothed to 2 delta phi(r / h) / h with the normal density phi and Hall and Sheather's (1988) bandwidth h.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.objective import STUDENT_DEGREES
from rung.fitting.estimate.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothedSlope:
    """psi and its smoothed slope, with the bandwidth of the residuals at an optimum.

    Attributes:
        delta: Huber's threshold; inf for squares and Student's loss.
        width: The bandwidth h; below delta, psi' itself serves.
        student_scale: Student's scale; None for the other losses.
        student_slope: Student's slope, averaged over the rows at the optimum: at single rows, beyond two scales, it is
            negative.
    """

    delta: float
    width: float = 0.0
    student_scale: float | None = None
    student_slope: float = 0.0

    def terms(self, r: Array) -> tuple[Array, Array]:
        """The slope, and psi, at each residual."""
        if self.student_scale is not None:
            weight = (STUDENT_DEGREES + 1) / (STUDENT_DEGREES * self.student_scale**2 + r * r)
            return np.full_like(r, self.student_slope), weight * r
        if np.isinf(self.delta):
            return np.ones_like(r), r
        psi = np.clip(r, -self.delta, self.delta)
        if self.width <= self.delta:
            return (np.abs(r) <= self.delta).astype(float), psi
        # The kernel is smooth: with a sharp one, the few rows that happen to lie inside would decide on small tables.
        kernel = np.exp(-0.5 * (r / self.width) ** 2) * (2 / np.sqrt(2 * np.pi)) * self.delta / self.width
        return np.minimum(kernel, 1.0), psi


def smoothed_slope(problem: Problem, optimum: Optimum) -> SmoothedSlope:
    """The slope at an optimum, for points near it as well."""
    r = optimum.residuals
    delta = problem.deltas[-1]
    if problem.objective.loss == "student-t":
        # psi' = (v + 1) (v s^2 - r^2) / (v s^2 + r^2)^2
        square = STUDENT_DEGREES * optimum.scale**2
        slope = (STUDENT_DEGREES + 1) * (square - r * r) / (square + r * r) ** 2
        average = float(np.average(slope, weights=problem.design.weights))
        return SmoothedSlope(delta=np.inf, student_scale=optimum.scale, student_slope=average)
    if np.isinf(delta):
        return SmoothedSlope(delta=np.inf)
    half = _hall_sheather(len(r))
    low, high = np.quantile(r, [max(0.0, 0.5 - half), min(1.0, 0.5 + half)])
    # The bandwidth stays above delta; once delta is the larger, psi' itself serves.
    return SmoothedSlope(delta=delta, width=max(delta, float(high - low) / 2))


def _hall_sheather(count: int) -> float:
    """Half width, in probability, of the bandwidth for the density at the median, for 90 % intervals.

    n^(-1/3) z^(2/3) (1.5 phi(0)^2)^(1/3), with z = Phi^-1(0.95).
    Source: Hall and Sheather 1988.
    """
    normal = NormalDist()
    return float(count ** (-1 / 3) * normal.inv_cdf(0.95) ** (2 / 3) * (1.5 * normal.pdf(0.0) ** 2) ** (1 / 3))
