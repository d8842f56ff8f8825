"""A question: the points that a user asks about, by symbol or column, completed by C = 6 N D, and how far they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rung.arrays import Array
from rung.errors import ForecastError
from rung.findings import Finding
from rung.fitting import Fit
from rung.laws import SYMBOLS
from rung.messages import did_you_mean, listed, plural_of
from rung.units import flops_6nd, format_count

FAR = 100.0
"""Extrapolation factor beyond which a forecast has a warning: public studies end about there."""

_COMPUTE_TOLERANCE = 0.01
"""Relative difference of C from 6 N D within which the three agree."""

_EXAMPLES = {"N": "7e9", "D": "1.4e12", "C": "1e21", "S": "1e5", "U": "1e11", "L": "2.5"}
"""Values of variables for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Points at which a law is asked.

    Attributes:
        variables: Each known variable of the law, and any of N, D, C beside (m,).
        levels: The level of each grouping column.
        trained: What is trained, where the law is asked at what that is worth; its distance from the runs counts.
        spread: Standard deviation of the law from causes outside the fit, by cause, on the residual's scale.
    """

    variables: dict[str, Array]
    levels: dict[str, str]
    trained: dict[str, Array] | None = None
    spread: Mapping[str, float] = field(default_factory=dict)

    @property
    def seen(self) -> dict[str, Array]:
        """What a run at each point trains."""
        return self.variables if self.trained is None else self.trained


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
            hint = did_you_mean(name, [*known, *columns], cutoff=0.5)
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


def require_complete(fit: Fit, question: Question) -> None:
    """Refuse a question that leaves a variable of the law open.

    Raises:
        ForecastError: A variable is missing.
    """
    lacking = missing(fit, question.variables)
    if lacking:
        example = " ".join(f"{name}={_EXAMPLES.get(name, '1')}" for name in lacking)
        raise ForecastError(
            f"{fit.law.formula!r} needs {', '.join(fit.law.variables)}; {listed(lacking)} {plural_of(len(lacking), 'is', 'are')} "
            f"missing. Give it: {example}, or a target loss: --loss 2.0."
        )


def missing(fit: Fit, variables: Mapping[str, Array]) -> list[str]:
    """The law's variables that are not known yet."""
    return [name for name in fit.law.variables if name not in variables]


def named(variables: Mapping[str, Array | float]) -> dict[str, float]:
    """Variables of one point, by column."""
    return {SYMBOLS.get(name, name): float(np.asarray(value).ravel()[0]) for name, value in variables.items()}


def extrapolation(fit: Fit, variables: Mapping[str, Array]) -> tuple[Array, str]:
    """How far beyond the runs each point lies (m,), and the variable in which the farthest one does.

    The factor is the largest ratio, over the law's variables and C = 6 N D, of the point to the nearest bound
    of the range fitted on; 1 inside. Where either is not positive, it is 1 and the distance to that bound in
    widths of the range.
    """
    worst = np.ones(1)
    farthest = ""
    for name, (low, high) in fit.ranges.items():
        if name in variables:
            values = variables[name]
            if name == "U" and "D" in variables:
                # Unique tokens that no run sees extrapolate nothing.
                values = np.minimum(values, np.maximum(variables["D"], high))
            factor = _beyond(values, low, high)
            if np.max(factor) > np.max(worst):
                farthest = name
            worst = np.maximum(worst, factor)
    return worst, farthest


def _beyond(values: Array, low: float, high: float) -> Array:
    outside = np.maximum(np.maximum(values - high, low - values), 0.0)
    width = (high - low) or abs(high) or 1.0
    if low <= 0:
        return 1 + outside / width
    with np.errstate(divide="ignore", over="ignore"):
        ratio = np.maximum(np.maximum(values / high, low / values), 1.0)
    return np.where(values > 0, ratio, 1 + outside / width)


def _times(factor: float) -> str:
    return f"{format_count(factor)}x" if np.isfinite(factor) else "more than 1e308x"


def far_findings(fit: Fit, variables: Mapping[str, Array]) -> tuple[Finding, ...]:
    """The finding that a forecast lies far beyond the runs; none where it does not."""
    factor, name = extrapolation(fit, variables)
    if np.max(factor) <= FAR:
        return ()
    low, high = fit.ranges[name]
    value = float(np.asarray(variables[name])[int(np.argmax(np.broadcast_to(factor, np.shape(variables[name]))))])
    bound, side = (high, "largest") if value > high else (low, "smallest")
    return (
        Finding(
            "far_extrapolation",
            f"forecast at {name}={format_count(value)} is {_times(float(np.max(factor)))} beyond the {side} run ({name}={format_count(bound)}); "
            "the interval assumes that the law still holds there.",
        ),
    )
