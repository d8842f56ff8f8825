"""Rows with a strong influence on the law."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.findings import Finding
from rung.fitting.estimate.multistart import Optimum, is_exact
from rung.fitting.estimate.problem import Problem, names_of
from rung.fitting.uncertainty.curvature import Curvature
from rung.messages import listed, plural_of
from rung.units import format_value

_WORTH = 0.5
"""Standard errors by which some coefficient must move without the rows, for them to be reported."""

_INFLUENCE = 5.0
"""Cook's distance above which a row is named; on the Chinchilla table it names the five rows that the
replication by Besiroglu et al. (2024) left out (the next row has 4.4)."""

_MOST_NAMED = 11
"""Most rows that the finding lists; of more, it names the first ones and counts the rest."""


def influence_findings(problem: Problem, optimum: Optimum, curvature: Curvature) -> list[Finding]:
    """The rows with a strong influence on the law, searched together and not one by one.

    Rows with a large Cook's distance are left out, the law is refitted, and the distances are computed again
    from that fit, until no more rows come: the members of a group of outliers mask each other.
    """
    design = problem.design
    if design.rows < design.size + 4 or is_exact(problem, optimum):
        return []
    space = problem.workspace(1)
    kept = np.ones(design.rows, dtype=bool)
    point = optimum.unconstrained[None, :]
    for _ in range(10):
        far = kept & (_cook(problem, space.evaluate(point), kept) > _INFLUENCE)
        if not far.any() or (~kept | far).sum() > 0.1 * design.rows:
            break
        kept &= ~far
        point = problem.solve(
            optimum.unconstrained[None, :],
            (design.weights * kept)[None, :],
            scale=optimum.scale,
            warm=True,
            space=space,
        ).unconstrained_JK
    left_out = np.flatnonzero(~kept)
    if not len(left_out):
        return []
    shifts = np.abs(point[0] - optimum.unconstrained)
    # In standard errors: an undetermined coefficient moves without reason, and a small part of an error says little.
    errors = np.sqrt(np.diag(curvature.covariance_KK))
    determined = np.isfinite(errors) & (errors > 0)
    far = determined & (shifts >= _WORTH * np.where(determined, errors, np.inf))
    if not far.any():
        return []
    index = int(np.argmax(np.where(far, shifts, 0.0)))
    before, after = design.values(problem.law, np.stack([optimum.unconstrained, point[0]]))[:, index]
    rows = [str(number) for number in design.row[left_out]]
    count, them = len(rows), plural_of(len(rows), "it", "them")
    return [
        Finding(
            "influential_runs",
            f"{plural_of(count, 'row')} {listed(rows, _MOST_NAMED)} of {design.source} "
            f"{plural_of(count, 'has', 'have')} a strong influence on the law (Cook's distance above {_INFLUENCE:g}). "
            f"Without {them}, {names_of(problem)[index]} is {format_value(after)} instead of {format_value(before)}. "
            f"Check {them}; leave rows out with --where.",
        )
    ]


def _cook(problem: Problem, evaluated: tuple[Array, Array], kept: NDArray[np.bool_]) -> Array:
    """Cook's distance of every row from the fit to the kept ones, with a robust noise scale.

        D_i = r_i^2 h_i / (K s^2 (1 - h_i)^2),   h_i = j_i' (sum_kept j_k j_k')^-1 j_i,   s = median |r_kept| / 0.6745

    for the residual r_i and its derivatives j_i by the K parameters that have an effect, times the square root of the
    row's weight. A row that is left out has no factor (1 - h_i)^2: the fit does not contain it.

    Source: Cook 1977, "Detection of influential observation in linear regression". Differs: the noise scale s is
    robust, and the distances are computed again after rows are left out.
    """
    prediction, jacobian = evaluated
    J = jacobian[:, 0] * np.sqrt(problem.design.weights)
    norms = np.sqrt(np.sum(J[:, kept] ** 2, axis=1))
    J = J[norms > 0] / norms[norms > 0, None]
    residual = problem.target - prediction[0]
    # The median of |x| is 0.6745 for a standard normal x.
    noise = float(np.median(np.abs(residual[kept]))) / 0.6745
    if noise == 0:
        return np.zeros_like(residual)
    leverage = np.einsum("kn,kn->n", J, np.linalg.pinv(J[:, kept] @ J[:, kept].T, rcond=1e-14, hermitian=True) @ J)
    inside = np.where(kept, (1 - np.minimum(leverage, 0.999)) ** 2, 1.0)
    return np.asarray(residual**2 * leverage / (len(J) * noise**2 * inside))
