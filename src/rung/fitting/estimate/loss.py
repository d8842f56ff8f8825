"""The loss of each residual r = target - prediction, with the derivatives that the solver needs.

With a loss rho(r), psi(r) = rho'(r), and the weight of iteratively reweighted least squares (IRLS) is psi(r) / r.

    half squares:  rho = r^2 / 2                             psi = r                           weight = 1
    Huber:         rho = r^2 / 2            for |r| <= d     psi = clip(r, -d, d)              weight = min(1, d / |r|)
                   rho = d (|r| - d / 2)    for |r| > d
    Student's t:   rho = (v + 1) / 2 log(1 + r^2 / (v s^2))  psi = (v + 1) r / (v s^2 + r^2)   weight = psi / r

d is Huber's threshold `delta`, v is STUDENT_DEGREES, and s is Student's scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting.estimate.objective import STUDENT_DEGREES
from rung.laws import Derivatives


class Space(Protocol):
    """What the solver evaluates: a compiled law over its rows, optionally followed by penalty rows."""

    @property
    def lanes(self) -> int:
        """The largest number of coefficient vectors that are evaluated together."""

    @property
    def levels(self) -> NDArray[np.intp] | None:
        """The parameters of each level (M, g) of a group whose levels share no row; None without one."""

    def evaluate(self, unconstrained_LK: Array, /) -> tuple[Array, Array]:
        """Predictions (L, n) and their derivatives (K, L, n) by the unconstrained parameters."""

    def linearise(self, unconstrained_LK: Array, /) -> tuple[Array, Derivatives]:
        """Predictions (L, n) and derivatives that sum themselves over the rows."""


class Loss(Protocol):
    """What the solver minimises: a loss on each residual, summed over rows with weights."""

    @property
    def delta(self) -> float:
        """The residual at which the loss turns from square to absolute; inf where it never does."""

    def terms(self, r: Array, weights: Array, tau: Array, /) -> tuple[Array, Array, Array, Array]:
        """Objective (L,), and psi, curvature and scaling weights (L, n), each multiplied by the row weights.

        Args:
            r: Residuals (L, n).
            weights: Row weights, (L, n) or (1, n).
            tau: Blend of the two curvatures (L,): 1 for IRLS, 0 for semismooth Newton.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLoss:
    """Loss per residual: Huber's, half squares, or Student's t; the module docstring has the equations.

    Attributes:
        delta: Huber's threshold; inf gives half squares.
        student_scale: Scale of Student's t; None for the other losses.
    """

    delta: float = np.inf
    student_scale: float | None = None

    def terms(self, r: Array, weights: Array, tau: Array) -> tuple[Array, Array, Array, Array]:
        """Objective (L,), and psi, curvature and scaling weights (L, n), each multiplied by the row weights.

        The curvature of Huber's loss is 1 for |r| <= delta and tau delta / |r| beyond: the IRLS weight at tau = 1, the
        second derivative at tau = 0. The curvature of Student's loss is always its IRLS weight, which is positive.
        The scaling weight, used by Marquardt's scaling, is the IRLS weight.
        """
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
        # With m = min(|r|, d), both branches of Huber's loss are m (|r| - m / 2).
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
