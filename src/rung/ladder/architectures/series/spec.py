"""Transformers for time series: an encoder and a decoder with the same layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rung.errors import LadderError
from rung.ladder.architectures.size import Counts, Size, Variant, along, filled, require_positive

HEAD_WIDTH = 64
"""Width of an attention head; narrower models have a single head [count]."""
_COMPONENTS = 4
"""Components of the mixture of each point [count]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTransformer:
    """A transformer over patches of a time series that predicts a mixture of Student's t distributions.

    Source: Yao et al. 2024, arXiv:2410.12360: normalised queries and keys, rotary positions on half of each head, and a
    gated MLP whose hidden width is 8/3 of the width, rounded up to a multiple of 8.
    Differs: in the encoder, a learned patch replaces the masked patches, 30 % of each window.

    Attributes:
        causal: True for the decoder, which predicts the next patch; False for the encoder, which predicts masked ones.
        context: Patches in a window [count].
        patch: Points in a patch [count].
        aspect: Width over depth by the size rule, used if a rung gives only one of the two.
    """

    causal: bool = True
    context: int = 16
    patch: int = 32
    aspect: float = 42.7  # 1024 / 24: the ratio of the published sizes of 3M and of 30M to 1B

    def __post_init__(self) -> None:
        require_positive(self, "aspect")
        if self.context < 2 or self.patch < 1:
            raise LadderError("context must be at least 2 patches, and patch at least 1 point.")

    @property
    def data(self) -> str:
        return "series"

    @property
    def item_tokens(self) -> int:
        return self.context

    @staticmethod
    def hidden(width: int) -> int:
        """Hidden width of the MLP [count]."""
        return -(-int(4 * width * 2 / 3) // 8) * 8

    @property
    def outputs(self) -> int:
        """Outputs per patch: weight, degrees of freedom, location and scale of each component at each point [count]."""
        return 4 * _COMPONENTS * self.patch

    def size_of(self, width: int | None, depth: int | None) -> Size:
        size = filled(width, depth, self.aspect, 8)
        if size.width > HEAD_WIDTH and size.width % HEAD_WIDTH:
            raise LadderError(f"width = {size.width} cannot be built: above {HEAD_WIDTH} it must be a multiple of it.")
        return size

    def sizes(self) -> Iterator[Size]:
        return along(itertools.chain(range(8, HEAD_WIDTH, 8), itertools.count(HEAD_WIDTH, HEAD_WIDTH)), self.aspect)

    def count_params(self, size: Size) -> Counts:
        width = size.width
        block = 4 * width**2 + 3 * width * self.hidden(width) + 2 * width + 2 * min(width, HEAD_WIDTH)
        inside = self.patch * width + width
        mask = 0 if self.causal else self.patch
        head = width * self.outputs + self.outputs
        total = size.depth * block + width + inside + mask + head
        return Counts(total=total, embedding=inside + mask, head=head, active=total)

    def flops_per_token(self, size: Size) -> float:
        """Training FLOPs of one patch, as for a decoder [FLOP].

        The input layer counts without the gradient of its input, except in the encoder, whose learned patch needs it.
        """
        width = size.width
        weights = size.depth * (4 * width**2 + 3 * width * self.hidden(width)) + width * self.outputs
        pairs = size.depth * width * self.context
        entering = 2 * self.patch * width * (2 if self.causal else 3)
        return 3.0 * (2 * weights + 4 * pairs) + entering


_SOURCE = "arXiv:2410.12360, model configurations and MODELSIZE2PARAM of its repository"
"""Source of the published sizes."""
LADDER: dict[str, tuple[Size, int]] = {
    "1K": (Size(8, 1), 872),
    "10K": (Size(24, 2), 7_032),
    "100K": (Size(64, 2), 100_928),
    "300K": (Size(64, 6), 302_656),
    "1M": (Size(192, 4), 1_771_712),
    "3M": (Size(256, 6), 4_747_264),
    "10M": (Size(384, 8), 14_100_000),
    "30M": (Size(512, 12), 37_800_000),
    "100M": (Size(768, 18), 127_000_000),
    "300M": (Size(1024, 24), 302_000_000),
    "1B": (Size(1536, 36), 1_016_000_000),
    "1B decoder": (Size(1536, 32), 1_016_000_000),
}
"""The authors' models: size in their configurations, and parameters in their table of sizes; two entries disagree."""

PUBLISHED: tuple[Variant, ...] = tuple(
    Variant(
        name=name,
        size=size,
        options={"causal": name == "1B decoder"},
        params=params,
        convention="non_embedding",
        within=0.005 * params,
        source=_SOURCE,
    )
    for name, (size, params) in LADDER.items()
)
"""The same models in the form that all families share."""
