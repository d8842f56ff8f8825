"""What the runs do not determine: coefficients without an interval, at a bound, or in a trade-off."""

from __future__ import annotations

import numpy as np

from rung.arrays import Array
from rung.findings import Finding
from rung.fitting.diagnose.columns import exchangeable_indices, proportions
from rung.fitting.diagnose.extrapolation import determined_beyond, trade_off_finding
from rung.fitting.estimate.multistart import Optimum, is_exact
from rung.fitting.estimate.problem import Problem, names_of
from rung.fitting.uncertainty.curvature import Curvature, undetermined_by_design, without_effect
from rung.laws import Coefficient, Scale
from rung.messages import counted, listed, plural_of

_AT_BOUND = 1e-4
"""Distance from a bound of its range, relative to the bound, within which a coefficient counts as lying on it."""

_WIDE, _UNBOUNDED = 100.0, 1e6
"""Factors of the estimate above which the upper bound of an interval says nothing: the first where the upper bound is
also further away than the lower one (twice as far in the logarithm), the second in any case."""


def undetermined_indices(curvature: Curvature, problem: Problem, optimum: Optimum, draws_BK: Array) -> frozenset[int]:
    """Indices of coefficients that the data do not determine, for one of three reasons.

    - A direction has no effect on the fit, at the optimum or by the design of the table.
    - Two variables are in fixed proportion, so that their terms can trade off against each other.
    - The draws of a positive coefficient extend far above the estimate: with u the draw's logarithm minus that of the
      estimate, q95(u) > log 100 and q95(u) > 2 |q05(u)|, or q95(u) > log 10^6.

    Where draws extend only towards zero, the interval is still informative: the term is small. The factor of a power,
    such as Nc in (Nc / N)^alpha, may have draws far on both sides and still be determined.
    """
    indices = set(curvature.undetermined)
    if problem.prior is not None:
        # The design of the table does not contain the prior; the curvature does.
        return frozenset(indices)
    if indices:
        # A term has vanished at the optimum, and what it could trade off against does not show there.
        indices |= undetermined_by_design(problem)
    for first, second, _, _ in proportions(problem):
        indices |= exchangeable_indices(problem, first, second)
    if len(draws_BK):
        below, above = np.abs(np.quantile(draws_BK, [0.05, 0.95], axis=0) - optimum.unconstrained)
        far = ((above > np.log(_WIDE)) & (above > 2 * below)) | (above > np.log(_UNBOUNDED))
        scales = [c.scale for c in problem.design.parameters(problem.law)]
        indices |= {index for index in np.flatnonzero(far).tolist() if scales[index] is Scale.ABOVE}
    return frozenset(indices)


def one_sided_indices(problem: Problem, curvature: Curvature) -> frozenset[int]:
    """Indices of coefficients at a bound of their range, though the table's design could determine them."""
    if not curvature.inactive:
        return frozenset()
    traded = {
        index for first, second, _, _ in proportions(problem) for index in exchangeable_indices(problem, first, second)
    }
    return curvature.inactive - undetermined_by_design(problem) - traded


def determination_findings(
    problem: Problem, optimum: Optimum, curvature: Curvature, undetermined: frozenset[int], level: float
) -> list[Finding]:
    """Too few rows, exact data, coefficients at a bound, undetermined ones, and the worst trade-off."""
    names, design = names_of(problem), problem.design
    found = []
    if curvature.spare <= 0:
        found.append(
            Finding(
                "saturated",
                f"{counted(design.size, 'coefficient')} and {counted(design.rows, 'row')}: the law passes through the "
                "data whether it is true or not, so no interval can be given and no coefficient is tested. Add runs, "
                "or fix coefficients (--fix).",
            )
        )
    if is_exact(problem, optimum) and curvature.spare > 0:
        found.append(
            Finding(
                "exact_data",
                "the law meets every row to rounding: these data were computed, not measured, so there is no noise "
                "from which to estimate intervals. Nothing to do, unless they were measured.",
            )
        )
    edge = without_effect(problem, optimum.jacobian_Kn)
    values = design.values(problem.law, optimum.unconstrained[None, :])[0]
    bounds = {index: _bound_at(design.parameters(problem.law)[index], values[index]) for index in sorted(edge)}
    found += [
        Finding(
            "on_bound",
            f"{names[index]} went to the end of its range, {bound:g}: the data favour values beyond it. Widen the "
            f"range in the formula, or fix it (--fix {names[index].partition('[')[0]}={bound:g}).",
        )
        for index, bound in bounds.items()
        if bound is not None
    ]
    inactive = [index for index, bound in bounds.items() if bound is None]
    if inactive:
        count = len(inactive)
        its, have = plural_of(count, "its", "their"), plural_of(count, "has", "have")
        it, terms = plural_of(count, "it", "them"), plural_of(count, "that term", "those terms")
        found.append(
            Finding(
                "on_bound",
                f"{listed([names[index] for index in inactive])} went to the end of {its} range and {have} no effect "
                f"on the fit: the data do not show {terms}. Fix {it}, or use a law without {it}.",
            )
        )
    rest = sorted(undetermined - edge)
    if rest:
        found.append(
            Finding(
                "undetermined",
                f"the data do not determine {listed([names[index] for index in rest])}: other values fit equally "
                f"well, so no interval is given.{determined_beyond(problem, curvature, optimum.unconstrained, level)} "
                "Vary the columns of those terms independently, or fix coefficients (--fix).",
            )
        )
    elif traded := trade_off_finding(problem, curvature, optimum.unconstrained, level):
        found.append(traded)
    return found


def _bound_at(coefficient: Coefficient, value: float) -> float | None:
    """The finite bound, other than zero, on which a value lies; None where it lies on none."""
    for bound in (coefficient.low, coefficient.high):
        if np.isfinite(bound) and bound != 0 and abs(value - bound) <= _AT_BOUND * abs(bound):
            return bound
    return None
