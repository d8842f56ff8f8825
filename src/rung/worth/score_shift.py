"""What a treatment does to a score that grows with the logarithm of size: it lifts the line, or tilts it.

Source: the accuracy of specialised models by size, arXiv:2301.12726.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import WorthError
from rung.fitting import Fitted, fitted
from rung.fitting.estimate import Combinations, Quantities, coefficient_names
from rung.fitting.uncertainty import interval_of
from rung.forecasting import Interval
from rung.worth.multipliers import SIDES

_SURE = 0.95
_FEWEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """A treated curve over a control curve, score = a + b log N each.

    Attributes:
        rise: The treated a less the control's, with one slope for both.
        rise_interval: Its interval.
        tilt: The treated slope less the control's.
        tilt_interval: Its interval.
        slope_changes: Whether the slopes differ: the 95 % interval of the tilt leaves zero out.
        multiplier: The size that the control would need for the same score, over the treated one's.
        multiplier_interval: Its interval.
        fell: The other scores that fell by more than their noise, and by how much on average.
    """

    rise: float
    rise_interval: Interval
    tilt: float
    tilt_interval: Interval
    slope_changes: bool
    multiplier: float
    multiplier_interval: Interval
    fell: tuple[tuple[str, float], ...]


def treatment_lift(
    control: pl.DataFrame, treated: pl.DataFrame, score: str, *, others: Sequence[str] = (), level: float = 0.9
) -> Lift:
    """Compare two curves of a score over params.

    Args:
        control: Runs without the treatment, with params and the scores.
        treated: Runs with it.
        score: The score that is lifted.
        others: Scores that may have paid for it.
        level: Coverage that intervals aim at.

    Raises:
        WorthError: A curve has fewer than three sizes.
        RunsError: A column is missing.
        FitError: The lines cannot be fitted.
    """
    for name, curve in zip(SIDES, (control, treated), strict=True):
        if curve["params"].n_unique() < _FEWEST:
            raise WorthError(
                f"the {name} curve has {curve['params'].n_unique()} sizes; a lift needs at least {_FEWEST} of each."
            )
    shared = _lines(control, treated, score, tilted=False)
    tilted = _lines(control, treated, score, tilted=True)
    names = coefficient_names(shared.problem.law, shared.problem.design.level_names)
    weights = np.zeros((1, len(names)))
    weights[0, [names.index("a[treated]"), names.index("a[control]")]] = 1.0, -1.0
    rise = interval_of(shared.profiler, Combinations(weights), "profile", level)
    multiplier = interval_of(shared.profiler, _Shift(weights[0], names.index("b")), "profile", level)
    apart = coefficient_names(tilted.problem.law, tilted.problem.design.level_names)
    slope = np.zeros((1, len(apart)))
    slope[0, [apart.index("b[treated]"), apart.index("b[control]")]] = 1.0, -1.0
    tilt = interval_of(tilted.profiler, Combinations(slope), "profile", level)
    sure = interval_of(tilted.profiler, Combinations(slope), "profile", _SURE)
    return Lift(
        rise=float(rise.value[0]),
        rise_interval=(float(rise.low[0]), float(rise.high[0])),
        tilt=float(tilt.value[0]),
        tilt_interval=(float(tilt.low[0]), float(tilt.high[0])),
        slope_changes=bool(sure.low[0] > 0 or sure.high[0] < 0),
        multiplier=float(np.exp(multiplier.value[0])),
        multiplier_interval=(float(np.exp(multiplier.low[0])), float(np.exp(multiplier.high[0]))),
        fell=tuple(
            (other, float(found.value[0]))
            for other in others
            for found in [
                interval_of(
                    _lines(control, treated, other, tilted=False).profiler, Combinations(weights), "profile", _SURE
                )
            ]
            if found.high[0] < 0
        ),
    )


def _lines(control: pl.DataFrame, treated: pl.DataFrame, score: str, *, tilted: bool) -> Fitted:
    both = pl.concat(
        [
            curve.select("params", score).with_columns(recipe=pl.lit(side))
            for side, curve in zip(SIDES, (control, treated), strict=True)
        ]
    )
    slope = "b[recipe]" if tilted else "b"
    law = f"a[recipe] + {slope} * log(N) with a in (-inf, inf), b in (-inf, inf)"
    return fitted(both, law, target=score, objective="squares")


@dataclass(frozen=True, slots=True)
class _Shift(Quantities):
    """The rise over the slope: the logarithm of the multiplier of size."""

    rise: Array
    slope: int

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        rise, slope = points_LK @ self.rise, points_LK[:, self.slope]
        derivatives = np.outer(self.rise, 1 / slope)
        derivatives[self.slope] -= rise / slope**2
        return (rise / slope)[:, None], derivatives[:, :, None]
