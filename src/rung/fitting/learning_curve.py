"""Learning curves: the region in which an error falls as a power law of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import FitError
from rung.fitting.fit import fit
from rung.fitting.result import Fit

_LEAST, _MOST = 5, 8
"""Points at the large end that the search for the region starts from: six tenths of all, between these."""

_FAR = 6.0
"""Spreads by which a smaller point may miss the curve of the larger ones and still belong to it."""

_STEEPEST = 5.0
_FINEST = 1e-3
"""The least spread that points are judged by, as a share of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """An error in the size of its training data.

    Attributes:
        fit: The power law with a floor, fitted in its region.
        first: The smallest size in the region; smaller ones lie in that of a best guess.
        last: The largest size.
        floor: Whether the data show a floor: its interval leaves zero out.
    """

    fit: Fit
    first: float
    last: float
    floor: bool


def learning_curve(samples: Array, error: Array, *, region: str | None = "auto", seed: int = 0) -> LearningCurve:
    """Fit alpha m^-beta + gamma to errors in training samples m.

    Args:
        samples: Sizes of training data (n,).
        error: Error at each (n,), positive.
        region: "auto" leaves out small sizes where the error stays at that of a best guess; None keeps all.
        seed: Seed of the starts.

    The region grows from the large end: a smaller size joins while its error lies within six spreads of the curve
    fitted to the sizes above it.
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
    """The place of the smallest size in the power-law region."""
    start = max(len(sizes) - int(np.clip(round(0.6 * len(sizes)), _LEAST, _MOST)), 0)
    while start > 0:
        alpha, beta, gamma, spread = _quick(sizes[start:], errors[start:])
        expected = alpha * sizes[start - 1] ** -beta + gamma
        if abs(np.log(errors[start - 1] / expected)) > _FAR * spread:
            break
        start -= 1
    return start


def _quick(sizes: Array, errors: Array) -> tuple[float, float, float, float]:
    """Power law with a floor by projection over a grid of floors; its spread is that of the logarithms."""
    x, y = np.log(sizes), np.log(errors)
    best = (np.inf, float(np.mean(errors)), 0.0, 0.0)
    for floor in np.concatenate([[0.0], errors.min() * np.linspace(0.02, 0.98, 49)]):
        reducible = np.log(errors - floor)
        weight = (errors - floor) / errors
        slope, height = np.polyfit(x, reducible, 1, w=weight)
        residual = y - np.log(np.exp(height + slope * x) + floor)
        total = float(residual @ residual)
        if -_STEEPEST < slope < 0 and total < best[0]:
            best = (total, float(np.exp(height)), float(-slope), float(floor))
    spread = np.sqrt(best[0] / max(len(x) - 3, 1)) if np.isfinite(best[0]) else 1.0
    # A point outside the sizes fitted has the spread of the forecast beside that of a point.
    return best[1], best[2], best[3], float(max(spread * np.sqrt(1 + 9 / len(x)), _FINEST))
