"""Derived quantities: what follows from a law's coefficients."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.uncertainty.estimate import Estimate
from rung.laws import Binary, Expression, Law, Name, Negative, names, signed_terms


def derived_quantities(
    law: Law, estimates: Mapping[str, Estimate], values_BK: Array, level: float, undetermined: Collection[str]
) -> dict[str, Estimate]:
    """How compute-optimal params and tokens grow with flops, for laws with terms A / N^a and B / D^b.

    With C proportional to N D, the optimal N grows as C^(b / (a + b)) and the optimal D as C^(a / (a + b)). Where the
    data do not determine one of the exponents a and b, both shares are nan.
    Source: Hoffmann et al. 2022, arXiv:2203.15556, equation 4.
    """
    exponents = _exponents(law)
    if exponents is None:
        return {}
    fixed = {c.name: c.fixed for c in law.coefficients if c.fixed is not None}
    indices = {name: index for index, name in enumerate(estimates)}
    values, columns = [], []
    for name in exponents:
        if name in fixed:
            values.append(float(fixed[name] or 0.0))
            columns.append(np.full(len(values_BK), values[-1]))
        else:
            values.append(estimates[name].value)
            columns.append(values_BK[:, indices[name]])
    shares = {"params_exponent": values[1] / sum(values), "tokens_exponent": values[0] / sum(values)}
    if not set(exponents).isdisjoint(undetermined):
        return {name: Estimate(value=math.nan) for name in shares}
    total = columns[0] + columns[1]
    draws = {"params_exponent": columns[1] / total, "tokens_exponent": columns[0] / total}
    return {name: _summary(share, draws[name], level) for name, share in shares.items()}


@dataclass(frozen=True, slots=True)
class LogRatio:
    """log(b / a), for the exponents b of D and a of N, as a linear function of the unconstrained parameters.

    Attributes:
        weights: Weight of each unconstrained parameter (K,).
        offset: The part from fixed exponents.
    """

    weights: Array
    offset: float


def exponents_ratio(law: Law, names: Sequence[str]) -> LogRatio | None:
    """The ratio of the exponents, where both are positive and at least one is free; None elsewhere.

    params_exponent = b / (a + b) = sigmoid(log b - log a), and the unconstrained parameter of a positive coefficient is
    its logarithm. So an interval of log b - log a gives one of params_exponent.
    """
    exponents = _exponents(law)
    coefficients = {c.name: c for c in law.coefficients}
    if exponents is None or any(
        coefficients[n].fixed is None and (coefficients[n].low, coefficients[n].high) != (0, math.inf)
        for n in exponents
    ):
        return None
    weights, offset = np.zeros(len(names)), 0.0
    for name, sign in zip(exponents, (-1.0, 1.0), strict=True):
        fixed = coefficients[name].fixed
        if fixed is None:
            weights[names.index(name)] = sign
        elif fixed > 0:
            offset += sign * math.log(fixed)
        else:
            return None
    return LogRatio(weights, offset) if np.any(weights) else None


def _summary(value: float, draws: Array, level: float) -> Estimate:
    if not len(draws):
        return Estimate(value=value)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=value, low=float(low), high=float(high), std_error=float(np.std(draws, ddof=1)))


def power_terms(law: Law) -> dict[str, tuple[str, str]] | None:
    """Names of the factor and the exponent of N and of D, for a sum with one term c / N^a and one term c / D^b."""
    found: dict[str, tuple[str, str]] = {}
    for sign, term in signed_terms(law.tree):
        present = {name.name for name in names(term)} & {"N", "D"}
        if not present:
            continue
        power = _power_term(term) if sign > 0 else None
        if power is None or power[0] not in present or power[0] in found or len(present) > 1:
            return None
        found[power[0]] = power[1:]
    used = {name for pair in found.values() for name in pair}
    return found if set(found) == {"N", "D"} and used <= set(law.coefficient_names) else None


def _exponents(law: Law) -> tuple[str, str] | None:
    terms = power_terms(law)
    return (terms["N"][1], terms["D"][1]) if terms else None


def _power_term(term: Expression) -> tuple[str, str, str] | None:
    """The variable, the factor and the exponent of a term c / x^a or c * x^-a, where c is a single name."""
    match term:
        case Binary("/", Name(factor), Binary("^", Name(variable, None), Name(exponent, None))):
            return variable, factor, exponent
        case Binary("*", Name(factor), Binary("^", Name(variable, None), Negative(Name(exponent, None)))):
            return variable, factor, exponent
        case _:
            return None
