"""The effect of a treatment on a score that grows with the logarithm of size: on its intercept and on its slope.

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
"""Level of the intervals that decide whether slopes differ and whether a score fell."""

_FEWEST = 3
"""Fewest sizes of a curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """The effect of a treatment: a treated curve compared with a control curve, each score = a + b log N.

    Attributes:
        rise: Treatment effect: the intercept a of the treated curve minus that of the control, at one slope for both.
        rise_interval: Interval of `rise`.
        tilt: Slope difference: the slope b of the treated curve minus that of the control.
        tilt_interval: Interval of `tilt`.
        slope_changes: Whether the slopes differ: the 95 % interval of the slope difference excludes zero.
        multiplier: exp(rise / b), the size that the control needs for the same score over that of the treated model.
        multiplier_interval: Interval of `multiplier`.
        fell: The other scores whose intercept fell by more than their noise, and by how much.
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
    """Estimate the effect of a treatment from two curves of a score over params.

    Args:
        control: Runs without the treatment, with params and the scores.
        treated: Runs with the treatment, with the same columns.
        score: The score that the treatment is meant to raise.
        others: Other scores, which it may have lowered.
        level: Coverage of the intervals.

    Raises:
        WorthError: A curve has fewer than three sizes.
        RunsError: A column is missing.
        FitError: The lines cannot be fitted.
    """
    for name, curve in zip(SIDES, (control, treated), strict=True):
        if curve["params"].n_unique() < _FEWEST:
            raise WorthError(
                f"the {name} curve has {curve['params'].n_unique()} sizes; a treatment effect needs at least {_FEWEST} in each curve. "
                "Add runs of other sizes."
            )
    shared = _lines(control, treated, score, separate_slopes=False)
    separate = _lines(control, treated, score, separate_slopes=True)
    names = coefficient_names(shared.problem.law, shared.problem.design.level_names)
    weights = np.zeros((1, len(names)))
    weights[0, [names.index("a[treated]"), names.index("a[control]")]] = 1.0, -1.0
    rise = interval_of(shared.profiler, Combinations(weights), "profile", level)
    multiplier = interval_of(shared.profiler, _Shift(weights[0], names.index("b")), "profile", level)
    separate_names = coefficient_names(separate.problem.law, separate.problem.design.level_names)
    slope = np.zeros((1, len(separate_names)))
    slope[0, [separate_names.index("b[treated]"), separate_names.index("b[control]")]] = 1.0, -1.0
    difference = interval_of(separate.profiler, Combinations(slope), "profile", level)
    sure = interval_of(separate.profiler, Combinations(slope), "profile", _SURE)
    return Lift(
        rise=float(rise.value[0]),
        rise_interval=(float(rise.low[0]), float(rise.high[0])),
        tilt=float(difference.value[0]),
        tilt_interval=(float(difference.low[0]), float(difference.high[0])),
        slope_changes=bool(sure.low[0] > 0 or sure.high[0] < 0),
        multiplier=float(np.exp(multiplier.value[0])),
        multiplier_interval=(float(np.exp(multiplier.low[0])), float(np.exp(multiplier.high[0]))),
        fell=tuple(
            (other, float(found.value[0]))
            for other in others
            for found in [
                interval_of(
                    _lines(control, treated, other, separate_slopes=False).profiler,
                    Combinations(weights),
                    "profile",
                    _SURE,
                )
            ]
            if found.high[0] < 0
        ),
    )


def _lines(control: pl.DataFrame, treated: pl.DataFrame, score: str, *, separate_slopes: bool) -> Fitted:
    """Fit score = a + b log N to both curves, with an intercept for each and one slope or two."""
    both = pl.concat(
        [
            curve.select("params", score).with_columns(recipe=pl.lit(side))
            for side, curve in zip(SIDES, (control, treated), strict=True)
        ]
    )
    slope = "b[recipe]" if separate_slopes else "b"
    law = f"a[recipe] + {slope} * log(N) with a in (-inf, inf), b in (-inf, inf)"
    return fitted(both, law, target=score, objective="squares")


@dataclass(frozen=True, slots=True)
class _Shift(Quantities):
    """The logarithm of the size multiplier, rise / slope.

    Its derivatives by rise and by slope are 1 / slope and -rise / slope^2.

    Attributes:
        rise: Weights of the coefficients whose combination is the rise (K,).
        slope: Index of the slope.
    """

    rise: Array
    slope: int

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        rise, slope = points_LK @ self.rise, points_LK[:, self.slope]
        derivatives = np.outer(self.rise, 1 / slope)
        derivatives[self.slope] -= rise / slope**2
        return (rise / slope)[:, None], derivatives[:, :, None]
