"""The protocol of a family: sizes by a rule, and counts of parameters and FLOPs without building the network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from rung.errors import LadderError

_OFF_RULE = 2.0
"""Largest ratio between a depth and that of the family's rule, when a number of parameters is requested."""
_DEPTH_WEIGHT = 0.1
"""Weight of the logarithmic difference from the rule's depth, against that of the number of parameters."""

COUNTS = ("non_embedding", "total", "active")
"""Ways to count N, as a ladder file names them."""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """One size of a family.

    Attributes:
        width: Width of the residual stream, or what the family calls width [count].
        depth: Layers [count].
    """

    width: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Parameters of a model, by part.

    Attributes:
        total: All parameters [count].
        embedding: Parameters of the embedding [count].
        head: Parameters of the output head; 0 if the head is the embedding [count].
        active: Parameters that one token uses, with embedding and head [count].
    """

    total: int
    embedding: int
    head: int
    active: int

    @property
    def non_embedding(self) -> int:
        """Parameters without embedding and head [count]."""
        return self.total - self.embedding - self.head

    def by(self, convention: str) -> int:
        """N by a convention of COUNTS; `active` is without embedding and head [count]."""
        if convention == "active":
            return self.active - self.embedding - self.head
        return self.total if convention == "total" else self.non_embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A published model of a family.

    Attributes:
        name: Name of the model.
        size: Size of the model.
        options: Options of the family that differ from its defaults.
        params: Published number of parameters, in the stated convention [count].
        convention: How that number is counted.
        within: Half a unit of its last printed digit [count].
        source: Publication that prints it.
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
        """The kind of data that it learns from: the `data` of the corpora that suit it."""
        ...

    @property
    def item_tokens(self) -> int:
        """Tokens in one item of a batch [count]."""
        ...

    def size_of(self, width: int | None, depth: int | None) -> Size:
        """The size that the rule gives for a width, a depth, or both."""
        ...

    def sizes(self) -> Iterable[Size]:
        """Sizes by the rule, ascending, without end."""
        ...

    def count_params(self, size: Size) -> Counts:
        """Parameters by part, in closed form."""
        ...

    def flops_per_token(self, size: Size) -> float:
        """Forward and backward FLOPs of one training token, in closed form [FLOP]."""
        ...


def nearest_size(family: Family, params: float, convention: str) -> Size:
    """The size with the number of parameters nearest to a request, with depths up to twice or half that of the rule.

    It minimises |log(count / params)| + 0.1 |log(depth / depth by the rule)| over widths and depths.

    Raises:
        LadderError: The smallest size has more than 1.5 times the parameters requested.
    """
    best, distance = None, math.inf
    for ruled in family.sizes():
        if family.count_params(ruled).by(convention) > 4 * params and best is not None:  # far beyond the request
            return best
        for depth in range(math.ceil(ruled.depth / _OFF_RULE), math.floor(ruled.depth * _OFF_RULE) + 1):
            size = Size(ruled.width, depth)
            count = family.count_params(size).by(convention)
            off = abs(math.log(count / params)) + _DEPTH_WEIGHT * abs(math.log(depth / ruled.depth))
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
    """Check that options are positive.

    Raises:
        LadderError: An option is not positive.
    """
    for name in names:
        if not getattr(options, name) > 0:
            raise LadderError(f"{name} = {getattr(options, name)} must be positive.")


def along(widths: Iterable[int], aspect: float) -> Iterator[Size]:
    """Sizes of these widths, with depth = width / aspect, rounded and at least 1."""
    for width in widths:
        yield Size(width, max(1, round(width / aspect)))


def filled(width: int | None, depth: int | None, aspect: float, multiple: int) -> Size:
    """The size of a width, a depth, or both; the rule width = depth * aspect gives the missing one.

    Raises:
        LadderError: The width is not a multiple of `multiple`, or a number is below 1.
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
