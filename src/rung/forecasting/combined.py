"""The combined forecast of several laws: their weighted median, and an interval that holds the choice among them.

Shapes: `m` points, `B` draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import ForecastError
from rung.fitting import LawBounds, Selection, law_bounds, reopen
from rung.fitting.backtest import weighted_median
from rung.fitting.uncertainty import Profiler
from rung.forecasting.forecast import Forecast, Prediction, one_point, require_complete
from rung.forecasting.question import Question, ask, extrapolation

_DRAWS = 4000


def forecast_selection(selection: Selection, **given: float | str) -> Forecast:
    """Forecast the target of a run by all laws of a selection together.

    Args:
        selection: Laws with weights.
        **given: Variables, by symbol or column, as for `forecast`.

    Raises:
        ForecastError: A variable is missing or unknown, or no law has a value there.
    """
    first = selection.laws[0].fit
    question = ask(first, given)
    for ranked in selection.laws:
        require_complete(ranked.fit, question)
    said = combine(selection, question)
    if not np.isfinite(said.value[0]):
        raise ForecastError("no law of the selection has a finite value there.")
    return one_point(first, question, said)


@dataclass(frozen=True, slots=True)
class MemberLaw:
    """One law at the points of a question.

    Attributes:
        weight: Its weight.
        value: Its values on the residual's scale (m,).
        ends: Where its interval ends; None without one.
    """

    weight: float
    value: Array
    bounds: LawBounds | None

    def draws(self, point: int) -> Array:
        """Draws in proportion to the weight; a law that its rows do not bound there stands where it stands."""
        count = max(1, round(self.weight * _DRAWS))
        if self.bounds is None:
            return np.full(count, self.value[point])
        found = self.bounds.draws(point, count)
        return np.where(np.isfinite(found), found, self.value[point])


def reopened(selection: Selection) -> list[Profiler | None]:
    """Every law's optimum, for `combine` where it is called many times."""
    return [reopen(ranked.fit) for ranked in selection.laws]


def combine(selection: Selection, question: Question, profilers: list[Profiler | None] | None = None) -> Prediction:
    """The combined law and a new run at every point of a question."""
    with np.errstate(all="ignore"):
        return _combine(selection, question, profilers or reopened(selection))


def _combine(selection: Selection, question: Question, profilers: list[Profiler | None]) -> Prediction:
    first = selection.laws[0].fit
    voices = []
    for ranked, profiler in zip(selection.laws, profilers, strict=True):
        estimate, _ = ranked.fit.vectors(question.levels)
        value = ranked.fit.objective.transform(np.atleast_1d(ranked.fit.law.value(estimate, question.variables)))
        bounds = law_bounds(profiler, ranked.fit, question.variables, question.levels) if profiler else None
        voices.append(MemberLaw(ranked.weight, value, bounds))
    count = len(voices[0].value)
    factor = np.broadcast_to(extrapolation(first, question.variables)[0], (count,))
    names = ("law_low", "law_high", "run_low", "run_high")
    result = {name: np.full(count, np.nan) for name in names}
    parts = {name: np.full(count, np.nan) for name in ("coefficients", "noise", "choice of law", "discrepancy")}
    middle = np.full(count, np.nan)
    quantiles = [(1 - first.level) / 2, (1 + first.level) / 2]
    rng = np.random.default_rng(first.seed)
    for point in range(count):
        heard = [voice for voice in voices if np.isfinite(voice.value[point])]
        if not heard:
            continue
        weights = np.array([voice.weight for voice in heard])
        values = np.array([voice.value[point] for voice in heard])
        middle[point] = weighted_median(values, weights)
        if all(voice.bounds is None for voice in heard):
            continue
        single = [voice.draws(point) for voice in heard]
        law = rng.permutation(np.concatenate(single))
        noise = (
            np.quantile(first.noise, (rng.permutation(len(law)) + 0.5) / len(law))
            if len(first.noise)
            else np.zeros(len(law))
        )
        spread = selection.noise * np.sqrt(np.log(factor[point]))
        stray = spread * selection.discrepancy.draws(len(law), rng) if selection.discrepancy else np.zeros(len(law))
        reached = [np.quantile(draws, quantiles, method="inverted_cdf") for draws in (law, law + noise + stray)]
        for name, end in zip(names, first.objective.untransform(np.concatenate(reached)), strict=True):
            result[name][point] = end
        inner = np.array([np.var(draws[np.isfinite(draws)]) if np.isfinite(draws).any() else 0.0 for draws in single])
        apart = (values - middle[point]) ** 2
        shares = np.array(
            [
                np.average(inner, weights=weights),
                np.var(noise),
                np.average(apart, weights=weights),
                np.var(stray),
            ]
        )
        for name, share in zip(parts, shares / shares.sum() if shares.sum() else shares, strict=True):
            parts[name][point] = share
    return Prediction(value=first.objective.untransform(middle), factor=factor, parts=parts, **result)
