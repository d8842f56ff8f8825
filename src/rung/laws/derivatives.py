"""Derivatives of a law over a table, and the sums of their products over the rows that a step of the solver needs.

A coefficient of a group has one parameter for each level, and a row depends on that of its own level alone. So the sums of
such coefficients are taken by level, at the cost of one parameter, whatever the number of levels.

Shapes: `L` lanes, `n` rows, `K` unconstrained parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array


class Derivatives(Protocol):
    """Derivatives J of predictions by the unconstrained parameters."""

    def sums(self, psi: Array, curve: Array, scaling: Array, /) -> tuple[Array, Array, Array]:
        """Gradient J psi (L, K), curvature J diag(curve) J' (L, K, K) and diagonal of J diag(scaling) J' (L, K)."""


@dataclass(frozen=True, slots=True)
class DenseDerivatives:
    """Derivatives of which every row may depend on every parameter.

    Attributes:
        jacobian: The derivatives (K, L, n).
    """

    jacobian: Array

    def sums(self, psi: Array, curve: Array, scaling: Array) -> tuple[Array, Array, Array]:
        by_lane = self.jacobian.transpose(1, 0, 2)
        gradient = np.matmul(by_lane, psi[:, :, None])[:, :, 0]
        weighted = by_lane * curve[:, None, :]
        curvature = np.matmul(weighted, by_lane.transpose(0, 2, 1))
        if curve is scaling:
            return gradient, curvature, np.einsum("lkk->lk", curvature).copy()
        np.multiply(by_lane, by_lane, out=weighted)
        return gradient, curvature, np.matmul(weighted, scaling[:, :, None])[:, :, 0]


@dataclass(frozen=True, slots=True)
class Levels:
    """The derivatives by the parameters of one coefficient of a group.

    Attributes:
        first: Index of the parameter of its first level.
        width: Number of levels.
        codes: The level of each row (n,).
        values: The derivative by the parameter of each row's own level (L, n).
    """

    first: int
    width: int
    codes: NDArray[np.intp]
    values: Array

    def totals(self, values: Array) -> Array:
        """Sums of values (L, n) over the rows of each level (L, width)."""
        lanes = len(values)
        codes = (np.arange(lanes)[:, None] * self.width + self.codes).ravel()
        found = np.bincount(codes, values.ravel(), lanes * self.width).astype(float, copy=False)
        return found.reshape(lanes, self.width)

    def crossed(self, other: Levels, values: Array) -> Array:
        """Sums of values (L, n) over the rows of each pair of levels (L, width, other's width)."""
        lanes, pairs = len(values), self.width * other.width
        codes = (np.arange(lanes)[:, None] * pairs + (self.codes * other.width + other.codes)).ravel()
        found = np.bincount(codes, values.ravel(), lanes * pairs).astype(float, copy=False)
        return found.reshape(lanes, self.width, other.width)

    @property
    def at(self) -> slice:
        """Where its parameters stand among all."""
        return slice(self.first, self.first + self.width)


@dataclass(frozen=True, slots=True)
class GroupedDerivatives:
    """Derivatives by parameters that all rows share, and by those of levels.

    Attributes:
        shared: Indices of the shared parameters (S,).
        jacobian: Derivatives (K, L, n), of which only the rows of shared parameters are filled.
        levels: The coefficients of groups.
        size: K.
    """

    shared: NDArray[np.intp]
    jacobian: Array
    levels: tuple[Levels, ...]
    size: int

    def sums(self, psi: Array, curve: Array, scaling: Array) -> tuple[Array, Array, Array]:
        lanes = len(psi)
        gradient, scale = np.empty((lanes, self.size)), np.empty((lanes, self.size))
        curvature = np.zeros((lanes, self.size, self.size))
        shared = self.jacobian[self.shared]
        if len(self.shared):
            parts = DenseDerivatives(shared).sums(psi, curve, scaling)
            gradient[:, self.shared], scale[:, self.shared] = parts[0], parts[2]
            curvature[np.ix_(np.arange(lanes), self.shared, self.shared)] = parts[1]
        for index, one in enumerate(self.levels):
            weighted = one.values * curve
            gradient[:, one.at] = one.totals(one.values * psi)
            scale[:, one.at] = one.totals(one.values**2 * scaling)
            for parameter, derivative in zip(self.shared, shared, strict=True):
                block = one.totals(weighted * derivative)
                curvature[:, one.at, parameter] = curvature[:, parameter, one.at] = block
            for other in self.levels[index:]:
                if other.codes is one.codes:
                    rows = np.arange(one.width)
                    block = one.totals(weighted * other.values)
                    curvature[:, one.first + rows, other.first + rows] = block
                    curvature[:, other.first + rows, one.first + rows] = block
                else:
                    crossed = one.crossed(other, weighted * other.values)
                    curvature[:, one.at, other.at] = crossed
                    curvature[:, other.at, one.at] = crossed.transpose(0, 2, 1)
        return gradient, curvature, scale


@dataclass(frozen=True, slots=True)
class JoinedDerivatives:
    """Derivatives of rows, followed by those of further rows.

    Attributes:
        rows: The first ones.
        count: Their number.
        more: The others.
    """

    rows: Derivatives
    count: int
    more: Derivatives

    def sums(self, psi: Array, curve: Array, scaling: Array) -> tuple[Array, Array, Array]:
        first = self.rows.sums(*(part[:, : self.count] for part in (psi, curve, scaling)))
        rest = self.more.sums(*(part[:, self.count :] for part in (psi, curve, scaling)))
        return first[0] + rest[0], first[1] + rest[1], first[2] + rest[2]
