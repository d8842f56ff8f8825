"""How many experts a merge needs: the loss of an average of k falls as floor + c / (k + b).

Source: arXiv:2509.24244. In a quadratic bowl the law is exact, and k of a pool of K without replacement multiplies c by
(K - k) / (K - 1): beyond the pool it says nothing.
"""

from __future__ import annotations

import math

from rung.errors import ForecastError, WorthError
from rung.fitting import Fit
from rung.forecasting import invert


def experts_needed(fit: Fit, loss: float, pool: int) -> int | None:
    """The fewest experts whose merge reaches a loss; None where even all of the pool do not.

    Args:
        fit: A law of the loss in the count of experts, such as merging-experts.
        loss: The wished loss.
        pool: How many experts there are: the law is not asked beyond.

    Raises:
        WorthError: The law is not one of that count, or the pool is empty.
    """
    if len(fit.law.variables) != 1:
        raise WorthError(f"{fit.law.formula!r} is not a law of one variable, the count of experts.")
    if pool < 1:
        raise WorthError(f"a pool of {pool} experts has none to merge.")
    if float(fit.law.value(fit.values, {fit.law.variables[0]: 1.0})) <= loss:
        return 1
    try:
        needed = math.ceil(invert(fit, loss).value - 1e-9)
    except ForecastError:
        return None
    return needed if needed <= pool else None
