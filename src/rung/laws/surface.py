"""A formula as a function of the logarithms of its variables, with exact derivatives, for optimising decisions.

Shapes: `L` points, `M` arguments: unconstrained parameters of coefficients, and logarithms of variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.laws.coefficients import Coefficient
from rung.laws.tape import compile_tape
from rung.laws.tree import Expression
from rung.laws.workspace import Workspace

_LANES = 4096
"""Points evaluated together; more points are split into blocks."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A formula as a function of the unconstrained parameters of its coefficients and the logarithms of some variables.

    Attributes:
        names: The coefficients, then the variables, in the order of the arguments (M,).
        space: The compiled formula with its buffers.
    """

    names: tuple[str, ...]
    space: Workspace

    @staticmethod
    def of(
        tree: Expression,
        variables: Sequence[str],
        coefficients: Sequence[Coefficient] = (),
        known: Mapping[str, float] | None = None,
    ) -> Surface:
        """Compile a formula.

        Args:
            tree: The formula.
            variables: Names of the positive variables.
            coefficients: Coefficients that vary over their range; fixed ones are constants.
            known: Given values of all other names.
        """
        varying = [*coefficients, *(Coefficient(name=name) for name in variables)]
        constants = {name: float(value) for name, value in (known or {}).items()}
        tape = compile_tape(
            tree, varying, positive={name: value > 0 for name, value in constants.items()}, levels={}, residual="plain"
        )
        columns = {name: np.array([value]) for name, value in constants.items()}
        free = tuple(coefficient.name for coefficient in varying if coefficient.fixed is None)
        return Surface(free, Workspace(tape, columns, {}, 1, _LANES))

    def evaluate(self, points_LM: Array) -> tuple[Array, Array]:
        """Values (L,), and derivatives by every argument (M, L)."""
        values, slopes = np.empty(len(points_LM)), np.empty((len(self.names), len(points_LM)))
        with np.errstate(all="ignore"):
            for first in range(0, len(points_LM), _LANES):
                block = slice(first, first + _LANES)
                value, slope = self.space.evaluate(points_LM[block])
                values[block], slopes[:, block] = value[:, 0], slope[:, :, 0]
        return values, slopes
