"""Refits of long tables by a few Newton steps from the optimum: the k-step bootstrap.

Draw b weights the rows of run g by the count m_bg. From the point u, a step solves

    H_b step = g_b,   g_b = sum_g m_bg s_g(u),   H_b = sum_g m_bg H_g(u),
    s_g = sum_{i in g} w_i psi(r_i) j_i,         H_g = sum_{i in g} w_i psi'(r_i) j_i j_i'

At the optimum, s_g and H_g are the same for all draws, so the first step reads the rows once, not once a draw. Every
further step goes over the rows for each draw. A draw whose last step is long, in standard errors, is left to a full
refit.

Source: Andrews 2002, Higher-order improvements of a computationally attractive k-step bootstrap, Econometrica 70.

Shapes: `B` draws, `G` runs, `K` unconstrained parameters, `L` lanes, `n` rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting.estimate.bounded_step import solve_within
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.curvature import Curvature
from rung.fitting.uncertainty.smoothed_slope import SmoothedSlope, smoothed_slope
from rung.progress import reported

LONG = 1000
"""Rows from which draws take Newton steps instead of full refits."""

STEPS = 5
"""Most Newton steps of a draw, the first from the optimum."""

SHORT_STEP = 0.05
"""A step's change of every parameter, in standard errors, below which the draw is settled: the next step is about the
square of it."""

_RIDGE = 1e-12
"""Added to the scaled curvature, whose diagonal is 1: keeps directions without effect solvable."""

_TILE_ROWS = 2048
"""Rows that a pass works on at once, so that its arrays stay in the cache."""

_TILE_DRAWS = 16
"""Draws that a pass works on at once."""

_MOST_CURVATURES = 20_000_000
"""Most numbers of the curvatures of runs and draws that are held at once."""


def takes_steps(problem: Problem) -> bool:
    """Whether the table is long enough for steps to pay, and its curvatures small enough to hold."""
    design = problem.design
    return design.rows >= LONG and problem.prior is None and design.runs * design.size**2 <= _MOST_CURVATURES


def newton_steps(
    problem: Problem, optimum: Optimum, curvature: Curvature, counts_BG: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """The draws' parameters (B, K) after at most STEPS steps, and whether each draw is settled (B,)."""
    design = problem.design
    smooth = smoothed_slope(problem, optimum)
    scores_GK, curvatures_GKK = _by_run(problem, optimum, smooth)
    errors = np.sqrt(np.diag(curvature.covariance_KK))
    size = design.size
    block = max(1, _MOST_CURVATURES // size**2)
    found = np.empty((len(counts_BG), size))
    settled = np.zeros(len(counts_BG), dtype=bool)
    for first in range(0, len(counts_BG), block):
        counts = counts_BG[first : first + block]
        H = (counts @ curvatures_GKK.reshape(design.runs, -1)).reshape(-1, size, size)
        points = optimum.unconstrained + _step(counts @ scores_GK, H, problem.reach)
        moving = np.arange(len(counts))
        for _ in reported(range(STEPS - 1), "Newton steps of the resamples"):
            gradient, H = _of_draws(problem, smooth, points[moving], counts[moving])
            step = _step(gradient, H, problem.reach)
            points[moving] += step
            with np.errstate(invalid="ignore", divide="ignore"):
                short = ~np.any(np.abs(step) > SHORT_STEP * errors, axis=1) & np.all(np.isfinite(step), axis=1)
            settled[first + moving[short]] = True
            moving = moving[~short]
            if not len(moving):
                break
        found[first : first + block] = points
    return found, settled


def _by_run(problem: Problem, optimum: Optimum, smooth: SmoothedSlope) -> tuple[Array, Array]:
    """Scores (G, K) and curvatures (G, K, K) of the runs at the optimum."""
    design, J = problem.design, optimum.jacobian_Kn
    slope, psi = smooth.terms(optimum.residuals)
    runs, size = design.runs, design.size
    scores = np.zeros((runs, size))
    for k in range(size):
        scores[:, k] = np.bincount(design.run, weights=J[k] * (design.weights * psi), minlength=runs)
    curvatures = np.empty((runs, size, size))
    weighted = J * (design.weights * slope)
    for k in range(size):
        for other in range(k + 1):
            entry = np.bincount(design.run, weights=weighted[k] * J[other], minlength=runs)
            curvatures[:, k, other] = curvatures[:, other, k] = entry
    return scores, curvatures


def _of_draws(problem: Problem, smooth: SmoothedSlope, points_BK: Array, counts_BG: Array) -> tuple[Array, Array]:
    """Gradient (B, K) and curvature (B, K, K) of each draw at its own point."""
    design = problem.design
    draws, size = points_BK.shape
    gradient, H = np.zeros((draws, size)), np.zeros((draws, size, size))
    for start in range(0, design.rows, _TILE_ROWS):
        part = problem.part(np.arange(start, min(start + _TILE_ROWS, design.rows)))
        space = part.workspace(_TILE_DRAWS)
        run, weights = part.design.run, part.design.weights
        for first in range(0, draws, space.lanes):
            lanes = slice(first, min(first + space.lanes, draws))
            prediction, jacobian = space.evaluate(points_BK[lanes])
            slope, psi = smooth.terms(part.target - prediction)
            row_weights = counts_BG[lanes][:, run] * weights
            by_lane = jacobian.transpose(1, 0, 2)
            gradient[lanes] += np.matmul(by_lane, (psi * row_weights)[:, :, None])[:, :, 0]
            H[lanes] += np.matmul(by_lane * (slope * row_weights)[:, None, :], by_lane.transpose(0, 2, 1))
    return gradient, H


def _step(gradient_BK: Array, H_BKK: Array, reach: Array) -> Array:
    """Solve H step = g within the reach of each parameter, with H scaled to a diagonal of 1 (B, K)."""
    size = H_BKK.shape[1]
    root = np.sqrt(np.maximum(np.einsum("bkk->bk", H_BKK), 1e-280))
    scaled = H_BKK / (root[:, :, None] * root[:, None, :])
    scaled[:, range(size), range(size)] += _RIDGE
    return np.asarray(solve_within(scaled, gradient_BK / root, reach * root) / root)
