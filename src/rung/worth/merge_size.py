"""How many experts a merge needs: the loss of an average of k experts falls as floor + c / (k + b).

Source: arXiv:2509.24244. For a quadratic loss the law is exact. With k experts drawn without replacement from a pool of
K, c is multiplied by (K - k) / (K - 1), so the law does not hold beyond the pool.
"""

from __future__ import annotations

import math

from rung.errors import ForecastError, WorthError
from rung.fitting import Fit
from rung.forecasting import invert


def experts_needed(fit: Fit, loss: float, pool: int) -> int | None:
    """The smallest number of experts whose merge reaches a target loss; None where the whole pool does not reach it.

    Args:
        fit: A law of the loss in the number of experts, such as merging-experts.
        loss: The target loss.
        pool: Number of experts that exist; the law is not used beyond it.

    Raises:
        WorthError: The law does not have exactly one variable, or the pool is empty.
    """
    if len(fit.law.variables) != 1:
        raise WorthError(
            f"{fit.law.formula!r} is not a law of one variable, the number of experts. Fit one such as merging-experts."
        )
    if pool < 1:
        raise WorthError(f"the pool has {pool} experts, and a merge needs at least 1.")
    if float(fit.law.value(fit.values, {fit.law.variables[0]: 1.0})) <= loss:
        return 1
    try:
        needed = math.ceil(invert(fit, loss).value - 1e-9)
    except ForecastError:
        return None
    return needed if needed <= pool else None
