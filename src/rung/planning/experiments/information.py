"""What is known of a law before new runs: one protocol, and three sources.

`FromFit` has the runs of a fit; `FromRuns` a table with any number of runs from two on, which a weak prior supports;
`FromBook` the published constants of a law, where no runs were made.

Shapes: `M` candidates, `K` unconstrained parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from rung.arrays import Array
from rung.findings import Finding
from rung.fitting import Fit
from rung.laws import Law, find_law, target_of
from rung.planning.experiments.from_book import information_from_book
from rung.planning.experiments.from_fit import information_from_fit
from rung.planning.experiments.from_runs import information_from_runs
from rung.planning.experiments.predictive import JointPredictive
from rung.planning.experiments.targets import Decision, Present, Targets
from rung.runs import Runs


class InformationState(Protocol):
    """What is known of a law before new runs."""

    @property
    def law(self) -> Law:
        """The law."""

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Smallest and largest value of each variable that was run, or that can be."""

    @property
    def ratios(self) -> tuple[float, float] | None:
        """Between which D / N nine in ten runs lie; None where the law has not both, or no run was made."""

    @property
    def prior(self) -> str | None:
        """The law of the book that takes the place of runs; None where runs were made."""

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        """The joint predictive distribution of candidates (M,) and targets."""

    def decision(self, flops: float, /) -> Decision:
        """The best size at a compute.

        Raises:
            PlanError: This source cannot say.
        """

    def reach(self, targets: Targets) -> list[Present]:
        """How far the present intervals of each target reach, by the profile."""

    def findings(self) -> tuple[Finding, ...]:
        """What speaks against plans made from this source."""


def information_from(
    known: Fit | Runs | str,
    *,
    law: str | Law,
    target: str | None,
    box: Mapping[str, tuple[float, float]] | None,
    level: float,
    seed: int,
) -> InformationState:
    """The information state of a fit, of a table of runs, or of a law of the book by its name.

    Args:
        known: The source.
        law: The law of a table of runs.
        target: The column of a table that the law predicts; the law's own by default.
        box: The box of a law of the book.
        level: Coverage of the intervals.
        seed: Seed of the starts, for a table.

    Raises:
        PlanError: The source does not say enough.
        FitError: A row of the table cannot be used.
    """
    match known:
        case str():
            return information_from_book(known, box)
        case Runs():
            chosen = find_law(law, known.columns) if isinstance(law, str) else law
            return information_from_runs(known, chosen, target or target_of(chosen), seed)
        case _:
            return information_from_fit(replace(known, level=level))
