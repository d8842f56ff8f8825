"""How density grows with the date of release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import WorthError
from rung.fitting.uncertainty import student_quantile
from rung.forecasting import Interval
from rung.messages import require_level
from rung.results import Result, Summary
from rung.units import format_interval

_RESAMPLES = 1000


_FEWEST_DATED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trend(Result):
    """How density grows with the date of release.

    Attributes:
        doubling_days: Days in which the densest model's density doubles, from models that set a record.
        interval: Its interval, over resampled models; (None, None) where growth is not sure.
        records: Indices of the models that set a record, by date.
        plain_days: The same from all models by least squares: biased where some fall short of what their time could do.
        plain_interval: Its interval.
        level: Coverage of the intervals.
    """

    doubling_days: float
    interval: Interval
    records: tuple[int, ...]
    plain_days: float
    plain_interval: Interval
    level: float

    def headline(self) -> str:
        """Doubling time of the densest models."""
        return f"doubles in {_days(self.doubling_days)} days ({format_interval(*self.interval, _days)})"

    def describe(self) -> Summary:
        """Doubling time of the densest models, beside that of all."""
        return Summary(
            [
                f"density of the densest doubles in {_days(self.doubling_days)} days ({100 * self.level:g} %: "
                f"{format_interval(*self.interval, _days)}), from {len(self.records)} records\n"
                f"of all models, by least squares, in {_days(self.plain_days)} days "
                f"({format_interval(*self.plain_interval, _days)}): models below the best of their time bias it"
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The trend as plain values."""
        return {
            "doubling_days": self.doubling_days,
            "interval": list(self.interval),
            "records": list(self.records),
            "plain_days": self.plain_days,
            "plain_interval": list(self.plain_interval),
        }


def density_trend(days: Array, densities: Array, *, level: float = 0.9, seed: int = 0) -> Trend:
    """The exponential growth of the densest models, beside that of all.

    Args:
        days: Dates of release, in days since any date (n,).
        densities: Densities (n,).
        level: Coverage of the intervals.
        seed: Seed of the resamples.

    Raises:
        WorthError: Too few models, or densities that are not positive.
    """
    require_level(level, WorthError)
    t, rho = np.asarray(days, dtype=float), np.asarray(densities, dtype=float)
    known = np.isfinite(t) & np.isfinite(rho)
    if not np.all(rho[known] > 0):
        raise WorthError("a density is not positive.")
    if len(np.unique(t[known])) < _FEWEST_DATED:
        raise WorthError(
            f"{int(known.sum())} models at {len(np.unique(t[known]))} dates: a trend needs at least {_FEWEST_DATED} dates."
        )
    indices = np.flatnonzero(known)
    order = indices[np.lexsort((-rho[indices], t[indices]))]
    x, y = t[order], np.log(rho[order])
    records = _records(y)
    if len(records) < 3:
        raise WorthError(f"only {len(records)} models set a record of density: there is no upper envelope to follow.")
    rng = np.random.default_rng(seed)
    slopes = []
    for _ in range(_RESAMPLES):
        chosen = np.sort(rng.integers(len(x), size=len(x)))
        top = _records(y[chosen])
        if len(np.unique(x[chosen][top])) > 1:
            slopes.append(_slope(x[chosen][top], y[chosen][top]))
    ends = np.quantile(slopes, [(1 - level) / 2, (1 + level) / 2])
    plain = _slope(x, y)
    residual = y - y.mean() - plain * (x - x.mean())
    error = np.sqrt(residual @ residual / (len(x) - 2) / np.sum((x - x.mean()) ** 2))
    half = student_quantile((1 + level) / 2, len(x) - 2) * error
    return Trend(
        doubling_days=float(np.log(2) / _slope(x[records], y[records])),
        interval=_doubling(*ends),
        records=tuple(int(order[index]) for index in records),
        plain_days=float(np.log(2) / plain),
        plain_interval=_doubling(plain - half, plain + half),
        level=level,
    )


def _records(y: Array) -> NDArray[np.intp]:
    """Places at which the running maximum rises."""
    top = np.maximum.accumulate(y)
    return np.flatnonzero(np.concatenate([[True], top[1:] > top[:-1]]))


def _slope(x: Array, y: Array) -> float:
    away = x - x.mean()
    return float(away @ y / (away @ away))


def _doubling(low: float, high: float) -> Interval:
    """Days of doubling for the ends of a slope: the slower one is open where growth may be none."""
    if high <= 0:
        return (None, None)
    return (float(np.log(2) / high), float(np.log(2) / low) if low > 0 else None)


def _days(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
