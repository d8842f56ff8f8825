"""Two encoders (towers) that learn from pairs of views."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rung.ladder.architectures.size import Counts, Size, along, filled, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTower:
    """Two residual MLPs of the same size, one per view, trained to find the partner of each item in the batch.

    The default numbers of the options are assumptions, not tuned.

    Source: Radford et al. 2021, arXiv:2103.00020 (symmetric loss, learned temperature); Pham et al. 2021,
    arXiv:2111.10050.

    Attributes:
        inputs: Length of a view [count].
        embedding_width: Length of an embedding [count].
        ratio: Hidden width of a block over the width of the model.
        aspect: Width over depth by the size rule, used if a rung gives only one of the two.
    """

    inputs: int = 64
    embedding_width: int = 32
    ratio: int = 4
    aspect: float = 32.0

    def __post_init__(self) -> None:
        require_positive(self, "inputs", "embedding_width", "ratio", "aspect")

    @property
    def data(self) -> str:
        return "pairs"

    @property
    def item_tokens(self) -> int:
        return 1

    def size_of(self, width: int | None, depth: int | None) -> Size:
        return filled(width, depth, self.aspect, 8)

    def sizes(self) -> Iterator[Size]:
        return along(itertools.count(8, 8), self.aspect)

    def count_params(self, size: Size) -> Counts:
        width = size.width
        entering = self.inputs * width + width
        block = 2 * self.ratio * width**2 + width
        head = width * self.embedding_width
        tower = entering + size.depth * block + width + head
        total = 2 * tower + 1
        return Counts(total=total, embedding=2 * entering, head=2 * head, active=total)

    def flops_per_token(self, size: Size) -> float:
        """Training FLOPs of one pair in both towers, without the similarities within the batch [FLOP]."""
        width = size.width
        weights = size.depth * 2 * self.ratio * width**2 + width * self.embedding_width
        return 2.0 * (6 * weights + 4 * self.inputs * width)
