"""What the published constants of a law say of another study's runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.findings import Finding
from rung.laws import Law, law_book
from rung.planning.experiments.linear_information import (
    BOOK_STD,
    DEFAULT_BOOK_STD,
    LinearInformation,
)
from rung.planning.experiments.predictive import JointPredictive
from rung.planning.experiments.targets import Decision, Present, Targets, no_decision

_BOOK_NOISE = 0.01
"""Standard deviation of a run about the law, in the logarithm, where no run shows it: that of seeds in public studies."""


_BOOK_DEGREES = 10_000
"""Degrees of freedom of an interval that no run has narrowed: those of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromBook:
    """The published constants of a law, where no runs were made.

    Attributes:
        linear: The law about those constants.
        prior: Its name in the book.
    """

    linear: LinearInformation
    prior: str

    @property
    def law(self) -> Law:
        return self.linear.law

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return self.linear.ranges

    @property
    def ratios(self) -> None:
        return None

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        return self.linear.predictive(columns, targets)

    def decision(self, _flops: float, /) -> Decision:
        raise no_decision()

    def reach(self, targets: Targets) -> list[Present]:
        return [Present()] * len(targets.names)

    def findings(self) -> tuple[Finding, ...]:
        return ()


def information_from_book(name: str, box: Mapping[str, tuple[float, float]] | None) -> FromBook:
    """What the published constants of a law say of another study's runs: little, as the standard deviations above show.

    Args:
        name: A law of the book.
        box: The smallest and largest value of each variable that can be run.

    Raises:
        PlanError: The book has no constants of that law, or the box not its variables.
    """
    entry = law_book().get(name)
    if entry is None or set(entry.law.coefficient_names) - set(entry.constants):
        able = [slug for slug, one in law_book().items() if not set(one.law.coefficient_names) - set(one.constants)]
        raise PlanError(
            f"no runs were made, and the law book has no constants of {name!r} to start from; it has those of {', '.join(able)}."
        )
    law = entry.law
    unknown = [variable for variable in box or {} if variable not in law.variables]
    if unknown:
        raise PlanError(
            f"the box has {', '.join(unknown)}, which {name} has not; its variables are {', '.join(law.variables)}."
        )
    if box is None or set(box) != set(law.variables):
        raise PlanError(
            f"without runs, state what can be run: the smallest and largest of {' and '.join(law.variables)}, --box "
            + ",".join(f"{variable}=LOW:HIGH" for variable in law.variables)
        )
    linear = LinearInformation(
        law=law,
        unconstrained=np.array([float(c.to_unconstrained(entry.constants[c.name])) for c in law.free]),
        covariance_KK=np.diag([BOOK_STD.get(c.name, DEFAULT_BOOK_STD) ** 2 for c in law.free]),
        noise=_BOOK_NOISE**2,
        discrepancy=0.0,
        largest=-np.inf,
        ranges=dict(box),
        degrees=_BOOK_DEGREES,
    )
    return FromBook(linear=linear, prior=name)
