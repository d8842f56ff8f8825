"""A reference ladder asked backwards, at its estimate and at every draw of its coefficients at once.

Shapes: `B` the estimate, then each draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import WorthError
from rung.fitting import Fit
from rung.fitting.uncertainty import student_quantile

_REACH = 60.0
"""How far beyond the runs a value is sought, in its logarithm."""

_STEPS = 70
"""Halvings of that reach: to 1e-19 of it, beyond the precision of floats."""

_ALLOCATIONS = 121
"""Sizes among which the best one for a loss is sought."""

_SIZES_SPAN = 12.0
"""Half the span of these sizes, in the logarithm."""

_FEWEST_SIZES = 3
"""Sizes from which a ladder tells an exponent."""

_UNUSABLE = {
    "saturated": "it has as many coefficients as runs",
    "explains_nothing": "it does hardly better than a constant",
    "not_converged": "its search did not converge",
}


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A reference ladder.

    Attributes:
        fit: Its law.
        coefficients: The estimate and the draws of each coefficient (B,).
        count: B.
    """

    fit: Fit
    coefficients: Mapping[str, Array]
    count: int

    def size(self, losses_B: Array, tokens: float | None) -> Array:
        """Logarithm of the N that reaches each loss, at D where the law has it (B,); infinite where none does."""
        given = {} if tokens is None else {"D": np.full(self.count, tokens)}
        return self._solve("N", losses_B, given)

    def data(self, losses_B: Array, params: float) -> Array:
        """Logarithm of the D that reaches each loss at N (B,); infinite where none does."""
        return self._solve("D", losses_B, {"N": np.full(self.count, params)})

    def compute(self, losses_B: Array) -> Array:
        """Logarithm of the least 6 N D that reaches each loss (B,); infinite where none does.

        For each of many N the D that reaches the loss is found; a parabola through the best three gives the minimum.
        """
        centre = float(np.mean(np.log(self.fit.ranges["N"])))
        logs = np.linspace(centre - _SIZES_SPAN, centre + _SIZES_SPAN, _ALLOCATIONS)
        shape = (self.count, _ALLOCATIONS)
        sizes = np.broadcast_to(np.exp(logs), shape)
        spread = {name: np.broadcast_to(values[:, None], shape) for name, values in self.coefficients.items()}
        total = logs + _solved(self.fit, spread, "D", np.broadcast_to(losses_B[:, None], shape), {"N": sizes})
        best = np.argmin(total, axis=1)
        inside = np.clip(best, 1, _ALLOCATIONS - 2)
        rows = np.arange(self.count)
        left, middle, right = (total[rows, inside + step] for step in (-1, 0, 1))
        with np.errstate(all="ignore"):
            bend = left - 2 * middle + right
            lower = middle - (left - right) ** 2 / (8 * bend)
        # At the edge of the sizes there is no minimum: the answer would be that of the span.
        at_edge = (best == 0) | (best == _ALLOCATIONS - 1) | ~np.isfinite(bend)
        found: Array = np.where(at_edge, np.inf, lower) + np.log(6.0)
        return found

    def _solve(self, unknown: str, losses_B: Array, given: Mapping[str, Array]) -> Array:
        return _solved(self.fit, self.coefficients, unknown, losses_B, given)

    def shifted(self, loss: float, deviations_B: Array) -> Array:
        """A loss under deviations on the residual's scale (B,)."""
        objective = self.fit.objective
        return objective.untransform(objective.transform(np.full(self.count, loss)) + deviations_B)


def reference_of(fit: Fit, levels: Mapping[str, str]) -> Reference:
    """A fit as a reference.

    Raises:
        WorthError: Its law has no N, or has other variables than N and D; its draws are missing, or its runs do not determine it.
    """
    variables = set(fit.law.variables)
    if "N" not in variables or not variables <= {"N", "D"}:
        raise WorthError(
            f"the reference law {fit.law.formula!r} is one of {', '.join(sorted(variables))}; a worth needs a law of N, or of N and D."
        )
    if fit.status in _UNUSABLE:
        raise WorthError(
            f"the reference cannot tell what a loss is worth: {_UNUSABLE[fit.status]}. Make more runs: rung next."
        )
    if fit.table is not None and len(np.unique(fit.table.columns["N"])) < _FEWEST_SIZES:
        raise WorthError(
            f"the reference has {len(np.unique(fit.table.columns['N']))} sizes, and an exponent in N needs {_FEWEST_SIZES} or more."
        )
    if not len(fit.draws) and fit.status != "exact":
        raise WorthError(
            "the reference has no draws of its coefficients, from which intervals are made. Fit it with --draws 1000."
        )
    estimate, draws = fit.vectors(levels)
    if fit.status == "exact":
        # A law without noise is known: one draw, which is the estimate.
        draws = {name: np.array([value]) for name, value in estimate.items()}
    widen = _widening(fit)
    together = {
        name: np.concatenate([[estimate[name]], estimate[name] + widen * (values - estimate[name])])
        for name, values in draws.items()
    }
    return Reference(fit=fit, coefficients=together, count=len(next(iter(together.values()))))


def _widening(fit: Fit) -> float:
    """What Student's t asks of resamples of few runs, which vary as if the noise were known."""
    degrees = max(fit.runs - len(fit.coefficients), 1)
    normal = student_quantile((1 + fit.level) / 2, 1e9)
    return float(np.sqrt(fit.runs / degrees) * student_quantile((1 + fit.level) / 2, degrees) / normal)


def _solved(
    fit: Fit, coefficients: Mapping[str, Array], unknown: str, losses: Array, given: Mapping[str, Array]
) -> Array:
    """Logarithm of the variable at which the law, which falls in it, has a loss; infinite where it is always above or below."""
    low, high = (float(np.log(end)) for end in fit.ranges[unknown])
    below = np.full(losses.shape, low - _REACH)
    above = np.full(losses.shape, high + _REACH)

    def law(logs: Array) -> Array:
        with np.errstate(all="ignore"):
            return fit.law.value(coefficients, {**given, unknown: np.exp(logs)})

    never, always = law(above) > losses, law(below) < losses
    for _ in range(_STEPS):
        middle = (below + above) / 2
        higher = law(middle) > losses
        below, above = np.where(higher, middle, below), np.where(higher, above, middle)
    found = (below + above) / 2
    found = np.where(never, np.inf, np.where(always, -np.inf, found))
    return np.where(np.isnan(losses), np.nan, found)
