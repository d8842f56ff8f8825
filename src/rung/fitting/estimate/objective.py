"""What a fit minimises: a loss on residuals, which are taken on a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import FitError

DELTA = 1e-3
"""Huber's threshold by default, on the residual's scale (Hoffmann et al. 2022)."""

STUDENT_DEGREES = 4.0
"""Degrees of freedom of Student's t; they are fixed, and only the scale is estimated."""

LAD_DELTA = 1e-8
"""Huber's threshold that stands for least absolute deviations, which have no curvature of their own; also the smallest
threshold that a fit accepts. In units of the residual (`Problem.unit`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A residual scale and a loss, summed over rows (not averaged).

    Attributes:
        name: Name in OBJECTIVES.
        residual: "log" for log y - log f, "plain" for y - f, "logit" for logit y - logit f.
        loss: "huber", "absolute", "squares" or "student-t".
        delta: The residual at which Huber's loss turns from square to absolute, on the residual's scale; None for the
            other losses.
    """

    name: str
    residual: str
    loss: str
    delta: float | None = None

    @property
    def solver_delta(self) -> float:
        """Huber's threshold in the last stage of the solver; inf for squares and Student's loss."""
        if self.loss == "huber":
            assert self.delta is not None
            return self.delta
        return LAD_DELTA if self.loss == "absolute" else np.inf

    def transform(self, target: Array) -> Array:
        """The target on the residual's scale."""
        with np.errstate(all="ignore"):
            match self.residual:
                case "log":
                    return np.asarray(np.log(target))
                case "logit":
                    return np.asarray(np.log(target) - np.log1p(-target))
                case _:
                    return target

    def untransform(self, scaled: Array) -> Array:
        """Values on the residual's scale, converted back to the target's scale."""
        with np.errstate(over="ignore"):
            match self.residual:
                case "log":
                    return np.asarray(np.exp(scaled))
                case "logit":
                    return np.asarray(np.exp(-np.logaddexp(0.0, -scaled)))
                case _:
                    return scaled

    def total(self, residuals: Array, weights: Array, scale: float = 1.0) -> float:
        """The objective's value, the weighted sum of the losses.

        Huber: m (|r| - m / 2) with m = min(|r|, delta); absolute: |r|; squares: r^2;
        Student's t, v degrees, scale s: (v + 1) / 2 log(1 + r^2 / (v s^2)) + log s, the negative log-likelihood
        up to a constant. Only Student's loss uses `scale`.
        """
        r = np.abs(residuals)
        match self.loss:
            case "huber":
                inside = np.minimum(r, self.solver_delta)
                return float(np.sum(weights * inside * (r - inside / 2)))
            case "absolute":
                return float(np.sum(weights * r))
            case "squares":
                return float(np.sum(weights * r * r))
            case _:
                tail = (STUDENT_DEGREES + 1) / 2 * np.log1p((r / scale) ** 2 / STUDENT_DEGREES)
                return float(np.sum(weights * (tail + np.log(scale))))


OBJECTIVES: dict[str, Objective] = {
    "log-huber": Objective(name="log-huber", residual="log", loss="huber", delta=DELTA),
    "log-absolute": Objective(name="log-absolute", residual="log", loss="absolute"),
    "log-squares": Objective(name="log-squares", residual="log", loss="squares"),
    "log-student-t": Objective(name="log-student-t", residual="log", loss="student-t"),
    "squares": Objective(name="squares", residual="plain", loss="squares"),
    "huber": Objective(name="huber", residual="plain", loss="huber", delta=DELTA),
    "absolute": Objective(name="absolute", residual="plain", loss="absolute"),
    "logit-huber": Objective(name="logit-huber", residual="logit", loss="huber", delta=1e-2),
    "logit-squares": Objective(name="logit-squares", residual="logit", loss="squares"),
}
"""The objectives by name. The default is log-huber with delta 1e-3, summed over rows (Hoffmann et al. 2022)."""


def objective_named(name: str, delta: float | None = None) -> Objective:
    """The objective of that name, with another delta where one is given.

    Raises:
        FitError: There is no such objective, or it cannot use the delta.
    """
    found = OBJECTIVES.get(name)
    if found is None:
        raise FitError(f"no objective {name!r}. Choose one: --objective {'|'.join(OBJECTIVES)}.")
    if delta is None:
        return found
    if found.loss != "huber" or not 0 < delta < np.inf:
        raise FitError(
            f"--delta {delta:g} with objective {name!r}: delta is a positive number for the huber objectives."
        )
    return Objective(name=name, residual=found.residual, loss="huber", delta=delta)
