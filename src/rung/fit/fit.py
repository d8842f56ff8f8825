"""The verb: a law fitted to a table of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import rung
from rung.errors import Caution, FitError
from rung.fit.covariance import Curvature, curvature, without_effect
from rung.fit.derived import derived_quantities
from rung.fit.design import Design, columns_used, make_design
from rung.fit.diagnosis import (
    column_cautions,
    determination_cautions,
    group_cautions,
    group_levels,
    is_exact,
    names_of,
    run_cautions,
    search_cautions,
    undetermined_places,
)
from rung.fit.influence import influence_caution
from rung.fit.objective import objective_named
from rung.fit.resample import Draws, bootstrap
from rung.fit.result import Estimate, Fit
from rung.fit.search import Optimum, Problem, make_problem, search
from rung.laws import Law, find_law, law_book
from rung.laws.tree import Array
from rung.runs import Runs, plausibility, read_runs
from rung.units import flops_6nd

DRAWS = 1000
_NOISE_POINTS = 999


def fit(
    runs: Any,
    law: str | Law = "chinchilla",
    *,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    level: float = 0.9,
    draws: int = DRAWS,
    seed: int = 0,
) -> Fit:
    """Fit a law to a table of runs.

    Args:
        runs: A table from `read_runs`, or a path or frame that it reads.
        law: A formula, the name of a law of the book, or a law.
        objective: What is minimised, by its name in OBJECTIVES; the law book's word for this law, else
            log-huber.
        delta: Huber's threshold on the residual's scale, where the objective has one.
        target: The column that the law predicts; the law book's word for this law, else loss.
        weights: A column of row weights.
        fix: Coefficients that are not estimated, and their values.
        start: Coefficients from which alone the solver starts; by default it draws its own starts.
        level: Coverage that the intervals aim at.
        draws: Resamples of the bootstrap over runs; 0 takes intervals from the curvature instead.
        seed: Seed of starts and resamples.

    Raises:
        RunsError: The table cannot be read or used.
        FormulaError: The formula cannot be read.
        FitError: The law cannot be fitted to this table.
    """
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    if not 0 < level < 1:
        raise FitError(f"level {level} must lie between 0 and 1, as in --level 0.9.")
    if draws < 0 or draws == 1:
        raise FitError(f"draws {draws} must be 0 or at least 2.")
    if seed < 0:
        raise FitError(f"seed {seed} must be 0 or more.")
    if weights:
        table = table.drop_weightless(weights)
    chosen = find_law(law, table.columns) if isinstance(law, str) else law
    entry = law_book().get(chosen.name)
    target = target or (entry.target if entry else "loss")
    measure = objective_named(objective or (entry.objective if entry else "log-huber"), delta)
    chosen = chosen.fix(fix or {})
    design = make_design(table, chosen, measure, target=target, weights=weights)
    problem = make_problem(chosen, design, measure)
    with np.errstate(all="ignore"):
        story = _tell(problem, table, target, draws, level, start, np.random.default_rng(seed))
    optimum = story.optimum
    used = columns_used(chosen, target, weights)
    return Fit(
        law=chosen,
        coefficients=story.estimates,
        objective=measure,
        objective_value=measure.total(optimum.residuals, design.weights, optimum.scale),
        starts_tried=optimum.tried,
        starts_agreed=optimum.agreed,
        status=_status([c.code for c in story.cautions]),
        level=level,
        interval="bootstrap" if draws else "curvature",
        rows=design.rows,
        runs=design.runs,
        target=target,
        mapping={column: table.mapping.get(column, column) for column in used},
        derived=derived_quantities(chosen, story.estimates, story.values_BK, level, story.loose),
        cautions=story.cautions,
        ranges=_ranges(design),
        groups=design.level_names,
        draws=story.values_BK,
        noise=story.noise,
        data_digest=table.digest(used),
        seed=seed,
        version=rung.__version__,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """What the search found and what it says: the part of a fit that is computed."""

    optimum: Optimum
    estimates: dict[str, Estimate]
    loose: frozenset[str]
    values_BK: Array
    noise: Array
    cautions: tuple[Caution, ...]


def _tell(
    problem: Problem,
    table: Runs,
    target: str,
    draws: int,
    level: float,
    start: Mapping[str, float] | None,
    rng: np.random.Generator,
) -> _Story:
    optimum = search(problem, rng, start)
    shape = curvature(problem, optimum)
    noisy = shape.degrees > 0 and not is_exact(problem, optimum)
    drawn = _draws(problem, optimum, shape, draws if noisy else None, rng)
    levels = group_levels(problem)
    bare = [place for level in levels if level.bare for place in level.places]
    loose = undetermined_places(shape, problem, optimum, drawn.internal_BK) - set(bare)
    values_BK = problem.design.values(problem.law, drawn.internal_BK)
    values_BK[:, bare] = np.nan
    values_BK.setflags(write=False)
    influence = influence_caution(problem, optimum)
    names = names_of(problem)
    return _Story(
        optimum=optimum,
        estimates=_estimates(problem, optimum, shape, values_BK, loose | set(bare), level, bootstrapped=draws > 0),
        loose=frozenset(names[place] for place in loose),
        values_BK=values_BK,
        noise=_noise(problem.design, optimum, shape),
        cautions=(
            *plausibility(table, target),
            *column_cautions(problem, target),
            *search_cautions(optimum),
            *determination_cautions(problem, optimum, shape, loose),
            *group_cautions(levels),
            *run_cautions(problem.design, shape, drawn, level),
            *([influence] if influence else []),
        ),
    )


def _draws(problem: Problem, optimum: Optimum, shape: Curvature, draws: int | None, rng: np.random.Generator) -> Draws:
    """Resampled internal numbers: none without noise, those of Student's t where no bootstrap is wanted."""
    nothing = Draws(internal_BK=np.empty((0, problem.design.size)))
    if draws is None:
        return nothing
    if draws:
        return bootstrap(problem, optimum, draws, rng)
    known = np.flatnonzero(np.isfinite(np.diag(shape.covariance_KK)))
    if not len(known):
        return nothing
    sampled = np.tile(optimum.internal, (DRAWS, 1))
    covariance = shape.covariance_KK[np.ix_(known, known)]
    normal = rng.multivariate_normal(np.zeros(len(known)), covariance, DRAWS, method="eigh")
    sampled[:, known] += normal * np.sqrt(shape.degrees / rng.chisquare(shape.degrees, (DRAWS, 1)))
    return Draws(internal_BK=sampled)


def _estimates(
    problem: Problem,
    optimum: Optimum,
    shape: Curvature,
    values_BK: Array,
    loose: set[int],
    level: float,
    *,
    bootstrapped: bool,
) -> dict[str, Estimate]:
    values = problem.design.values(problem.law, optimum.internal[None, :])[0]
    names = names_of(problem)
    scales = problem.design.numbers(problem.law)
    for place in without_effect(problem, optimum.jacobian_Kn):
        # A linear coefficient that ran to an end of its range has reached it; where that is 0, the term is absent.
        if scales[place].name in problem.law.linear:
            values[place] = scales[place].end(optimum.internal[place])
    found = {}
    for place, name in enumerate(names):
        estimate = Estimate(value=float(values[place]))
        error = float(np.sqrt(shape.covariance_KK[place, place]))
        if place not in loose and len(values_BK):
            if bootstrapped:
                low, high = np.quantile(values_BK[:, place], [(1 - level) / 2, (1 + level) / 2])
                spread = float(np.std(values_BK[:, place], ddof=1))
            else:
                half = error * _student_quantile((1 + level) / 2, shape.degrees)
                ends = scales[place].to_value(optimum.internal[place] + half * np.array([-1.0, 1.0]))
                low, high = np.sort(ends)
                spread = error * abs(float(scales[place].slope(optimum.internal[place])))
            estimate = Estimate(value=float(values[place]), low=float(low), high=float(high), std_error=spread)
        found[name] = estimate
    return found


def _student_quantile(probability: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def _noise(design: Design, optimum: Optimum, shape: Curvature) -> Array:
    """Quantiles of a new run's deviation: those of the residuals, widened for what the fit took from them.

    The residual that stands i-th of n is the quantile i / (n + 1) (Weibull's positions, here by weight), so that a
    new one is as likely to fall into any gap. The fit used up the freedom of as many runs as it has coefficients.
    """
    if shape.spare <= 0:
        return np.empty(0)
    order = np.argsort(optimum.residuals)
    share = design.weights[order] / np.mean(design.weights)
    positions = (np.cumsum(share) - share / 2 + 0.5) / (design.rows + 1)
    widening = np.sqrt(design.runs / max(design.runs - design.size, 1))
    points = (np.arange(_NOISE_POINTS) + 0.5) / _NOISE_POINTS
    return np.asarray(np.interp(points, positions, optimum.residuals[order]) * widening)


def _ranges(design: Design) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each variable, and of C = 6 N D where the law has both."""
    columns = dict(design.columns)
    if {"N", "D"} <= set(columns) and "C" not in columns:
        with np.errstate(over="ignore"):
            compute = flops_6nd(columns["N"], columns["D"])
        if np.all(np.isfinite(compute)):
            columns["C"] = compute
    return {name: (float(column.min()), float(column.max())) for name, column in columns.items()}


def _status(codes: list[str]) -> str:
    for code, status in (
        ("not_converged", "not_converged"),
        ("saturated", "saturated"),
        ("exact_data", "exact"),
        ("undetermined", "undetermined"),
        ("on_bound", "undetermined"),
        ("few_starts_agree", "few_starts_agree"),
    ):
        if code in codes:
            return status
    return "converged"
