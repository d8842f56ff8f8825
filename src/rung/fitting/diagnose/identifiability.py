"""What a fit has to say against itself."""

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

_AT_END = 1e-4
_WIDE, _ENDLESS = 100.0, 1e6
"""How far above the estimate, as a factor, the upper end of an interval may lie before it says nothing: further than
the lower end is below, and in any case."""


def undetermined_indices(curvature: Curvature, problem: Problem, optimum: Optimum, draws_BK: Array) -> frozenset[int]:
    """Places of coefficients that the data do not determine.

    A direction has no effect on the fit, at the optimum or by the design of the table; two variables in fixed
    proportion let their terms change places; or the draws of a positive coefficient run away above the estimate.
    Draws that run towards zero alone leave an informative interval: the term is small; and a factor of a power, such
    as Nc in (Nc / N)^alpha, may be wide on both sides and still be known.
    """
    indices = set(curvature.undetermined)
    if problem.prior is not None:
        # What is known beforehand is not in the table's design: the curvature has it.
        return frozenset(indices)
    if indices:
        # Something is missing at the optimum: what it could trade against does not show there.
        indices |= undetermined_by_design(problem)
    for first, second, _, _ in proportions(problem):
        indices |= exchangeable_indices(problem, first, second)
    if len(draws_BK):
        below, above = np.abs(np.quantile(draws_BK, [0.05, 0.95], axis=0) - optimum.unconstrained)
        away = ((above > np.log(_WIDE)) & (above > 2 * below)) | (above > np.log(_ENDLESS))
        scales = [c.scale for c in problem.design.parameters(problem.law)]
        indices |= {index for index in np.flatnonzero(away).tolist() if scales[index] is Scale.ABOVE}
    return frozenset(indices)


def one_sided_indices(problem: Problem, curvature: Curvature) -> frozenset[int]:
    """Places of coefficients that ran to an end of their range, though the table's design could determine them."""
    if not curvature.inactive:
        return frozenset()
    traded = {
        index for first, second, _, _ in proportions(problem) for index in exchangeable_indices(problem, first, second)
    }
    return curvature.inactive - undetermined_by_design(problem) - traded


def determination_findings(
    problem: Problem, optimum: Optimum, curvature: Curvature, undetermined: frozenset[int], level: float
) -> list[Finding]:
    names = names_of(problem)
    design = problem.design
    found = []
    if curvature.spare <= 0:
        found.append(
            Finding(
                "saturated",
                f"{design.size} coefficients and {design.rows} rows: the law passes through the data whether it is true or not, "
                "so no interval can be given and no coefficient is tested. Add runs, or fix coefficients (--fix).",
            )
        )
    if is_exact(problem, optimum) and curvature.spare > 0:
        found.append(
            Finding(
                "exact_data",
                "the law meets every row to rounding: these data were computed, not measured, so there is no noise to make "
                "intervals from.",
            )
        )
    edge = without_effect(problem, optimum.jacobian_Kn)
    values = design.values(problem.law, optimum.unconstrained[None, :])[0]
    ends = {index: _end_of_range(design.parameters(problem.law)[index], values[index]) for index in sorted(edge)}
    found += [
        Finding(
            "on_bound",
            f"{names[index]} went to the end of its range, {end:g}: the data want it beyond. Widen the range in the formula, or "
            f"fix it (--fix {names[index].partition('[')[0]}={end:g}).",
        )
        for index, end in ends.items()
        if end is not None
    ]
    inactive = [index for index, end in ends.items() if end is None]
    if inactive:
        its, have, it = ("its", "has", "it") if len(inactive) == 1 else ("their", "have", "them")
        found.append(
            Finding(
                "on_bound",
                f"{listed([names[index] for index in inactive])} ran to the end of {its} range and {have} no effect on the "
                f"fit: the data do not show {'that term' if len(inactive) == 1 else 'those terms'}. Fix {it}, or use a law without "
                f"{it}.",
            )
        )
    rest = sorted(undetermined - edge)
    if rest:
        found.append(
            Finding(
                "undetermined",
                f"the data do not determine {listed([names[index] for index in rest])}: other values fit as well, so no interval "
                f"is given.{determined_beyond(problem, curvature, optimum.unconstrained, level)} Vary the columns of those terms independently, "
                "or fix coefficients (--fix).",
            )
        )
    elif traded := trade_off_finding(problem, curvature, optimum.unconstrained, level):
        found.append(traded)
    return found


def _end_of_range(coefficient: Coefficient, value: float) -> float | None:
    """The finite end, other than zero, at which a value stands; None where it stands at none."""
    for end in (coefficient.low, coefficient.high):
        if np.isfinite(end) and end != 0 and abs(value - end) <= _AT_END * abs(end):
            return end
    return None


def listed_some(words: list[str]) -> str:
    return listed(words if len(words) <= 6 else [*words[:5], f"{len(words) - 5} more"])


def listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
