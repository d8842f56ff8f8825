"""Stacking: weights of several laws from their backtests over the same cuts, and the backtest of their combination.

With e_kc the mean absolute error of law k at cut c and f_c the share of rows fitted there, the score and the weight of
the law are

    S_k = sqrt(sum_c f_c^3 e_kc^2 / sum_c f_c^3),   w_k = S_k^-3 / sum_j S_j^-3.

The combined forecast is the median of the laws' forecasts under these weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rung.arrays import Array
from rung.fitting.backtest.backtest import RollingBacktest
from rung.fitting.backtest.folds import ScoredRows

CutErrors = Mapping[int, tuple[float, float]]
"""By index of the cut: the share of rows fitted, and the law's mean absolute error."""

_LATE = 3.0
"""Power of the share of rows fitted in the weight of a cut: later cuts are nearer to the forecast."""

SHARPNESS = 3.0
"""Power of a law's score by which its weight falls."""

_MISSING = 0.6
"""Smallest share of the cuts at which a law must have been fitted to get a score."""


def cut_errors(rolled: RollingBacktest) -> dict[int, tuple[float, float]]:
    """By index of the cut: the share of rows fitted, and the law's mean absolute error, each error at most 1."""
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
    """Score S_k of a law, the weighted root mean square of its errors over cuts; nan with too few cuts."""
    if not indices or len(errors) < _MISSING * len(indices):
        return np.nan
    share, error = (np.array(part) for part in zip(*errors.values(), strict=True))
    return float(np.sqrt(np.average(error**2, weights=share**_LATE)))


def paired(one: CutErrors, other: CutErrors) -> tuple[float, float]:
    """Mean difference of two laws' errors over the m cuts that both have, and its standard error.

        mean = sum_c w_c d_c,   error = sqrt(m / (m - 1) sum_c w_c^2 (d_c - mean)^2),   w_c = f_c^3 / sum_c f_c^3

    with d_c the difference of the errors at cut c, and f_c the share of rows that the first law was fitted to there.
    """
    both = sorted(set(one) & set(other))
    if len(both) < 2:
        return 0.0, np.inf
    gap = np.array([one[index][1] - other[index][1] for index in both])
    weight = np.array([one[index][0] for index in both]) ** _LATE
    weight /= weight.sum()
    mean = float(weight @ gap)
    return mean, float(np.sqrt(weight**2 @ (gap - mean) ** 2 * len(both) / (len(both) - 1)))


def combined(rolled: Sequence[RollingBacktest]) -> ScoredRows | None:
    """The backtest of the combined forecast; its law error includes how far the laws differ.

    At each cut the weights come from the smaller cuts only, on scored rows that this cut was fitted to.
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
    """The scored rows of the combined forecast at one cut.

    With m the weighted median of the forecasts y_k, and s_k the standard errors of the laws,

        law_error^2 = sum_k w_k [min(|y_k - m|, limit)^2 + min(s_k, 1)^2],
        limit = 3 median(noise) + median_k |y_k - m|.
    """
    scored = [(one, _scored(one).take(_scored(one).cut == index)) for one in rolled]
    scored = [(one, part) for one, part in scored if len(part.cut)]
    if not scored:
        return None
    # Laws that were scored on other rows, because a group level has no row below the cut, are left out.
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
    # The limit keeps a law far from the others from deciding the error by its distance.
    apart = np.minimum(
        np.abs(np.nan_to_num(forecasts - middle)), 3 * np.median(noise) + np.median(np.abs(forecasts - middle), axis=0)
    )
    inner = np.minimum(np.nan_to_num(np.stack([part.law_error for part in here])), 1.0)
    return replace(first, forecast=middle, law_error=np.sqrt(np.sum(share * (apart**2 + inner**2), axis=0)))


def _seen_errors(rolled: RollingBacktest, index: int) -> dict[int, tuple[float, float]]:
    """Errors of a law at the cuts below one, on the rows that this one was fitted to."""
    scored = _scored(rolled)
    seen = (scored.cut < index) & (rolled.scale[scored.row] <= rolled.cuts[index])
    return cut_errors(replace(rolled, scored=scored.take(seen))) if seen.any() else {}


def weighted_median(values: Array, weights: Array) -> float:
    """The smallest value at which the cumulative weight reaches half of the total."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[int(np.searchsorted(total, 0.5 * total[-1]))]])
