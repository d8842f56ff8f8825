"""Specification: what is fitted to a table of runs, in the one value that every fitting function takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rung.errors import FitError
from rung.laws import Law, find_law, law_book, target_of
from rung.messages import require_level, require_seed

DEFAULT_OBJECTIVE = "log-huber"
"""The objective of a law for which neither the user nor the law book names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpecification:
    """A law, its target and its objective; where a field is None, the law book decides.

    Attributes:
        law: A formula, the name of a law in the law book, or a `Law`.
        objective: Name of what is minimised, in OBJECTIVES.
        delta: Huber's threshold on the residual's scale, for objectives that have one.
        target: The column that the law predicts.
        weights: The column of row weights.
        fix: Coefficients that are held fixed, and their values.
        level: Coverage of the intervals, strictly between 0 and 1.
        seed: Seed of the starts and resamples.
    """

    law: str | Law = "chinchilla"
    objective: str | None = None
    delta: float | None = None
    target: str | None = None
    weights: str | None = None
    fix: Mapping[str, float] = field(default_factory=dict)
    level: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        require_level(self.level, FitError)
        require_seed(self.seed, FitError)
        if not isinstance(self.law, str | Law):
            raise FitError(
                f"the law is a {type(self.law).__name__}. Give a formula, the name of a law of the book, or a rung.Law."
            )

    def resolved(self, columns: Sequence[str]) -> ResolvedSpecification:
        """The specification for a table with these columns, with every choice made.

        Raises:
            FormulaError: The formula cannot be read, or no law has that name.
            FitError: The law lacks a coefficient that is to be fixed.
        """
        law = find_law(self.law, columns) if isinstance(self.law, str) else self.law
        entry = law_book().get(law.name)
        return ResolvedSpecification(
            law=law.fix(self.fix),
            objective=self.objective or (entry.objective if entry else DEFAULT_OBJECTIVE),
            delta=self.delta,
            target=self.target or target_of(law),
            weights=self.weights,
        )

    def of(self, law: str | Law) -> FitSpecification:
        """The same specification for another law."""
        return replace(self, law=law)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSpecification:
    """A specification with every choice made; see FitSpecification."""

    law: Law
    objective: str
    delta: float | None
    target: str
    weights: str | None
