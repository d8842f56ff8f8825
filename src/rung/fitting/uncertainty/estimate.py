"""An estimate: one number with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number with its uncertainty.

    Attributes:
        value: The estimate.
        low: Lower bound of its interval; None where the data do not determine it.
        high: Upper bound of its interval; None likewise.
        std_error: Standard error; None where there is none.
    """

    value: float
    low: float | None = None
    high: float | None = None
    std_error: float | None = None
