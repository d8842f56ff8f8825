"""What a user asks about: variables by symbol or column, completed by C = 6 N D."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import ForecastError
from rung.findings import Finding
from rung.fitting import Fit
from rung.laws import SYMBOLS
from rung.units import flops_6nd, format_count

FAR = 100.0
"""Extrapolation factor beyond which a forecast has a warning."""

_COMPUTE_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Points at which a law is asked.

    Attributes:
        variables: Each known variable of the law, and any of N, D, C beside (m,).
        levels: The level of each grouping column.
    """

    variables: dict[str, Array]
    levels: dict[str, str]


def ask(fit: Fit, given: Mapping[str, object]) -> Question:
    """Read a user's inputs: numbers for variables, text for groups.

    Raises:
        ForecastError: A name is unknown, or a value is not a positive number.
    """
    columns = {SYMBOLS.get(name, name): name for name in (*fit.law.variables, "N", "D", "C")}
    variables: dict[str, Array] = {}
    levels: dict[str, str] = {}
    for name, value in given.items():
        if name in fit.groups:
            levels[name] = str(value)
            continue
        variable = columns.get(SYMBOLS.get(name, name))
        if variable is None:
            known = [*fit.law.variables, *fit.groups]
            near = difflib.get_close_matches(name, [*known, *columns], 1, 0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ForecastError(f"{name!r} is no variable of {fit.law.formula!r}; they are {', '.join(known)}.{hint}")
        if variable in variables:
            raise ForecastError(f"{name}={value!r} gives {variable} a second time. Give it once.")
        variables[variable] = _numbers(name, value, positive=variable in {"N", "D", "C"})
    if not {"N", "D", "C"} <= set(fit.law.variables):
        _check_compute(variables)
    variables = completed(variables)
    for name, values in variables.items():
        if not np.all(np.isfinite(values)):
            raise ForecastError(f"{name} = {'6 N D' if name == 'C' else 'C / 6'} is beyond the range of numbers.")
    return Question(variables=variables, levels=levels)


def _numbers(name: str, value: object, *, positive: bool) -> Array:
    try:
        values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise ForecastError(f"{name}={value!r} is not a number.") from None
    if not np.all(np.isfinite(values)):
        raise ForecastError(f"{name}={value!r} is not a finite number.")
    if positive and np.any(values <= 0):
        raise ForecastError(f"{name}={values.min():g} must be positive.")
    return values


def is_variable(fit: Fit, name: str) -> bool:
    """Whether a name is a number that `ask` takes, rather than a group or nothing."""
    return SYMBOLS.get(name, name) in {SYMBOLS.get(known, known) for known in (*fit.law.variables, "N", "D", "C")}


def _check_compute(variables: Mapping[str, Array]) -> None:
    """Refuse N, D and C that contradict each other, where no law says that C is something else than 6 N D."""
    if not {"N", "D", "C"} <= set(variables):
        return
    ratio = variables["C"] / flops_6nd(variables["N"], variables["D"])
    if np.any(np.abs(ratio - 1) > _COMPUTE_TOLERANCE):
        raise ForecastError(f"C is {float(ratio.flat[0]):.3g} times 6 N D. Give two of N, D and C; the third follows.")


def completed(variables: dict[str, Array]) -> dict[str, Array]:
    """N, D or C from the other two by the 6ND rule."""
    known = {name for name in "NDC" if name in variables}
    with np.errstate(all="ignore"):
        if known == {"N", "D"}:
            return {**variables, "C": flops_6nd(variables["N"], variables["D"])}
        if known == {"C", "N"}:
            return {**variables, "D": variables["C"] / (6 * variables["N"])}
        if known == {"C", "D"}:
            return {**variables, "N": variables["C"] / (6 * variables["D"])}
    return variables


def missing(fit: Fit, variables: Mapping[str, Array]) -> list[str]:
    """The law's variables that are not known yet."""
    return [name for name in fit.law.variables if name not in variables]


def named(variables: Mapping[str, Array | float]) -> dict[str, float]:
    """Variables of one point, by column."""
    return {SYMBOLS.get(name, name): float(np.asarray(value).ravel()[0]) for name, value in variables.items()}


def extrapolation(fit: Fit, variables: Mapping[str, Array]) -> tuple[Array, str]:
    """How far beyond the runs each point lies (m,), and the variable in which the farthest one does.

    The factor is the largest ratio, over the law's variables and C = 6 N D, of the point to the nearest end
    of the range fitted on; 1 inside. Where either is not positive, it is 1 and the distance to that end in
    widths of the range.
    """
    worst = np.ones(1)
    farthest = ""
    for name, (low, high) in fit.ranges.items():
        if name in variables:
            factor = _beyond(variables[name], low, high)
            if np.max(factor) > np.max(worst):
                farthest = name
            worst = np.maximum(worst, factor)
    return worst, farthest


def _beyond(values: Array, low: float, high: float) -> Array:
    outside = np.maximum(np.maximum(values - high, low - values), 0.0)
    width = (high - low) or abs(high) or 1.0
    if low <= 0:
        return 1 + outside / width
    with np.errstate(divide="ignore"):
        ratio = np.maximum(np.maximum(values / high, low / values), 1.0)
    return np.where(values > 0, ratio, 1 + outside / width)


def far_finding(fit: Fit, variables: Mapping[str, Array]) -> tuple[Finding, ...]:
    """The finding of a forecast far from the runs, if it is one."""
    factor, name = extrapolation(fit, variables)
    if np.max(factor) <= FAR:
        return ()
    low, high = fit.ranges[name]
    value = float(np.asarray(variables[name])[int(np.argmax(np.broadcast_to(factor, np.shape(variables[name]))))])
    end, side = (high, "largest") if value > high else (low, "smallest")
    return (
        Finding(
            "far_extrapolation",
            f"forecast at {name}={format_count(value)} is {format_count(float(np.max(factor)))}x beyond the {side} run ({name}={format_count(end)}); "
            "the interval assumes that the law still holds there.",
        ),
    )
