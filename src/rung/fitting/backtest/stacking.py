"""Stacking: weights of several laws from their backtests over the same cuts, and the backtest of their combination.

With e_kc the mean absolute error of law k at cut c, and d_c the mean distance of the rows scored there, the laws' errors
relative to each other for a question at distance d are

    S_k(d) = (t p_k(d) + sum_c a_c(d) r_kc) / (t + sum_c a_c(d)),    r_kc = log e_kc - mean_j log e_jc,
    a_c(d) = n_c / (n_c + 3) f_c^2 exp(-max(d - d_c, 0)),

with n_c the rows scored at the cut, f_c the share of rows that it was fitted to, and p_k(d) how the law did at that
distance in published studies (`law_prior`). So a cut counts by what it can tell: one row little, a cut that reaches less
far than the question less. A law that a cut could not score keeps what the rest says of it. The weights are

    w_k(d) = exp(-3 S_k(d)) / sum_j exp(-3 S_j(d)),

the third power of the relative error. The combined forecast is the mean of the middle two fifths of the laws' forecasts
under these weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.fitting.backtest.backtest import RollingBacktest
from rung.fitting.backtest.folds import ScoredRows
from rung.fitting.backtest.law_prior import prior_at

_LATE = 2.0
"""Power of the share of rows fitted in what a cut counts: later cuts are nearer to the forecast."""

_FEW_ROWS = 3.0
"""Rows scored at a cut from which it counts for half."""

_REACH = 1.0
"""Distance, in the logarithm of scale, by which a question beyond a cut's reach divides its count by e."""

_PRIOR = 0.3
"""Count t of the published studies, in cuts of many rows (benchmarks/law_errors.py)."""

SHARPNESS = 3.0
"""Power of a law's relative error by which its weight falls."""

_MIDDLE = 0.2
"""Half of the weight in the middle over which the combined forecast is a mean."""

_MISSING = 0.6
"""Smallest share of the cuts at which a law must have been fitted to get a score."""

_LEAST_ERROR = 1e-4
"""Error below which laws are equally good: a hundredth of a percent is below the noise of any run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldError:
    """How a law did at one cut.

    Attributes:
        error: Mean absolute error on the residual's scale, each at most 1.
        rows: Rows scored.
        share: Share of the table's rows that it was fitted to.
        distance: Mean logarithm of the scored rows' scale over the largest fitted.
    """

    error: float
    rows: int
    share: float
    distance: float

    def count(self, distance: float) -> float:
        """How much the cut counts for a question at a distance: a_c(d)."""
        reach = np.exp(-max(distance - self.distance, 0.0) / _REACH)
        return float(self.rows / (self.rows + _FEW_ROWS) * self.share**_LATE * reach)


FoldErrors = Mapping[int, FoldError]
"""How a law did at each cut, by the index of the cut."""


def fold_errors(rolled: RollingBacktest) -> dict[int, FoldError]:
    """How a law did at each cut that it could be fitted to."""
    if rolled.scored is None:
        return {}
    scored = rolled.scored
    found = {}
    for index in np.unique(scored.cut):
        rows = scored.cut == index
        found[int(index)] = FoldError(
            error=float(np.mean(np.minimum(np.abs(scored.error[rows]), 1.0))),
            rows=int(np.sum(rows)),
            share=float(np.mean(rolled.scale <= rolled.cuts[index])),
            distance=float(np.mean(scored.distance[rows])),
        )
    return found


def score_of(errors: FoldErrors, indices: Sequence[int]) -> float:
    """Score of a law, the root mean square of its errors over cuts by their counts; nan with too few cuts."""
    if not indices or len(errors) < _MISSING * len(indices):
        return np.nan
    counts = np.array([fold.count(0.0) for fold in errors.values()])
    return float(np.sqrt(np.average(np.array([fold.error for fold in errors.values()]) ** 2, weights=counts)))


def weights_at(errors: Sequence[FoldErrors], names: Sequence[str], distance: float) -> Array:
    """Weights w_k(d) of laws for a question at a distance (K,).

    Args:
        errors: How each law did at each cut.
        names: The laws' names in the book, for what published studies say of them.
        distance: Logarithm of the question's scale over the largest of the table.
    """
    total = _PRIOR * prior_at(names, distance)
    counts = np.full(len(errors), _PRIOR)
    for index in sorted(set().union(*errors)):
        scored = [at for at, folds in enumerate(errors) if index in folds]
        if len(scored) < 2:
            continue
        logs = np.log(np.maximum([errors[at][index].error for at in scored], _LEAST_ERROR))
        count = errors[scored[0]][index].count(distance)
        total[scored] += count * (logs - logs.mean())
        counts[scored] += count
    relative = total / counts
    weights = np.exp(-SHARPNESS * (relative - relative.min()))
    return np.asarray(weights / weights.sum())


def paired(one: FoldErrors, other: FoldErrors) -> tuple[float, float]:
    """Mean difference of two laws' errors over the m cuts that both have, and its standard error.

        mean = sum_c w_c d_c,   error = sqrt(m / (m - 1) sum_c w_c^2 (d_c - mean)^2),   w_c = a_c(0) / sum_c a_c(0)

    with d_c the difference of the errors at cut c.
    """
    both = sorted(set(one) & set(other))
    if len(both) < 2:
        return 0.0, np.inf
    gap = np.array([one[index].error - other[index].error for index in both])
    weight = np.array([one[index].count(0.0) for index in both])
    weight /= weight.sum()
    mean = float(weight @ gap)
    return mean, float(np.sqrt(weight**2 @ (gap - mean) ** 2 * len(both) / (len(both) - 1)))


def combined(rolled: Sequence[RollingBacktest], names: Sequence[str]) -> ScoredRows | None:
    """The backtest of the combined forecast; its law error includes how far the laws differ.

    At each cut the weights come from the smaller cuts only, on scored rows that this cut was fitted to.
    """
    present = [(one, name) for one, name in zip(rolled, names, strict=True) if one.scored is not None]
    if not present:
        return None
    indices = sorted({int(index) for one, _ in present for index in np.unique(_scored(one).cut)})
    parts = [part for index in indices if (part := _at(present, index)) is not None]
    if not parts:
        return None
    return ScoredRows(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in ScoredRows.__dataclass_fields__}
    )


def _scored(rolled: RollingBacktest) -> ScoredRows:
    assert rolled.scored is not None
    return rolled.scored


def _at(rolled: Sequence[tuple[RollingBacktest, str]], index: int) -> ScoredRows | None:
    """The scored rows of the combined forecast at one cut.

    With m the weighted middle of the forecasts y_k, and s_k the standard errors of the laws,

        law_error^2 = sum_k w_k [min(|y_k - m|, limit)^2 + min(s_k, 1)^2],
        limit = 3 median(noise) + median_k |y_k - m|.
    """
    scored = [(one, name, _scored(one).take(_scored(one).cut == index)) for one, name in rolled]
    scored = [(one, name, part) for one, name, part in scored if len(part.cut)]
    if not scored:
        return None
    # Laws that were scored on other rows, because a group level has no row below the cut, are left out.
    rows = scored[0][2].row
    scored = [(one, name, part) for one, name, part in scored if np.array_equal(part.row, rows)]
    here = [part for *_, part in scored]
    errors = [_seen_errors(one, index) for one, *_ in scored]
    weights = weights_at(errors, [name for _, name, _ in scored], float(np.mean(here[0].distance)))
    forecasts = np.stack([part.forecast for part in here])
    share = np.where(np.isfinite(forecasts), (weights / weights.sum())[:, None], 0.0)
    share = share / np.sum(share, axis=0)
    middle = np.array([weighted_middle(forecasts[:, at], share[:, at]) for at in range(len(rows))])
    noise = np.array([part.noise[0] for part in here])
    first = here[int(np.argmax(weights))]
    # The limit keeps a law far from the others from deciding the error by its distance.
    apart = np.minimum(
        np.abs(np.nan_to_num(forecasts - middle)), 3 * np.median(noise) + np.median(np.abs(forecasts - middle), axis=0)
    )
    inner = np.minimum(np.nan_to_num(np.stack([part.law_error for part in here])), 1.0)
    return replace(first, forecast=middle, law_error=np.sqrt(np.sum(share * (apart**2 + inner**2), axis=0)))


def _seen_errors(rolled: RollingBacktest, index: int) -> dict[int, FoldError]:
    """Errors of a law at the cuts below one, on the rows that this one was fitted to."""
    scored = _scored(rolled)
    seen = (scored.cut < index) & (rolled.scale[scored.row] <= rolled.cuts[index])
    return fold_errors(replace(rolled, scored=scored.take(seen))) if seen.any() else {}


def weighted_middle(values: Array, weights: Array) -> float:
    """The mean of the middle two fifths: continuous in values and weights, as the weighted median is not.

    It is the mean of the weighted quantile function from 0.3 to 0.7, so a law far from the others counts for nothing
    unless it has more than three tenths of the weight on its side.
    """
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    high = np.cumsum(weights) / weights.sum()
    low = high - weights / weights.sum()
    inside = np.maximum(np.minimum(high, 0.5 + _MIDDLE) - np.maximum(low, 0.5 - _MIDDLE), 0.0)
    used = inside > 0
    return float(inside[used] @ values[used] / inside[used].sum())
