"""The allocation in closed form: a power law in N beside one in D, at a cost in proportion to N D.

Source: Hoffmann et al. 2022, arXiv:2203.15556, equation 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.uncertainty import power_terms
from rung.laws import Law
from rung.planning.allocation.frontier import Frontier


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedForm:
    """A N^-alpha + B D^-beta + rest, with N D bought at `unit` apiece.

    Attributes:
        log_A: Logarithm of A, and so the others.
        alpha: Exponent of N.
        log_B: Logarithm of B.
        beta: Exponent of D.
        rest: What neither touches.
        log_unit: Logarithm of the cost of N D = 1.
    """

    log_A: float
    alpha: float
    log_B: float
    beta: float
    rest: float
    log_unit: float

    def best(self, budget: float) -> Array:
        """Logarithms of N and D for the logarithm of a budget."""
        both = budget - self.log_unit
        tilt = np.log(self.alpha) + self.log_A - np.log(self.beta) - self.log_B
        params = (tilt + self.beta * both) / (self.alpha + self.beta)
        return np.array([params, both - params])

    def cheapest(self, target: float) -> float | None:
        """Logarithm of the lowest cost that reaches a wish; None where none does."""
        if target <= self.rest:
            return None
        left, total = np.log(target - self.rest), self.alpha + self.beta
        params = (self.log_A + np.log(total / self.beta) - left) / self.alpha
        tokens = (self.log_B + np.log(total / self.alpha) - left) / self.beta
        return float(self.log_unit + params + tokens)


def closed_form(law: Law, frontier: Frontier, theta_K: Array) -> ClosedForm | None:
    """The closed form of a frontier, where it has one; the limits are the caller's to check.

    Args:
        law: The law.
        frontier: The same law over N and D, and their cost.
        theta_K: Internal numbers of its coefficients.
    """
    terms = power_terms(law)
    if terms is None or frontier.variables != ("N", "D") or frontier.tied or frontier.repeats is not None:
        return None
    middle = np.mean(frontier.limits, axis=1)[None, :]
    probes = np.concatenate([middle, frontier.limits.T])
    height, slopes = frontier.costs(probes)
    unit = height - probes.sum(axis=1)
    if np.ptp(unit) > 1e-9 or np.max(np.abs(slopes - 1)) > 1e-12:
        return None
    numbers = dict(zip(frontier.law.names, theta_K, strict=False))
    values = {c.name: c.fixed if c.fixed is not None else float(c.to_value(numbers[c.name])) for c in law.coefficients}
    (factor_N, alpha), (factor_D, beta) = ((values[a], values[b]) for a, b in (terms["N"], terms["D"]))
    if not all(np.isfinite(number) and number > 0 for number in (factor_N, alpha, factor_D, beta)):
        return None
    far = frontier.losses(theta_K[None, :], np.zeros((1, 2)))[0][0]
    return ClosedForm(
        log_A=float(np.log(factor_N)),
        alpha=alpha,
        log_B=float(np.log(factor_D)),
        beta=beta,
        rest=float(far - factor_N - factor_D),
        log_unit=float(unit[0]),
    )
