"""Two small models: features in superposition, and a memory of keys and values.

The default numbers of the options are assumptions, not tuned.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rung.ladder.architectures.size import Counts, Size, along, filled, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Superposition:
    """A toy model of superposition: n sparse features are represented by m < n directions, y = ReLU(W W' x + b).

    The width is m.

    Source: Elhage et al. 2022, arXiv:2209.10652; Liu et al. 2025, arXiv:2505.10465.

    Attributes:
        features: Features n [count].
        loss_scale: Factor on the loss that training minimises; the reported loss is without it.
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
        """10 n m: two products forward (4 n m), twice that backward, less the gradient of the input (2 n m) [FLOP]."""
        return 10.0 * self.features * size.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Memoriser:
    """A small model that stores facts in its weights: key embedding, residual MLPs, and logits of each value.

    Source: after Allen-Zhu and Li 2024, arXiv:2404.05405.

    Attributes:
        keys: Distinct keys [count].
        attributes: Values of one key [count].
        values: Distinct values of each attribute [count].
        ratio: Hidden width of a block over the width of the model.
        key_digits: Digits in which a key is written; each digit has its own embedding table [count].
        aspect: Width over depth by the size rule, used if a rung gives only one of the two.
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
        """Distinct values of one digit of a key [count]."""
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
        """Training FLOPs of one key with all its values: 6 per weight in a product [FLOP]."""
        weights = size.depth * 2 * self.ratio * size.width**2 + size.width * self.attributes * self.values
        return 6.0 * weights
