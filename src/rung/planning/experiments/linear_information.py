"""A law about one optimum, known to a covariance: what a fit and the law book have in common.

Shapes: `M` points, `K` unconstrained parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.laws import Law, Scale, Surface
from rung.planning.experiments.predictive import JointPredictive, ScaleDiscrepancy, predictive_of_estimate
from rung.planning.experiments.targets import Targets
from rung.units import flops_6nd

RANGE_STD = {Scale.REAL: 3.0, Scale.ABOVE: 2.0, Scale.BELOW: 2.0, Scale.BETWEEN: 2.0}
"""Standard deviation of an unconstrained parameter before any run: a factor of e squared for a positive coefficient,
which covers the constants of the law book."""

BOOK_STD = {"alpha": 0.2, "beta": 0.2, "E": 0.2}
DEFAULT_BOOK_STD = 1.0
"""Standard deviation of the logarithm of a published constant for another study's runs: exponents and floors differ by
about a fifth between the studies of the book, factors by about e."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearInformation:
    """A law about one optimum.

    Attributes:
        law: The law.
        unconstrained: Unconstrained parameters of its coefficients (K,).
        covariance_KK: Their covariance.
        noise: Variance of one run about the law, in the logarithm.
        discrepancy: Variance of the model discrepancy for each factor e beyond the largest run.
        largest: Logarithm of the largest scale that was run; -inf without runs.
        ranges: Smallest and largest value of each variable that was run, or that can be.
        degrees: Degrees of freedom of the intervals.
    """

    law: Law
    unconstrained: Array
    covariance_KK: Array
    noise: float
    discrepancy: float
    largest: float
    ranges: Mapping[str, tuple[float, float]]
    degrees: int

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        """The joint predictive distribution of candidates (M,) and targets."""
        value, slopes = self.evaluate(
            {name: np.append(columns[name], targets.columns[name]) for name in self.law.variables}
        )
        scales = log_scale(targets.columns) if targets.points else np.empty(0)
        if targets.decision is not None:
            value = np.append(value, targets.decision.log_params)
            slopes = np.column_stack([slopes, targets.decision.slopes])
            scales = np.append(scales, -np.inf)
        return predictive_of_estimate(
            value,
            slopes,
            self.covariance_KK,
            noise=self.noise,
            degrees=self.degrees,
            scale_discrepancy=ScaleDiscrepancy(
                variance=self.discrepancy, largest=self.largest, candidates=log_scale(columns), targets=scales
            ),
        )

    def evaluate(self, columns: Mapping[str, Array]) -> tuple[Array, Array]:
        """Logarithm of the law at points (M,), and its derivatives by the unconstrained parameters (K, M)."""
        variables = self.law.variables
        logs = np.log(np.column_stack([columns[name] for name in variables]))
        theta = np.tile(self.unconstrained, (len(logs), 1))
        surface = Surface.of(self.law.computed, variables, self.law.coefficients)
        values, slopes = surface.evaluate(np.concatenate([theta, logs], axis=1))
        with np.errstate(all="ignore"):
            return np.log(values), slopes[: len(self.unconstrained)] / values


def log_scale(columns: Mapping[str, Array]) -> Array:
    """Logarithm of the scale of points (M,): 6 N D where both are known, else C or the first variable."""
    if {"N", "D"} <= set(columns):
        return np.asarray(np.log(flops_6nd(columns["N"], columns["D"])))
    return np.log(columns["C"] if "C" in columns else next(iter(columns.values())))
