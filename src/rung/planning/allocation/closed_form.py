"""The allocation in closed form: a power law in N plus one in D, at a cost in proportion to N D.

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
    """The law E + A N^-alpha + B D^-beta at the cost C = k N D.

    Attributes:
        log_A: Logarithm of A.
        alpha: Exponent of N.
        log_B: Logarithm of B.
        beta: Exponent of D.
        rest: The part E of the law that depends on neither N nor D.
        log_unit: Logarithm of k, the cost of N D = 1.
    """

    log_A: float
    alpha: float
    log_B: float
    beta: float
    rest: float
    log_unit: float

    def best(self, budget: float) -> Array:
        """Logarithms of the best N and D for the logarithm of a budget (2,).

        Hoffmann et al. 2022, equation 4, with k in place of 6:

            N = G (C / k)^(beta / (alpha + beta)),   D = (C / k) / N,   G = (alpha A / (beta B))^(1 / (alpha + beta)).
        """
        log_product = budget - self.log_unit
        log_ratio = np.log(self.alpha) + self.log_A - np.log(self.beta) - self.log_B
        params = (log_ratio + self.beta * log_product) / (self.alpha + self.beta)
        return np.array([params, log_product - params])

    def cheapest(self, target: float) -> float | None:
        """Logarithm of the lowest cost that reaches a target loss; None where no cost does.

        At the best point alpha A N^-alpha = beta B D^-beta (the Lagrange condition), so the reducible loss
        R = target - E is divided into A N^-alpha = R beta / (alpha + beta) and B D^-beta = R alpha / (alpha + beta).
        """
        if target <= self.rest:
            return None
        log_reducible, total = np.log(target - self.rest), self.alpha + self.beta
        params = (self.log_A + np.log(total / self.beta) - log_reducible) / self.alpha
        tokens = (self.log_B + np.log(total / self.alpha) - log_reducible) / self.beta
        return float(self.log_unit + params + tokens)


def closed_form(law: Law, frontier: Frontier, theta_K: Array) -> ClosedForm | None:
    """The closed form of a frontier; None where it has none. The caller checks the limits.

    Args:
        law: The law.
        frontier: The same law over N and D, and their cost.
        theta_K: Unconstrained parameters of its coefficients (K,).
    """
    terms = power_terms(law)
    if terms is None or frontier.variables != ("N", "D") or frontier.tied or frontier.repeats is not None:
        return None
    # The cost is k N D where log C - log N - log D is the same everywhere and both slopes of log C are 1.
    middle = np.mean(frontier.limits, axis=1)[None, :]
    probes = np.concatenate([middle, frontier.limits.T])
    log_cost, slopes = frontier.costs(probes)
    unit = log_cost - probes.sum(axis=1)
    if np.ptp(unit) > 1e-9 or np.max(np.abs(slopes - 1)) > 1e-12:
        return None
    numbers = dict(zip(frontier.law.names, theta_K, strict=False))
    values = {c.name: c.fixed if c.fixed is not None else float(c.to_value(numbers[c.name])) for c in law.coefficients}
    (factor_N, alpha), (factor_D, beta) = ((values[a], values[b]) for a, b in (terms["N"], terms["D"]))
    if not all(np.isfinite(number) and number > 0 for number in (factor_N, alpha, factor_D, beta)):
        return None
    # At N = D = 1 the law is E + A + B.
    at_one = frontier.losses(theta_K[None, :], np.zeros((1, 2)))[0][0]
    return ClosedForm(
        log_A=float(np.log(factor_N)),
        alpha=alpha,
        log_B=float(np.log(factor_D)),
        beta=beta,
        rest=float(at_one - factor_N - factor_D),
        log_unit=float(unit[0]),
    )
