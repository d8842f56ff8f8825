"""Multipliers as quantities of the coefficients of two recipes, for which profile intervals are computed.

The law of each recipe along the scale is

    L = E + K x^-gamma

where x is N, D or C itself, or the compute of the best N and D. The control reaches the loss of the treated recipe at
another x; the multiplier is the ratio of the control's x to the treated recipe's.

Shapes: `L` lanes, `K` unconstrained parameters, `Q` quantities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.fitting.estimate import Problem, coefficient_names

SIDES = ("control", "treated")
"""Levels of the two recipes in the column that groups them, whatever the user calls them."""

_STEP = 1e-5
"""Step of the central differences, in unconstrained parameters."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the law along the scale follows from the coefficients of a recipe.

    Attributes:
        surface: Whether the law is one of N and D, which is evaluated at its best allocation.
    """

    surface: bool

    @staticmethod
    def of(axes: Sequence[str]) -> Recipe:
        return Recipe(surface=len(axes) == 2)

    def curve(self, values: Mapping[str, Array]) -> tuple[Array, Array]:
        """Logarithm of K, and gamma, along x.

        For a law of N and D, with C = 6 N D and the best N = G (C / 6)^(beta / (alpha + beta)),

            G = (alpha A / (beta B))^(1 / (alpha + beta)),  gamma = alpha beta / (alpha + beta),
            K = (A G^-alpha + B G^beta) 6^gamma

        Source: Hoffmann et al. 2022, arXiv:2203.15556, equation 4.
        """
        if not self.surface:
            return np.log(values["A"]), values["alpha"]
        alpha, beta = values["alpha"], values["beta"]
        total = alpha + beta
        log_G = (np.log(alpha * values["A"]) - np.log(beta * values["B"])) / total
        gamma = alpha * beta / total
        height = np.logaddexp(np.log(values["A"]) - alpha * log_G, np.log(values["B"]) + beta * log_G)
        return height + gamma * np.log(6.0), gamma


@dataclass(frozen=True, slots=True)
class Gains:
    """Logarithms of multipliers.

    Without scales they are those of a constant gain,

        size:     (log A_control - log A_treated) / alpha
        data:     (log B_control - log B_treated) / beta
        compute:  their sum

    or the first of them alone for a law of one scale. With scales x they are

        (log K_control - log(E_treated - E_control + K_treated x^-gamma_treated)) / gamma_control - log x

    and the last quantity is the multiplier at the last scale over that at the first.

    Attributes:
        problem: The law of both recipes.
        recipe: How the curve of each recipe follows from its coefficients.
        at: Logarithms of the scales; empty for a constant gain.
    """

    problem: Problem
    recipe: Recipe
    at: tuple[float, ...]

    def evaluate(self, points_LK: Array) -> tuple[Array, Array]:
        """Values (L, Q), and derivatives (K, L, Q)."""
        with np.errstate(all="ignore"):
            values = self._values(points_LK)
            size = points_LK.shape[1]
            derivatives = np.empty((size, *values.shape))
            for index in range(size):
                step = np.zeros(size)
                step[index] = _STEP
                derivatives[index] = (self._values(points_LK + step) - self._values(points_LK - step)) / (2 * _STEP)
        return values, np.nan_to_num(derivatives)

    def _values(self, points_LK: Array) -> Array:
        control, treated = self._recipes(points_LK)
        if not self.at:
            by_size = (np.log(control["A"]) - np.log(treated["A"])) / control["alpha"]
            if not self.recipe.surface:
                return by_size[:, None]
            by_data = (np.log(control["B"]) - np.log(treated["B"])) / control["beta"]
            return np.stack([by_size, by_data, by_size + by_data], axis=1)
        (height, gamma), (other, slope) = self.recipe.curve(control), self.recipe.curve(treated)
        x = np.array(self.at)
        reducible = treated["E"][:, None] - control["E"][:, None] + np.exp(other[:, None] - slope[:, None] * x)
        gains = (height[:, None] - np.log(reducible)) / gamma[:, None] - x
        return np.concatenate([gains, gains[:, -1:] - gains[:, :1]], axis=1)

    def _recipes(self, points_LK: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        """The coefficients of each recipe, by name (L,)."""
        problem = self.problem
        names = coefficient_names(problem.law, problem.design.level_names)
        columns = dict(zip(names, problem.design.values(problem.law, points_LK).T, strict=True))
        found = []
        for level in SIDES:
            own = {c.name: columns[f"{c.name}[{level}]" if c.group else c.name] for c in problem.law.free}
            own.setdefault("E", np.zeros(len(points_LK)))
            found.append(own)
        return found[0], found[1]
