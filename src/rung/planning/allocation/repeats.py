"""What repeated tokens, and parameters beyond what unique tokens can use, are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array

_SPREADS = {"tokens_last": 0.54, "params_last": 1.0}
"""Standard deviations of log R_D* and log R_N*.

The published runs give R_D* = 15.4 and R_N* = 5.3 by the paper's staged fit, 20.5 and 2.1 with its other coefficients held,
37.3 and 1.0 with all coefficients free (docs/studies.md). The largest difference counts as half of a 90 % interval.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What tokens are worth that are seen more than once, and parameters beyond what the unique tokens can use.

    With R_D = D / U - 1 repetitions of U unique tokens, R_N = N / U_N - 1 and U_N the compute-optimal size for U
    tokens, a law takes D' and N' in place of D and N:

        D' = U + U R_D* (1 - exp(-R_D / R_D*)),   N' = U_N + U_N R_N* (1 - exp(-R_N / R_N*)).

    Below U, D counts in full, and so does N below U_N.

    Source: Muennighoff et al. 2023, arXiv:2305.16264, equations 5 and 6.

    Attributes:
        unique: Unique tokens U.
        size: The compute-optimal size U_N for U tokens; None where every parameter counts in full.
        tokens_last: Repetitions R_D* after which a token has lost 1 - 1/e of its worth.
        params_last: The same for parameters, R_N*.
    """

    unique: float
    size: UsableSize | None
    tokens_last: float
    params_last: float

    def shifted(self) -> Iterator[tuple[Repeats, Repeats]]:
        """For each constant, the same with that constant one standard deviation lower and higher."""
        for name, spread in _SPREADS.items():
            value = getattr(self, name)
            low, high = (replace(self, **{name: value * np.exp(sign * spread)}) for sign in (-1, 1))
            yield low, high

    def worth(self, theta_LK: Array, logs_LV: Array, variables: tuple[str, ...]) -> tuple[Array, Array]:
        """Logarithms of N' and D' (L, V), and their slopes by the logarithms of N and D (L, V)."""
        worth, slopes = logs_LV.copy(), np.ones_like(logs_LV)
        bases = {"D": np.full(len(logs_LV), np.log(self.unique))}
        if self.size is not None:
            bases["N"] = self.size.at(theta_LK)
        for name, last in (("D", self.tokens_last), ("N", self.params_last)):
            if name in variables and name in bases:
                index = variables.index(name)
                worth[:, index], slopes[:, index] = _saturated(logs_LV[:, index], bases[name], last)
        return worth, slopes


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableSize:
    """The size that unique tokens can use, as a function of the coefficients: exact at the estimate, linear around it.

    Attributes:
        log_size: Its logarithm at the estimate.
        slopes: Derivatives of that by the unconstrained parameters (K,).
        theta: Unconstrained parameters at the estimate (K,).
    """

    log_size: float
    slopes: Array
    theta: Array

    def at(self, theta_LK: Array) -> Array:
        """Its logarithm (L,)."""
        return np.asarray(self.log_size + (theta_LK - self.theta) @ self.slopes)


def _saturated(logs: Array, base: Array, last: float) -> tuple[Array, Array]:
    """Logarithm of the worth of x beyond a base u, and its slope by log x.

    With R = x / u - 1 and R* = last,

        log x' = log u + log(1 + R* (1 - exp(-R / R*))),
        dlog x' / dlog x = (1 + R) exp(-R / R*) / (1 + R* (1 - exp(-R / R*))).
    """
    with np.errstate(over="ignore"):
        beyond = np.maximum(np.exp(logs - base) - 1, 0.0)
    left = np.exp(-beyond / last)
    worth = base + np.log1p(last * (1 - left))
    inside = beyond == 0
    slope = (1 + beyond) * left / (1 + last * (1 - left))
    return np.where(inside, logs, worth), np.where(inside, 1.0, slope)
