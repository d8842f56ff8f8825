"""Inversions: the size, data or compute that a target loss needs.

The law is solved for one variable on a grid of its logarithm, and by bisection in the first cell with a crossing. The
interval of the solution holds the values at which the target loss lies inside the interval of the forecast. Bisection stands
here and not SciPy's: importing scipy.optimize would lengthen a cold `rung forecast` by a third (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rung.arrays import Array
from rung.errors import ForecastError
from rung.fitting import Fit, as_fit
from rung.fitting.uncertainty import Profiler
from rung.forecasting.bounds_grid import BoundsGrid
from rung.forecasting.forecast import Forecast, Interval, no_interval_findings
from rung.forecasting.question import Question, ask, completed, extrapolation, far_findings, missing, named
from rung.forecasting.single_law import predict, reopened
from rung.laws import column_of
from rung.messages import require_number
from rung.units import format_count

_GRID = 257
"""Points of the grid on which a crossing is searched."""

_BISECTIONS = 60
"""Halvings of a cell of the grid: to the last bit."""

_FIRST_STRIDE, _GROWTH, _STRIDES = 0.05, 1.6, 16
"""First step in the logarithm, growth and number of the steps by which the bounds of the interval are searched."""

_REFINEMENTS = 12
"""Points within the step that holds a bound."""

_BELOW, _BEYOND = 1e-6, 1e12
"""How far below the smallest and beyond the largest run a solution is searched."""


def invert(
    fit: Fit | str | Path,
    loss: float,
    *,
    tokens_per_param: float | None = None,
    level: float | None = None,
    **given: float | str,
) -> Forecast:
    """The smallest size, data or compute at which the law reaches a target loss.

    Args:
        fit: The fitted law, or its file.
        loss: The target loss, in the unit of the fit's target.
        tokens_per_param: D / N, where both are open.
        level: Coverage of the intervals; that of the fit by default.
        **given: The given variables; all but one, or all but N and D with tokens_per_param.

    Raises:
        ForecastError: Not exactly one variable is open, or no value of it reaches the target loss.
    """
    return _inverted(as_fit(fit, level), loss, given, tokens_per_param, None)


def invert_within(grid: BoundsGrid, loss: float, **given: float | str) -> Forecast:
    """As `invert`, with bounds from a grid of them; for many inversions of one fit.

    Args:
        grid: The fit, and its bounds over a box; beyond the box they are computed one by one.
        loss: The target loss.
        **given: The given variables, all but one.

    Raises:
        ForecastError: As for `invert`.
    """
    return _inverted(grid.fit, loss, given, None, grid)


def _inverted(
    fit: Fit, loss: float, given: Mapping[str, float | str], tokens_per_param: float | None, near: BoundsGrid | None
) -> Forecast:
    if not np.isfinite(require_number(loss, "loss", ForecastError)):
        raise ForecastError(f"--loss {loss:g} is not a finite number.")
    question = ask(fit, given)
    variable = _open_variable(fit, question, tokens_per_param)

    def point(x: Array) -> dict[str, Array]:
        if tokens_per_param is not None:
            with np.errstate(over="ignore"):
                return completed({**question.variables, "N": x, "D": tokens_per_param * x})
        return completed({**question.variables, variable: x})

    value, grid = _solution(fit, question, variable, point, loss)
    solved = {name: np.atleast_1d(np.asarray(part)) for name, part in point(np.array([value])).items()}
    if not all(np.all(np.isfinite(part)) for part in solved.values()):
        raise ForecastError(
            f"{fit.target} {loss:g} needs numbers beyond the range of floating point. Ask for a higher value."
        )
    law, run = _intervals(fit, question, point, loss, (value, grid), near)
    factor, _ = extrapolation(fit, solved)
    asked: dict[str, float | str] = {**named(question.variables), **question.levels, fit.target: loss}
    if tokens_per_param is not None:
        asked["tokens_per_param"] = tokens_per_param
    return Forecast(
        inputs=asked,
        value=value,
        law_interval=law,
        run_interval=run,
        parts={},
        extrapolation_factor=float(np.max(factor)),
        target=fit.target,
        level=fit.level,
        warnings=(*far_findings(fit, solved), *no_interval_findings(fit, question.levels, law)),
        solved_for=column_of(variable),
        solution=named(solved),
    )


def _open_variable(fit: Fit, question: Question, tokens_per_param: float | None) -> str:
    """The one variable to solve for; with tokens_per_param it is N, and D follows."""
    lacking = missing(fit, question.variables)
    if tokens_per_param is not None:
        if not {"N", "D"} <= set(lacking) or not set(lacking) <= {"N", "D", "C"}:
            raise ForecastError("--tokens-per-param ties D to N, so a law in N and D with both open is needed.")
        if not (np.isfinite(tokens_per_param) and tokens_per_param > 0):
            raise ForecastError(f"--tokens-per-param {tokens_per_param:g} must be positive.")
        return "N"
    completing = [name for name in sorted(lacking, key="C".__eq__) if not _left_open(fit, question, name)]
    if {"N", "D"} <= set(lacking):
        # A loss at a given compute is met twice, by too small and by too large a model: that is no inversion.
        completing = []
    if not completing:
        known = f"{' and '.join(lacking) or 'nothing'} {'is' if len(lacking) < 2 else 'are'} open"
        raise ForecastError(
            f"a target loss is solved for one variable; {known}. Give all of {', '.join(fit.law.variables)} "
            "but one, or --tokens-per-param 20 for N and D together."
        )
    return completing[0]


def _left_open(fit: Fit, question: Question, name: str) -> list[str]:
    """The variables of a law that remain open once one more is given."""
    return missing(fit, completed({**question.variables, name: np.ones(1)}))


def _solution(
    fit: Fit, question: Question, variable: str, point: Callable[[Array], dict[str, Array]], target: float
) -> tuple[float, Array]:
    """The smallest value at which the law meets the target loss, and the grid that was searched."""
    low, high = fit.ranges[variable]
    if low <= 0:
        raise ForecastError(f"{variable} is not positive in the runs, so the law cannot be solved for it.")
    grid = np.geomspace(low * _BELOW, high * _BEYOND, _GRID)
    estimate, _ = fit.vectors(question.levels)

    def gap(coefficients: dict[str, Array], target: Array, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return fit.objective.transform(fit.law.value(coefficients, point(x))) - target

    scaled = float(fit.objective.transform(np.array(target)))
    single = {name: np.array([[value]]) for name, value in estimate.items()}
    value = float(_first_crossing(lambda x: gap(single, np.array([[scaled]]), x), grid)[0])
    if not np.isfinite(value):
        reach = fit.law.value(estimate, point(grid))
        reach = reach[np.isfinite(reach)]
        best = float(np.min(reach)) if len(reach) else np.nan
        if np.isfinite(scaled) and target > best:
            raise ForecastError(
                f"no {variable} gives a {fit.target} of {target:g}: from {variable}={format_count(grid[0])} to "
                f"{format_count(grid[-1])} the law lies between {best:.5g} and {float(np.max(reach)):.5g}."
            )
        raise ForecastError(
            f"{fit.target} {target:g} is not reached at any {variable}: the law's limit there is {best:.5g}"
            f"{' (its irreducible loss with what is given)' if fit.target == 'loss' else ''}. Ask for a higher value, or change what is given."
        )
    return value, grid


def _intervals(
    fit: Fit,
    question: Question,
    point: Callable[[Array], dict[str, Array]],
    target: float,
    solution: tuple[float, Array],
    near: BoundsGrid | None,
) -> tuple[Interval, Interval]:
    """The values around the solution at which the target loss lies inside the interval of the law, and of a new run.

    A bound is None where the target loss stays inside up to the edge of the grid.
    """
    value, grid = solution
    margins = _Margins(fit, question, point, target, near)

    if np.isnan(margins(np.array([value]))[0, 0]):
        return (None, None), (None, None)
    found: list[list[float | None]] = [[None, None], [None, None]]
    brackets = []
    for side, last in enumerate((grid[0], grid[-1])):
        steps = _FIRST_STRIDE * _GROWTH ** np.arange(_STRIDES)
        x = np.log(value) + np.concatenate([[0.0], np.cumsum(steps) * (2 * side - 1)])
        x = x[np.abs(x - np.log(value)) <= abs(np.log(last / value))]
        for which, margin in enumerate(margins(np.exp(x))):
            outside = np.flatnonzero(margin < 0)
            if len(outside):
                brackets.append((which, side, np.linspace(x[outside[0] - 1], x[outside[0]], _REFINEMENTS)))
    if brackets:
        inner = margins(np.exp(np.concatenate([x for *_, x in brackets])))
        for index, (which, side, x) in enumerate(brackets):
            margin = inner[which, index * _REFINEMENTS : (index + 1) * _REFINEMENTS]
            found[which][side] = float(np.exp(_zero(x, margin)))
    return (found[0][0], found[0][1]), (found[1][0], found[1][1])


class _Margins:
    """Distances of a target to the nearer bound of the law, and of a new run (2, m): negative outside."""

    def __init__(
        self,
        fit: Fit,
        question: Question,
        point: Callable[[Array], dict[str, Array]],
        target: float,
        near: BoundsGrid | None,
    ) -> None:
        self.fit, self.question, self.point, self.target, self.near = fit, question, point, target, near
        self.profiler: Profiler | None = None
        self.opened = False

    def __call__(self, x: Array) -> Array:
        variables = {key: np.broadcast_to(part, x.shape) for key, part in self.point(x).items()}
        if self.near is None:
            return self._exact(variables)
        found = np.full((2, len(x)), np.nan)
        inside = self.near.holds(variables)
        if inside.any():
            found[:, inside] = self._least(self.near.bounds({key: part[inside] for key, part in variables.items()}))
        if not inside.all() and not np.any(found < 0, axis=1).all():
            # The target is left within the box on both counts, or the points beyond it decide.
            found[:, ~inside] = self._exact({key: part[~inside] for key, part in variables.items()})
        return np.where(np.isnan(found) & ~inside, np.inf, found)

    def _exact(self, variables: dict[str, Array]) -> Array:
        if not self.opened:
            self.profiler, self.opened = reopened(self.fit), True
        there = predict(self.fit, Question(variables=variables, levels=self.question.levels), self.profiler)
        return self._least(((there.law_low, there.law_high), (there.run_low, there.run_high)))

    def _least(self, bounds: tuple[tuple[Array, Array], tuple[Array, Array]]) -> Array:
        return np.stack([np.minimum(self.target - low, high - self.target) for low, high in bounds])


def _zero(x: Array, margin: Array) -> float:
    """Where the margin first turns negative, by linear interpolation."""
    outside = max(int(np.flatnonzero(margin < 0)[0]) if np.any(margin < 0) else len(x) - 1, 1)
    inside = margin[outside - 1]
    if not np.isfinite(inside) or inside == margin[outside]:
        return float(x[outside])
    share = np.clip(inside / (inside - margin[outside]), 0.0, 1.0)
    return float(x[outside - 1] + share * (x[outside] - x[outside - 1]))


def _first_crossing(gap: Callable[[Array], Array], grid: Array) -> Array:
    """For each row of `gap`, the smallest x where it crosses zero; inf where it never does."""
    signs = gap(grid[None, :])
    crossing = (signs[:, :-1] * signs[:, 1:] <= 0) & np.isfinite(signs[:, :-1]) & np.isfinite(signs[:, 1:])
    found = crossing.any(axis=1)
    index = np.argmax(crossing, axis=1)
    low, high = np.log(grid[index]), np.log(grid[index + 1])
    start = np.sign(np.take_along_axis(signs, index[:, None], axis=1)[:, 0])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        same = np.sign(gap(np.exp(middle)[:, None])[:, 0]) == start
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.where(found, np.exp((low + high) / 2), np.inf)
