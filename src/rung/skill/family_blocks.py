"""Least squares with effects that all families share and effects that each has of its own: its normal equations, family by family.

    [ A    C_1  C_2 ... ] [ shared ]      [ g   ]
    [ C_1' D_1          ] [ own_1  ]  = - [ g_1 ]
    [ C_2'      D_2     ] [ own_2  ]      [ g_2 ]

are solved for the shared effects by the Schur complement A - sum C_f D_f^-1 C_f', so that work grows with families and not with their cube.

Shapes: `S` shared effects, `q` effects of a family, `F` families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Normal equations.

    Attributes:
        shared: A (S, S).
        mixed: C (F, S, q).
        own: D (F, q, q).
        gradient: g (S,).
        own_gradient: g_f (F, q).
    """

    shared: Array
    mixed: Array
    own: Array
    gradient: Array
    own_gradient: Array

    @classmethod
    def of(
        cls,
        shared: Array,
        own: Array,
        gaps: Array,
        family: Indices,
        *,
        prior: tuple[Array, Array],
        away: tuple[Array, Array],
    ) -> Blocks:
        """The equations of observations and priors.

        Args:
            shared: Derivatives of each observation by what is shared (m, S).
            own: Derivatives by what its family has (m, q).
            gaps: Residuals (m,).
            family: The number of each observation's family (m,).
            prior: Standard deviations of what is shared (S,) and of what a family has (q,).
            away: How far both lie from the centres of their priors (S,), (F, q).
        """
        families, (size, own_size) = len(away[1]), (shared.shape[1], own.shape[1])
        mixed, blocks, own_gradient = np.zeros((families, size, own_size)), np.zeros((families, own_size, own_size)), np.zeros((families, own_size))  # fmt: skip
        order = np.argsort(family, kind="stable")
        ends = np.searchsorted(family[order], np.arange(families + 1))
        for number in range(families):
            rows = order[ends[number] : ends[number + 1]]
            mixed[number] = shared[rows].T @ own[rows]
            blocks[number] = own[rows].T @ own[rows]
            own_gradient[number] = own[rows].T @ gaps[rows]
        return cls(
            shared=shared.T @ shared + np.diag(1 / prior[0] ** 2),
            mixed=mixed,
            own=blocks + np.diag(1 / prior[1] ** 2),
            gradient=shared.T @ gaps + away[0] / prior[0] ** 2,
            own_gradient=own_gradient + away[1] / prior[1] ** 2,
        )

    def _complement(self) -> Array:
        explained: Array = np.einsum("fsq,fqt->st", self.mixed, np.linalg.solve(self.own, self.mixed.swapaxes(1, 2)))
        return self.shared - explained

    def log_determinant(self) -> float:
        """Log of the determinant of the whole matrix."""
        return float(np.linalg.slogdet(self._complement())[1] + np.linalg.slogdet(self.own)[1].sum())

    def variances(self) -> tuple[Array, Array]:
        """Variances of what is shared (S,) and of what each family has (F, q)."""
        shared = np.linalg.inv(self._complement())
        moved = np.linalg.solve(self.own, self.mixed.swapaxes(1, 2))
        own = np.diagonal(np.linalg.inv(self.own), axis1=1, axis2=2)
        return np.diag(shared), own + np.einsum("fqs,st,fqt->fq", moved, shared, moved)

    def shared_draw(self, rng: np.random.Generator) -> Array:
        """A draw of what is shared, about its estimate (S,)."""
        root = np.linalg.cholesky(self._complement())
        drawn: Array = np.linalg.solve(root.T, rng.standard_normal(len(root)))
        return drawn

    def own_draw(self, family: int, moved: Array, rng: np.random.Generator) -> Array:
        """A draw of what a family has where what is shared has moved by this much (q,)."""
        block: Array = self.own[family]
        root = np.linalg.cholesky(block)
        about: Array = np.linalg.solve(root.T, rng.standard_normal(len(root)))
        return about - np.linalg.solve(block, self.mixed[family].T @ moved)


def solved(blocks: Blocks, damping: float) -> tuple[Array, Array]:
    """The step of what is shared and of what each family has, with the diagonal raised by a share of itself."""
    own = blocks.own * (1 + damping * np.eye(blocks.own.shape[1]))
    shared = blocks.shared + damping * np.diag(np.diag(blocks.shared))
    reduced = np.linalg.solve(own, blocks.mixed.swapaxes(1, 2))
    own_step = np.linalg.solve(own, blocks.own_gradient[..., None])[..., 0]
    complement = shared - np.einsum("fsq,fqt->st", blocks.mixed, reduced)
    step = -np.linalg.solve(complement, blocks.gradient - np.einsum("fsq,fq->s", blocks.mixed, own_step))
    return step, -own_step - np.einsum("fqs,s->fq", reduced, step)
