"""The combined forecast of several laws: their weighted middle, and an interval that holds the choice among them.

Shapes: `m` points, `B` draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import ForecastError
from rung.fitting import Fit, LawBounds, Selection, law_bounds, reopen
from rung.fitting.backtest import weighted_middle
from rung.fitting.uncertainty import Profiler
from rung.forecasting.forecast import Forecast, one_point
from rung.forecasting.predictive import CAUSES, DRAWS, Prediction, PredictiveDistribution, summarise
from rung.forecasting.question import Question, ask, extrapolation, require_complete


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
    prediction = combine(selection, question)
    if not np.isfinite(prediction.value[0]):
        raise ForecastError("no law of the selection has a finite value there.")
    return one_point(first, question, prediction)


@dataclass(frozen=True, slots=True)
class _MemberLaw:
    """One law at the points of a question.

    Attributes:
        weight: Its weight at each point (m,).
        value: Its values on the residual's scale (m,).
        bounds: The bounds of its interval; None without one.
    """

    weight: Array
    value: Array
    bounds: LawBounds | None

    def draws(self, point: int) -> Array:
        """Draws in proportion to the weight; the value itself where the law's rows do not bound it."""
        count = max(1, round(float(self.weight[point]) * DRAWS))
        if self.bounds is None:
            return np.full(count, self.value[point])
        found = self.bounds.draws(point, count)
        return np.where(np.isfinite(found), found, self.value[point])


def reopened_members(selection: Selection) -> list[Profiler | None]:
    """Every law's optimum, for `combine` where it is called many times."""
    return [reopen(ranked.fit) for ranked in selection.laws]


def combine(selection: Selection, question: Question, profilers: list[Profiler | None] | None = None) -> Prediction:
    """The combined law and a new run at every point of a question."""
    first = selection.laws[0].fit
    with np.errstate(all="ignore"):
        count = int(np.broadcast_shapes(*(np.shape(values) for values in question.variables.values()))[0])
        factor = np.broadcast_to(extrapolation(first, question.variables)[0], (count,))
        weights_Km = np.stack([selection.weights(float(np.log(beyond))) for beyond in factor], axis=1)
        members = _members(selection, question, profilers or reopened_members(selection), weights_Km)
        middle = np.array([_middle(members, point) for point in range(count)])
        found = list(_distributions(selection, first, members, middle, factor))
        return summarise(first, first.objective.untransform(middle), factor, found, CAUSES)


def _members(
    selection: Selection, question: Question, profilers: Sequence[Profiler | None], weights_Km: Array
) -> list[_MemberLaw]:
    members = []
    for ranked, profiler, weights in zip(selection.laws, profilers, weights_Km, strict=True):
        estimate, _ = ranked.fit.vectors(question.levels)
        value = ranked.fit.objective.transform(np.atleast_1d(ranked.fit.law.value(estimate, question.variables)))
        bounds = law_bounds(profiler, ranked.fit, question.variables, question.levels) if profiler else None
        members.append(_MemberLaw(weights, value, bounds))
    return members


def _with_value(members: Sequence[_MemberLaw], point: int) -> list[_MemberLaw]:
    return [member for member in members if np.isfinite(member.value[point])]


def _middle(members: Sequence[_MemberLaw], point: int) -> float:
    """The weighted middle of the laws that have a value; nan where none has."""
    present = _with_value(members, point)
    if not present:
        return float("nan")
    values = np.array([member.value[point] for member in present])
    return weighted_middle(values, np.array([member.weight[point] for member in present]))


def _distributions(
    selection: Selection, first: Fit, members: Sequence[_MemberLaw], middle: Array, factor: Array
) -> Iterator[PredictiveDistribution | None]:
    rng = np.random.default_rng(first.seed)
    for point, beyond in enumerate(factor):
        present = _with_value(members, point)
        if all(member.bounds is None for member in present):
            yield None
            continue
        weights = np.array([member.weight[point] for member in present])
        single = [member.draws(point) for member in present]
        law = rng.permutation(np.concatenate(single))
        count = len(law)
        noise = (
            np.quantile(first.noise, (rng.permutation(count) + 0.5) / count) if len(first.noise) else np.zeros(count)
        )
        std = selection.noise * np.sqrt(np.log(beyond))
        discrepancy = std * selection.discrepancy.draws(count, rng) if selection.discrepancy else np.zeros(count)
        finite = [draws[np.isfinite(draws)] for draws in single]
        within = np.array([np.var(draws) if len(draws) else 0.0 for draws in finite])
        apart = (np.array([member.value[point] for member in present]) - middle[point]) ** 2
        yield PredictiveDistribution(
            law=law,
            noise=noise,
            discrepancy=discrepancy,
            law_variances={
                "coefficients": float(np.average(within, weights=weights)),
                "choice of law": float(np.average(apart, weights=weights)),
            },
        )
