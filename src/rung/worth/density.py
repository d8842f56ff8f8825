"""The verb: the size a reference ladder would need for a measured loss or score, and the density that makes.

Source: the densing law, arXiv:2412.04315: the density of a model is the size that the reference needs for its score,
over its own size. No irreducible loss is assumed here beyond that of the reference law.

Shapes: `n` models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import ForecastError, WorthError
from rung.findings import Finding
from rung.fitting import Fit
from rung.fitting.uncertainty import student_quantile
from rung.forecasting import Interval, invert

FULL_BITS = 16.0
"""Bits of a stored parameter that count as one whole: bf16."""

_RESAMPLES = 1000
_FEWEST_DATED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What the reference needs for one loss.

    Attributes:
        of: "params", "tokens" or "flops".
        value: How much.
        interval: Its interval, from the reference law and from the noise of one run about it.
        over: The value over what the model has; None where that is not known.
        over_interval: The same for the interval.
    """

    of: str
    value: float
    interval: Interval
    over: float | None
    over_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """One model against a reference ladder.

    Attributes:
        loss: The loss, measured or read from a score.
        score: The score; None where a loss was measured.
        tokens: Tokens at which the reference is asked for its size; None for a law without D.
        size: The effective size.
        data: The effective data; None where the model's size or tokens are not known, or no data reach the loss.
        densities: The effective size over params, over active params, and over params as stored at 16 bits, by name.
        warnings: What a user should know.
    """

    loss: float
    score: float | None
    tokens: float | None
    size: Effective
    data: Effective | None
    densities: Mapping[str, Effective]
    warnings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """The density as plain values."""

        def told(one: Effective | None) -> dict[str, Any] | None:
            if one is None:
                return None
            return {
                "of": one.of,
                "value": one.value,
                "interval": list(one.interval),
                "over": one.over,
                "over_interval": list(one.over_interval),
            }

        return {
            "loss": self.loss,
            "score": self.score,
            "reference_tokens": self.tokens,
            "effective_size": told(self.size),
            "effective_data": told(self.data),
            "densities": {name: told(one) for name, one in self.densities.items()},
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def density(
    fit: Fit,
    *,
    loss: float | None = None,
    score: float | None = None,
    score_fit: Fit | None = None,
    params: float | None = None,
    tokens: float | None = None,
    reference_tokens: float | None = None,
    params_active: float | None = None,
    bits: float | None = None,
    **given: float | str,
) -> Density:
    """Effective size and data of a measured loss or score, and the densities that they make.

    Args:
        fit: The reference ladder's law, in N or in N and D.
        loss: The measured loss.
        score: The measured score, instead of a loss.
        score_fit: The score as a law of L, such as logistic-of-loss, by which a score is read as a loss.
        params: The model's parameters, as the reference counts them.
        tokens: The tokens that it was trained on.
        reference_tokens: Tokens at which the reference is asked for its size; the model's own by default.
        params_active: Parameters that one token meets (mixture of experts).
        bits: Bits that a stored parameter takes.
        **given: Other variables and groups of the reference law.

    Raises:
        WorthError: The score lies outside the reach of its law, the loss below the reference's limit, or a number is
            missing.
    """
    _require_sense(fit, loss, score, score_fit, reference_tokens, given)
    if score is not None:
        loss = _loss_of(score, score_fit)
    assert loss is not None
    for name, number in (("params", params), ("tokens", tokens), ("active params", params_active), ("bits", bits)):
        if number is not None and not (np.isfinite(number) and number > 0):
            raise WorthError(f"{name} {number:g} must be positive.")
    asked: dict[str, Any] = dict(given)
    at = None
    if "D" in fit.law.variables:
        at = reference_tokens if reference_tokens is not None else tokens
        if at is None:
            raise WorthError(
                "the reference law has D: give the model's tokens, or those of the reference (--tokens 1T)."
            )
        asked["D"] = at
    try:
        found = invert(fit, loss, **asked)
    except ForecastError as error:
        raise WorthError(f"no size of the reference reaches a {fit.target} of {loss:.5g}: {error.text}") from None
    size = _over("params", found.value, found.run_interval, params)
    kinds = {
        "params": params,
        "active params": params_active,
        "stored bits": None if bits is None or params is None else params * bits / FULL_BITS,
    }
    return Density(
        loss=loss,
        score=score,
        tokens=at,
        size=size,
        data=_data(fit, loss, params, tokens, given),
        densities={
            name: _over("params", found.value, found.run_interval, base)
            for name, base in kinds.items()
            if base is not None
        },
        warnings=found.warnings,
    )


def _require_sense(
    fit: Fit,
    loss: float | None,
    score: float | None,
    score_fit: Fit | None,
    reference_tokens: float | None,
    given: Mapping[str, Any],
) -> None:
    """Refuse what cannot be asked of the reference, or would be left unused."""
    if (loss is None) == (score is None):
        raise WorthError("give a measured loss, or a score with the law that reads it as a loss.")
    if score_fit is not None and score is None:
        raise WorthError("the law of a score goes with a score, and a loss is given.")
    unknown = [name for name in given if name not in {*fit.law.variables, *fit.groups}]
    if unknown:
        raise WorthError(
            f"{unknown[0]!r} is no variable of the reference law {fit.law.formula!r}, and nothing that a model has: loss or score, N, D, "
            "params_active, bits."
        )
    if reference_tokens is not None and "D" not in fit.law.variables:
        raise WorthError(f"the reference law {fit.law.formula!r} has no D: it cannot be asked at a count of tokens.")
    if "N" not in fit.law.variables:
        raise WorthError(f"the reference law {fit.law.formula!r} has no N: an effective size needs one.")


def _loss_of(score: float, score_fit: Fit | None) -> float:
    if score_fit is None:
        raise WorthError(
            "a score needs the law that reads it as a loss: a fit of score in L, such as logistic-of-loss."
        )
    if score_fit.law.variables != ("L",):
        raise WorthError(f"the score's law {score_fit.law.formula!r} is not one of L alone.")
    try:
        return invert(score_fit, score).value
    except ForecastError as error:
        raise WorthError(
            f"a score of {score:g} is outside the range of its law, so it is no loss: {error.text}"
        ) from None


def _over(of: str, value: float, interval: Interval, base: float | None) -> Effective:
    if base is None:
        return Effective(of=of, value=value, interval=interval, over=None, over_interval=(None, None))
    low, high = (None if end is None else end / base for end in interval)
    return Effective(of=of, value=value, interval=interval, over=value / base, over_interval=(low, high))


def _data(
    fit: Fit, loss: float, params: float | None, tokens: float | None, given: Mapping[str, Any]
) -> Effective | None:
    if params is None or "D" not in fit.law.variables:
        return None
    try:
        found = invert(fit, loss, N=params, **given)
    except ForecastError:
        return None
    return _over("tokens", found.value, found.run_interval, tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How density grows with the date of release.

    Attributes:
        doubling_days: Days in which the densest model's density doubles, from models that set a record.
        interval: Its interval, over resampled models; (None, None) where growth is not sure.
        records: Places of the models that set a record, by date.
        plain_days: The same from all models by least squares: biased where some fall short of what their time could do.
        plain_interval: Its interval.
    """

    doubling_days: float
    interval: Interval
    records: tuple[int, ...]
    plain_days: float
    plain_interval: Interval

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
        level: Coverage that intervals aim at.
        seed: Seed of the resamples.

    Raises:
        WorthError: Too few models, or densities that are not positive.
    """
    if not 0 < level < 1:
        raise WorthError(f"level {level:g} must lie between 0 and 1, as in --level 0.9.")
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
