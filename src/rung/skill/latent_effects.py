"""What a fit of latent skills is made of: the measured scores, the effects, and how far they spread.

Shapes: `n` models, `J` benchmarks, `d` skills, `P` features, `F` families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array, Indices


@dataclass(frozen=True, slots=True)
class Scales:
    """Standard deviations.

    Attributes:
        noise: Of a score about the law (J,).
        skill: Of families in a skill.
        offset: Of families on a benchmark, beyond their skills (J,).
    """

    noise: Array
    skill: float
    offset: Array

    @classmethod
    def first(cls, benchmarks: int) -> Scales:
        """Where expectation and maximisation start."""
        return cls(np.full(benchmarks, 0.03), 0.5, np.full(benchmarks, 0.4))

    def changed(self, other: Scales) -> float:
        """The largest change from another, as a log ratio."""
        ratios = [*(self.noise / other.noise), self.skill / other.skill, *(self.offset / other.offset)]
        return float(np.abs(np.log(ratios)).max())


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What is fitted.

    Attributes:
        level: Of each benchmark (J,).
        loadings: Of each benchmark on each skill (J, d).
        slopes: Of each skill in each feature (P, d).
        skills: Of each family (F, d).
        offsets: Of each family on each benchmark (F, J).
    """

    level: Array
    loadings: Array
    slopes: Array
    skills: Array
    offsets: Array

    def shared(self) -> Array:
        """What all families share, in one row."""
        return np.concatenate([self.level, self.loadings.ravel(), self.slopes.ravel()])

    def own(self) -> Array:
        """What each family has of its own (F, d + J)."""
        return np.hstack([self.skills, self.offsets])

    def replaced(self, shared: Array, own: Array) -> Effects:
        """The same shapes with other values."""
        (benchmarks, skills), features = self.loadings.shape, len(self.slopes)
        parts = np.split(shared, [benchmarks, benchmarks + benchmarks * skills])
        return Effects(
            parts[0],
            parts[1].reshape(benchmarks, skills),
            parts[2].reshape(features, skills),
            own[:, :skills],
            own[:, skills:],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Scores of models.

    Attributes:
        features: Standardised log N and log D (n, P).
        scores: As shares of the ceiling, with nan where one is missing (n, J).
        family: The number of each model's family (n,).
        chance: Of each benchmark (J,).
    """

    features: Array
    scores: Array
    family: Indices
    chance: Array

    @property
    def families(self) -> int:
        """How many families there are."""
        return int(self.family.max()) + 1
