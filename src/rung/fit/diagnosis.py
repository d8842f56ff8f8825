"""What a fit has to say against itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from rung.errors import Caution
from rung.fit.ahead import determined_ahead, trade_off_caution
from rung.fit.covariance import Curvature, undetermined_by_design, without_effect
from rung.fit.design import Design, column_of
from rung.fit.resample import Draws
from rung.fit.result import coefficient_names
from rung.fit.search import SAFE_SHARE, Optimum, Problem
from rung.laws.coefficients import Coefficient, Scale
from rung.laws.tree import Array, names, sums
from rung.units import format_value

EXACT = 1e-9
"""Spread of the residuals, relative to that of the target, under which the data were computed by a law."""

_PROPORTIONAL = 0.02
"""Spread of one variable around a power of another, in its own spread, under which the two count as one."""

_FEW_RUNS = 8
_FEW_SPARE = 3
"""Runs of a group's level beyond its own coefficients up to which their intervals are called rough."""
_UNSETTLED = 0.05
_FEW_BEYOND = 5
_AT_END = 1e-4
_WIDE, _ENDLESS = 100.0, 1e6
"""How far above the estimate, as a factor, the upper end of an interval may lie before it says nothing: further than
the lower end is below, and in any case."""


def names_of(problem: Problem) -> list[str]:
    """The name of each internal number."""
    return coefficient_names(problem.law, problem.design.level_names)


def is_exact(problem: Problem, optimum: Optimum) -> bool:
    return float(np.sqrt(np.mean(optimum.residuals**2))) <= EXACT * problem.spread


def undetermined_places(curvature: Curvature, problem: Problem, optimum: Optimum, draws_BK: Array) -> set[int]:
    """Places of coefficients that the data do not determine.

    A direction has no effect on the fit, at the optimum or by the design of the table; two variables in fixed
    proportion let their terms change places; or the draws of a positive coefficient run away above the estimate.
    Draws that run towards zero alone leave an informative interval: the term is small; and a factor of a power, such
    as Nc in (Nc / N)^alpha, may be wide on both sides and still be known.
    """
    places = set(curvature.undetermined)
    if problem.prior is not None:
        # What is known beforehand is not in the table's design: the curvature has it.
        return places
    if places:
        # Something is missing at the optimum: what it could trade against does not show there.
        places |= undetermined_by_design(problem)
    for first, second, _, _ in proportions(problem):
        places |= exchangeable_places(problem, first, second)
    if len(draws_BK):
        below, above = np.abs(np.quantile(draws_BK, [0.05, 0.95], axis=0) - optimum.internal)
        away = ((above > np.log(_WIDE)) & (above > 2 * below)) | (above > np.log(_ENDLESS))
        scales = [c.scale for c in problem.design.numbers(problem.law)]
        places |= {place for place in np.flatnonzero(away).tolist() if scales[place] is Scale.ABOVE}
    return places


def one_sided_places(problem: Problem, shape: Curvature) -> frozenset[int]:
    """Places of coefficients that ran to an end of their range, though the table's design could determine them."""
    if not shape.gone:
        return frozenset()
    traded = {
        place for first, second, _, _ in proportions(problem) for place in exchangeable_places(problem, first, second)
    }
    return shape.gone - undetermined_by_design(problem) - traded


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLevel:
    """One level of a grouping column, and what its own coefficients stand on.

    Attributes:
        name: The level, as column=level.
        runs: How many runs it has.
        places: Places of its own coefficients.
    """

    name: str
    runs: int
    places: tuple[int, ...]

    @property
    def bare(self) -> bool:
        """Whether its coefficients meet its runs whether they are true or not."""
        return self.runs <= len(self.places)

    @property
    def poor(self) -> bool:
        return not self.bare and self.runs <= len(self.places) + _FEW_SPARE


def group_levels(problem: Problem) -> list[GroupLevel]:
    """Every level of every grouping column that has coefficients of its own."""
    design = problem.design
    numbers = design.numbers(problem.law)
    found = []
    for group, levels in design.level_names.items():
        counts = design.runs_at(group)
        # The numbers of one coefficient stand together, one per level in order.
        firsts = [place for place, c in enumerate(numbers) if c.group == group][:: len(levels)]
        found += [
            GroupLevel(name=f"{group}={level}", runs=int(counts[at]), places=tuple(first + at for first in firsts))
            for at, level in enumerate(levels)
            if firsts
        ]
    return found


def group_cautions(levels: list[GroupLevel]) -> list[Caution]:
    """Levels of a group with too few runs for coefficients of their own."""
    found = []
    bare = [level.name for level in levels if level.bare]
    if bare:
        found.append(
            Caution(
                "undetermined",
                f"{_some(bare)} {'has' if len(bare) == 1 else 'have'} no more runs than coefficients of "
                f"{'its' if len(bare) == 1 else 'their'} own, which meet them whether they are true or not: no interval is given "
                "there. Add runs, or share coefficients between groups.",
            )
        )
    poor = [f"{level.name} ({level.runs})" for level in levels if level.poor]
    if poor:
        found.append(
            Caution(
                "few_runs_in_group",
                f"{_some(poor)} {'has' if len(poor) == 1 else 'have'} few runs beyond the coefficients of "
                f"{'its' if len(poor) == 1 else 'their'} own: intervals there are rough, and likely too narrow. Add runs.",
            )
        )
    return found


def search_cautions(optimum: Optimum) -> list[Caution]:
    found = []
    if not optimum.converged:
        found.append(
            Caution(
                "not_converged",
                "the solver stopped before its steps became negligible; the coefficients are the best found, not an optimum. "
                "Fix a coefficient, or try a simpler law.",
            )
        )
    if optimum.agreed < SAFE_SHARE * optimum.tried:
        found.append(
            Caution(
                "few_starts_agree",
                f"only {optimum.agreed} of {optimum.tried} starts reached the best optimum; a better one may exist. "
                "Compare with other seeds (--seed), or fix a coefficient.",
            )
        )
    return found


def run_cautions(design: Design, curvature: Curvature, draws: Draws, level: float) -> list[Caution]:
    """What few runs with many rows, few refits, or refits that did not settle, mean for the intervals."""
    found = []
    beyond = len(draws.internal_BK) * (1 - level) / 2
    if 0 < beyond < _FEW_BEYOND - 1e-9:
        found.append(
            Caution(
                "few_draws",
                f"{len(draws.internal_BK)} draws leave {beyond:.2g} beyond each end of a {100 * level:g} % interval: the ends are "
                f"rough. Take at least {_FEW_BEYOND / (1 - level) * 2:.0f} (--draws).",
            )
        )
    if design.runs == 1 and curvature.spare > 0:
        found.append(
            Caution(
                "one_run",
                f"all {design.rows} rows belong to one run, and rows of one run share their noise, so no interval can be given. "
                "Add runs; if the rows are runs of their own, give each its own name in the column run.",
            )
        )
    elif design.runs < design.rows and design.runs < _FEW_RUNS:
        found.append(
            Caution(
                "few_runs",
                f"{design.rows} rows belong to only {design.runs} runs, and runs are what is resampled: intervals from so few "
                "are rough. Add runs.",
            )
        )
    if draws.unsettled > _UNSETTLED * len(draws.internal_BK):
        found.append(
            Caution(
                "draws_not_converged",
                f"{draws.unsettled} of {len(draws.internal_BK)} refits of the bootstrap stopped before their steps became "
                "negligible: the intervals are rough. Fix a coefficient, or try a simpler law.",
            )
        )
    return found


def determination_cautions(
    problem: Problem, optimum: Optimum, curvature: Curvature, undetermined: set[int], level: float
) -> list[Caution]:
    names = names_of(problem)
    design = problem.design
    found = []
    if curvature.spare <= 0:
        found.append(
            Caution(
                "saturated",
                f"{design.size} coefficients and {design.rows} rows: the law passes through the data whether it is true or not, "
                "so no interval can be given and no coefficient is tested. Add runs, or fix coefficients (--fix).",
            )
        )
    if is_exact(problem, optimum) and curvature.spare > 0:
        found.append(
            Caution(
                "exact_data",
                "the law meets every row to rounding: these data were computed, not measured, so there is no noise to make "
                "intervals from.",
            )
        )
    edge = without_effect(problem, optimum.jacobian_Kn)
    values = design.values(problem.law, optimum.internal[None, :])[0]
    ends = {place: _end_of_range(design.numbers(problem.law)[place], values[place]) for place in sorted(edge)}
    found += [
        Caution(
            "on_bound",
            f"{names[place]} went to the end of its range, {end:g}: the data want it beyond. Widen the range in the formula, or "
            f"fix it (--fix {names[place].partition('[')[0]}={end:g}).",
        )
        for place, end in ends.items()
        if end is not None
    ]
    gone = [place for place, end in ends.items() if end is None]
    if gone:
        its, have, it = ("its", "has", "it") if len(gone) == 1 else ("their", "have", "them")
        found.append(
            Caution(
                "on_bound",
                f"{listed([names[place] for place in gone])} ran to the end of {its} range and {have} no effect on the "
                f"fit: the data do not show {'that term' if len(gone) == 1 else 'those terms'}. Fix {it}, or use a law without "
                f"{it}.",
            )
        )
    rest = sorted(undetermined - edge)
    if rest:
        found.append(
            Caution(
                "undetermined",
                f"the data do not determine {listed([names[place] for place in rest])}: other values fit as well, so no interval "
                f"is given.{determined_ahead(problem, curvature, optimum.internal, level)} Vary the columns of those terms independently, "
                "or fix coefficients (--fix).",
            )
        )
    elif traded := trade_off_caution(problem, curvature, optimum.internal, level):
        found.append(traded)
    return found


def _end_of_range(coefficient: Coefficient, value: float) -> float | None:
    """The finite end, other than zero, at which a value stands; None where it stands at none."""
    for end in (coefficient.low, coefficient.high):
        if np.isfinite(end) and end != 0 and abs(value - end) <= _AT_END * abs(end):
            return end
    return None


def column_cautions(problem: Problem, target: str) -> list[Caution]:
    """The target among the variables, and variables that cannot tell coefficients apart: constant, or in proportion."""
    columns = problem.design.columns
    found = []
    if target in map(column_of, columns):
        found.append(
            Caution(
                "target_in_formula",
                f"the formula predicts {target} from the measured {target} itself: residuals and intervals are too small, and a "
                "forecast needs what it should predict.",
            )
        )
    found += [
        Caution(
            "constant_column",
            f"{name} has the same value in every row: coefficients of its term cannot be told from a constant.",
        )
        for name, column in columns.items()
        if np.ptp(column) <= 1e-12 * np.max(np.abs(column))
    ]
    if np.ptp(problem.design.target) <= 1e-12 * np.max(np.abs(problem.design.target)):
        found.append(
            Caution(
                "constant_target", f"{target} has the same value in every row: there is nothing for a law to explain."
            )
        )
    for first, second, slope, spread in proportions(problem):
        ratio = float(np.exp(np.mean(np.log(columns[second]) - slope * np.log(columns[first]))))
        grows = f"{format_value(ratio, 4)} times {first}" + (f"^{slope:.3g}" if abs(slope - 1) > _PROPORTIONAL else "")
        nearly = f", to within {100 * spread:.2g} %" if spread > 1e-3 else ""
        found.append(
            Caution(
                "fixed_proportion",
                f"{second} is {grows} in every row{nearly}: their terms can trade against each other, and forecasts hold only "
                "along this proportion.",
            )
        )
    return found


def proportions(problem: Problem) -> list[tuple[str, str, float, float]]:
    """Pairs of variables of which one is a rising power of the other in every row, or nearly.

    Each with the power's exponent and the largest deviation from it.
    """
    columns = problem.design.columns
    logs = {name: np.log(column) for name, column in columns.items() if np.all(column > 0) and np.ptp(column) > 0}
    found = []
    for first, second in itertools.combinations(logs, 2):
        x, y = (logs[name] - np.mean(logs[name]) for name in (first, second))
        slope = float(x @ y / (x @ x))
        off = y - slope * x
        if slope > 0 and np.std(off) <= _PROPORTIONAL * np.std(y):
            found.append((first, second, slope, float(np.max(np.abs(off)))))
    return found


def exchangeable_places(problem: Problem, first: str, second: str) -> set[int]:
    """Places of coefficients in terms of a sum that change places when two variables do."""
    found: set[str] = set()
    for terms in sums(problem.law.tree):
        members = [{name.name for name in names(term)} for term in terms]
        apart = [present for present in members if (first in present) != (second in present)]
        if {first, second} <= set().union(*apart):
            found |= set().union(*apart)
    return {place for place, c in enumerate(problem.design.numbers(problem.law)) if c.name in found}


def _some(words: list[str]) -> str:
    return listed(words if len(words) <= 6 else [*words[:5], f"{len(words) - 5} more"])


def listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
