"""What few runs say of a law: the modes of its coefficients' posterior under a weak prior.

A fit needs more runs than coefficients; here two runs suffice. The prior is weak (`weak_prior`), the law's error is a
smooth process (`discrepancy_process`), and the noise of a run is Student's (`residual_scale`). Where several optima
explain the runs about as well, each is kept with its weight, proportional to exp(-objective / noise).

Source: arXiv:2604.22753 for modes with weights by what they explain. Differs: the prior is a normal distribution of the
starts and no box, the error has a process of its own, and only measured values are used.

Shapes: `P` modes, `K` unconstrained parameters, `n` runs, `Q` targets, `J` starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Mask
from rung.errors import FitError
from rung.fitting.estimate import (
    AugmentedSpace,
    Combinations,
    PenalisedLoss,
    Problem,
    RowLoss,
    Solutions,
    SolverOptions,
    Space,
    projected_starts,
    solve,
)
from rung.laws import DenseDerivatives, Derivatives, Workspace
from rung.planning.experiments.discrepancy_process import DiscrepancyProcess
from rung.planning.experiments.residual_scale import PRIOR_ROWS, ResidualScale, whitening_matrix
from rung.planning.experiments.weak_prior import (
    PLAUSIBLE,
    WeakPrior,
    clipped,
    plausibility,
    plausible_draws,
    weak_prior,
)

_PRIOR_NOISE = 0.02
"""Standard deviation of the noise before any residual, in standard deviations of the measured losses."""

_FIRST_NOISE = 4.0
"""Variance of the noise in the first round, in units of the prior one. Larger ones let a fit that leaves everything to
the discrepancy explain itself."""

_LEAST_STD = 0.02
"""Smallest standard deviation of the measured losses that is believed, in the logarithm."""

_ROUNDS = 5
"""Rounds of coefficients, and then the noise and its weights; later ones change no digit that is shown."""

_STARTS = 24
_PROJECTED = 6
_PROJECTED_CANDIDATES = 256
_MOST_MODES = 6
_DISTINCT = 0.3
"""Distance of two modes in prior standard deviations below which they are one."""

_WORSE = 6.0
"""By how much the log-posterior of a mode may lie below that of the best: a weight of e^-6."""

_TOLERANCE = 1e-4
_STEEPEST = 1e6
"""Largest derivative that counts: beyond it lies a pole of the law."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Modes of the posterior of a law's coefficients.

    Attributes:
        unconstrained_PK: Unconstrained parameters at each mode, best first.
        weights: Posterior weight of each mode (P,).
        covariance_PKK: Covariance of the unconstrained parameters before the runs, at each mode.
        noise: Variance of a run about the law near the targets, in the logarithm, discrepancy and noise together.
        noise_weights: Weight of each row's own noise (n,); far above 1 for an outlier.
        degrees: Degrees of freedom of the noise.
    """

    unconstrained_PK: Array
    weights: Array
    covariance_PKK: Array
    noise: float
    noise_weights: Array
    degrees: int


@dataclass(frozen=True, slots=True)
class _Whitened:
    """Rows combined so that their errors are independent and of one variance."""

    rows: Space
    whitening_nn: Array

    @property
    def lanes(self) -> int:
        return self.rows.lanes

    @property
    def levels(self) -> None:
        """No levels: whitening mixes the rows."""
        return None

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        prediction, jacobian = self.rows.evaluate(points_LK)
        return prediction @ self.whitening_nn.T, jacobian @ self.whitening_nn.T

    def linearise(self, points_LK: Array) -> tuple[Array, Derivatives]:
        prediction, jacobian = self.evaluate(points_LK)
        return prediction, DenseDerivatives(jacobian)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """The runs and the targets, for any prior.

    Attributes:
        problem: The law over the runs.
        space: The law over the runs and then the targets.
        shared_nn: Covariance of the discrepancy over the runs, in units of its variance at the targets.
        prior_noise: Variance of the noise before any residual.
    """

    problem: Problem
    space: Workspace
    shared_nn: Array
    prior_noise: float

    def run(self, prior: WeakPrior, points_JK: Array) -> _Optima:
        """Optimise from these starts: coefficients, and then the noise and its weights, in turn.

        Raises:
            FitError: No start has a value at every run and every target.
        """
        rows = self.problem.design.rows
        noise, noise_weights = _FIRST_NOISE * self.prior_noise, np.ones(rows)
        found = None
        for _ in range(_ROUNDS):
            solutions = self._solve(prior, noise, noise_weights, points_JK)
            points_JK = solutions.unconstrained_JK
            if not np.isfinite(solutions.objective_J).any():
                raise FitError(
                    f"{self.problem.law.formula} has no positive, finite value at every run and every target, from any of "
                    f"{len(points_JK)} starts. Check the targets, or give coefficients ranges: `with A in (0, inf)`."
                )
            best = int(np.argmin(solutions.objective_J))
            prediction, jacobian = self.space.evaluate(points_JK[[best]])
            slopes = bounded_slopes(jacobian[:, 0])
            scale = ResidualScale(
                residual=self.problem.target - prediction[0, :rows],
                slopes_Kn=slopes[:, :rows],
                precision_KK=prior.precision(slopes[:, rows:]),
                shared_nn=self.shared_nn,
                noise_weights=noise_weights,
            )
            effective = scale.effective_coefficients(noise)
            noise = scale.noise(effective, self.prior_noise)
            noise_weights = scale.updated_weights(noise)
            found = _Optima(solutions=solutions, noise=noise, noise_weights=noise_weights, effective=effective)
        assert found is not None
        return found

    def _solve(self, prior: WeakPrior, noise: float, noise_weights: Array, points_JK: Array) -> Solutions:
        rows, targets = self.problem.design.rows, len(prior.value)
        whitening = np.zeros((rows + targets, rows + targets))
        whitening[:rows, :rows] = whitening_matrix(self.shared_nn, noise_weights)
        whitening[rows:, rows:] = np.diag(np.sqrt(noise * prior.value_precision))
        weights = np.concatenate([np.ones(len(whitening)), np.full(len(prior.mean), noise)])
        values = whitening @ np.append(self.problem.target, prior.value)
        with np.errstate(all="ignore"):
            return solve(
                AugmentedSpace(_Whitened(self.space, whitening), Combinations(prior.factor_KK)),
                points_JK,
                np.concatenate([values, prior.factor_KK @ prior.mean]),
                weights[None, :],
                PenalisedLoss(RowLoss(), len(whitening)),
                SolverOptions(reach=self.problem.reach, tolerance=_TOLERANCE),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Optima:
    """Where a search ended.

    Attributes:
        solutions: The end of each start.
        noise: Variance of a run about the law near the targets.
        noise_weights: Weight of each row's own noise (n,).
        effective: Effective number of coefficients that the runs determine.
    """

    solutions: Solutions
    noise: float
    noise_weights: Array
    effective: float


def find_modes(
    problem: Problem,
    discrepancy: DiscrepancyProcess,
    targets: Mapping[str, Array],
    distance: Array,
    watched: Workspace,
    rng: np.random.Generator,
) -> Modes:
    """The modes of the posterior of a law's coefficients.

    Args:
        problem: The law over the runs made, with squares of logarithms as its objective.
        discrepancy: The model discrepancy over the same rows.
        targets: Each variable at the targets (Q,).
        distance: Distance from each target to the nearest run, in factors of e (Q,).
        watched: The law over the points at which it must be plausible.
        rng: Source of the starts.

    Raises:
        FitError: No start has a value at every run and every target.
    """
    draws = plausible_draws(problem, watched, rng)
    points = _starts(problem, draws, rng)
    rows = problem.design.rows
    everywhere = {name: np.append(column, targets[name]) for name, column in problem.design.columns.items()}
    space = problem.design.at(everywhere, {}).workspace(problem.law, problem.objective.residual, len(points))
    prior = weak_prior(problem, draws, distance)
    search = _Search(
        problem=problem,
        space=space,
        shared_nn=discrepancy.covariance(discrepancy),
        prior_noise=(_PRIOR_NOISE * max(float(np.std(problem.target)), _LEAST_STD)) ** 2,
    )
    found = search.run(prior, points)
    optima = found.solutions.unconstrained_JK
    plausible = plausibility(problem, watched, optima) >= PLAUSIBLE
    chosen = distinct_modes(found.solutions, plausible, prior, found.noise)
    objective = found.solutions.objective_J[chosen]
    weights = np.exp(-(objective - objective[0]) / found.noise)
    slopes = [bounded_slopes(space.evaluate(optima[[index]])[1][:, 0, rows:]) for index in chosen]
    return Modes(
        unconstrained_PK=optima[chosen],
        weights=weights / weights.sum(),
        covariance_PKK=np.asarray(np.linalg.inv([prior.precision(at_mode) for at_mode in slopes])),
        noise=found.noise,
        noise_weights=found.noise_weights,
        degrees=max(round(rows - found.effective + PRIOR_ROWS), 1),
    )


def _starts(problem: Problem, draws_JK: Array, rng: np.random.Generator) -> Array:
    starts = [draws_JK[:_STARTS]]
    if problem.design.rows > 2:
        projected = projected_starts(problem.law, problem.design, _PROJECTED, _PROJECTED_CANDIDATES, rng)
        starts.append(clipped(projected))
    return np.concatenate(starts)


def bounded_slopes(slopes: Array) -> Array:
    """Derivatives without infinite ones, such as beyond a pole of a law."""
    return np.asarray(np.clip(np.nan_to_num(slopes), -_STEEPEST, _STEEPEST))


def distinct_modes(found: Solutions, plausible: Mask, prior: WeakPrior, noise: float) -> list[int]:
    """Indices of the modes, best first; implausible ones only where there are no others."""
    plausible = plausible & np.isfinite(found.objective_J)
    values = np.where(plausible, found.objective_J, np.inf) if plausible.any() else found.objective_J
    order = np.argsort(values)
    chosen = [int(order[0])]
    for at in order[1:]:
        if len(chosen) == _MOST_MODES or not values[at] - values[chosen[0]] < _WORSE * noise:
            break
        apart = prior.factor_KK @ (found.unconstrained_JK[at] - found.unconstrained_JK[chosen]).T
        if np.min(np.max(np.abs(apart), axis=0)) > _DISTINCT:
            chosen.append(int(at))
    return chosen
