"""From a problem to a fit: the search, the uncertainty, the backtest and the findings, gathered in one value.

Shapes: `B` resamples, `K` unconstrained parameters, `n` rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices
from rung.errors import FitError
from rung.findings import Finding
from rung.fitting.backtest.backtest import NOT_ROLLED, RollingBacktest, roll
from rung.fitting.backtest.discrepancy import discrepancy_prior, learn
from rung.fitting.backtest.folds import CUTS
from rung.fitting.backtest.scale import Scale, scale_of
from rung.fitting.diagnose.columns import column_findings
from rung.fitting.diagnose.groups import GroupLevel, group_findings, group_levels
from rung.fitting.diagnose.identifiability import determination_findings, one_sided_indices, undetermined_indices
from rung.fitting.diagnose.influence import influence_findings
from rung.fitting.diagnose.residuals import residual_findings
from rung.fitting.diagnose.sampling import sampling_findings, search_findings
from rung.fitting.diagnose.sensitivity import objective_findings
from rung.fitting.diagnose.sweeps import sweep_findings
from rung.fitting.estimate.design import Design, columns_used
from rung.fitting.estimate.multistart import FULL, Effort, Optimum, is_exact, search
from rung.fitting.estimate.problem import Problem
from rung.fitting.estimate.setup import Setup
from rung.fitting.result import Fit
from rung.fitting.uncertainty.bootstrap import Draws, bootstrap, stepped_bootstrap
from rung.fitting.uncertainty.coefficients import IntervalPlan, estimate
from rung.fitting.uncertainty.curvature import Curvature, curvature_at
from rung.fitting.uncertainty.intervals import BOOTSTRAP
from rung.fitting.uncertainty.profile import MOST_ROWS
from rung.fitting.uncertainty.residual_noise import nearness, noise_quantiles
from rung.messages import plural_of
from rung.runs import configurations, plausibility
from rung.units import flops_6nd
from rung.version import __version__

DRAWS = 1000


_MOST_DRAWS = 10_000_000
"""Most resamples: more tell nothing, and fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How a problem is solved and judged.

    Attributes:
        interval: How intervals are found; None for the default.
        draws: Resamples of the bootstrap; 0 for none.
        start: Coefficients that the solver starts from; None for many drawn starts.
        effort: How many starts are run.
        diagnose: Whether to backtest and to look for findings; otherwise coefficients, intervals and findings of the search.
        along: The symbol or column that the backtest cuts along; None for the default.
        cuts: How many cuts it has, at most.
    """

    interval: str | None = None
    draws: int = DRAWS
    start: Mapping[str, float] | None = None
    effort: Effort = FULL
    diagnose: bool = True
    along: str | None = None
    cuts: int = CUTS

    def __post_init__(self) -> None:
        if self.draws < 0 or self.draws == 1:
            raise FitError(f"draws is {self.draws}, and must be 0 or at least 2.")
        if self.draws > _MOST_DRAWS:
            raise FitError(f"draws is {self.draws:,}, and may be {_MOST_DRAWS:,} at most.")
        if self.cuts < 1:
            raise FitError(f"cuts is {self.cuts}, and must be at least 1.")


def fit_setup(setup: Setup, options: FitOptions) -> tuple[Fit, RollingBacktest]:
    """Fit a problem, with the backtest that belongs to it."""
    problem, design = setup.problem, setup.problem.design
    assert options.interval is not None
    rng = np.random.default_rng(setup.seed)
    with np.errstate(all="ignore"):
        optimum = search(problem, rng, options.start, options.effort)
        _require_in_range(problem, optimum)
        curvature = curvature_at(problem, optimum)
        noisy = curvature.degrees > 0 and not is_exact(problem, optimum)
        resampled = _draws(problem, optimum, curvature, options if noisy else None, rng)
        groups = group_levels(problem)
        plan, values_BK = _interval_plan(setup, optimum, curvature, resampled, groups, options, noisy=noisy)
        estimates, derived = estimate(problem, optimum, curvature, values_BK, plan)
        scale = scale_of(setup, options.along)
        judged = noisy and options.diagnose
        rolled = roll(problem, scale, optimum.unconstrained, setup.seed, options.cuts) if judged else NOT_ROLLED
        warnings = (
            *_findings_of_the_search(setup, optimum, curvature, plan.undetermined),
            *(_findings(setup, optimum, curvature, resampled, groups, noisy=noisy) if options.diagnose else ()),
        )
        noise = _noise(design, optimum, curvature, scale)
        prior = discrepancy_prior()
        backtest = rolled.summary(problem.objective, prior, setup.level) if rolled.scored else None
        discrepancy = learn(rolled.scored, prior) if rolled.along else None
    used = columns_used(problem.law, setup.target, setup.weights)
    found = Fit(
        law=problem.law,
        coefficients=estimates,
        objective=problem.objective,
        objective_value=problem.objective.total(optimum.residuals, design.weights, optimum.scale),
        scale=optimum.scale,
        starts_tried=optimum.tried,
        starts_agreed=optimum.agreed,
        status=_status([finding.code for finding in warnings]),
        level=setup.level,
        interval=options.interval,
        rows=design.rows,
        runs=design.runs,
        source=setup.table.source,
        notes=tuple(setup.table.notes),
        target=setup.target,
        mapping={column: setup.table.mapping.get(column, column) for column in used},
        derived=derived,
        warnings=warnings,
        ranges=_ranges(design),
        groups=design.level_names,
        draws=values_BK,
        noise=noise,
        backtest=backtest,
        discrepancy=discrepancy,
        priors={},
        prior_noise=problem.prior.noise if problem.prior else 0.0,
        table=design if design.rows <= MOST_ROWS else None,
        data_digest=setup.table.digest(used),
        seed=setup.seed,
        version=__version__,
    )
    return found, rolled


def _require_in_range(problem: Problem, optimum: Optimum) -> None:
    """Refuse an optimum whose predictions are too large for a number, though their logarithms are not.

    Raises:
        FitError: A row has no finite prediction.
    """
    predictions = problem.objective.untransform(problem.target - optimum.residuals)
    bad = np.flatnonzero(~np.isfinite(predictions))
    if len(bad):
        design = problem.design
        raise FitError(
            f"{design.source}, row {design.row[bad[0]]}: {problem.law.formula!r} is too large for a number there, at its best coefficients "
            f"({len(bad)} such {plural_of(len(bad), 'row')}). Check its powers and the units of the columns."
        )


def _interval_plan(
    setup: Setup,
    optimum: Optimum,
    curvature: Curvature,
    resampled: Draws,
    groups: Sequence[GroupLevel],
    options: FitOptions,
    *,
    noisy: bool,
) -> tuple[IntervalPlan, Array]:
    """Which coefficients get an interval and how, and the resampled coefficients (B, K)."""
    problem = setup.problem
    saturated = frozenset(index for level in groups if level.saturated for index in level.indices)
    undetermined = undetermined_indices(curvature, problem, optimum, resampled.unconstrained_BK) - saturated
    values_BK = problem.design.values(problem.law, resampled.unconstrained_BK)
    values_BK[:, sorted(saturated)] = np.nan
    values_BK.setflags(write=False)
    plan = IntervalPlan(
        level=setup.level,
        method=options.interval if noisy else None,
        resampled=options.draws > 0,
        undetermined=frozenset(undetermined),
        hidden=(frozenset(undetermined) | saturated) - one_sided_indices(problem, curvature),
    )
    return plan, values_BK


def _findings_of_the_search(
    setup: Setup, optimum: Optimum, curvature: Curvature, undetermined: frozenset[int]
) -> tuple[Finding, ...]:
    """What speaks against the optimum itself, in the order in which it is found."""
    problem = setup.problem
    return (
        *plausibility(setup.table, setup.target),
        *column_findings(problem, setup.target),
        *search_findings(problem, optimum),
        *determination_findings(problem, optimum, curvature, undetermined, setup.level),
    )


def _findings(
    setup: Setup,
    optimum: Optimum,
    curvature: Curvature,
    resampled: Draws,
    groups: Sequence[GroupLevel],
    *,
    noisy: bool,
) -> tuple[Finding, ...]:
    """What speaks against the law and its intervals, in the order in which it is found."""
    problem = setup.problem
    return (
        *group_findings(groups),
        *sampling_findings(problem.design, curvature, resampled, setup.level),
        *influence_findings(problem, optimum, curvature),
        *sweep_findings(setup),
        *(residual_findings(problem, optimum, _configurations(setup)) if noisy else ()),
        *(objective_findings(problem, optimum, curvature) if noisy else ()),
    )


def _configurations(setup: Setup) -> Indices:
    """Index of each row's configuration (n,): rows of one differ in no setting that the table states."""
    used = columns_used(setup.problem.law, setup.target)
    return configurations(setup.table.distinct, [name for name in used if name != setup.target])


def _draws(
    problem: Problem, optimum: Optimum, curvature: Curvature, options: FitOptions | None, rng: np.random.Generator
) -> Draws:
    """Resampled unconstrained parameters: none without noise, those of Student's t where no bootstrap is wanted."""
    nothing = Draws(unconstrained_BK=np.empty((0, problem.design.size)))
    if options is None:
        return nothing
    if options.draws:
        if options.interval == BOOTSTRAP:
            return bootstrap(problem, optimum, options.draws, rng)
        return stepped_bootstrap(problem, optimum, curvature, options.draws, rng)
    known = np.flatnonzero(np.isfinite(np.diag(curvature.covariance_KK)))
    if not len(known):
        return nothing
    sampled = np.tile(optimum.unconstrained, (DRAWS, 1))
    covariance = curvature.covariance_KK[np.ix_(known, known)]
    normal = rng.multivariate_normal(np.zeros(len(known)), covariance, DRAWS, check_valid="ignore", method="eigh")
    sampled[:, known] += normal * np.sqrt(curvature.degrees / rng.chisquare(curvature.degrees, (DRAWS, 1)))
    return Draws(unconstrained_BK=sampled)


def _noise(design: Design, optimum: Optimum, curvature: Curvature, scale: Scale | None) -> Array:
    """Quantiles of a new run's deviation from the law; none where the law meets every row."""
    if curvature.spare <= 0:
        return np.empty(0)
    near = nearness(scale.values) if scale else np.ones(design.rows)
    return noise_quantiles(design, optimum.residuals, near)


def _ranges(design: Design) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each variable, and of C = 6 N D where the law has both."""
    columns = dict(design.columns)
    if {"N", "D"} <= set(columns) and "C" not in columns:
        with np.errstate(over="ignore"):
            compute = flops_6nd(columns["N"], columns["D"])
        if np.all(np.isfinite(compute)):
            columns["C"] = compute
    return {name: (float(column.min()), float(column.max())) for name, column in columns.items()}


def _status(codes: Sequence[str]) -> str:
    for code, status in (
        ("explains_nothing", "explains_nothing"),
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
