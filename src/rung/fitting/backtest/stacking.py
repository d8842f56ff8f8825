"""How laws are weighed against each other over the same cuts, and how their combined forecast would have done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rung.arrays import Array
from rung.fitting.backtest.backtest import RollingBacktest
from rung.fitting.backtest.folds import ScoredRows

CutErrors = Mapping[int, tuple[float, float]]
"""For each cut, by its place: the share of rows fitted, and the mean size of the law's error."""

_LATE = 3.0
"""Power of the share of rows fitted by which later cuts weigh more: they are nearer to the forecast wanted."""

SHARPNESS = 3.0
"""Power of a law's error with which its weight falls."""

_MISSING = 0.6
"""Share of the cuts that a law must have been fitted at."""


def cut_errors(rolled: RollingBacktest) -> dict[int, tuple[float, float]]:
    """For each cut, by its place: the share of rows fitted, and the mean size of the law's error."""
    if rolled.scored is None:
        return {}
    scored = rolled.scored
    return {
        int(index): (
            float(np.mean(rolled.scale <= rolled.cuts[index])),
            float(np.mean(np.minimum(np.abs(scored.error[scored.cut == index]), 1.0))),
        )
        for index in np.unique(scored.cut)
    }


def score_of(errors: CutErrors, indices: Sequence[int]) -> float:
    """Root of the mean square of a law's errors over cuts, later ones weighing more; nan with too few cuts."""
    if not indices or len(errors) < _MISSING * len(indices):
        return np.nan
    share, error = (np.array(part) for part in zip(*errors.values(), strict=True))
    return float(np.sqrt(np.average(error**2, weights=share**_LATE)))


def paired(one: CutErrors, other: CutErrors) -> tuple[float, float]:
    """Mean difference of two laws' errors over the cuts of both, later ones weighing more, and its standard error."""
    both = sorted(set(one) & set(other))
    if len(both) < 2:
        return 0.0, np.inf
    gap = np.array([one[index][1] - other[index][1] for index in both])
    weight = np.array([one[index][0] for index in both]) ** _LATE
    weight /= weight.sum()
    mean = float(weight @ gap)
    return mean, float(np.sqrt(weight**2 @ (gap - mean) ** 2 * len(both) / (len(both) - 1)))


def combined(rolled: Sequence[RollingBacktest]) -> ScoredRows | None:
    """The backtest of the combined forecast: its law error holds how far the laws lie apart.

    At each cut the laws weigh what the smaller cuts had shown by then, on rows that the cut was fitted to.
    """
    present = [one for one in rolled if one.scored is not None]
    if not present:
        return None
    indices = sorted({int(index) for one in present for index in np.unique(_scored(one).cut)})
    parts = [part for index in indices if (part := _at(present, index)) is not None]
    if not parts:
        return None
    return ScoredRows(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in ScoredRows.__dataclass_fields__}
    )


def _scored(rolled: RollingBacktest) -> ScoredRows:
    assert rolled.scored is not None
    return rolled.scored


def _at(rolled: Sequence[RollingBacktest], index: int) -> ScoredRows | None:
    scored = [(one, _scored(one).take(_scored(one).cut == index)) for one in rolled]
    scored = [(one, part) for one, part in scored if len(part.cut)]
    if not scored:
        return None
    # Laws that could not score the same rows, such as those of groups without smaller rows, are left out.
    rows = scored[0][1].row
    scored = [(one, part) for one, part in scored if np.array_equal(part.row, rows)]
    here = [part for _, part in scored]
    errors = [_seen_errors(one, index) for one, _ in scored]
    seen = sorted(set().union(*errors))
    scores = np.array([score_of(found, seen) for found in errors])
    weights = (
        np.where(np.isfinite(scores), np.maximum(scores, 1e-12) ** -SHARPNESS, 0.0) if seen else np.ones(len(here))
    )
    if not weights.any():
        weights = np.ones(len(here))
    forecasts = np.stack([part.forecast for part in here])
    share = np.where(np.isfinite(forecasts), (weights / weights.sum())[:, None], 0.0)
    share = share / np.sum(share, axis=0)
    middle = np.array([weighted_median(forecasts[:, at], share[:, at]) for at in range(len(rows))])
    noise = np.array([part.noise[0] for part in here])
    first = here[int(np.argmax(weights))]
    # A law far off the others counts by its weight alone, not by how far it is.
    apart = np.minimum(
        np.abs(np.nan_to_num(forecasts - middle)), 3 * np.median(noise) + np.median(np.abs(forecasts - middle), axis=0)
    )
    inner = np.minimum(np.nan_to_num(np.stack([part.law_error for part in here])), 1.0)
    return replace(first, forecast=middle, law_error=np.sqrt(np.sum(share * (apart**2 + inner**2), axis=0)))


def _seen_errors(rolled: RollingBacktest, index: int) -> dict[int, tuple[float, float]]:
    """Errors at the cuts below one, on the rows that it was fitted to."""
    scored = _scored(rolled)
    seen = (scored.cut < index) & (rolled.scale[scored.row] <= rolled.cuts[index])
    return cut_errors(replace(rolled, scored=scored.take(seen))) if seen.any() else {}


def weighted_median(values: Array, weights: Array) -> float:
    """The value at half of the weight."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(total, 0.5 * total[-1]))]])
