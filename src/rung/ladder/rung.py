"""A rung: one run of a ladder, everything about it decided."""

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
from rung.units import flops_6nd

EXACT, BY_6ND = "exact", "6ND"
"""Ways to count C: from the architecture, or as 6 N D with N by the ladder's convention."""


def flops_per_token(family: Family, size: Size, convention: str, flops_by: str) -> float:
    """FLOPs of one training token, counted in one of two ways [FLOP]."""
    if flops_by == EXACT:
        return family.flops_per_token(size)
    return float(flops_6nd(family.count_params(size).by(convention), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """When and on how much a run is evaluated; the finished model always is.

    Attributes:
        items: Held-out items [count].
        at: Shares of the steps before decay after which the model is evaluated too.
    """

    items: int = 1024
    at: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)

    def __post_init__(self) -> None:
        if self.items < 1:
            raise LadderError(f"items = {self.items} must be at least 1.")
        if not all(0 < share <= 1 for share in self.at):
            raise LadderError(f"at = {list(self.at)} must be shares above 0 and at most 1.")

    def steps(self, recipe: Recipe, steps: int) -> frozenset[int]:
        """After how many steps the model is evaluated."""
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
        name: Its name, and that of its folder.
        family: The family.
        size: Its size.
        corpus: The corpus.
        recipe: The recipe, every formula a number.
        steps: Optimizer steps [count].
        batch: Items in a step [count].
        seed: Of the weights and of the order of the items.
        unique_tokens: The only tokens it may see, where fewer than the corpus has; 0 for all [count].
        convention: How its N is counted.
        flops_by: How its C is counted: exact, from the architecture, or 6ND.
        evaluate: When it is evaluated.
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
        """What the order of its items hangs on."""
        return (self.seed, self.size.depth, self.size.width)

    @property
    def tokens(self) -> int:
        """Tokens that it trains on [count]."""
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
        """N by its convention [count]."""
        return self.counts.by(self.convention)

    @property
    def flops(self) -> float:
        """FLOPs of its training by its convention [FLOP]."""
        return self.flops_per_token * self.tokens

    @property
    def flops_per_token(self) -> float:
        """FLOPs of one training token by its convention [FLOP]."""
        return flops_per_token(self.made_family, self.size, self.convention, self.flops_by)

    @property
    def flops_exact(self) -> float:
        """FLOPs of its training, counted from its architecture [FLOP]."""
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
        """A fingerprint of everything that decides its numbers."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_family(choice: Choice) -> Family:
    """The family of a choice.

    Raises:
        LadderError: There is none of that name, or it has no such option.
    """
    entry = named(FAMILIES, choice.name, "family")
    made: Family = structured({**entry.options, **choice.options}, entry.spec, f"[family] {choice.name}")
    return made


def make_corpus(choice: Choice) -> Corpus:
    """The corpus of a choice.

    Raises:
        LadderError: There is none of that name, or it has no such option.
    """
    made: Corpus = structured(choice.options, named(CORPORA, choice.name, "corpus"), f"[corpus] {choice.name}")
    return made


def named(known: dict[str, Any], name: str, what: str) -> Any:
    """An entry of a registry.

    Raises:
        LadderError: There is none of that name; the message has the nearest.
    """
    if name not in known:
        from rung.ladder.toml_schema import nearest

        raise LadderError(f"no {what} {name!r}; there is {', '.join(known)}.{nearest(name, known)}")
    return known[name]
