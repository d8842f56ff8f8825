"""Fu et al. 2023, arXiv:2301.12726: specialisation raises the curve of a skill over size, and lowers generic skill."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables
from rung.worth import treatment_lift

_SIZES = np.array([250e6, 780e6, 3e9, 11e9])
"""Parameters of the models of a curve."""

_REPEATS = 100
"""Number of planted pairs of curves."""

_SLOPE = 10.0
"""Points per factor of ten in size."""


def _curve(rng: np.random.Generator, effect: float, slope: float, fall: float) -> pl.DataFrame:
    """Two runs of each size: a skill raised by `effect`, and a generic score lowered by `fall`."""
    params = np.repeat(_SIZES, 2)
    decades = np.log10(params / 1e9)
    return pl.DataFrame(
        {
            "params": params,
            "skill": 20 + effect + slope * decades + 0.6 * rng.standard_normal(8),
            "generic": 40 - fall + 6 * decades + 0.6 * rng.standard_normal(8),
        }
    )


def check(tables: Tables) -> list[Claim]:
    """Planted curves: the treatment effect as effective size, the verdict on the slope, and the score that fell."""
    del tables
    truth = 10 ** (8 / _SLOPE)
    near = right = changed = fell = inside = 0
    for seed in range(_REPEATS):
        rng = np.random.default_rng(seed)
        base = _curve(rng, 0, _SLOPE, 0)
        effect = treatment_lift(base, _curve(rng, 8, _SLOPE, 12), "skill", others=("generic",))
        near += abs(effect.multiplier / truth - 1) <= 0.15
        low, high = effect.multiplier_interval
        inside += low is not None and high is not None and low <= truth <= high
        right += not effect.slope_changes
        fell += [name for name, _ in effect.fell] == ["generic"]
        changed += treatment_lift(base, _curve(rng, 8, 2 * _SLOPE, 0), "skill").slope_changes
    return [
        Claim(
            what="a treatment effect of 8 points at equal slopes is worth the planted factor in size",
            asked=f"{truth:.2f}x, within 15 %",
            measured=f"within 15 % in {near} of {_REPEATS}; the 90 % interval contains it in {inside}",
            scale=FORM,
            held=near >= 0.9 * _REPEATS,
        ),
        Claim(
            what="a change of slope is distinguished from a change of intercept",
            asked="correct in 90 of 100",
            measured=f"equal slopes recognised in {right}, doubled slopes found in {changed} of {_REPEATS}",
            scale=FORM,
            held=right >= 0.9 * _REPEATS and changed >= 0.9 * _REPEATS,
        ),
        Claim(
            what="the generic score that fell is named beside the skill that rose",
            asked="named where it fell",
            measured=f"named in {fell} of {_REPEATS}",
            scale=FORM,
            held=fell >= 0.9 * _REPEATS,
        ),
    ]
