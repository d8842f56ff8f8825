"""IsoFLOP profiles: where losses at equal compute are lowest, by a polynomial in log size, and how sure that is.

Through the losses of one profile, with x the logarithm of size (or of tokens) less its mean, least squares fits

    f(x) = c_0 + c_1 x + c_2 x^2            (parabola)
    f(x) = c_0 + c_1 x + c_2 x^2 + c_3 x^3  (cubic)

The bottom x* is the root of f' with f'' > 0. By the implicit function theorem dx*/dc_k = -k x*^(k-1) / f''(x*), so with
the covariance s^2 (X'X)^-1 of the coefficients, the bottom has the variance s^2 g' (X'X)^-1 g. The noise s^2 is pooled
over all profiles, so three sizes are enough where other profiles have more.

The bottom of a parabola differs from that of the law wherever the two exponents differ, or the sizes are not centred on
the best one: see arXiv:2603.22339. A cubic follows the skew, at the price of wider intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import PlanError
from rung.fitting.backtest import scale_levels
from rung.fitting.uncertainty import student_quantile

Indices = NDArray[np.intp]

PARABOLA, CUBIC = 2, 3
"""Degrees of the polynomials."""

_LEAST_SIZES = 3
"""Fewest distinct sizes at equal compute that make a profile."""

_LEAST_SIZES_BINNED = 5
"""As many where computes of a bin differ, which is noise of its own."""

_LEAST_PROFILES = 2
"""Fewest IsoFLOP profiles, through whose bottoms a line can go."""

_BINS_PER_DECADE = 4
"""Bins of compute in a decade, where too few runs have equal compute."""

_SURE = 0.95
"""Probability with which a curvature must be above zero for a bottom to count."""

BottomStatus = Literal["inside", "at the edge", "flat", "opens downwards", "too few sizes"]
"""Whether a profile has a bottom among its sizes; "flat": the noise alone could make that curvature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottom:
    """Where a polynomial through a profile is lowest.

    Attributes:
        at: The logarithm of the size there; None without one.
        error: Its standard error; None where no degree of freedom is left for the noise.
        status: Whether it can be used.
    """

    at: float | None
    error: float | None
    status: BottomStatus


def profile_rows(compute: Array, params: Array) -> tuple[list[Indices], bool]:
    """Rows of equal compute, each with enough sizes, and whether they are bins, because too few are equal.

    Raises:
        PlanError: Too few computes have enough sizes.
    """
    largest = scale_levels(compute)
    equal = np.searchsorted(largest, compute)
    bins = np.round(np.log10(compute) * _BINS_PER_DECADE).astype(int)
    for indices, binned in ((equal, False), (bins, True)):
        groups = [np.flatnonzero(indices == index) for index in np.unique(indices)]
        least = _LEAST_SIZES_BINNED if binned else _LEAST_SIZES
        kept = [rows for rows in groups if len(np.unique(params[rows])) >= least]
        if len(kept) >= _LEAST_PROFILES:
            return kept, binned
    raise PlanError(
        f"fewer than {_LEAST_PROFILES} computes have {_LEAST_SIZES} sizes or more, so lowest losses and polynomials say nothing. "
        "Allocate from a fit instead: rung fit RUNS -o fit.json, then rung allocate fit.json."
    )


@dataclass(frozen=True, slots=True)
class Noise:
    """The residual noise of polynomials of one degree, pooled over profiles.

    Attributes:
        variance: s^2; nan without degrees of freedom.
        degrees: Degrees of freedom.
    """

    variance: float
    degrees: int


def pooled_noise(profiles: Sequence[tuple[Array, Array]], degree: int) -> Noise:
    """s^2 = sum of squared residuals / (rows - coefficients), over the (log sizes, losses) of all profiles."""
    squares, degrees = 0.0, 0
    for x, loss in profiles:
        if len(np.unique(x)) <= degree:
            continue
        X = np.vander(x - np.mean(x), degree + 1, increasing=True)
        residual = loss - X @ np.linalg.lstsq(X, loss, rcond=None)[0]
        squares += float(residual @ residual)
        degrees += len(x) - degree - 1
    return Noise(squares / degrees if degrees else np.nan, degrees)


def bottom_of(x: Array, loss: Array, degree: int, noise: Noise | None = None) -> Bottom:
    """The bottom of one profile; without noise, as for losses of a law, any curvature above zero counts."""
    if len(np.unique(x)) <= degree:
        return Bottom(at=None, error=None, status="too few sizes")
    middle = float(np.mean(x))
    X = np.vander(x - middle, degree + 1, increasing=True)
    c = np.linalg.lstsq(X, loss, rcond=None)[0]
    c3 = float(c[3]) if degree == CUBIC else 0.0
    # x* = -c1 / (c2 + sqrt(c2^2 - 3 c1 c3)) is the root of f' at which f'' = 2 sqrt(c2^2 - 3 c1 c3) > 0.
    inside_root = float(c[2] ** 2 - 3 * c[1] * c3)
    if inside_root <= 0 or (c3 == 0.0 and c[2] <= 0) or c[2] + np.sqrt(inside_root) == 0:
        return Bottom(at=None, error=None, status="opens downwards")
    at = float(-c[1] / (c[2] + np.sqrt(inside_root)))
    curvature = 2 * float(np.sqrt(inside_root))
    status: BottomStatus = "inside" if x.min() < at + middle < x.max() else "at the edge"
    if noise is None or not noise.degrees:
        return Bottom(at=at + middle, error=None, status=status)
    inverse = np.linalg.inv(X.T @ X)
    powers = np.arange(degree + 1)
    slopes = -powers * at ** np.maximum(powers - 1, 0) / curvature
    bends = powers * (powers - 1) * at ** np.maximum(powers - 2, 0)
    error = float(np.sqrt(noise.variance * slopes @ inverse @ slopes))
    bend_error = float(np.sqrt(noise.variance * bends @ inverse @ bends))
    if status == "inside" and curvature < student_quantile(_SURE, noise.degrees) * bend_error:
        status = "flat"
    return Bottom(at=at + middle, error=error, status=status)


@dataclass(frozen=True, slots=True)
class Line:
    """The line y = intercept + slope (log C - middle) by weighted least squares.

    Attributes:
        slope: Its slope, the exponent of compute.
        intercept: Its value at the middle.
        middle: The weighted mean of log C.
        slope_variance: Variance of the slope.
        intercept_variance: Variance of the intercept; the two are uncorrelated.
        degrees: Degrees of freedom of those variances; 0 where there are none.
    """

    slope: float
    intercept: float
    middle: float
    slope_variance: float
    intercept_variance: float
    degrees: int

    def at(self, log_compute: float) -> float:
        return self.intercept + self.slope * (log_compute - self.middle)

    def error_at(self, log_compute: float) -> float | None:
        """Standard error of the line there; None without degrees of freedom."""
        if not self.degrees:
            return None
        return float(np.sqrt(self.intercept_variance + (log_compute - self.middle) ** 2 * self.slope_variance))

    def slope_interval(self, level: float) -> tuple[float | None, float | None]:
        """Confidence interval of the slope by Student's t."""
        return _interval(self.slope, float(np.sqrt(self.slope_variance)), self.degrees, level)

    def interval_at(self, log_compute: float, level: float) -> tuple[float | None, float | None]:
        """Confidence interval of the line there, by Student's t."""
        error = self.error_at(log_compute)
        return (None, None) if error is None else _interval(self.at(log_compute), error, self.degrees, level)


def line_through(points: Sequence[tuple[float, float, float | None]], noise_degrees: int = 0) -> Line | None:
    """The line through points (log C, y, standard error of y); None for fewer than two computes.

    Without errors, all points weigh the same. With weights w = 1 / error^2 the variances are those of weighted least squares. Where the points lie further from
    the line than their errors explain, the variances grow by the ratio sum(w r^2) / (n - 2), as in a meta-analysis
    (Birge 1932), and the degrees of freedom are the line's, n - 2.
    """
    x, values = (np.array([point[part] for point in points], dtype=float) for part in (0, 1))
    errors = [error for *_, error in points]
    if len(np.unique(x)) < 2:
        return None
    known = noise_degrees > 0 and all(error is not None and error > 0 for error in errors)
    w = 1 / np.square(np.asarray(errors, dtype=float)) if known else np.ones(len(x))
    middle = float(np.average(x, weights=w))
    spread = float(w @ (x - middle) ** 2)
    slope = float(w @ ((x - middle) * values)) / spread
    intercept = float(np.average(values, weights=w))
    free = len(x) - 2
    rest = float(w @ (values - intercept - slope * (x - middle)) ** 2)
    ratio = rest / free if free else np.nan
    if known and not ratio > 1:
        ratio, degrees = 1.0, noise_degrees
    else:
        degrees = free
    if not degrees:
        ratio = np.nan
    return Line(slope, intercept, middle, ratio / spread, ratio / float(np.sum(w)), degrees)


def _interval(value: float, error: float, degrees: int, level: float) -> tuple[float | None, float | None]:
    if degrees < 1 or not np.isfinite(error):
        return (None, None)
    half = student_quantile((1 + level) / 2, degrees) * error
    return (value - half, value + half)


def parabola_bias(alpha: float, beta: float, log_sizes: Array) -> float:
    """The bias of a parabola: log of its bottom over the best size, to leading order in the width of a centred grid.

    Along equal compute the law is a sum of exponentials in x = log N,

        f(x) = E + a exp(-alpha x) + b exp(beta x),   f'''(0) / f''(0) = beta - alpha

    with x = 0 at the best size, where f'(0) = 0. Least squares on a symmetric grid fits the cubic term f'''(0) x^3 / 6
    by a line of slope f'''(0) / 6 sum(x^4) / sum(x^2), and the parabola's bottom is at minus that slope over f''(0):

        bias = (alpha - beta) / 6 * sum(x^4) / sum(x^2).

    Args:
        alpha: Exponent of N.
        beta: Exponent of D.
        log_sizes: Logarithms of the sizes, symmetric about the best one (n,).
    """
    x = log_sizes - np.mean(log_sizes)
    return float((alpha - beta) / 6 * np.sum(x**4) / np.sum(x**2))
