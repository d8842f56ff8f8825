"""The size a reference ladder would need for a measured loss or score, and the density that makes.

Source: the densing law, arXiv:2412.04315: the density of a model is the size that the reference needs for its score,
over its own size. No irreducible loss is assumed here beyond that of the reference law.

Shapes: `n` models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ForecastError, WorthError
from rung.fitting import Fit, as_fit
from rung.forecasting import BoundsGrid, Forecast, Interval, invert, invert_within
from rung.worth.effective import Density, Effective

FULL_BITS = 16.0
"""Bits of a stored parameter that count as one whole: bf16."""


def density(
    fit: Fit | str | Path,
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
    model = Measured(
        loss=loss, score=score, params=params, tokens=tokens, params_active=params_active, bits=bits, given=given
    )
    return density_of(as_fit(fit), model, score_fit, reference_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is known of one model.

    Attributes:
        loss: The measured loss; None where a score was measured.
        score: The score.
        params: Its parameters.
        tokens: The tokens that it was trained on.
        params_active: Parameters that one token meets.
        bits: Bits that a stored parameter takes.
        given: Other variables and groups of the reference law.
    """

    loss: float | None = None
    score: float | None = None
    params: float | None = None
    tokens: float | None = None
    params_active: float | None = None
    bits: float | None = None
    given: Mapping[str, float | str] = field(default_factory=dict)


def density_of(
    fit: Fit, model: Measured, score_fit: Fit | None, reference_tokens: float | None, near: BoundsGrid | None = None
) -> Density:
    """The density of one model; see `density`. With `near`, bounds come from a grid of them.

    Raises:
        WorthError: As for `density`.
    """
    inverted: Callable[..., Forecast] = partial(invert, fit) if near is None else partial(invert_within, near)
    loss, params, tokens = model.loss, model.params, model.tokens
    _require_answerable(fit, model, score_fit, reference_tokens)
    if model.score is not None:
        loss = _loss_of(model.score, score_fit)
    assert loss is not None
    _require_positive({"params": params, "tokens": tokens, "active params": model.params_active, "bits": model.bits})
    at = _tokens_of_reference(fit, reference_tokens, tokens)
    try:
        asked: dict[str, Any] = {**model.given, **({} if at is None else {"D": at})}
        found = inverted(loss, **asked)
    except ForecastError as error:
        raise WorthError(f"no size of the reference reaches a {fit.target} of {loss:.5g}: {error.text}") from None
    bases = {
        "params": params,
        "active params": model.params_active,
        "stored bits": None if model.bits is None or params is None else params * model.bits / FULL_BITS,
    }
    sizes = {name: _over("params", found.value, found.run_interval, base) for name, base in bases.items()}
    return Density(
        loss=loss,
        score=model.score,
        tokens=at,
        size=sizes["params"],
        data=_data(fit, loss, model, inverted),
        densities={name: size for name, size in sizes.items() if size.over is not None},
        target=fit.target,
        level=fit.level,
        warnings=found.warnings,
    )


def _require_positive(numbers: Mapping[str, float | None]) -> None:
    for name, number in numbers.items():
        if number is not None and not (np.isfinite(number) and number > 0):
            raise WorthError(f"{name} {number:g} must be positive.")


def _tokens_of_reference(fit: Fit, reference_tokens: float | None, tokens: float | None) -> float | None:
    """Tokens at which the reference gives its size; None for a law without D."""
    if "D" not in fit.law.variables:
        return None
    at = reference_tokens if reference_tokens is not None else tokens
    if at is None:
        raise WorthError("the reference law has D: give the model's tokens, or those of the reference (--tokens 1T).")
    return at


def _require_answerable(fit: Fit, model: Measured, score_fit: Fit | None, reference_tokens: float | None) -> None:
    """Refuse a question that the reference cannot answer, and inputs that would be left unused."""
    loss, score, given = model.loss, model.score, model.given
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


def _data(fit: Fit, loss: float, model: Measured, inverted: Callable[..., Forecast]) -> Effective | None:
    if model.params is None or "D" not in fit.law.variables:
        return None
    try:
        found = inverted(loss, N=model.params, **model.given)
    except ForecastError:
        return None
    return _over("tokens", found.value, found.run_interval, model.tokens)
