"""Curvature at the optimum: standard errors without resampling, and which coefficients are undetermined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.initial_points import balanced_starts
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.smoothed_slope import smoothed_slope

RANK_TOLERANCE = 1e-7
"""Ratio of singular values of the scaled Jacobian below which a direction has no effect on the fit."""

NEGLIGIBLE = 1e-6
"""Effect on every row, in standard deviations of the target, below which a coefficient counts as without effect."""

_PARTICIPATES = 1e-3
"""Share of a direction without effect above which a coefficient is part of that direction."""

_DESIGN_POINTS = 8
"""Points over the range of the coefficients at which the rank of a design is computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """Second-order approximation at the optimum, in unconstrained parameters.

    Attributes:
        covariance_KK: Covariance of the unconstrained parameters, nan for undetermined ones; all nan where no degree of
            freedom is left for the noise.
        undetermined: Indices of parameters that can move, alone or several together, without any effect.
        spare: Rows minus coefficients; with none to spare, the law meets every row and shows no noise.
        degrees: Degrees of freedom of the covariance: the spare rows; where runs have several rows, at most the number
            of runs minus one.
        inactive: Indices of parameters without any effect on the fit.
        inverse_KK: Inverse H^-1 of the objective's curvature, over the directions that have an effect.
        sandwich_KK: The covariance over those directions; zero where no degree of freedom is left.
        null_MK: The directions without effect, to be applied to derivatives by the parameters.
        norms: The unit of each parameter in which directions are judged (K,).
        noise_scale: Twice the rise of the objective at signed root z = 1, without clusters.
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
        """Standard errors sqrt(g' S g) of quantities with derivatives g, for the sandwich S (Q,).

        nan for quantities that depend on a direction without effect.
        """
        size = np.sqrt(np.sum((derivatives_KQ / self.norms[:, None]) ** 2, axis=0))
        null_part = np.sqrt(np.sum((self.null_MK @ derivatives_KQ) ** 2, axis=0))
        variance = np.einsum("kq,kl,lq->q", derivatives_KQ, self.sandwich_KK, derivatives_KQ)
        determined = (null_part <= _PARTICIPATES * size) & (variance > 0)
        return np.where(determined, np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def scale_of(self, derivative_K: Array) -> float:
        """Twice the rise of the objective at signed root z = 1, for a quantity with derivatives g.

        It is the ratio g' S g / g' H^-1 g of the sandwich to the inverse curvature: noise that differs between rows
        affects some quantities more than others. Without clusters, it is at least `noise_scale`.
        """
        classical = float(derivative_K @ self.inverse_KK @ derivative_K)
        robust = float(derivative_K @ self.sandwich_KK @ derivative_K)
        if not (classical > 0 and robust > 0):
            return self.noise_scale
        return robust / classical if self.clustered else max(self.noise_scale, robust / classical)


def curvature_at(problem: Problem, optimum: Optimum) -> Curvature:
    """Standard errors from the sandwich, clustered by run; for unclustered squares the classical s^2 H^-1.

        S = H^-1 M H^-1,  H = sum_i w_i psi'(r_i) j_i j_i',  M = c sum_g s_g s_g',  s_g = sum_{i in g} w_i psi(r_i) j_i

    over the G runs g, with the finite-sample factor c = G / (G - 1) where runs have several rows, else n / (n - K).
    """
    design = problem.design
    J = optimum.jacobian_Kn
    slope, psi = smoothed_slope(problem, optimum).terms(optimum.residuals)
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
        # A prior adds diag(weight) to H as rows of its own, and noise diag(weight) to M.
        prior_rows = np.zeros((len(indices), 0)) if prior is None else np.diag(np.sqrt(prior.weight[indices]))
        directions = _Directions.of(np.concatenate([part * np.sqrt(design.weights * slope), prior_rows], axis=1))
        undetermined |= {indices[at] for at in directions.undetermined}
        inverse[np.ix_(indices, indices)] = directions.inverse
        norms[indices] = directions.norms
        null = np.zeros((len(directions.null), design.size))
        null[:, indices] = directions.null / directions.norms
        if degrees > 0:
            if problem.objective.loss == "squares" and not clustered:
                block = directions.inverse * (float(np.sum(design.weights * optimum.residuals**2)) / degrees)
            else:
                scores = np.zeros((design.runs, len(indices)))
                np.add.at(scores, design.run, (part * (design.weights * psi)).T)
                meat = scores.T @ scores * design.runs / (design.runs - 1 if clustered else degrees)
                if prior is not None:
                    meat += prior.noise * np.diag(prior.weight[indices])
                block = directions.inverse @ meat @ directions.inverse
            covariance[np.ix_(indices, indices)] = sandwich[np.ix_(indices, indices)] = block
    covariance[sorted(undetermined)] = covariance[:, sorted(undetermined)] = np.nan
    weighted_psi = design.weights * psi
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
        noise_scale=float(weighted_psi @ weighted_psi / np.sum(design.weights * slope)) * design.rows / max(spare, 1),
        clustered=clustered,
    )


def without_effect(problem: Problem, jacobian_Kn: Array) -> frozenset[int]:
    """Indices of coefficients whose effect on every row is negligible."""
    effect = np.max(np.abs(jacobian_Kn), axis=1)
    return frozenset(int(index) for index in np.flatnonzero(effect <= NEGLIGIBLE * problem.spread))


def undetermined_by_design(problem: Problem) -> frozenset[int]:
    """Indices of coefficients that these rows cannot determine, wherever the optimum lies.

    The curvature at an optimum where a term has vanished hides what the term could be exchanged for. For example, two
    values of D determine neither B nor beta nor E, but where E has vanished, B and beta seem determined. So the rank is
    computed at points over the whole range of the coefficients. A coefficient is undetermined where it is so at every
    point of the highest rank.
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
        *(indices for rank, indices in zip(ranks, undetermined, strict=True) if rank == max(ranks))
    )


@dataclass(frozen=True, slots=True)
class _Directions:
    """What a weighted Jacobian determines.

    Attributes:
        inverse: Pseudo-inverse of J J' (K, K); correct for every determined parameter.
        rank: Number of directions that have an effect.
        undetermined: Indices of the parameters that are part of a direction without effect.
        null: The directions without effect, in scaled parameters (M, K).
        norms: The unit of each scaled parameter (K,).
    """

    inverse: Array
    rank: int
    undetermined: frozenset[int]
    null: Array
    norms: Array

    @staticmethod
    def of(weighted_Kn: Array) -> _Directions:
        # Scale first, so that units do not matter. With J' = Q R and R = U diag(s) V', the pseudo-inverse is
        # V diag(1 / s^2) V' over the directions with s > RANK_TOLERANCE s_1. QR first reduces the rows to a triangle:
        # a full decomposition of all rows would need rows x rows numbers.
        # A parameter whose derivatives overflow, or have no weight in any row, is undetermined by itself.
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
        participates = np.sqrt(np.sum(directions[rank:] ** 2, axis=0)) > _PARTICIPATES
        return _Directions(
            inverse=kept.T @ kept / np.outer(norms, norms),
            rank=rank,
            undetermined=frozenset(int(index) for index in np.flatnonzero(participates)),
            null=directions[rank:],
            norms=norms,
        )
