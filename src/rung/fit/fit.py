"""The verb: a law fitted to a table of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import rung
from rung.errors import Caution, FitError
from rung.fit.backtest import NOT_ROLLED, Backtest, Rolled, roll
from rung.fit.borrow import borrow as look_up
from rung.fit.borrow import prior_cautions, sensitivity, with_prior
from rung.fit.covariance import Curvature, curvature
from rung.fit.cuts import CUTS
from rung.fit.design import Design, columns_used
from rung.fit.diagnosis import (
    column_cautions,
    determination_cautions,
    group_cautions,
    group_levels,
    is_exact,
    one_sided_places,
    run_cautions,
    search_cautions,
    undetermined_places,
)
from rung.fit.discrepancy import Discrepancy, learn, prior
from rung.fit.estimates import Certainty, estimate
from rung.fit.influence import influence_caution
from rung.fit.intervals import BOOTSTRAP, STATISTICAL, method_for
from rung.fit.noise import nearness, noise_quantiles
from rung.fit.profile import MOST_ROWS
from rung.fit.resample import Draws, bootstrap
from rung.fit.residuals import residual_cautions
from rung.fit.result import Estimate, Fit
from rung.fit.search import FULL, Effort, Optimum, Problem, search
from rung.fit.sensitivity import objective_caution
from rung.fit.setup import Setup, scale_of, set_up
from rung.laws import Law
from rung.laws.tree import Array
from rung.runs import plausibility
from rung.units import flops_6nd

DRAWS = 1000
_SPARE = 5
"""Rows beyond the coefficients without which nothing is said of how the objective matters."""


def fit(
    runs: Any,
    law: str | Law = "chinchilla",
    *,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
    borrow: Mapping[str, str | Fit] | None = None,
    prior: Mapping[str, str | Fit] | None = None,
    start: Mapping[str, float] | None = None,
    level: float = 0.9,
    interval: str | None = None,
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
        borrow: Coefficients taken from elsewhere, and where: a law of the book, a fit, or the file of one. They are
            fixed there, and the result says what a forecast owes to them.
        prior: Coefficients of which something is known, and what: "0.34+-0.02", or a source as for `borrow`, whose
            standard error is taken. They are estimated, with that as one more observation.
        start: Coefficients from which alone the solver starts; by default it draws its own starts.
        level: Coverage that the intervals aim at.
        interval: How intervals are found: "profile", "sandwich" or "bootstrap"; the profile where the table has at
            most 20,000 rows. "statistical" is the default method, and leaves out of a new run's interval what
            backtests say the law strays by.
        draws: Resamples of the bootstrap over runs, from which standard errors come; 0 takes those from the curvature.
        seed: Seed of starts and resamples.

    Raises:
        RunsError: The table cannot be read or used.
        FormulaError: The formula cannot be read.
        FitError: The law cannot be fitted to this table.
    """
    if not 0 < level < 1:
        raise FitError(f"level {level} must lie between 0 and 1, as in --level 0.9.")
    if draws < 0 or draws == 1:
        raise FitError(f"draws {draws} must be 0 or at least 2.")
    if seed < 0:
        raise FitError(f"seed {seed} must be 0 or more.")
    borrowed = look_up(borrow or {})
    fixed = {**(fix or {}), **{name: one.value for name, one in borrowed.items()}}
    setup = set_up(runs, law, objective=objective, delta=delta, target=target, weights=weights, fix=fixed)
    known = look_up(prior or {}, "--prior")
    if known:
        if interval == BOOTSTRAP:
            raise FitError("resamples know nothing of a prior: with --prior take --interval profile or sandwich.")
        draws = 0
        setup = with_prior(setup, known, seed)
    method = method_for(setup.problem, None if interval == STATISTICAL else interval, draws)
    found, _ = fit_set_up(setup, level=level, method=method, draws=draws, seed=seed, start=start)
    if borrowed:
        found = replace(found, cautions=(*found.cautions, *sensitivity(setup, found, borrowed)))
    if known:
        told = {name: (one.value, one.error) for name, one in known.items()}
        found = replace(found, priors=told, cautions=(*found.cautions, *prior_cautions(setup, found, known)))
    return replace(found, discrepancy=None) if interval == STATISTICAL else found


def fit_set_up(
    setup: Setup,
    *,
    level: float,
    method: str,
    draws: int,
    seed: int,
    start: Mapping[str, float] | None = None,
    effort: Effort = FULL,
    by: str | None = None,
    cuts: int = CUTS,
) -> tuple[Fit, Rolled]:
    """Fit a problem, and the backtest that goes with it; see `fit`, `search` and `backtest` for the arguments."""
    problem, design = setup.problem, setup.problem.design
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        optimum = search(problem, rng, start, effort)
        story = _tell(setup, optimum, draws, level, method, rng, by, cuts)
    used = columns_used(problem.law, setup.target, setup.weights)
    measure = problem.objective
    found = Fit(
        law=problem.law,
        coefficients=story.estimates,
        objective=measure,
        objective_value=measure.total(optimum.residuals, design.weights, optimum.scale),
        scale=optimum.scale,
        starts_tried=optimum.tried,
        starts_agreed=optimum.agreed,
        status=_status([c.code for c in story.cautions]),
        level=level,
        interval=method,
        rows=design.rows,
        runs=design.runs,
        target=setup.target,
        mapping={column: setup.table.mapping.get(column, column) for column in used},
        derived=story.derived,
        cautions=story.cautions,
        ranges=_ranges(design),
        groups=design.level_names,
        draws=story.values_BK,
        noise=story.noise,
        backtest=story.backtest,
        discrepancy=story.discrepancy,
        priors={},
        prior_noise=problem.prior.noise if problem.prior else 0.0,
        table=design if design.rows <= MOST_ROWS else None,
        data_digest=setup.table.digest(used),
        seed=seed,
        version=rung.__version__,
    )
    return found, story.rolled


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """What the search found and what it says: the part of a fit that is computed."""

    estimates: dict[str, Estimate]
    derived: dict[str, Estimate]
    values_BK: Array
    noise: Array
    rolled: Rolled
    backtest: Backtest | None
    discrepancy: Discrepancy | None
    cautions: tuple[Caution, ...]


def _tell(
    setup: Setup,
    optimum: Optimum,
    draws: int,
    level: float,
    method: str,
    rng: np.random.Generator,
    by: str | None,
    cuts: int,
) -> _Story:
    problem = setup.problem
    shape = curvature(problem, optimum)
    noisy = shape.degrees > 0 and not is_exact(problem, optimum)
    drawn = _draws(problem, optimum, shape, draws if noisy else None, rng)
    levels = group_levels(problem)
    bare = frozenset(place for level in levels if level.bare for place in level.places)
    loose = undetermined_places(shape, problem, optimum, drawn.internal_BK) - bare
    values_BK = problem.design.values(problem.law, drawn.internal_BK)
    values_BK[:, sorted(bare)] = np.nan
    values_BK.setflags(write=False)
    influence = influence_caution(problem, optimum, shape)
    sure = Certainty(
        level=level,
        method=method if noisy else None,
        resampled=draws > 0,
        loose=frozenset(loose),
        hidden=(frozenset(loose) | bare) - one_sided_places(problem, shape),
    )
    estimates, derived = estimate(problem, optimum, shape, values_BK, sure)
    rolled = roll(setup, optimum.internal, rng, by=by, most=cuts) if noisy else NOT_ROLLED
    before = prior()
    return _Story(
        estimates=estimates,
        derived=derived,
        values_BK=values_BK,
        noise=_noise(setup, optimum, shape, by),
        rolled=rolled,
        backtest=rolled.summary(problem.objective, before, level) if rolled.scored else None,
        discrepancy=learn(rolled.scored, before) if rolled.by else None,
        cautions=(
            *plausibility(setup.table, setup.target),
            *column_cautions(problem, setup.target),
            *search_cautions(optimum),
            *determination_cautions(problem, optimum, shape, loose, level),
            *group_cautions(levels),
            *run_cautions(problem.design, shape, drawn, level),
            *([influence] if influence else []),
            *([*residual_cautions(problem, optimum), *_sensitive(problem, optimum, shape)] if noisy else []),
        ),
    )


def _sensitive(problem: Problem, optimum: Optimum, shape: Curvature) -> list[Caution]:
    if problem.design.rows > MOST_ROWS or shape.spare < _SPARE:
        return []
    found = objective_caution(problem, optimum, shape)
    return [found] if found else []


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
    normal = rng.multivariate_normal(np.zeros(len(known)), covariance, DRAWS, check_valid="ignore", method="eigh")
    sampled[:, known] += normal * np.sqrt(shape.degrees / rng.chisquare(shape.degrees, (DRAWS, 1)))
    return Draws(internal_BK=sampled)


def _noise(setup: Setup, optimum: Optimum, shape: Curvature, by: str | None) -> Array:
    if shape.spare <= 0:
        return np.empty(0)
    scale = scale_of(setup, by)
    near = nearness(scale[1]) if scale else np.ones(setup.problem.design.rows)
    return noise_quantiles(setup.problem.design, optimum.residuals, near)


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
