"""A rung: one run of a ladder with everything decided."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from rung.errors import LadderError
from rung.ladder.architectures.registry import FAMILIES
from rung.ladder.architectures.size import Counts, Family, Size
from rung.ladder.corpora.corpus import Corpus
from rung.ladder.corpora.registry import CORPORA
from rung.ladder.recipe import Recipe
from rung.ladder.toml_schema import structured
from rung.messages import did_you_mean
from rung.units import flops_6nd

EXACT, BY_6ND = "exact", "6ND"
"""Ways to count C: from the architecture, or as 6 N D with N by the ladder's convention."""


def flops_per_token(family: Family, size: Size, convention: str, flops_by: str) -> float:
    """FLOPs of one training token, by one of the two ways to count [FLOP]."""
    if flops_by == EXACT:
        return family.flops_per_token(size)
    return float(flops_6nd(family.count_params(size).by(convention), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """When a run is evaluated, and on how many items; the finished model is always evaluated.

    Attributes:
        items: Held-out items [count]; the default is an assumption, not tuned.
        at: Shares of the steps before decay after which the model is also evaluated.
    """

    items: int = 1024
    at: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)

    def __post_init__(self) -> None:
        if self.items < 1:
            raise LadderError(f"items = {self.items} must be at least 1.")
        if not all(0 < share <= 1 for share in self.at):
            raise LadderError(f"at = {list(self.at)} must be shares above 0 and at most 1.")

    def steps(self, recipe: Recipe, steps: int) -> frozenset[int]:
        """Numbers of steps after which the model is evaluated."""
        constant = recipe.steps_before_decay(steps)
        return frozenset({max(1, round(constant * share)) for share in self.at} | {steps})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A family or a corpus by name, with the options that differ from its defaults."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One run.

    Attributes:
        name: Name of the run and of its folder.
        family: The family.
        size: Size of the model.
        corpus: The corpus.
        recipe: The recipe, with every formula replaced by its value.
        steps: Optimizer steps [count].
        batch: Items in one step [count].
        seed: Seed of the weights and of the order of the items.
        unique_tokens: Distinct tokens of the corpus that the run may use; 0 for all [count].
        convention: How N is counted.
        flops_by: How C is counted: exact, from the architecture, or 6ND.
        evaluate: When the run is evaluated.
    """

    name: str
    family: Choice
    size: Size
    corpus: Choice
    recipe: Recipe
    steps: int
    batch: int
    seed: int
    unique_tokens: int = 0
    convention: str = "non_embedding"
    flops_by: str = EXACT
    evaluate: Evaluate = Evaluate()

    @property
    def key(self) -> tuple[int, ...]:
        """The numbers that determine the order of its items."""
        return (self.seed, self.size.depth, self.size.width)

    @property
    def tokens(self) -> int:
        """Training tokens [count]."""
        return self.steps * self.batch * self.made_family.item_tokens

    @property
    def made_family(self) -> Family:
        return make_family(self.family)

    @property
    def made_corpus(self) -> Corpus:
        return make_corpus(self.corpus)

    @property
    def counts(self) -> Counts:
        return self.made_family.count_params(self.size)

    @property
    def params(self) -> int:
        """N by the run's convention [count]."""
        return self.counts.by(self.convention)

    @property
    def flops(self) -> float:
        """Training FLOPs by the run's convention [FLOP]."""
        return self.flops_per_token * self.tokens

    @property
    def flops_per_token(self) -> float:
        """FLOPs of one training token by the run's convention [FLOP]."""
        return flops_per_token(self.made_family, self.size, self.convention, self.flops_by)

    @property
    def flops_exact(self) -> float:
        """Training FLOPs, counted from the architecture [FLOP]."""
        return self.made_family.flops_per_token(self.size) * self.tokens

    def to_dict(self) -> dict[str, Any]:
        """The rung as plain values."""
        from rung.ladder.toml_schema import plain

        return plain(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any], where: str) -> Rung:
        """The rung that to_dict wrote.

        Raises:
            LadderError: Something is missing, unknown or of the wrong type.
        """
        return structured(content, cls, where)

    @property
    def digest(self) -> str:
        """A fingerprint of everything that determines the numbers of the run."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_family(choice: Choice) -> Family:
    """The family of a choice.

    Raises:
        LadderError: The name is not known, or there is no such option.
    """
    entry = named(FAMILIES, choice.name, "family")
    made: Family = structured({**entry.options, **choice.options}, entry.spec, f"[family] {choice.name}")
    return made


def make_corpus(choice: Choice) -> Corpus:
    """The corpus of a choice.

    Raises:
        LadderError: The name is not known, or there is no such option.
    """
    made: Corpus = structured(choice.options, named(CORPORA, choice.name, "corpus"), f"[corpus] {choice.name}")
    return made


def named(known: dict[str, Any], name: str, what: str) -> Any:
    """An entry of a registry.

    Raises:
        LadderError: The name is not known; the message suggests the nearest one.
    """
    if name not in known:
        raise LadderError(f"no {what} {name!r}; there is {', '.join(known)}.{did_you_mean(name, known)}")
    return known[name]
