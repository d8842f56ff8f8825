"""Coefficients borrowed from another study, and what a forecast owes to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rung.errors import Caution, FitError
from rung.fit.ahead import AHEAD, law_ahead
from rung.fit.result import Fit
from rung.fit.search import Problem, make_problem
from rung.fit.setup import Setup
from rung.laws import law_book
from rung.units import format_value

if TYPE_CHECKING:
    from rung.laws import Law

_UNKNOWN = 0.1
"""Relative uncertainty of a published constant that comes without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """One coefficient from elsewhere.

    Attributes:
        value: Its value there.
        error: Its standard error there.
        source: The law of the book, or the fit, that it is from.
        assumed: Whether the error is a tenth of the value, since the source has none.
    """

    value: float
    error: float
    source: str
    assumed: bool


def borrow(wanted: Mapping[str, str | Fit]) -> dict[str, Borrowed]:
    """Look coefficients up: each by its name, from a law of the book, a fit, or the file of one.

    Raises:
        FitError: There is no such source, or it has not that coefficient.
    """
    return {name: _looked_up(name, source) for name, source in wanted.items()}


def _looked_up(name: str, source: str | Fit) -> Borrowed:
    if isinstance(source, str) and source in law_book():
        constants = law_book()[source].constants
        if name not in constants:
            raise FitError(
                f"{source} of the law book has no constant {name}; it has {', '.join(constants) or 'none that could be checked'}."
            )
        return Borrowed(value=constants[name], error=_UNKNOWN * abs(constants[name]), source=source, assumed=True)
    if isinstance(source, str) and not Path(source).is_file():
        raise FitError(
            f"--borrow {name}={source}: no law of the book and no file has that name. rung laws lists the book."
        )
    from rung.fit.stored import read_fit

    fit = source if isinstance(source, Fit) else read_fit(source)
    told = source if isinstance(source, str) else fit.law.name
    estimate = fit.coefficients.get(name)
    if estimate is None:
        raise FitError(f"{told} has no coefficient {name}; it has {', '.join(fit.coefficients)}.")
    error = estimate.std_error
    assumed = error is None
    return Borrowed(
        value=estimate.value,
        error=error if error is not None else _UNKNOWN * abs(estimate.value),
        source=told,
        assumed=assumed,
    )


def sensitivity(setup: Setup, fit: Fit, borrowed: Mapping[str, Borrowed]) -> tuple[Caution, ...]:
    """For each borrowed coefficient: how the law ten times beyond the largest run moves with it."""
    problem = setup.problem
    usual = _ahead(problem, problem.law, fit)
    found = []
    for name, one in borrowed.items():
        moved = [_ahead(problem, _moved(problem.law, name, one.value + side * one.error), fit) for side in (-1, 1)]
        shifts = [100 * (float(value) / usual - 1) for value in moved]
        told = (
            " to ".join(f"{shift:+.2f} %" for shift in sorted(shifts))
            if np.all(np.isfinite(shifts))
            else "an unknown amount"
        )
        size = (
            f"a tenth ({format_value(one.error)}; the source has no error)"
            if one.assumed
            else f"its standard error ({format_value(one.error)})"
        )
        found.append(
            Caution(
                "borrowed",
                f"{name} = {format_value(one.value)} is borrowed from {one.source}. Moved by {size} and the rest fitted again, the law at "
                f"{AHEAD:g} times the largest run moves by {told}.",
            )
        )
    return tuple(found)


def _moved(law: Law, name: str, value: float) -> Law:
    from dataclasses import replace

    return replace(law, coefficients=tuple(replace(c, fixed=value) if c.name == name else c for c in law.coefficients))


def _ahead(problem: Problem, law: Law, fit: Fit) -> float:
    """The law beyond the largest run, fitted again from where it stood."""
    part = make_problem(law, problem.design, problem.objective)
    start = problem.design.internal(law, fit.values.values())
    with np.errstate(all="ignore"):
        internal = part.solve(start[None, :], problem.design.weights[None, :], scale=fit.scale, warm=True).internal_JK
        return float(problem.objective.untransform(np.array([law_ahead(part, internal[0])[0]]))[0])
