"""All IsoFLOP profiles at once: a cubic whose bottom, curvature and skew follow compute.

At compute C, with x the logarithm of size (or of tokens), y the loss and c = log C less its mean,

    y = m_C + exp(h + eta c) (u^2 / 2 + kappa u^3 / 6),   u = x - x*(C),   x*(C) = a + g c

Each compute has its own floor m_C. Under Chinchilla's law all of this holds to third order: the best size is a power of
compute, the curvature at the bottom is another, and the skew kappa = f''' / f'' = beta - alpha is the same everywhere.
Unlike a cubic through each profile by itself, the skew is estimated from all runs, and profiles whose own bottom the
noise hides still count. The floors drop out by taking means within each profile (variable projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.uncertainty import student_quantile
from rung.planning.allocation.profiles import Line

_COEFFICIENTS = 5
"""a, g, h, eta and kappa."""

_SURE = 0.95
"""Probability with which the curvature must be above zero."""

_FIRST_ETA = -0.15
"""Start of the curvature's exponent: the reducible loss falls about so with compute."""


@dataclass(frozen=True, slots=True)
class JointCubic:
    """The fitted bottom over compute, or why there is none.

    Attributes:
        line: The bottom's line; None where the profiles do not determine it.
        refused: The reason then; empty with a line.
    """

    line: Line | None
    refused: str = ""


def joint_cubic(
    log_compute: Sequence[float], profiles: Sequence[tuple[Array, Array]], *, noisy: bool = True
) -> JointCubic:
    """Fit the cubic to all profiles.

    Args:
        log_compute: The logarithm of each profile's compute.
        profiles: The log sizes and losses of each.
        noisy: Whether losses have noise, so that a curvature must stand out from it.
    """
    from scipy.optimize import least_squares

    index = np.repeat(np.arange(len(profiles)), [len(x) for x, _ in profiles])
    x, y = (np.concatenate([pair[part] for pair in profiles]) for part in (0, 1))
    middle = float(np.mean(log_compute))
    c = np.asarray(log_compute)[index] - middle
    counts = np.bincount(index)
    degrees = len(y) - len(profiles) - _COEFFICIENTS
    if degrees < 1:
        return JointCubic(None, f"{len(y)} runs of {len(profiles)} computes are too few for its coefficients")

    def within(values: Array) -> Array:
        return np.asarray(values - (np.bincount(index, values) / counts)[index])

    measured = within(y)
    unit = float(np.sqrt(np.mean(measured**2))) or 1.0

    def residual(theta: Array) -> Array:
        a, g, h, eta, kappa = theta
        u = x - a - g * c
        return (measured - within(np.exp(h + eta * c) * (u * u / 2 + kappa * u**3 / 6))) / unit

    start = _start(x, c, measured, within)
    found = least_squares(residual, start, x_scale=[0.3, 0.1, 0.3, 0.1, 0.3])
    variance = float(np.sum(found.fun**2)) / degrees
    covariance = variance * np.linalg.pinv(found.jac.T @ found.jac)
    a, g, _, _, _ = found.x
    bottoms = [float(a + g * (one - middle)) for one in log_compute]
    inside = [sizes.min() < bottom < sizes.max() for (sizes, _), bottom in zip(profiles, bottoms, strict=True)]
    if 2 * sum(inside) < len(inside):
        side = (
            "largest" if np.mean([b - s.max() for (s, _), b in zip(profiles, bottoms, strict=True)]) > 0 else "smallest"
        )
        return JointCubic(None, f"its bottom lies beyond the {side} sizes at most computes: train beyond them")
    if noisy and np.sqrt(covariance[2, 2]) * student_quantile(_SURE, degrees) > 1:
        return JointCubic(
            None, "losses at equal compute differ by little more than their noise: no size is shown to be best"
        )
    return JointCubic(_line(float(a), float(g), covariance[:2, :2], middle, degrees))


def _line(a: float, g: float, covariance: Array, middle: float, degrees: int) -> Line:
    """The line with its middle moved to where slope and intercept are uncorrelated, at -cov(a, g) / var(g)."""
    shift = float(-covariance[0, 1] / covariance[1, 1]) if covariance[1, 1] > 0 else 0.0
    variance = float(covariance[0, 0] + 2 * shift * covariance[0, 1] + shift**2 * covariance[1, 1])
    return Line(g, a + g * shift, middle + shift, float(covariance[1, 1]), max(variance, 0.0), degrees)


def _start(x: Array, c: Array, measured: Array, within: object) -> Array:
    """A parabola of one curvature about the middle of the sizes, by linear least squares, as the first point."""
    assert callable(within)
    slope, level = np.polyfit(c, x, 1) if np.ptp(c) > 0 else (0.5, float(np.mean(x)))
    u = x - level - slope * c
    shifts, tilts, bend = np.linalg.lstsq(
        np.column_stack([within(u), within(u * c), within(u * u / 2)]), measured, rcond=None
    )[0]
    if bend > 0:
        level -= np.clip(shifts / bend, -3, 3)
        slope -= np.clip(tilts / bend, -0.5, 0.5)
    return np.array([level, slope, np.log(max(bend, 1e-12)), _FIRST_ETA, 0.0])
