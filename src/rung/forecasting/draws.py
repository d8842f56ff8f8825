"""Draws of a target at one point, in its own unit, for whatever is computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import ForecastError
from rung.fitting import Fit
from rung.forecasting.question import ask
from rung.forecasting.single_law import distributions


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of one target, in its unit (B,): of the law alone, and of a new run; infinite where the interval is open."""

    law: Array
    run: Array

    def finite(self) -> Draws:
        """Those that are numbers."""
        keep = np.isfinite(self.law) & np.isfinite(self.run)
        return Draws(self.law[keep], self.run[keep])


def draws_at(fit: Fit, **given: Any) -> list[Draws]:
    """Draws of a fit's target at some points.

    Args:
        fit: The fit.
        **given: The variables of its law, one value per point, and levels of its groups.

    Raises:
        ForecastError: The fit has no interval there.
    """
    found = []
    for distribution in distributions(fit, ask(fit, given)):
        if distribution is None:
            raise ForecastError(f"the law of {fit.target} has no interval there, so nothing follows from it with one.")
        whole = distribution.law + distribution.noise + distribution.discrepancy
        with np.errstate(over="ignore"):
            found.append(Draws(fit.objective.untransform(distribution.law), fit.objective.untransform(whole)))
    return found
