"""Extra rows with a squared loss: what pulls coefficients, or quantities of them, towards a value.

A prior is such a row for a coefficient, and stays; a profile pulls a quantity with one to see how far the data let it go.

Shapes: `Q` quantities, `L` lanes, `K` internal numbers, `n` rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate.loss import Loss, Space


class Quantities(Protocol):
    """What can be pulled and profiled: values and derivatives at many points at once."""

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        """Values (L, Q), and derivatives (K, L, Q)."""


@dataclass(frozen=True, slots=True)
class Combinations:
    """Linear combinations of internal numbers, one per row of a matrix (Q, K)."""

    weights_QK: Array

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        lanes = len(points_LK)
        derivatives = np.broadcast_to(self.weights_QK.T[:, None, :], (points_LK.shape[1], lanes, len(self.weights_QK)))
        return points_LK @ self.weights_QK.T, derivatives


@dataclass(frozen=True, slots=True)
class AugmentedSpace:
    """Rows and, after them, one row for each quantity."""

    rows: Space
    quantities: Quantities

    @property
    def lanes(self) -> int:
        return self.rows.lanes

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        prediction, jacobian = self.rows.evaluate(points_LK)
        values, derivatives = self.quantities.evaluate(points_LK)
        return np.concatenate([prediction, values], axis=1), np.concatenate([jacobian, derivatives], axis=2)


@dataclass(frozen=True, slots=True)
class PenalisedLoss:
    """A loss on the first rows, and half squares on those of the quantities."""

    loss: Loss
    rows: int

    @property
    def delta(self) -> float:
        return self.loss.delta

    def terms(self, r: Array, weights: Array, tau: Array) -> tuple[Array, Array, Array, Array]:
        value, psi, curve, scaling = self.loss.terms(r[:, : self.rows], weights[:, : self.rows], tau)
        pull = np.broadcast_to(weights[:, self.rows :], r[:, self.rows :].shape)
        force = pull * r[:, self.rows :]
        value = value + 0.5 * np.sum(force * r[:, self.rows :], axis=1)
        curve, scaling = (np.concatenate([np.broadcast_to(part, psi.shape), pull], axis=1) for part in (curve, scaling))
        return value, np.concatenate([psi, force], axis=1), curve, scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is known of coefficients before the rows, as independent normals of internal numbers.

    Attributes:
        mean: The internal numbers (K,); 0 where nothing is known.
        weight: Weight of the squared distance from it, in units of the objective (K,): noise over variance; 0 where
            nothing is known.
        noise: The noise of the objective that those weights were taken against.
    """

    mean: Array
    weight: Array
    noise: float

    def space(self, rows: Space) -> AugmentedSpace:
        return AugmentedSpace(rows, Combinations(np.eye(len(self.mean))))

    def cost(self, points_LK: Array) -> Array:
        """What it adds to the objective (L,)."""
        return np.asarray(0.5 * (points_LK - self.mean) ** 2 @ self.weight)
