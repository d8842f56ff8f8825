"""Zhai et al. 2024, arXiv:2402.17152: a recommender that grows with the logarithm of compute, or reaches a plateau."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.errors import RungError
from rung.fitting import fit as fit_law
from rung.fitting import select
from rung.forecasting import forecast as forecast_run
from rung.papers.claims import FORM, Claim
from rung.papers.tables import Tables

_SEEDS = 100
"""Number of planted tables of each kind."""

_POINTS = 12
"""Runs of a table."""

_LINE = "a + b * log(C) with a in (-inf, inf)"
"""A score that grows with the logarithm of compute."""

_PLATEAU = "a + b * log(min(C, Cp)) with a in (-inf, inf)"
"""A score that stays constant beyond the compute Cp."""

_BEND = "a + b * log(min(C, Cp)) + c * log(max(C / Cp, 1)) with a in (-inf, inf), c in (-inf, inf)"
"""A score whose slope changes at the compute Cp."""

_LEAST_GAIN = 4
"""By how much AICc must be lower for the plateau than for the line: by more than noise explains."""

_FLAT = 0.2
"""Slope beyond the bend over that before it up to which the score counts as constant."""


def _table(seed: int, *, beyond: float) -> pl.DataFrame:
    """A hit rate over three decades of compute, noise 0.5 % of its range.

    After half of them its slope is `beyond` times that before: 1 for a line, 0 for a plateau, 0.4 for a bend.
    """
    compute = np.geomspace(1e18, 1e21, _POINTS)
    start = 1e18 * 10**1.5
    reached = np.log(np.minimum(compute, start) / 1e15) + beyond * np.log(np.maximum(compute / start, 1.0))
    score = 0.15 + 0.0195 * reached
    noise = 0.005 * np.ptp(score) * np.random.default_rng(seed).standard_normal(_POINTS)
    return pl.DataFrame({"flops": compute, "loss": score + noise})


def _is_plateau(table: pl.DataFrame) -> bool:
    """Whether a plateau fits better than a line, and a bend that still rises fits no better than the plateau.

    Both by AICc, Akaike's criterion for few points, and by more than noise; a bend must also rise beyond it by more than
    a fifth of the slope before.
    """
    found = select(table, [_LINE, _PLATEAU, _BEND], objective="squares", cuts=1)
    aicc = {len(ranked.fit.coefficients): ranked.aicc for ranked in found.laws}
    if not (3 in aicc and aicc.get(2, np.inf) - aicc[3] > _LEAST_GAIN):
        return False
    bend = next((ranked.fit.values for ranked in found.laws if "c" in ranked.fit.values), None)
    rises = bend is not None and bend["c"] > _FLAT * bend["b"]
    return not (rises and aicc[3] - aicc.get(4, np.inf) > _LEAST_GAIN)


def _intensity() -> list[Claim]:
    """The output of attention for a history, and for the same history repeated two and three times."""
    rng = np.random.default_rng(0)
    query, keys, values = rng.standard_normal(8), rng.standard_normal((20, 8)), rng.standard_normal((20, 8))

    def softmax(times: int) -> np.ndarray:
        logits = np.tile(keys, (times, 1)) @ query
        weight = np.exp(logits - logits.max())
        mixed: np.ndarray = weight / weight.sum() @ np.tile(values, (times, 1))
        return mixed

    def pointwise(times: int) -> np.ndarray:
        logits = np.tile(keys, (times, 1)) @ query
        mixed: np.ndarray = logits / (1 + np.exp(-logits)) @ np.tile(values, (times, 1))
        return mixed

    change = max(float(np.abs(softmax(times) - softmax(1)).max()) for times in (2, 3))
    grows = [float(np.mean(pointwise(times) / pointwise(1))) for times in (2, 3)]
    return [
        Claim(
            what="a history repeated two and three times: softmax attention does not see it, pointwise attention grows by as much",
            asked="unchanged; 2, 3",
            measured=f"changed by {change:.1e}; {grows[0]:.6f}, {grows[1]:.6f}",
            scale=FORM,
            held=bool(change < 1e-12 and np.allclose(grows, (2, 3), atol=1e-9)),
        )
    ]


def check(tables: Tables) -> list[Claim]:
    """Attention on repeated histories, planted plateaus against planted lines, and a score beyond 1."""
    del tables
    found, wrong, bent = (
        sum(_is_plateau(_table(seed, beyond=beyond)) for seed in range(_SEEDS)) for beyond in (0.0, 1.0, 0.4)
    )
    line = fit_law(_table(0, beyond=1.0), _LINE, objective="squares", draws=0)
    try:
        answer = f"{forecast_run(line, C=1e60, bounds=(0.0, 1.0)).value:.2f}"
    except RungError as error:
        answer = error.text
    return [
        *_intensity(),
        Claim(
            what="a plateau beyond 10^1.5 of compute is seen",
            asked="90 of 100",
            measured=f"{found} of {_SEEDS}",
            scale=FORM,
            held=found >= 90,
        ),
        Claim(
            what="a line in the logarithm is not called a plateau",
            asked="at most 10 of 100",
            measured=f"{wrong} of {_SEEDS}",
            scale=FORM,
            held=wrong <= 10,
        ),
        Claim(
            what="a curve that bends there, and still rises with two fifths of its slope, is not called a plateau",
            asked="at most 10 of 100",
            measured=f"{bent} of {_SEEDS}",
            scale=FORM,
            held=bent <= 10,
        ),
        Claim(
            what="a hit rate that the line carries beyond 1 is refused",
            asked="an error",
            measured=answer,
            scale=FORM,
            held="outside" in answer,
        ),
    ]
