"""Coefficients from another study: held at its values, or as prior information, and how a forecast depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rung.arrays import Array
from rung.errors import FitError
from rung.findings import Finding
from rung.fitting.diagnose.extrapolation import BEYOND, law_beyond
from rung.fitting.estimate.multistart import QUICK, search
from rung.fitting.estimate.penalty import Prior
from rung.fitting.estimate.problem import Problem, make_problem
from rung.fitting.estimate.setup import Setup
from rung.fitting.file import read_fit
from rung.fitting.result import Fit
from rung.fitting.uncertainty.curvature import curvature_at
from rung.laws import Law, law_book
from rung.units import format_value, parse_number

_ASSUMED = 0.1
"""Relative standard error of a published constant that comes without one. The exponents of the book's refits of one
study differ by about as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """One coefficient from elsewhere.

    Attributes:
        value: Its value there.
        error: Its standard error there.
        source: The law of the book, or the fit, that it comes from.
        assumed: Whether the error is a tenth of the value, because the source has none.
    """

    value: float
    error: float
    source: str
    assumed: bool


def read_external(sources: Mapping[str, str | Fit]) -> dict[str, External]:
    """Coefficients by name, each from a law of the book, a fit, or the file of one.

    Raises:
        FitError: There is no such source, or it has no such coefficient.
    """
    return {name: _look_up(name, source, "--borrow") for name, source in sources.items()}


def read_priors(sources: Mapping[str, str | Fit]) -> dict[str, External]:
    """As `read_external`; a value with its standard error, "0.34+-0.02", is a source too.

    Raises:
        FitError: There is no such source, it has no such coefficient, or an error is not positive.
    """
    return {
        name: _stated(name, source) if isinstance(source, str) and "+-" in source else _look_up(name, source, "--prior")
        for name, source in sources.items()
    }


def _look_up(name: str, source: str | Fit, option: str) -> External:
    if isinstance(source, str) and source in law_book():
        constants = law_book()[source].constants
        if name not in constants:
            raise FitError(
                f"{source} of the law book has no constant {name}; it has {', '.join(constants) or 'none that could be checked'}."
            )
        return External(value=constants[name], error=_ASSUMED * abs(constants[name]), source=source, assumed=True)
    if isinstance(source, str) and not Path(source).is_file():
        raise FitError(
            f"{option} {name}={source}: no law of the book and no file has that name. rung laws lists the book."
        )
    fit = source if isinstance(source, Fit) else read_fit(source)
    origin = source if isinstance(source, str) else fit.law.name
    estimate = fit.coefficients.get(name)
    if estimate is None:
        raise FitError(f"{origin} has no coefficient {name}; it has {', '.join(fit.coefficients)}.")
    assumed = estimate.std_error is None
    return External(
        value=estimate.value,
        error=estimate.std_error if estimate.std_error is not None else _ASSUMED * abs(estimate.value),
        source=origin,
        assumed=assumed,
    )


def _stated(name: str, text: str) -> External:
    value, _, error = text.partition("+-")
    mean, std = parse_number(value), parse_number(error)
    if std <= 0:
        raise FitError(
            f"--prior {name}={text}: the standard error must be positive; to hold a value, --fix {name}={value}."
        )
    return External(value=mean, error=std, source="the command", assumed=False)


def with_prior(setup: Setup, known: Mapping[str, External]) -> Setup:
    """The problem with priors, weighted against the noise that the rows show without them.

    Raises:
        FitError: A coefficient cannot have a prior, or there are too few rows to show their noise.
    """
    problem = setup.problem
    with np.errstate(all="ignore"):
        optimum = search(problem, np.random.default_rng(setup.seed), effort=QUICK)
        curvature = curvature_at(problem, optimum)
    mean, variance = _prior_moments(problem, known)
    if curvature.degrees <= 0 or not curvature.noise_scale > 0:
        raise FitError(
            "a prior is weighted against the noise of the rows, and these show none. Add runs, or hold the coefficient: --fix."
        )
    prior = Prior(mean=mean, weight=curvature.noise_scale / variance, noise=curvature.noise_scale)
    return replace(setup, problem=replace(problem, prior=prior))


def _prior_moments(problem: Problem, known: Mapping[str, External]) -> tuple[Array, Array]:
    """Mean and variance of each unconstrained parameter (K,); an infinite variance where nothing is known."""
    parameters = problem.design.parameters(problem.law)
    mean, variance = np.zeros(len(parameters)), np.full(len(parameters), np.inf)
    free = list(dict.fromkeys(parameter.name for parameter in parameters))
    for name, one in known.items():
        if name not in free:
            raise FitError(f"--prior {name}: the law has no free coefficient of that name; they are {', '.join(free)}.")
        for index, coefficient in enumerate(parameters):
            if coefficient.name == name:
                mean[index] = float(coefficient.to_unconstrained(one.value))
                # The delta method: the error of a value over the slope of the value by its parameter.
                variance[index] = (one.error / abs(float(coefficient.slope(mean[index])))) ** 2
                if not (np.isfinite(mean[index]) and variance[index] > 0):
                    raise FitError(
                        f"--prior {name}={one.value:g} is outside the range of {name}, ({coefficient.low:g}, {coefficient.high:g})."
                    )
    return mean, variance


def prior_findings(setup: Setup, fit: Fit, known: Mapping[str, External]) -> tuple[Finding, ...]:
    """For each prior, how the law ten times beyond the largest run moves with its mean."""
    problem, prior = setup.problem, setup.problem.prior
    assert prior is not None
    start = problem.design.unconstrained(problem.law, fit.values.values())
    names = [c.name for c in problem.design.parameters(problem.law)]
    usual = law_beyond(problem, start)[0]
    found = []
    for name, one in known.items():
        own = np.array([each == name for each in names])
        step = np.where(own & (prior.weight > 0), np.sqrt(prior.noise / np.maximum(prior.weight, 1e-300)), 0.0)
        shifts = []
        for side in (-1, 1):
            moved = replace(problem, prior=replace(prior, mean=prior.mean + side * step))
            with np.errstate(all="ignore"):
                solved = moved.solve(start[None, :], problem.design.weights[None, :], scale=fit.scale, warm=True)
            there = law_beyond(problem, solved.unconstrained_JK[0])[0]
            values = problem.objective.untransform(np.array([there, usual]))
            shifts.append(100 * (float(values[0] / values[1]) - 1))
        size = "a tenth of the value, because the source gives no error" if one.assumed else "its standard error"
        found.append(
            Finding(
                "prior",
                f"{name} has a prior from {one.source}, {format_value(one.value)} +- {format_value(one.error, 3)}. If that moves by "
                f"{size} and everything is fitted again, the law at {BEYOND:g} times the largest run moves by {_shown(shifts)}.",
            )
        )
    return tuple(found)


def external_findings(setup: Setup, fit: Fit, borrowed: Mapping[str, External]) -> tuple[Finding, ...]:
    """For each borrowed coefficient, how the law ten times beyond the largest run moves with it."""
    problem = setup.problem
    usual = _law_beyond(problem, problem.law, fit)
    found = []
    for name, one in borrowed.items():
        laws = [_with_fixed(problem.law, name, one.value + side * one.error) for side in (-1, 1)]
        shifts = [100 * (_law_beyond(problem, law, fit) / usual - 1) for law in laws]
        size = (
            f"a tenth ({format_value(one.error)}; the source gives no error)"
            if one.assumed
            else f"its standard error ({format_value(one.error)})"
        )
        found.append(
            Finding(
                "borrowed",
                f"{name} = {format_value(one.value)} is borrowed from {one.source}. If it moves by {size} and the rest is fitted again, "
                f"the law at {BEYOND:g} times the largest run moves by {_shown(shifts)}.",
            )
        )
    return tuple(found)


def _shown(shifts: list[float]) -> str:
    if not np.all(np.isfinite(shifts)):
        return "an unknown amount"
    return " to ".join(f"{shift:+.2f} %" for shift in sorted(shifts))


def _with_fixed(law: Law, name: str, value: float) -> Law:
    return replace(law, coefficients=tuple(replace(c, fixed=value) if c.name == name else c for c in law.coefficients))


def _law_beyond(problem: Problem, law: Law, fit: Fit) -> float:
    """The law beyond the largest run, fitted again from the fit's coefficients."""
    part = make_problem(law, problem.design, problem.objective)
    start = problem.design.unconstrained(law, fit.values.values())
    with np.errstate(all="ignore"):
        solved = part.solve(start[None, :], problem.design.weights[None, :], scale=fit.scale, warm=True)
        value = law_beyond(part, solved.unconstrained_JK[0])[0]
        return float(problem.objective.untransform(np.array([value]))[0])
