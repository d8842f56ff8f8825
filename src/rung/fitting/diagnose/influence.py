"""Rows that pull a law away from the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.findings import Finding
from rung.fitting.diagnose.identifiability import listed
from rung.fitting.estimate.multistart import Optimum, is_exact
from rung.fitting.estimate.problem import Problem, names_of
from rung.fitting.uncertainty.curvature import Curvature
from rung.units import format_value

_WORTH = 0.5
"""Standard errors by which a coefficient must move."""

_INFLUENCE = 5.0
"""Cook's distance above which a run is named; on the Chinchilla table it names the five rows that the
replication by Besiroglu et al. (2024) left out (the next row has 4.4)."""


def influence_findings(problem: Problem, optimum: Optimum, curvature: Curvature) -> list[Finding]:
    """The rows that pull the law away from the rest, found together and not one by one.

    Rows with a large Cook's distance are left out, the law is refitted, and the distances are taken again
    from that fit, until no more rows come: a group of odd rows hides its members from each other.
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
    odd = np.flatnonzero(~kept)
    if not len(odd):
        return []
    shifts = np.abs(point[0] - optimum.unconstrained)
    # In standard errors: what the data do not determine moves for nothing, and a small part of one is no news.
    errors = np.sqrt(np.diag(curvature.covariance_KK))
    known = np.isfinite(errors) & (errors > 0)
    far = known & (shifts >= _WORTH * np.where(known, errors, np.inf))
    if not far.any():
        return []
    index = int(np.argmax(np.where(far, shifts, 0.0)))
    before, after = design.values(problem.law, np.stack([optimum.unconstrained, point[0]]))[:, index]
    rows = [str(number) for number in design.row[odd[:10]]]
    more = [f"{len(odd) - 10} more"] if len(odd) > 10 else []
    who, them = (f"row {rows[0]} of {design.source} pulls", "it")
    if len(odd) > 1:
        who, them = f"rows {listed(rows + more)} of {design.source} pull", "them"
    return [
        Finding(
            "influential_runs",
            f"{who} the law away from the rest. Without {them}, {names_of(problem)[index]} is {format_value(after)} instead of "
            f"{format_value(before)}. Check {them}; --where leaves rows out.",
        )
    ]


def _cook(problem: Problem, evaluated: tuple[Array, Array], kept: NDArray[np.bool_]) -> Array:
    """Cook's distance of every row from the fit to the kept ones, with a robust noise scale."""
    prediction, jacobian = evaluated
    J = jacobian[:, 0] * np.sqrt(problem.design.weights)
    norms = np.sqrt(np.sum(J[:, kept] ** 2, axis=1))
    J = J[norms > 0] / norms[norms > 0, None]
    residual = problem.target - prediction[0]
    noise = float(np.median(np.abs(residual[kept]))) / 0.6745
    if noise == 0:
        return np.zeros_like(residual)
    leverage = np.einsum("kn,kn->n", J, np.linalg.pinv(J[:, kept] @ J[:, kept].T, rcond=1e-14, hermitian=True) @ J)
    inside = np.where(kept, (1 - np.minimum(leverage, 0.999)) ** 2, 1.0)
    return np.asarray(residual**2 * leverage / (len(J) * noise**2 * inside))
