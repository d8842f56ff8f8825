"""Penalties: extra rows with a squared loss that draw coefficients, or quantities of them, towards a value.

With unconstrained parameters u, quantities q(u), targets t and penalty weights s, the solver minimises

    sum_i w_i rho(y_i - f_i(u)) + 1/2 sum_k s_k (t_k - q_k(u))^2

so each penalty is one more residual, t_k - q_k(u), with weight s_k (augmented residuals). A prior is a permanent
penalty on a coefficient. A profile adds a penalty on a quantity to find how far the data let that quantity move.

Shapes: `Q` quantities, `L` lanes, `K` unconstrained parameters, `n` rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting.estimate.loss import Loss, Space
from rung.laws import DenseDerivatives, Derivatives, JoinedDerivatives


class Quantities(Protocol):
    """What can be penalised and profiled: values and derivatives at many points at once."""

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        """Values (L, Q), and their derivatives (K, L, Q) by the unconstrained parameters."""


@dataclass(frozen=True, slots=True)
class Combinations:
    """Linear combinations of unconstrained parameters.

    Attributes:
        weights_QK: The weights of each combination, one per row.
    """

    weights_QK: Array

    @property
    def single(self) -> bool:
        """Whether each combination is one parameter alone."""
        return bool(np.all(np.count_nonzero(self.weights_QK, axis=1) <= 1))

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        lanes = len(points_LK)
        derivatives = np.broadcast_to(self.weights_QK.T[:, None, :], (points_LK.shape[1], lanes, len(self.weights_QK)))
        return points_LK @ self.weights_QK.T, derivatives


@dataclass(frozen=True, slots=True)
class AugmentedSpace:
    """The rows of a space, followed by one penalty row for each quantity."""

    rows: Space
    quantities: Quantities

    @property
    def lanes(self) -> int:
        return self.rows.lanes

    @property
    def levels(self) -> NDArray[np.intp] | None:
        # A penalty on a combination of coefficients ties its levels together.
        alone = isinstance(self.quantities, Combinations) and self.quantities.single
        return self.rows.levels if alone else None

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        prediction, jacobian = self.rows.evaluate(points_LK)
        values, derivatives = self.quantities.evaluate(points_LK)
        return np.concatenate([prediction, values], axis=1), np.concatenate([jacobian, derivatives], axis=2)

    def linearise(self, points_LK: Array) -> tuple[Array, Derivatives]:
        prediction, of_rows = self.rows.linearise(points_LK)
        values, derivatives = self.quantities.evaluate(points_LK)
        joined = JoinedDerivatives(of_rows, prediction.shape[1], DenseDerivatives(derivatives))
        return np.concatenate([prediction, values], axis=1), joined


@dataclass(frozen=True, slots=True)
class PenalisedLoss:
    """A loss on the first `rows` rows, and half squares on the penalty rows after them."""

    loss: Loss
    rows: int

    @property
    def delta(self) -> float:
        return self.loss.delta

    def terms(self, r: Array, weights: Array, tau: Array) -> tuple[Array, Array, Array, Array]:
        value, psi, curve, scaling = self.loss.terms(r[:, : self.rows], weights[:, : self.rows], tau)
        penalty_weights = np.broadcast_to(weights[:, self.rows :], r[:, self.rows :].shape)
        penalty_psi = penalty_weights * r[:, self.rows :]
        value = value + 0.5 * np.sum(penalty_psi * r[:, self.rows :], axis=1)
        curve, scaling = (
            np.concatenate([np.broadcast_to(part, psi.shape), penalty_weights], axis=1) for part in (curve, scaling)
        )
        return value, np.concatenate([psi, penalty_psi], axis=1), curve, scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Prior of the coefficients: independent normal distributions of the unconstrained parameters.

    It adds 1/2 sum_k weight_k (u_k - mean_k)^2 to the objective, with weight_k = noise / variance_k.

    Attributes:
        mean: Prior means of the unconstrained parameters (K,); 0 where there is no prior.
        weight: Weights of the squared distances from the means, in units of the objective (K,): the noise over the
            prior variance; 0 where there is no prior.
        noise: The noise of the objective in that ratio.
    """

    mean: Array
    weight: Array
    noise: float

    def space(self, rows: Space) -> AugmentedSpace:
        return AugmentedSpace(rows, Combinations(np.eye(len(self.mean))))

    def cost(self, points_LK: Array) -> Array:
        """What the prior adds to the objective (L,)."""
        return np.asarray(0.5 * (points_LK - self.mean) ** 2 @ self.weight)
