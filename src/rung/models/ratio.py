"""Sums over documents divided by each other, with their standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A sum over documents divided by another, with its standard error.

    Attributes:
        value: The ratio.
        se: Its standard error, from how documents differ; None for fewer than two.
    """

    value: float
    se: float | None


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Divide sum a_i by sum b_i, with the standard error of a ratio estimator over documents.

    se^2 = n / (n - 1) sum (a_i - r b_i)^2 / (sum b_i)^2.

    Source: Cochran 1977, Sampling Techniques, equation 6.13 (without the correction for a finite population).
    """
    a, b = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    value = float(a.sum() / b.sum())
    count = len(a)
    if count < 2:
        return Ratio(value=value, se=None)
    return Ratio(value=value, se=float(np.sqrt(count / (count - 1) * np.sum((a - value * b) ** 2)) / b.sum()))
