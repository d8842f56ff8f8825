"""What is fitted to a table of runs, as a user states it: one value that every function of this room takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rung.errors import FitError
from rung.laws import Law, find_law, law_book, target_of
from rung.messages import require_level

DEFAULT_OBJECTIVE = "log-huber"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpecification:
    """A law, its target and its objective; None leaves the choice to the law book.

    Attributes:
        law: A formula, the name of a law of the book, or a law.
        objective: What is minimised, by its name in OBJECTIVES.
        delta: Huber's threshold on the residual's scale, where the objective has one.
        target: The column that the law predicts.
        weights: A column of row weights.
        fix: Coefficients that are not estimated, and their values.
        level: Coverage of the intervals.
        seed: Seed of starts and resamples.
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
        if self.seed < 0:
            raise FitError(f"seed is {self.seed}, and must be 0 or more.")
        if not isinstance(self.law, str | Law):
            raise FitError(
                f"the law is a {type(self.law).__name__}. Give a formula, the name of a law of the book, or a rung.Law."
            )

    def resolved(self, columns: Sequence[str]) -> ResolvedSpecification:
        """The specification over a table with these columns, every choice made.

        Raises:
            FormulaError: The formula cannot be read, or no law has that name.
            FitError: A coefficient to be fixed is not in the law.
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
        """The same for another law."""
        return replace(self, law=law)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSpecification:
    """A specification with every choice made; see FitSpecification."""

    law: Law
    objective: str
    delta: float | None
    target: str
    weights: str | None
