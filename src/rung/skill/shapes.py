"""How a metric moves with scale: by a test for a trend, then by the form that describes it.

On u = log x and v = the metric (its logarithm where all values are positive and lower is better):

    flat       v = a
    line       v = a + b u                        scales, or gets worse
    curve      v = a + b exp(-c (u - u0))         scales and saturates, or speeds up
    late       v = a + b max(u - t, 0)            emergent: flat up to t
    early      v = a + b min(u - t, 0)            plateau: flat from t on

The trend is tested by F against flat, with the best of the other forms; its p-value is that of permutations of the scales where there
are few of them. A form with a break or a curve is preferred to a line where AICc falls by 6 or more. Without a trend a metric
is flat where the 90 % interval of its change over the scales lies within the tolerance, and undetermined otherwise.

Source: Wang et al. 2025, arXiv:2505.10527, for metrics that scale, are flat, or move at large scale alone. The forms and tests are ours.

Shapes: `n` points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.skill.proportions import normal_quantile

SCALES, EMERGENT, FLAT, INVERSE, PLATEAU, UNDETERMINED = (
    "scales", "emergent", "flat", "inverse", "plateau", "undetermined",
)  # fmt: skip
"""Verdicts."""

_MARGIN = 6.0
"""By how much AICc must prefer a broken or curved form to a line."""

_PERMUTATIONS = 999
_EACH_SIDE = 3
"""Scales that must lie in the flat part, and in the moving part, of a broken form."""

_FEWEST = 4
_CURVES = (0.4, 0.8, 1.5, 3.0, -0.4, -0.8, -1.5)
"""Values of c times the range of u."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The form that describes a metric.

    Attributes:
        form: "flat", "line", "curve", "late" or "early".
        change: Change of v over the scales, as the form has it.
        error: Standard error of that change by the line.
        break_at: log x of the break; None without one.
        p_value: Of the trend.
        scales: How many scales.
    """

    form: str
    change: float
    error: float
    break_at: float | None
    p_value: float
    scales: int


def shape_of(u: Array, v: Array, *, seed: int = 0) -> Shape:
    """The form of a metric over scale.

    Args:
        u: Logarithm of the scale (n,).
        v: The metric (n,).
        seed: Seed of the permutations.
    """
    scales = len(np.unique(u.round(9)))
    if scales < _FEWEST or np.ptp(v) == 0:
        return Shape(form="flat", change=0.0, error=0.0 if np.ptp(v) == 0 else np.inf, break_at=None, p_value=1.0, scales=scales)  # fmt: skip
    columns = _columns(u)
    fits = {name: _rss(column, v) for name, column in columns.items()}
    line = fits["line", 0.0]
    p_value = _permuted(columns, v, seed)
    error = _slope_error(u, v, line) * float(np.ptp(u))
    count = len(v)
    scored = {key: _aicc(rss, count, 3 if key[0] == "line" else 4) for key, rss in fits.items()}
    best = min(scored, key=lambda key: scored[key])
    if scored[best] > scored["line", 0.0] - _MARGIN:
        best = ("line", 0.0)
    fitted = _fitted(columns[best], v)
    order = np.argsort(u)
    return Shape(
        form=best[0],
        change=float(fitted[order[-1]] - fitted[order[0]]),
        error=error,
        break_at=best[1] if best[0] in {"late", "early"} else None,
        p_value=p_value,
        scales=scales,
    )


def _columns(u: Array) -> dict[tuple[str, float], Array]:
    """The moving part of each form."""
    points = np.unique(u.round(9))
    found = {("line", 0.0): u - u.mean()}
    wide = float(np.ptp(u))
    for c in _CURVES:
        found["curve", c] = np.exp(-c * (u - u.min()) / wide * 3)
    # Breaks at scales and half way between them, with enough scales on either side.
    breaks = np.concatenate([points, (points[1:] + points[:-1]) / 2])
    for t in np.sort(breaks):
        if (points <= t).sum() >= _EACH_SIDE and (points > t).sum() >= _EACH_SIDE - 1:
            found["late", float(t)] = np.maximum(u - t, 0.0)
        if (points >= t).sum() >= _EACH_SIDE and (points < t).sum() >= _EACH_SIDE - 1:
            found["early", float(t)] = np.minimum(u - t, 0.0)
    return found


def _rss(column: Array, v: Array) -> float:
    x, y = column - column.mean(), v - v.mean()
    return float(max((y**2).sum() - (x @ y) ** 2 / (x @ x), 0.0))


def _fitted(column: Array, v: Array) -> Array:
    x = column - column.mean()
    return np.asarray(v.mean() + x * (x @ (v - v.mean())) / (x @ x))


def _aicc(rss: float, count: int, parameters: int) -> float:
    floor = 1e-12
    extra = 2 * parameters * (parameters + 1) / max(count - parameters - 1, 0.5)
    return float(count * np.log(max(rss / count, floor**2)) + 2 * parameters + extra)


def _permuted(columns: dict[tuple[str, float], Array], v: Array, seed: int) -> float:
    """p-value of the largest share of variance that any form explains, when values are dealt to scales at random."""
    centred = np.array([(one - one.mean()) / np.linalg.norm(one - one.mean()) for one in columns.values()])
    y = v - v.mean()
    seen = float(((centred @ y) ** 2).max())
    rng = np.random.default_rng(seed)
    dealt = rng.permuted(np.broadcast_to(y, (_PERMUTATIONS, len(y))), axis=1)
    drawn = ((centred @ dealt.T) ** 2).max(axis=0)
    return float((1 + (drawn >= seen * (1 - 1e-9)).sum()) / (_PERMUTATIONS + 1))


def _slope_error(u: Array, v: Array, rss: float) -> float:
    return float(np.sqrt(rss / max(len(v) - 2, 1) / ((u - u.mean()) ** 2).sum()))


def verdict_of(shape: Shape, q_value: float, *, lower: bool, tolerance: float) -> str:
    """The verdict on a metric.

    Args:
        shape: Its form.
        q_value: Its p-value, adjusted for all metrics.
        lower: Whether lower is better.
        tolerance: The change of v over the scales that does not matter.
    """
    if shape.scales < _FEWEST:
        return UNDETERMINED
    if q_value < 0.05:
        if (shape.change > 0) == lower:
            return INVERSE
        return {"late": EMERGENT, "early": PLATEAU}.get(shape.form, SCALES)
    # The interval of the change over the scales by a line; a metric that moves by less than the tolerance is flat.
    return FLAT if abs(shape.change) + normal_quantile(0.95) * shape.error < tolerance else UNDETERMINED
