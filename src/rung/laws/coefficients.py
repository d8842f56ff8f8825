"""Coefficients, their ranges, and the unconstrained parameters that the solver works on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rung.arrays import Array


class Scale(Enum):
    """How a coefficient x in the open range (low, high) maps to its unconstrained parameter u.

    REAL: u = x. ABOVE: u = log(x - low). BELOW: u = log(high - x). BETWEEN: u = log((x - low) / (high - x)).
    """

    REAL = "real"
    ABOVE = "above"
    BELOW = "below"
    BETWEEN = "between"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One coefficient of a law.

    Attributes:
        name: Its name in the formula.
        low: Open lower bound of its range; 0 unless the law says otherwise.
        high: Open upper bound of its range.
        fixed: Its value where it is held fixed; None where it is estimated.
        group: The column whose levels each have their own value; None where one value holds for all runs.
    """

    name: str
    low: float = 0.0
    high: float = math.inf
    fixed: float | None = None
    group: str | None = None

    @property
    def scale(self) -> Scale:
        if math.isinf(self.low):
            return Scale.REAL if math.isinf(self.high) else Scale.BELOW
        return Scale.ABOVE if math.isinf(self.high) else Scale.BETWEEN

    def to_unconstrained(self, value: Array | float) -> Array:
        """The unconstrained parameter u of a value inside the range."""
        x = np.asarray(value, dtype=np.float64)
        with np.errstate(all="ignore"):
            match self.scale:
                case Scale.REAL:
                    return x
                case Scale.ABOVE:
                    return np.asarray(np.log(x - self.low))
                case Scale.BELOW:
                    return np.asarray(np.log(self.high - x))
                case Scale.BETWEEN:
                    return np.asarray(np.log(x - self.low) - np.log(self.high - x))

    def to_value(self, unconstrained: Array | float) -> Array:
        """The value of an unconstrained parameter u."""
        u = np.asarray(unconstrained, dtype=np.float64)
        with np.errstate(all="ignore"):
            match self.scale:
                case Scale.REAL:
                    return u
                case Scale.ABOVE:
                    return np.asarray(self.low + np.exp(u))
                case Scale.BELOW:
                    return np.asarray(self.high - np.exp(u))
                case Scale.BETWEEN:
                    return np.asarray(self.low + (self.high - self.low) * np.exp(-np.logaddexp(0.0, -u)))

    def end(self, unconstrained: float) -> float:
        """The bound of the range that the value approaches for an extreme u; u itself where the range has no bound."""
        match self.scale:
            case Scale.REAL:
                return unconstrained
            case Scale.ABOVE:
                return self.low
            case Scale.BELOW:
                return self.high
            case Scale.BETWEEN:
                return self.low if unconstrained < 0 else self.high

    def slope(self, unconstrained: Array | float) -> Array:
        """Derivative of the value by the unconstrained parameter, dx/du."""
        u = np.asarray(unconstrained, dtype=np.float64)
        with np.errstate(all="ignore"):
            match self.scale:
                case Scale.REAL:
                    return np.ones_like(u)
                case Scale.ABOVE:
                    return np.asarray(np.exp(u))
                case Scale.BELOW:
                    return np.asarray(-np.exp(u))
                case Scale.BETWEEN:
                    inside = np.exp(-np.logaddexp(0.0, -u) - np.logaddexp(0.0, u))
                    return np.asarray((self.high - self.low) * inside)
