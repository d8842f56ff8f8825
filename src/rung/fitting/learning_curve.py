"""Learning curves: the region in which an error falls as a power law of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.estimate.multistart import MEDIAN_OF_NORMAL
from rung.fitting.fit import fit
from rung.fitting.result import Fit

_FEWEST, _MOST = 5, 8
"""Fewest and most sizes that the search for the region starts with: the largest six tenths, within these limits."""

_OUTSIDE = 6.0
"""Standard deviations within which a smaller size must lie of the curve of the larger ones to join them."""

_STEEPEST = 5.0
"""Exponent beyond which a power law is rejected."""

_SMALLEST_STD = 5e-3
"""Least standard deviation that sizes are judged by, as a share of the error."""

_DENSE = 8
"""Sizes between neighbours from which on their scatter is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """An error as a function of the size of the training data.

    Attributes:
        fit: The power law with a floor, fitted in the power-law region.
        first: The smallest size in the region; at smaller sizes the error stays at that of a best guess.
        last: The largest size.
        floor: Whether the data show a floor: its interval excludes zero.
    """

    fit: Fit
    first: float
    last: float
    floor: bool


def learning_curve(samples: Array, error: Array, *, region: str | None = "auto", seed: int = 0) -> LearningCurve:
    """Fit the error alpha m^-beta + gamma to m training samples.

    Args:
        samples: Sizes m of the training data (n,).
        error: Error at each size (n,), positive.
        region: "auto" leaves out small sizes, where the error stays at that of a best guess; None keeps all sizes.
        seed: Seed of the starts.

    The region grows from the largest sizes down. The next smaller size joins while its error lies within six standard
    deviations of the curve fitted to the sizes above it. On many sizes the standard deviation is at most that of neighbours:
    otherwise a curve that bends little by little widens it little by little, and no size ever lies outside.
    Source: Hestness et al. 2017, arXiv:1712.00409, section 2.

    Raises:
        FitError: There are too few sizes, or errors that are not positive.
    """
    if region not in {None, "auto"}:
        raise FitError(f"region {region!r} is 'auto' or None.")
    order = np.argsort(samples, kind="stable")
    sizes, errors = np.asarray(samples, float)[order], np.asarray(error, float)[order]
    if len(sizes) < 4:
        raise FitError(f"{len(sizes)} sizes are too few for a learning curve: it has three coefficients.")
    start = _region(sizes, errors) if region == "auto" else 0
    runs = pl.DataFrame({"tokens": sizes[start:], "loss": errors[start:]})
    found = fit(runs.unique(maintain_order=True), "hestness-floor", objective="log-squares", draws=0, seed=seed)
    gamma = found.coefficients["gamma"]
    return LearningCurve(
        fit=found, first=float(sizes[start]), last=float(sizes[-1]), floor=gamma.low is not None and gamma.low > 0
    )


def _region(sizes: Array, errors: Array) -> int:
    """Index of the smallest size in the power-law region."""
    start = max(len(sizes) - int(np.clip(round(0.6 * len(sizes)), _FEWEST, _MOST)), 0)
    scatter = _scatter(np.log(sizes), np.log(errors))
    while start > 0:
        alpha, beta, gamma, std = _fit_on_grid(sizes[start:], errors[start:])
        # A size outside the fitted ones has the variance of the forecast in addition to that of a point.
        std = max(min(std, scatter), _SMALLEST_STD) * np.sqrt(1 + 9 / len(sizes[start:]))
        expected = alpha * sizes[start - 1] ** -beta + gamma
        if abs(np.log(errors[start - 1] / expected)) > _OUTSIDE * std:
            break
        start -= 1
    return start


def _scatter(x: Array, y: Array) -> float:
    """The robust standard deviation of log y about the line between its neighbours; infinite for few sizes."""
    if len(x) - 2 < _DENSE:
        return float("inf")
    share = (x[1:-1] - x[:-2]) / np.maximum(x[2:] - x[:-2], 1e-12)
    off = y[1:-1] - (1 - share) * y[:-2] - share * y[2:]
    return float(np.median(np.abs(off) / np.sqrt(1 + share**2 + (1 - share) ** 2)) / MEDIAN_OF_NORMAL)


def _fit_on_grid(sizes: Array, errors: Array) -> tuple[float, float, float, float]:
    """A power law with a floor, by projection over a grid of floors: alpha, beta, gamma and a standard deviation.

    For each floor gamma: log(y - gamma) = log alpha - beta log m is linear, with weights (y - gamma) / y that turn its
    residuals into those of log y to first order. The floor with the least squares in log y wins. The standard deviation s
    is that of log y about the curve: s^2 = squares / (n - 3).
    """
    x, y = np.log(sizes), np.log(errors)
    best = (np.inf, float(np.mean(errors)), 0.0, 0.0)
    for floor in np.concatenate([[0.0], errors.min() * np.linspace(0.02, 0.98, 49)]):
        reducible = np.log(errors - floor)
        weight = (errors - floor) / errors
        slope, intercept = np.polyfit(x, reducible, 1, w=weight)
        residual = y - np.log(np.exp(intercept + slope * x) + floor)
        total = float(residual @ residual)
        if -_STEEPEST < slope < 0 and total < best[0]:
            best = (total, float(np.exp(intercept)), float(-slope), float(floor))
    std = np.sqrt(best[0] / max(len(x) - 3, 1)) if np.isfinite(best[0]) else 1.0
    return best[1], best[2], best[3], float(std)
