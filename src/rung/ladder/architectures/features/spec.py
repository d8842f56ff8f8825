"""Two models small enough to know everything about: features in superposition, and keys with values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rung.ladder.architectures.size import Counts, Size, along, filled, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Superposition:
    """Sparse features squeezed through fewer directions: y = ReLU(W W' x + b).

    Source: Elhage et al. 2022, arXiv:2209.10652; Liu et al. 2025, arXiv:2505.10465. Width is m, the directions.

    Attributes:
        features: Features n [count].
        loss_scale: What the loss is multiplied by for its gradients; the loss that is told is not.
    """

    features: int = 256
    loss_scale: float = 100.0

    def __post_init__(self) -> None:
        require_positive(self, "features", "loss_scale")

    @property
    def data(self) -> str:
        return "features"

    @property
    def item_tokens(self) -> int:
        return 1

    def size_of(self, width: int | None, depth: int | None) -> Size:
        return filled(width, depth or 1, 1.0, 1)

    def sizes(self) -> Iterator[Size]:
        return (Size(width, 1) for width in itertools.count(1))

    def count_params(self, size: Size) -> Counts:
        total = self.features * size.width + self.features
        return Counts(total=total, embedding=0, head=0, active=total)

    def flops_per_token(self, size: Size) -> float:
        """Two products forward; backward the same twice, less the gradient of the input."""
        return 10.0 * self.features * size.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Memoriser:
    """A key is looked up, sent through residual MLPs, and its values are read off, a table of logits each.

    The smallest model that stores facts as weights, after Allen-Zhu and Li 2024, arXiv:2404.05405.

    Attributes:
        keys: Keys that it can be asked [count].
        attributes: Values of a key [count].
        values: What each value is one of [count].
        ratio: Hidden width of a block over width.
        key_digits: Parts that a key is written in; each part has its own small table of embeddings [count].
        aspect: Width for a layer, where a rung gives one of the two.
    """

    keys: int = 4096
    attributes: int = 4
    values: int = 64
    ratio: int = 4
    key_digits: int = 2
    aspect: float = 32.0

    def __post_init__(self) -> None:
        require_positive(self, "keys", "attributes", "values", "ratio", "key_digits", "aspect")

    @property
    def data(self) -> str:
        return "facts"

    @property
    def item_tokens(self) -> int:
        return 1

    @property
    def digit_base(self) -> int:
        """What one part of a key is one of [count]."""
        base: int = max(2, round(self.keys ** (1 / self.key_digits)))
        while base**self.key_digits < self.keys:
            base += 1
        return base

    def size_of(self, width: int | None, depth: int | None) -> Size:
        return filled(width, depth, self.aspect, 4)

    def sizes(self) -> Iterator[Size]:
        return along(itertools.count(4, 4), self.aspect)

    def count_params(self, size: Size) -> Counts:
        embedding = self.key_digits * self.digit_base * size.width
        head = size.width * self.attributes * self.values
        total = embedding + size.depth * (2 * self.ratio * size.width**2 + size.width) + size.width + head
        return Counts(total=total, embedding=embedding, head=head, active=total)

    def flops_per_token(self, size: Size) -> float:
        """Of one key with all its values."""
        weights = size.depth * 2 * self.ratio * size.width**2 + size.width * self.attributes * self.values
        return 6.0 * weights
