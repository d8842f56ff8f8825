"""Chained forecasts: a law of a loss, and laws of what follows from it, with one interval.

Draws of the first law at the question pass through each next law: at a draw x of its variable the next value is

    y = g(x) + t (bound(x) - g(x)) / z + e + d

with t a draw of Student's t that scales the bounds of the next law's own interval, e its noise and d its discrepancy beyond
the values that it was fitted to. The interval of the law leaves e and d of every law out. The draws of different laws are
independent: they were fitted to different rows.

Shapes: `B` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ForecastError
from rung.findings import Finding
from rung.fitting import Fit, as_fit, law_bounds, reopen
from rung.forecasting.draws import Draws, draws_at
from rung.forecasting.forecast import Forecast, forecast
from rung.forecasting.question import Question, ask, extrapolation, require_complete
from rung.laws import column_of, symbol_of
from rung.units import format_value

_POINTS = 65
"""Points over the draws of a variable at which the next law and its bounds are computed; between them they are interpolated."""


def forecast_chain(fits: Sequence[Fit | str | Path], *, level: float | None = None, **given: float | str) -> Forecast:
    """Forecast the target of the last law of a chain, such as a score from a loss from N and D.

    Args:
        fits: The laws or their files, in order. Each but the first has the target of the one before among its variables.
        level: Coverage of the intervals; that of the first fit by default.
        **given: The variables of the first law, and others of the next ones.

    Raises:
        ForecastError: There are fewer than two laws, one does not take the target of the one before, or one has no interval.
    """
    chain = [as_fit(fit, level) for fit in fits]
    if len(chain) < 2:
        raise ForecastError("a chain has two laws or more.")
    first = chain[0]
    own: dict[str, Any] = {name: value for name, value in given.items() if _belongs(first, name)}
    start = forecast(first, **own)
    value, draws = start.value, draws_at(first, **own)[0].finite()
    findings = [*start.warnings]
    shares: dict[str, float] = {}
    for before, fit in pairwise(chain):
        variable = symbol_of(before.target)
        if variable not in fit.law.variables:
            raise ForecastError(
                f"the law of {fit.target} ({fit.law.formula}) does not take {before.target}; its variables are {', '.join(fit.law.variables)}."
            )
        others = {name: one for name, one in given.items() if _belongs(fit, name) and symbol_of(name) != variable}
        findings += _outside(fit, variable, value)
        at = ask(fit, {**others, variable: value})
        require_complete(fit, at)
        estimate, _ = fit.vectors(at.levels)
        value = float(np.atleast_1d(fit.law.value(estimate, at.variables))[0])
        carried = _through(fit, at, variable, draws, own=False)
        draws = _through(fit, at, variable, draws, own=True)
        whole = float(np.var(draws.run))
        share = min(float(np.var(carried.run)) / whole, 1.0) if whole > 0 else 0.0
        shares = {
            **{name: part * share for name, part in (shares or {before.target: 1.0}).items()},
            fit.target: 1 - share,
        }
    tails = [(1 - first.level) / 2, (1 + first.level) / 2]
    law, run = (np.quantile(part, tails) for part in (draws.law, draws.run))
    return replace(
        start,
        inputs={**start.inputs, **{column_of(name): one for name, one in given.items() if name not in own}},
        value=value,
        law_interval=(float(law[0]), float(law[1])),
        run_interval=(float(min(run[0], law[0])), float(max(run[1], law[1]))),
        parts=shares,
        target=chain[-1].target,
        warnings=tuple(findings),
    )


def _belongs(fit: Fit, name: str) -> bool:
    return (
        name in fit.groups
        or symbol_of(name) in fit.law.variables
        or (symbol_of(name) in "NDC" and "N" in fit.law.variables)
    )


def _through(fit: Fit, at: Question, variable: str, before: Draws, *, own: bool) -> Draws:
    """Draws of the next target; without its own uncertainty, only that of the variable is carried on."""
    profiler = reopen(fit)
    if profiler is None:
        raise ForecastError(f"the law of {fit.target} has no interval: its fit keeps no rows or has no noise.")
    ends = np.concatenate([before.law, before.run])
    grid = np.linspace(ends.min(), ends.max(), _POINTS)
    points = {**{name: np.broadcast_to(one, (_POINTS,)) for name, one in at.variables.items()}, variable: grid}
    bounds = law_bounds(profiler, fit, points, at.levels)
    rng = np.random.default_rng([fit.seed, 7])
    count = len(before.law)
    # One draw of the law serves both intervals. A bound that is open or unknown gives the law itself.
    shift = rng.standard_t(max(bounds.degrees, 1), count) / bounds.z if own else np.zeros(count)
    factor = np.broadcast_to(extrapolation(fit, points)[0], (_POINTS,))
    noise_std = float(np.std(fit.noise)) if len(fit.noise) and own else 0.0
    noise = np.quantile(fit.noise, rng.random(count)) if noise_std else np.zeros(count)
    beyond = noise_std * fit.discrepancy.draws(count, rng) if fit.discrepancy and noise_std else np.zeros(count)
    found = []
    for x in (before.law, before.run):
        value = np.interp(x, grid, bounds.value)
        low, high = (
            np.interp(x, grid, np.where(np.isfinite(end), end, bounds.value)) for end in (bounds.low, bounds.high)
        )
        found.append(value + np.where(shift < 0, shift * (value - low), shift * (high - value)))
    far = np.sqrt(np.log(np.interp(before.run, grid, factor)))
    return Draws(fit.objective.untransform(found[0]), fit.objective.untransform(found[1] + noise + beyond * far))


def _outside(fit: Fit, variable: str, value: float) -> list[Finding]:
    """The finding that a law is asked beyond the values of the variable that it was fitted to."""
    low, high = fit.ranges.get(variable, (-np.inf, np.inf))
    if low <= value <= high:
        return []
    return [
        Finding(
            "outside_range",
            f"the law of {fit.target} was fitted on {column_of(variable)} from {format_value(low)} to {format_value(high)}, and is asked at "
            f"{format_value(value)}.",
        )
    ]
