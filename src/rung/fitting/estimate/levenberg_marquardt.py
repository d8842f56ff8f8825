"""The solver: Levenberg-Marquardt for robust losses, on many problems of equal size at once.

Each lane solves one job: a start, or a set of weights. For residuals r = target - prediction, row weights w and the
derivatives j of the predictions by the unconstrained parameters, one step solves

    (H + lambda D) step = g,    g = sum_i w_i psi(r_i) j_i,    H = sum_i w_i c(r_i) j_i j_i',
    D = diag(sum_i w_i a(r_i) j_i j_i'),    a(r) = psi(r) / r,

with the curvature c of the loss (see `loss`). D is Marquardt's scaling; it makes the path independent of units. With
Huber's loss, a lane begins with iteratively reweighted least squares (IRLS), c = a, whose long steps are safe. It ends
with semismooth Newton, c = psi', once its steps are short; `tau` blends the two curvatures. The damping lambda follows
the gain ratio of actual to predicted decrease. When a lane is done, the next job of the queue takes its place.

Source: Nielsen's damping rule, in Madsen, Nielsen and Tingleff 2004, Methods for Non-Linear Least Squares Problems,
section 3.2. Differs: the damping falls by a factor of at most 10 per step, not 3.

Shapes: `J` jobs, `L` lanes, `K` unconstrained parameters, `n` rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting.estimate.bounded_step import Arrow, descend_within, solve_within
from rung.fitting.estimate.loss import Loss, Space
from rung.laws import Derivatives

TOLERANCE = 1e-11
"""Predicted relative decrease of the loss below which a step is negligible and its lane has converged."""

MAX_ITERATIONS = 400
"""Most steps for one job."""

_FIRST_DAMPING = 1e-2
"""Damping at the start of a lane, relative to the scaled curvature, whose diagonal is 1 at `tau` = 1."""

_LARGEST_DAMPING = 1e14
"""Damping above which a lane counts as stuck: no step improves it any more."""

_DOUBTFUL_DAMPING = 1e3
"""Damping above which a negligible step is no sign of an optimum: the damping alone may make it short."""

_GAIN = 1e-9
"""Relative decrease of the loss since its last start above which a heavily damped lane is restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solutions:
    """Where each job ended.

    Attributes:
        unconstrained_JK: Unconstrained parameters of each job.
        objective_J: Value of the loss; inf where no point with a finite value was found.
        converged_J: Whether the last step was negligible before the iterations ran out.
    """

    unconstrained_JK: Array
    objective_J: Array
    converged_J: NDArray[np.bool_]

    def joined(self, other: Solutions) -> Solutions:
        """These jobs, followed by the other ones."""
        return Solutions(
            unconstrained_JK=np.concatenate([self.unconstrained_JK, other.unconstrained_JK]),
            objective_J=np.concatenate([self.objective_J, other.objective_J]),
            converged_J=np.concatenate([self.converged_J, other.converged_J]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverOptions:
    """How the solver steps, and when it stops.

    Attributes:
        reach: The most that each unconstrained parameter may move in one step (K,); None for no limit.
        floor: Value of the loss below which the data count as fitted exactly.
        warm: Whether the starts are near their optima, so that Newton steps are used at once.
        tolerance: Predicted relative decrease of the loss below which a step is negligible.
        max_iterations: Most steps for one job.
    """

    reach: Array | None = None
    floor: float = 0.0
    warm: bool = False
    tolerance: float = TOLERANCE
    max_iterations: int = MAX_ITERATIONS


def solve(
    space: Space, starts_JK: Array, target: Array, weights: Array, loss: Loss, options: SolverOptions
) -> Solutions:
    """Minimise the loss from every start.

    Args:
        space: The compiled law over the table.
        starts_JK: The first point of each job.
        target: The target on the residual's scale, (n,) for all jobs together or (J, n) for one each.
        weights: Row weights, (1, n) for all jobs together or (J, n) for one each.
        loss: The loss per residual.
        options: How the solver steps, and when it stops.
    """
    run = _Run(space, starts_JK, target, weights, loss, options)
    with np.errstate(all="ignore"):
        while run.step():
            pass
    return Solutions(unconstrained_JK=run.best_JK, objective_J=run.objective_J, converged_J=run.converged_J)


def _arrow_of(levels: NDArray[np.intp] | None, size: int) -> Arrow | None:
    if levels is None:
        return None
    return Arrow(levels=levels, shared=np.setdiff1d(np.arange(size), levels))


class _Run:
    """The state of the lanes in one call of `solve`."""

    def __init__(
        self, space: Space, starts_JK: Array, target: Array, weights: Array, loss: Loss, options: SolverOptions
    ) -> None:
        jobs, size = starts_JK.shape
        self.space, self.loss = space, loss
        self.arrow = _arrow_of(space.levels, size)
        self.reach = np.full(size, np.inf) if options.reach is None else options.reach
        self.starts_JK, self.all_weights, self.all_targets = starts_JK, weights, target
        self.shared = len(weights) == 1
        self.tolerance, self.max_iterations = options.tolerance, options.max_iterations
        self.safe_tau = 0.0 if np.isinf(loss.delta) else 1.0
        self.first_tau = 0.0 if options.warm else self.safe_tau
        self.floor = options.floor
        self.best_JK = starts_JK.copy()
        self.objective_J = np.full(jobs, np.inf)
        self.converged_J = np.zeros(jobs, dtype=bool)
        lanes = min(space.lanes, jobs)
        self.queue = lanes
        self.job = np.arange(lanes)
        self.point = starts_JK[:lanes].copy()
        self.trial = self.point.copy()
        self.weights = weights if self.shared else weights[:lanes].copy()
        self.one_target = target.ndim == 1
        self.target = target if self.one_target else target[:lanes].copy()
        self.objective = np.full(lanes, np.inf)
        self.before = np.full(lanes, np.inf)
        self.predicted = np.full(lanes, np.inf)
        self.damping = np.full(lanes, _FIRST_DAMPING)
        self.growth = np.full(lanes, 2.0)
        self.tau = np.full(lanes, self.first_tau)
        self.steps = np.zeros(lanes, dtype=np.int64)
        self.curvature = np.zeros((lanes, size, size))
        self.gradient = np.zeros((lanes, size))
        self.scale = np.ones((lanes, size))

    def step(self) -> bool:
        """Try one step in every lane; return False when all jobs are done."""
        if not len(self.job):
            return False
        prediction, derivatives = self.space.linearise(self.trial)
        residual = self.target - prediction
        loss, psi, curve, scaling = self.loss.terms(residual, self.weights, self.tau)
        better = (loss < self.objective) & np.isfinite(loss)
        self._accept(better, loss)
        if better.any():
            self._linearise(better, derivatives, psi, curve, scaling)
        self._reject(~better)
        done = self._done()
        doubtful = done & (self.damping > _DOUBTFUL_DAMPING) & (self.objective < self.before * (1 - _GAIN))
        if doubtful.any():
            self._restart(doubtful)
            done &= ~doubtful
        if done.any():
            self._retire(done)
            if not len(self.job):
                return False
        self._propose()
        return True

    def _accept(self, better: NDArray[np.bool_], loss: Array) -> None:
        """Move the lanes that improved, and reduce their damping.

        With the gain ratio q = (actual decrease) / (predicted decrease), lambda <- lambda max(0.1, 1 - (2 q - 1)^3).
        While the predicted decrease is at most 5 % of the objective, each such step divides `tau` by 10; below 1e-3
        it becomes 0.
        """
        first = np.isinf(self.objective)
        ratio = (self.objective - loss) / self.predicted
        shrink = np.maximum(0.1, 1 - (2 * ratio - 1) ** 3)
        moved = better & ~first
        self.damping = np.where(moved, np.maximum(self.damping * shrink, 1e-15), self.damping)
        self.growth = np.where(better, 2.0, self.growth)
        near = moved & (self.predicted <= 0.05 * self.objective)
        self.tau = np.where(near, np.where(self.tau < 1e-3, 0.0, 0.1 * self.tau), self.tau)
        self.objective = np.where(better, loss, self.objective)
        self.point[better] = self.trial[better]
        self.steps += 1

    def _linearise(
        self, better: NDArray[np.bool_], derivatives: Derivatives, psi: Array, curve: Array, scaling: Array
    ) -> None:
        """Gradient g = J psi, curvature H = J diag(curve) J' and scaling D = diag(J diag(scaling) J') of each lane."""
        gradient, curvature, scale = derivatives.sums(psi, curve, scaling)
        if better.all():
            self.gradient, self.curvature, self.scale = gradient, curvature, scale
        else:
            self.gradient[better] = gradient[better]
            self.curvature[better] = curvature[better]
            self.scale[better] = scale[better]

    def _reject(self, worse: NDArray[np.bool_]) -> None:
        """Raise the damping of lanes that did not improve: lambda <- lambda nu, nu <- 2 nu."""
        self.damping = np.where(worse, self.damping * self.growth, self.damping)
        self.growth = np.where(worse, self.growth * 2, self.growth)

    def _done(self) -> NDArray[np.bool_]:
        settled = (self.predicted <= self.tolerance * self.objective + self.floor) & (self.tau == 0)
        settled |= self.objective <= self.floor
        stuck = (self.damping > _LARGEST_DAMPING) | (np.isinf(self.objective) & (self.steps > 0))
        # A lane may stall at a kink of the loss, where the curvature holds on one side only: this is an optimum to
        # rounding.
        stalled = stuck & np.isfinite(self.objective) & (self.predicted <= 1e-7 * self.objective)
        self.settled = (settled & np.isfinite(self.objective)) | stalled
        return np.asarray(self.settled | stuck | (self.steps >= self.max_iterations))

    def _restart(self, lanes: NDArray[np.bool_]) -> None:
        """Restart these lanes from their current points: a step may be short only because it is damped."""
        self.before[lanes] = self.objective[lanes]
        self.trial[lanes] = self.point[lanes]
        self.objective[lanes] = self.predicted[lanes] = np.inf
        self.damping[lanes], self.growth[lanes] = _FIRST_DAMPING, 2.0
        self.tau[lanes] = self.safe_tau

    def _retire(self, done: NDArray[np.bool_]) -> None:
        jobs = self.job[done]
        self.best_JK[jobs] = self.point[done]
        self.objective_J[jobs] = self.objective[done]
        self.converged_J[jobs] = self.settled[done]
        lanes = np.flatnonzero(done)
        refill = min(len(lanes), len(self.starts_JK) - self.queue)
        fresh, idle = lanes[:refill], lanes[refill:]
        if refill:
            jobs = np.arange(self.queue, self.queue + refill)
            self.queue += refill
            self.job[fresh] = jobs
            self.point[fresh] = self.trial[fresh] = self.starts_JK[jobs]
            if not self.shared:
                self.weights[fresh] = self.all_weights[jobs]
            if not self.one_target:
                self.target[fresh] = self.all_targets[jobs]
            self.objective[fresh] = self.before[fresh] = self.predicted[fresh] = np.inf
            self.damping[fresh], self.growth[fresh] = _FIRST_DAMPING, 2.0
            self.tau[fresh], self.steps[fresh] = self.first_tau, 0
        if len(idle):
            keep = np.ones(len(self.job), dtype=bool)
            keep[idle] = False
            self._compact(keep)

    def _compact(self, keep: NDArray[np.bool_]) -> None:
        for name in ("job", "point", "trial", "objective", "before", "predicted", "damping", "growth", "tau", "steps"):
            setattr(self, name, getattr(self, name)[keep])
        for name in ("curvature", "gradient", "scale"):
            setattr(self, name, getattr(self, name)[keep])
        if not self.shared:
            self.weights = self.weights[keep]
        if not self.one_target:
            self.target = self.target[keep]

    def _propose(self) -> None:
        """Solve (H + lambda D) step = g within the reach of each parameter; the result is the next trial point.

        In scaled parameters D^(1/2) u this is (D^(-1/2) H D^(-1/2) + lambda I) D^(1/2) step = D^(-1/2) g.
        """
        waiting = np.isinf(self.objective)
        scale_sqrt = np.sqrt(np.maximum(self.scale, 1e-280))
        scaled = self.curvature / (scale_sqrt[:, :, None] * scale_sqrt[:, None, :])
        size = scaled.shape[1]
        scaled[:, range(size), range(size)] += self.damping[:, None]
        right = self.gradient / scale_sqrt
        step = solve_within(scaled, right, self.reach * scale_sqrt, self.arrow) / scale_sqrt
        predicted = self._decrease(step)
        # With parameters held at their limits, the step may fail to descend.
        uphill = predicted <= 0
        if uphill.any():
            descent = descend_within(scaled[uphill], right[uphill], (self.reach * scale_sqrt)[uphill])
            step[uphill] = descent / scale_sqrt[uphill]
            predicted[uphill] = self._decrease(step)[uphill]
        self.predicted = np.where(waiting, np.inf, predicted)
        moved = self.point + step
        self.trial = np.where(waiting[:, None], self.point, moved)

    def _decrease(self, step_LK: Array) -> Array:
        """Decrease of the loss that the quadratic model predicts for a step: step' (g - H step / 2)."""
        curvature_step = np.matmul(self.curvature, step_LK[:, :, None])[:, :, 0]
        return np.asarray(np.einsum("lk,lk->l", step_LK, self.gradient - 0.5 * curvature_step))
