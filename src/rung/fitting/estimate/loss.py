"""The loss of each residual, with the derivatives that the solver needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.objective import STUDENT_DEGREES


class Space(Protocol):
    """What the solver evaluates: a compiled law over its rows, or more rows beside."""

    @property
    def lanes(self) -> int:
        """The most coefficient vectors evaluated together."""

    def evaluate(self, unconstrained_LK: Array, /) -> tuple[Array, Array]:
        """Prediction (L, n) and derivatives (K, L, n)."""


class Loss(Protocol):
    """What the solver minimises, row by row."""

    @property
    def delta(self) -> float:
        """Where the loss turns from square to absolute; inf where it does not."""

    def terms(self, r: Array, weights: Array, tau: Array, /) -> tuple[Array, Array, Array, Array]:
        """Objective (L,), psi, curvature and scaling weights (L, n), each with the row weights in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLoss:
    """Loss per residual: Huber's with threshold delta (inf is half squares), or Student's at a scale."""

    delta: float = np.inf
    student_scale: float | None = None

    def terms(self, r: Array, weights: Array, tau: Array) -> tuple[Array, Array, Array, Array]:
        """Objective (L,), psi, curvature and scaling weights (L, n), each with the row weights in."""
        if self.student_scale is not None:
            square = STUDENT_DEGREES * self.student_scale**2
            curve = (STUDENT_DEGREES + 1) / (square + r * r)
            curve *= weights
            loss = ((STUDENT_DEGREES + 1) / 2) * np.einsum("ln,ln->l", np.log1p(r * r / square), _wide(weights, r))
            return loss, curve * r, curve, curve
        if np.isinf(self.delta):
            psi = weights * r
            wide = _wide(weights, r)
            return np.einsum("ln,ln->l", psi, r) / 2, psi, wide, wide
        size = np.abs(r)
        inside = np.minimum(size, self.delta)
        part = 0.5 * inside
        np.subtract(size, part, out=part)
        part *= inside
        loss = np.einsum("ln,ln->l", part, _wide(weights, r))
        np.clip(r, -self.delta, self.delta, out=part)
        part *= weights
        # w = min(1, delta / |r|); where |r| <= delta it is exactly 1, also at r = 0.
        np.maximum(size, self.delta, out=size)
        scaling = np.divide(self.delta, size, out=size)
        curve = np.where(scaling < 1, tau[:, None] * scaling, 1.0)
        curve *= weights
        scaling *= weights
        return loss, part, curve, scaling


def _wide(weights: Array, like: Array) -> Array:
    return np.broadcast_to(weights, like.shape)
