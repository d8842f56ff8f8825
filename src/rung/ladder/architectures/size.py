"""What a family is: a rule from a size to an architecture, and what it counts without building it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from rung.errors import LadderError

_OFF_RULE = 2.0
"""By how much a depth may be off the rule to meet a wished count."""
_RULE_COUNTS = 0.1
"""How much of the count's ratio the rule's depth is worth."""

COUNTS = ("non_embedding", "total", "active")
"""Ways to count N, by the word that a ladder file uses."""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """One size of a family.

    Attributes:
        width: Width of its residual stream, or whatever the family's rule calls width [count].
        depth: Layers [count].
    """

    width: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Weights of a model, by part.

    Attributes:
        total: All of them [count].
        embedding: Those that are looked up [count].
        head: Those of the output head; 0 where it is the embedding [count].
        active: Those that one token meets, embedding and head included [count].
    """

    total: int
    embedding: int
    head: int
    active: int

    @property
    def non_embedding(self) -> int:
        """Weights without embedding and head [count]."""
        return self.total - self.embedding - self.head

    def by(self, convention: str) -> int:
        """N by a convention of COUNTS; active ones without embedding and head."""
        if convention == "active":
            return self.active - self.embedding - self.head
        return self.total if convention == "total" else self.non_embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A published model of a family.

    Attributes:
        name: Its name.
        size: Its size.
        options: The family's options where they differ from its defaults.
        params: Its published count, in the stated convention [count].
        convention: Which weights that counts.
        within: Half a unit of the last digit that is printed [count].
        source: Where it is printed.
    """

    name: str
    size: Size
    options: dict[str, int | float | str | bool]
    params: float
    convention: str
    within: float
    source: str


class Family(Protocol):
    """An architecture with a size rule; its dataclass fields are its options."""

    @property
    def data(self) -> str:
        """What it learns from: the `data` of the corpora that suit it."""
        ...

    @property
    def item_tokens(self) -> int:
        """Tokens in one item of a batch."""
        ...

    def size_of(self, width: int | None, depth: int | None) -> Size:
        """The size that the rule gives for a width, a depth, or both."""
        ...

    def sizes(self) -> Iterable[Size]:
        """Sizes along the rule, ascending, without end."""
        ...

    def count_params(self, size: Size) -> Counts:
        """Weights by part, in closed form."""
        ...

    def flops_per_token(self, size: Size) -> float:
        """Forward and backward FLOPs of one training token, in closed form [FLOP]."""
        ...


def nearest_size(family: Family, params: float, convention: str) -> Size:
    """The size whose count is nearest in ratio, of those along the family's rule and of depths up to twice off it.

    Raises:
        LadderError: The smallest size is more than half as large again as the wish.
    """
    best, distance = None, math.inf
    for ruled in family.sizes():
        if family.count_params(ruled).by(convention) > 4 * params and best is not None:
            return best
        for depth in range(math.ceil(ruled.depth / _OFF_RULE), math.floor(ruled.depth * _OFF_RULE) + 1):
            size = Size(ruled.width, depth)
            count = family.count_params(size).by(convention)
            off = abs(math.log(count / params)) + _RULE_COUNTS * abs(math.log(depth / ruled.depth))
            if off < distance:
                best, distance = size, off
        assert best is not None
        if (count := family.count_params(best).by(convention)) > 1.5 * params:
            raise LadderError(
                f"params = {params:g} cannot be built: the smallest size of the family, width {best.width} and depth "
                f"{best.depth}, has {count:,} ({convention}). Take a larger size, or a smaller head_width or vocab."
            )
    raise AssertionError("a family's sizes have no end")


def require_positive(options: object, *names: str) -> None:
    """Refuse options that are not above zero.

    Raises:
        LadderError: One is not.
    """
    for name in names:
        if not getattr(options, name) > 0:
            raise LadderError(f"{name} = {getattr(options, name)} must be positive.")


def along(widths: Iterable[int], aspect: float) -> Iterator[Size]:
    """Sizes of these widths with a layer for every `aspect` of width."""
    for width in widths:
        yield Size(width, max(1, round(width / aspect)))


def filled(width: int | None, depth: int | None, aspect: float, multiple: int) -> Size:
    """The size of a width, a depth, or both, by a rule of so much width for a layer.

    Raises:
        LadderError: The width is not a multiple of what the family takes, or a number is below one.
    """
    if width is None:
        if depth is None:
            raise LadderError("a rung needs a size: params, width or depth.")
        width = multiple * max(1, math.ceil(depth * aspect / multiple))
    if width < 1 or width % multiple:
        near = multiple * max(1, round(width / multiple))
        raise LadderError(f"width = {width} cannot be built: it must be a multiple of {multiple}, such as {near}.")
    if depth is None:
        depth = max(1, round(width / aspect))
    if depth < 1:
        raise LadderError(f"depth = {depth} cannot be built: it must be at least 1.")
    return Size(width, depth)
