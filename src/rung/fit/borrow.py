"""Coefficients borrowed from another study, and what a forecast owes to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rung.errors import Caution, FitError
from rung.fit.ahead import AHEAD, law_ahead
from rung.fit.covariance import curvature
from rung.fit.pull import Prior
from rung.fit.result import Fit
from rung.fit.search import QUICK, Problem, make_problem, search
from rung.fit.setup import Setup
from rung.laws import law_book
from rung.units import format_value, parse_number

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


def borrow(wanted: Mapping[str, str | Fit], option: str = "--borrow") -> dict[str, Borrowed]:
    """Look coefficients up: each by its name, from a law of the book, a fit, or the file of one.

    For a prior, a value with its standard error, "0.34+-0.02", is a source too.

    Raises:
        FitError: There is no such source, or it has not that coefficient.
    """
    return {name: _looked_up(name, source, option) for name, source in wanted.items()}


def _looked_up(name: str, source: str | Fit, option: str) -> Borrowed:
    if option == "--prior" and isinstance(source, str) and "+-" in source:
        return _stated(name, source)
    if isinstance(source, str) and source in law_book():
        constants = law_book()[source].constants
        if name not in constants:
            raise FitError(
                f"{source} of the law book has no constant {name}; it has {', '.join(constants) or 'none that could be checked'}."
            )
        return Borrowed(value=constants[name], error=_UNKNOWN * abs(constants[name]), source=source, assumed=True)
    if isinstance(source, str) and not Path(source).is_file():
        raise FitError(
            f"{option} {name}={source}: no law of the book and no file has that name. rung laws lists the book."
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


def _stated(name: str, text: str) -> Borrowed:
    value, _, error = text.partition("+-")
    mean, spread = parse_number(value), parse_number(error)
    if spread <= 0:
        raise FitError(
            f"--prior {name}={text}: the standard error must be positive; to hold a value, --fix {name}={value}."
        )
    return Borrowed(value=mean, error=spread, source="the command", assumed=False)


def with_prior(setup: Setup, known: Mapping[str, Borrowed], seed: int) -> Setup:
    """The problem with priors, weighed against the noise that the rows show without them.

    Raises:
        FitError: A coefficient has no prior to take, or there are too few rows to tell their noise.
    """
    problem = setup.problem
    numbers = problem.design.numbers(problem.law)
    mean, variance = np.zeros(len(numbers)), np.full(len(numbers), np.inf)
    free = {c.name for c in numbers}
    for name, one in known.items():
        if name not in free:
            raise FitError(
                f"--prior {name}: the law has no free coefficient of that name; they are {', '.join(dict.fromkeys(c.name for c in numbers))}."
            )
        for place, coefficient in enumerate(numbers):
            if coefficient.name == name:
                mean[place] = float(coefficient.to_internal(one.value))
                variance[place] = (one.error / abs(float(coefficient.slope(mean[place])))) ** 2
                if not (np.isfinite(mean[place]) and variance[place] > 0):
                    raise FitError(
                        f"--prior {name}={one.value:g} is outside the range of {name}, ({coefficient.low:g}, {coefficient.high:g})."
                    )
    with np.errstate(all="ignore"):
        optimum = search(problem, np.random.default_rng(seed), effort=QUICK)
        shape = curvature(problem, optimum)
    if shape.degrees <= 0 or not shape.noise_scale > 0:
        raise FitError(
            "a prior is weighed against the noise of the rows, and these show none. Add runs, or hold the coefficient: --fix."
        )
    prior = Prior(mean=mean, weight=shape.noise_scale / variance, noise=shape.noise_scale)
    return replace(setup, problem=replace(problem, prior=prior))


def prior_cautions(setup: Setup, fit: Fit, known: Mapping[str, Borrowed]) -> tuple[Caution, ...]:
    """For each prior: how the law ten times beyond the largest run moves with its mean."""
    problem, prior = setup.problem, setup.problem.prior
    assert prior is not None
    start = problem.design.internal(problem.law, fit.values.values())
    names = [c.name for c in problem.design.numbers(problem.law)]
    usual = law_ahead(problem, start)[0]
    found = []
    for name, one in known.items():
        places = np.array([own == name for own in names])
        step = np.where(places & (prior.weight > 0), np.sqrt(prior.noise / np.maximum(prior.weight, 1e-300)), 0.0)
        shifts = []
        for side in (-1, 1):
            moved = replace(problem, prior=replace(prior, mean=prior.mean + side * step))
            with np.errstate(all="ignore"):
                solved = moved.solve(start[None, :], problem.design.weights[None, :], scale=fit.scale, warm=True)
            ends = problem.objective.untransform(np.array([law_ahead(problem, solved.internal_JK[0])[0], usual]))
            shifts.append(100 * (float(ends[0] / ends[1]) - 1))
        told = (
            " to ".join(f"{shift:+.2f} %" for shift in sorted(shifts))
            if np.all(np.isfinite(shifts))
            else "an unknown amount"
        )
        size = "a tenth of the value, since the source has no error" if one.assumed else "as there"
        found.append(
            Caution(
                "prior",
                f"{name} has a prior from {one.source}, {format_value(one.value)} +- {format_value(one.error, 3)} ({size}). Moved by that and all fitted "
                f"again, the law at {AHEAD:g} times the largest run moves by {told}.",
            )
        )
    return tuple(found)


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
    return replace(law, coefficients=tuple(replace(c, fixed=value) if c.name == name else c for c in law.coefficients))


def _ahead(problem: Problem, law: Law, fit: Fit) -> float:
    """The law beyond the largest run, fitted again from where it stood."""
    part = make_problem(law, problem.design, problem.objective)
    start = problem.design.internal(law, fit.values.values())
    with np.errstate(all="ignore"):
        internal = part.solve(start[None, :], problem.design.weights[None, :], scale=fit.scale, warm=True).internal_JK
        return float(problem.objective.untransform(np.array([law_ahead(part, internal[0])[0]]))[0])
