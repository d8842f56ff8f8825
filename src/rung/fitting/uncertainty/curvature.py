"""What the curvature at the optimum says: standard errors without resampling, and what is not determined."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.initial_points import balanced_starts
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.objective import STUDENT_DEGREES
from rung.fitting.estimate.problem import Problem

RANK_TOLERANCE = 1e-7
"""Ratio of singular values of the scaled Jacobian under which a direction has no effect on the fit."""

NEGLIGIBLE = 1e-6
"""Effect of a coefficient on every row, in spreads of the target, under which it has none."""

_TAKES_PART = 1e-3
"""Share of a direction without effect from which a coefficient takes part in it."""

_DESIGN_POINTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """Second-order picture at the optimum, in internal numbers.

    Attributes:
        covariance_KK: Covariance of the internal numbers, nan for those that are not determined; all nan
            where no degree of freedom is left for the noise.
        undetermined: Places of internal numbers that can move, some of them together, without an effect.
        spare: Rows minus coefficients; without any, the law meets every row and shows no noise.
        degrees: Degrees of freedom of the covariance: the spare rows, or the runs minus one where runs
            have several rows.
        gone: Places of internal numbers without any effect on the fit.
        inverse_KK: Inverse of the objective's curvature, over the directions that have an effect.
        sandwich_KK: The covariance over those directions; zero where no degree of freedom is left.
        null_MK: The directions without effect, for derivatives by the internal numbers.
        norms: The unit of each internal number in which directions are judged (K,).
        noise_scale: Twice the rise of the objective that a squared root of one stands for, without clusters.
        clustered: Whether runs have several rows.
    """

    covariance_KK: Array
    undetermined: frozenset[int]
    spare: int
    degrees: int
    inactive: frozenset[int]
    inverse_KK: Array
    sandwich_KK: Array
    null_MK: Array
    norms: Array
    noise_scale: float
    clustered: bool

    def std_errors(self, derivatives_KQ: Array) -> Array:
        """Standard errors of quantities with these derivatives; nan for those that depend on a direction without effect."""
        usual = np.sqrt(np.sum((derivatives_KQ / self.norms[:, None]) ** 2, axis=0))
        lost = np.sqrt(np.sum((self.null_MK @ derivatives_KQ) ** 2, axis=0))
        variance = np.einsum("kq,kl,lq->q", derivatives_KQ, self.sandwich_KK, derivatives_KQ)
        known = (lost <= _TAKES_PART * usual) & (variance > 0)
        return np.where(known, np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def scale_of(self, derivative_K: Array) -> float:
        """Twice the rise of the objective that a squared root of one stands for, for a quantity.

        Noise that differs between rows weighs more on some quantities than on others: where the sandwich says so, it
        is followed; where rows of a run share their noise, in any case.
        """
        model = float(derivative_K @ self.inverse_KK @ derivative_K)
        robust = float(derivative_K @ self.sandwich_KK @ derivative_K)
        if not (model > 0 and robust > 0):
            return self.noise_scale
        return robust / model if self.clustered else max(self.noise_scale, robust / model)


def curvature_at(problem: Problem, optimum: Optimum) -> Curvature:
    """Standard errors from the sandwich, clustered by run; the classical formula for least squares.

    Source: for Huber's loss near its absolute limit the slope of psi is smoothed over Hall and Sheather's
    (1988) bandwidth, since few residuals lie within delta.
    """
    design = problem.design
    J = optimum.jacobian_Kn
    slope, psi = _slopes(problem, optimum)
    inactive = without_effect(problem, J)
    indices = [index for index in range(design.size) if index not in inactive]
    spare = design.rows - design.size
    clustered = design.runs < design.rows
    degrees = min(spare, design.runs - 1) if clustered else spare
    covariance = np.full((design.size, design.size), np.nan)
    inverse, sandwich = np.zeros_like(covariance), np.zeros_like(covariance)
    null = np.zeros((0, design.size))
    norms = np.ones(design.size)
    undetermined = set(inactive)
    if indices:
        part = J[indices]
        prior = problem.prior
        # A prior is a row of its own for each coefficient that it knows.
        own = np.zeros((len(indices), 0)) if prior is None else np.diag(np.sqrt(prior.weight[indices]))
        directions = _Directions.of(np.concatenate([part * np.sqrt(design.weights * slope), own], axis=1))
        undetermined |= {indices[at] for at in directions.undetermined}
        inverse[np.ix_(indices, indices)] = directions.inverse
        norms[indices] = directions.norms
        null = np.zeros((len(directions.null), design.size))
        null[:, indices] = directions.null / directions.norms
        if degrees > 0:
            if problem.objective.loss == "squares" and not clustered:
                found = directions.inverse * (float(np.sum(design.weights * optimum.residuals**2)) / degrees)
            else:
                scores = np.zeros((design.runs, len(indices)))
                np.add.at(scores, design.run, (part * (design.weights * psi)).T)
                meat = scores.T @ scores * design.runs / (design.runs - 1 if clustered else degrees)
                if prior is not None:
                    meat += prior.noise * np.diag(prior.weight[indices])
                found = directions.inverse @ meat @ directions.inverse
            covariance[np.ix_(indices, indices)] = sandwich[np.ix_(indices, indices)] = found
    covariance[sorted(undetermined)] = covariance[:, sorted(undetermined)] = np.nan
    pull = design.weights * psi
    return Curvature(
        covariance_KK=covariance,
        undetermined=frozenset(undetermined),
        spare=spare,
        degrees=degrees,
        inactive=inactive,
        inverse_KK=inverse,
        sandwich_KK=sandwich,
        null_MK=null,
        norms=norms,
        noise_scale=float(pull @ pull / np.sum(design.weights * slope)) * design.rows / max(spare, 1),
        clustered=clustered,
    )


def without_effect(problem: Problem, jacobian_Kn: Array) -> frozenset[int]:
    """Places of coefficients whose whole effect on every row is negligible."""
    effect = np.max(np.abs(jacobian_Kn), axis=1)
    return frozenset(int(index) for index in np.flatnonzero(effect <= NEGLIGIBLE * problem.spread))


def undetermined_by_design(problem: Problem) -> frozenset[int]:
    """Places of coefficients that these rows could not determine wherever the optimum lay.

    At an optimum where a term has vanished, what it could trade against no longer shows: two values of D, say,
    fix neither B nor beta nor E, but with E gone B and beta look well determined. So the rank is taken at
    points all over the range of the coefficients, and what is loose at every one of the fullest is loose.
    """
    design = problem.design
    points = balanced_starts(problem.law, design, _DESIGN_POINTS, np.random.default_rng(0))
    space = problem.workspace(1)
    ranks: list[int] = []
    undetermined: list[frozenset[int]] = []
    for point in points:
        jacobian = space.evaluate(point[None, :])[1][:, 0] * np.sqrt(design.weights)
        if np.all(np.isfinite(jacobian)) and np.all(np.any(jacobian != 0, axis=1)):
            directions = _Directions.of(jacobian)
            ranks.append(directions.rank)
            undetermined.append(directions.undetermined)
    if not ranks:
        return frozenset()
    return frozenset.intersection(
        *(found for rank, found in zip(ranks, undetermined, strict=True) if rank == max(ranks))
    )


@dataclass(frozen=True, slots=True)
class _Directions:
    """What a weighted Jacobian determines.

    Attributes:
        inverse: Pseudo-inverse of J J' (K, K): right for every number that is determined.
        rank: How many directions have an effect.
        loose: Places of the numbers that take part in a direction without effect.
        null: The directions without effect, in scaled numbers (M, K).
        norms: The unit of each scaled number (K,).
    """

    inverse: Array
    rank: int
    undetermined: frozenset[int]
    null: Array
    norms: Array

    @staticmethod
    def of(weighted_Kn: Array) -> _Directions:
        # Scaled first, so that units do not matter; the rows are folded into a triangle, since a decomposition of
        # all of them would need rows x rows numbers.
        # A number whose derivatives are beyond the range of numbers, or all of weight zero, is loose by itself.
        usable = np.all(np.isfinite(weighted_Kn), axis=1)
        weighted_Kn = np.where(usable[:, None], weighted_Kn, 0.0)
        largest = np.max(np.abs(weighted_Kn), axis=1)
        largest[largest == 0] = 1.0
        norms = largest * np.sqrt(np.sum((weighted_Kn / largest[:, None]) ** 2, axis=1))
        norms[norms == 0] = 1.0
        triangle = np.linalg.qr((weighted_Kn / norms[:, None]).T, mode="r")
        _, singular, directions = np.linalg.svd(triangle, full_matrices=True)
        rank = int(np.sum(singular > RANK_TOLERANCE * singular[0]))
        kept = directions[:rank] / singular[:rank, None]
        taking_part = np.sqrt(np.sum(directions[rank:] ** 2, axis=0)) > _TAKES_PART
        return _Directions(
            inverse=kept.T @ kept / np.outer(norms, norms),
            rank=rank,
            undetermined=frozenset(int(index) for index in np.flatnonzero(taking_part)),
            null=directions[rank:],
            norms=norms,
        )


def _slopes(problem: Problem, optimum: Optimum) -> tuple[Array, Array]:
    """Smoothed slope of psi at each row, and psi."""
    r = optimum.residuals
    delta = problem.deltas[-1]
    if problem.objective.loss == "student-t":
        # The mean of psi's slope: at single rows, beyond two scales, it is negative.
        square = STUDENT_DEGREES * optimum.scale**2
        pull = (STUDENT_DEGREES + 1) / (square + r * r)
        slope = np.average(pull * (square - r * r) / (square + r * r), weights=problem.design.weights)
        return np.full_like(r, slope), pull * r
    if np.isinf(delta):
        return np.ones_like(r), r
    half = _hall_sheather(len(r))
    low, high = np.quantile(r, [max(0.0, 0.5 - half), min(1.0, 0.5 + half)])
    width = max(delta, float(high - low) / 2)
    # A smooth kernel: with a sharp one, which single rows happen to lie inside would decide for small tables. Its
    # bandwidth shrinks as psi's own square zone takes over.
    kernel = np.exp(-0.5 * (r / width) ** 2) * (2 / np.sqrt(2 * np.pi)) * delta / width
    return np.where(width > delta, np.minimum(kernel, 1.0), np.abs(r) <= delta), np.clip(r, -delta, delta)


def _hall_sheather(count: int) -> float:
    """Half width, in probability, of the bandwidth for the density at the median (90 % intervals)."""
    normal = NormalDist()
    return float(count ** (-1 / 3) * normal.inv_cdf(0.95) ** (2 / 3) * (1.5 * normal.pdf(0.0) ** 2) ** (1 / 3))
