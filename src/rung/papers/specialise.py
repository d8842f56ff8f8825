"""Fu et al. 2023, arXiv:2301.12726: specialising lifts the curve of a skill over size, and generic skill pays."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables
from rung.worth import treatment_lift

_SIZES = np.array([250e6, 780e6, 3e9, 11e9])
_REPEATS = 100
_SLOPE = 10.0
"""Points per factor of ten in size."""


def _curve(rng: np.random.Generator, lift: float, slope: float, fall: float) -> pl.DataFrame:
    """Two runs of each size: the skill, and a generic score that falls."""
    params = np.repeat(_SIZES, 2)
    index = np.log10(params / 1e9)
    return pl.DataFrame(
        {
            "params": params,
            "skill": 20 + lift + slope * index + 0.6 * rng.standard_normal(8),
            "generic": 40 - fall + 6 * index + 0.6 * rng.standard_normal(8),
        }
    )


def check(tables: Tables) -> list[Claim]:
    """Planted curves: the lift as effective size, the verdict on the slope, and the score that paid."""
    del tables
    truth = 10 ** (8 / _SLOPE)
    near = right = changed = paid = inside = 0
    for seed in range(_REPEATS):
        rng = np.random.default_rng(seed)
        base = _curve(rng, 0, _SLOPE, 0)
        lift = treatment_lift(base, _curve(rng, 8, _SLOPE, 12), "skill", others=("generic",))
        near += abs(lift.multiplier / truth - 1) <= 0.15
        low, high = lift.multiplier_interval
        inside += low is not None and high is not None and low <= truth <= high
        right += not lift.slope_changes
        paid += [name for name, _ in lift.fell] == ["generic"]
        changed += treatment_lift(base, _curve(rng, 8, 2 * _SLOPE, 0), "skill").slope_changes
    return [
        Claim(
            what="8 points at equal slopes are worth the planted size",
            published=f"{truth:.2f}x, within 15 %",
            measured=f"within 15 % in {near} of {_REPEATS}; the 90 % interval holds it in {inside}",
            scale=FORM,
            held=near >= 0.9 * _REPEATS,
        ),
        Claim(
            what="a change of slope is told from a lift",
            published="right in 90 of 100",
            measured=f"equal slopes called so in {right}, doubled slopes found in {changed} of {_REPEATS}",
            scale=FORM,
            held=right >= 0.9 * _REPEATS and changed >= 0.9 * _REPEATS,
        ),
        Claim(
            what="the score that paid stands beside the one that rose",
            published="named where it fell",
            measured=f"named in {paid} of {_REPEATS}",
            scale=FORM,
            held=paid >= 0.9 * _REPEATS,
        ),
    ]
