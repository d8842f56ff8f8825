"""What the curvature at the optimum says: standard errors without resampling, and what is not determined."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rung.fit.search import Optimum, Problem
from rung.laws.tree import Array

RANK_TOLERANCE = 1e-7
"""Ratio of singular values of the scaled Jacobian under which a direction has no effect on the fit."""

_LOADING = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """Second-order picture at the optimum, in internal numbers.

    Attributes:
        covariance_KK: Covariance of the internal numbers, nan in undetermined directions; all nan where
            no degree of freedom is left for the noise.
        undetermined: For each direction that the data do not determine, the places that take part in it.
        spare: Rows minus coefficients; without any, the law meets every row and shows no noise.
        degrees: Degrees of freedom of the covariance: the spare rows, or the runs minus one where runs
            have several rows.
    """

    covariance_KK: Array
    undetermined: tuple[tuple[int, ...], ...]
    spare: int
    degrees: int


def curvature(problem: Problem, optimum: Optimum) -> Curvature:
    """Standard errors from the sandwich, clustered by run; the classical formula for least squares.

    Source: for Huber's loss near its absolute limit the slope of psi is smoothed over Hall and Sheather's
    (1988) bandwidth, since few residuals lie within delta.
    """
    design = problem.design
    J = optimum.jacobian_Kn
    slope, psi = _slopes(problem, optimum)
    places, undetermined = _directions(J * np.sqrt(design.weights * slope))
    spare = design.rows - design.size
    clustered = design.runs < design.rows
    degrees = min(spare, design.runs - 1) if clustered else spare
    covariance = np.full((design.size, design.size), np.nan)
    if degrees > 0 and len(places):
        part = J[places]
        bread = _inverse(part * (design.weights * slope) @ part.T)
        if problem.objective.loss == "squares" and not clustered:
            noise = float(np.sum(design.weights * optimum.residuals**2)) / degrees
            covariance[np.ix_(places, places)] = bread * noise
        else:
            scores = np.zeros((design.runs, len(places)))
            np.add.at(scores, design.run, (part * (design.weights * psi)).T)
            meat = scores.T @ scores * design.runs / (design.runs - 1 if clustered else degrees)
            covariance[np.ix_(places, places)] = bread @ meat @ bread
    return Curvature(covariance_KK=covariance, undetermined=undetermined, spare=spare, degrees=degrees)


def _slopes(problem: Problem, optimum: Optimum) -> tuple[Array, Array]:
    """Smoothed slope of psi at each row, and psi."""
    r = optimum.residuals
    delta = problem.deltas[-1]
    if problem.objective.loss == "student-t":
        square = 4.0 * optimum.scale**2
        weight = 5.0 / (square + r * r)
        return weight, weight * r
    if np.isinf(delta):
        return np.ones_like(r), r
    half = _hall_sheather(len(r))
    low, high = np.quantile(r, [max(0.0, 0.5 - half), min(1.0, 0.5 + half)])
    width = max(delta, float(high - low) / 2)
    return np.where(np.abs(r) <= width, delta / width, 0.0), np.clip(r, -delta, delta)


def _hall_sheather(count: int) -> float:
    """Half width, in probability, of the bandwidth for the density at the median (90 % intervals)."""
    normal = NormalDist()
    return float(count ** (-1 / 3) * normal.inv_cdf(0.95) ** (2 / 3) * (1.5 * normal.pdf(0.0) ** 2) ** (1 / 3))


def _directions(weighted_Kn: Array) -> tuple[list[int], tuple[tuple[int, ...], ...]]:
    """Places whose directions the data determine, and the undetermined directions as sets of places."""
    norms = np.sqrt(np.sum(weighted_Kn**2, axis=1))
    dead = norms <= 1e-9 * np.max(norms)
    alive = np.flatnonzero(~dead)
    undetermined: list[tuple[int, ...]] = [(int(place),) for place in np.flatnonzero(dead)]
    loose: set[int] = set()
    if len(alive):
        # The rows are folded into a triangle first: a decomposition of all of them would need rows x rows numbers.
        triangle = np.linalg.qr((weighted_Kn[alive] / norms[alive, None]).T, mode="r")
        _, singular, directions = np.linalg.svd(triangle, full_matrices=True)
        full = np.zeros(len(alive))
        full[: len(singular)] = singular
        for place in np.flatnonzero(full <= RANK_TOLERANCE * full[0]):
            loading = np.abs(directions[place])
            taking_part = tuple(int(alive[k]) for k in np.flatnonzero(loading >= _LOADING * loading.max()))
            undetermined.append(taking_part)
            loose.update(taking_part)
    return [int(place) for place in alive if int(place) not in loose], tuple(undetermined)


def _inverse(matrix: Array) -> Array:
    """Inverse of a positive matrix, scaled first so that units do not matter."""
    root = np.sqrt(np.diag(matrix))
    scaled = matrix / np.outer(root, root)
    return np.asarray(np.linalg.pinv(scaled, rcond=1e-15, hermitian=True) / np.outer(root, root))
