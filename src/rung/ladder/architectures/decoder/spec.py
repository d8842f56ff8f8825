"""Decoder-only transformers: GPT style, Llama style, mixtures of experts, and with a small MLP or none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from rung.errors import LadderError
from rung.ladder.architectures.size import Counts, Size, Variant, along, filled, require_positive

MLPS = ("gelu", "swiglu", "none")
"""Kinds of MLP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A decoder-only transformer with pre-normalisation, rotary positions and no biases.

    The default vocabulary is that of bytes. The other default sizes (context, head_width, aspect, top) are assumptions,
    not tuned.

    Source: Vaswani et al. 2017, arXiv:1706.03762; rotary positions, Su et al. 2021, arXiv:2104.09864; gated MLP,
    Shazeer 2020, arXiv:2002.05202; experts, Shazeer et al. 2017, arXiv:1701.06538 (top-k of a softmax, no token
    dropped).

    Attributes:
        vocab: Size of the vocabulary [count].
        context: Tokens in a window [count].
        head_width: Width of an attention head; widths are multiples of it [count].
        aspect: Width over depth by the size rule, used if a rung gives only one of the two.
        kv_heads: Key and value heads; 0 for as many as query heads [count].
        mlp: gelu, swiglu or none.
        mlp_ratio: Hidden width of an MLP over the width of the model.
        mlp_multiple: The hidden width is rounded up to a multiple of this [count].
        experts: MLPs in a layer, of which each token uses `top`; 0 for a single MLP [count].
        top: Experts that a token uses [count].
        balance: Weight of the loss that balances the use of the experts; an assumption, not tuned.
        tied: Whether the head shares the weights of the embedding.
        qk_norm: Whether queries and keys are normalised.
        rope_base: Base of the rotary angles.
    """

    vocab: int = 256
    context: int = 128
    head_width: int = 64
    aspect: float = 64.0
    kv_heads: int = 0
    mlp: str = "gelu"
    mlp_ratio: float = 4.0
    mlp_multiple: int = 1
    experts: int = 0
    top: int = 2
    balance: float = 0.01
    tied: bool = False
    qk_norm: bool = False
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "context", "head_width", "mlp_multiple", "aspect", "mlp_ratio", "rope_base")
        if self.kv_heads < 0 or self.experts < 0:
            raise LadderError("kv_heads and experts must not be negative.")
        if self.head_width % 2:
            raise LadderError(f"head_width = {self.head_width} must be even: rotary positions rotate pairs.")
        if self.mlp not in MLPS:
            raise LadderError(f"mlp = {self.mlp!r} is not known; it is one of {', '.join(MLPS)}.")
        if self.experts and not 1 <= self.top <= self.experts:
            raise LadderError(f"top = {self.top} must lie between 1 and experts = {self.experts}.")
        if self.experts and self.mlp == "none":
            raise LadderError('experts are MLPs, so they need an mlp other than "none".')

    @property
    def data(self) -> str:
        return "tokens"

    @property
    def item_tokens(self) -> int:
        return self.context

    def hidden(self, width: int) -> int:
        """Hidden width of one MLP [count]."""
        return -(-int(self.mlp_ratio * width) // self.mlp_multiple) * self.mlp_multiple

    def heads(self, width: int) -> tuple[int, int]:
        """Query heads, and key and value heads [count].

        Raises:
            LadderError: The number of query heads is not a multiple of `kv_heads`.
        """
        queries = width // self.head_width
        keys = self.kv_heads or queries
        if queries % keys:
            raise LadderError(f"width = {width} has {queries} heads, which is no multiple of kv_heads = {keys}.")
        return queries, keys

    def size_of(self, width: int | None, depth: int | None) -> Size:
        size = filled(width, depth, self.aspect, self.head_width)
        self.heads(size.width)
        return size

    def sizes(self) -> Iterator[Size]:
        step = self.head_width * max(1, self.kv_heads)
        return along(itertools.count(step, step), self.aspect)

    def _matrices(self, size: Size) -> tuple[int, int, int, int]:
        """Parameters of a layer: attention, one MLP, router, norms [count]."""
        queries, keys = self.heads(size.width)
        attention = 2 * size.width * self.head_width * (queries + keys)
        mlp = {"gelu": 2, "swiglu": 3, "none": 0}[self.mlp] * size.width * self.hidden(size.width)
        norms = (1 if self.mlp == "none" else 2) * size.width + (2 * self.head_width if self.qk_norm else 0)
        return attention, mlp, size.width * self.experts, norms

    def count_params(self, size: Size) -> Counts:
        attention, mlp, router, norms = self._matrices(size)
        embedding = self.vocab * size.width
        head = 0 if self.tied else embedding
        outside = embedding + head + size.width
        return Counts(
            total=outside + size.depth * (attention + max(1, self.experts) * mlp + router + norms),
            embedding=embedding,
            head=head,
            active=outside + size.depth * (attention + (self.top if self.experts else 1) * mlp + router + norms),
        )

    def flops_per_token(self, size: Size) -> float:
        """Training FLOPs of one token [FLOP].

        C = 3 (2 W + 4 L h d T), with W weights in products, and L layers with attention of h heads of width d over T
        positions. The factor 3 is one forward pass and a backward pass of twice its cost; the causal mask is not
        deducted.

        Source: Kaplan et al. 2020, arXiv:2001.08361, table 1; Chowdhery et al. 2022, arXiv:2204.02311, appendix B.
        """
        attention, mlp, router, _ = self._matrices(size)
        weights = size.depth * (attention + (self.top if self.experts else 1) * mlp + router) + self.vocab * size.width
        pairs = size.depth * self.heads(size.width)[0] * self.head_width * self.context
        return 3.0 * (2 * weights + 4 * pairs)


_LLAMA: dict[str, int | float | str | bool] = {
    "vocab": 32_000,
    "context": 2048,
    "head_width": 128,
    "mlp": "swiglu",
    "mlp_ratio": 8 / 3,
    "mlp_multiple": 256,
}
_MIXTRAL: dict[str, int | float | str | bool] = {
    "vocab": 32_000,
    "context": 4096,
    "head_width": 128,
    "kv_heads": 8,
    "mlp": "swiglu",
    "mlp_ratio": 3.5,
    "experts": 8,
    "top": 2,
}
PUBLISHED: tuple[Variant, ...] = (
    *(
        Variant(
            name=f"llama-{name}",
            size=Size(width, depth),
            options=_LLAMA,
            params=params,
            convention="total",
            within=0.1e9,  # the table truncates instead of rounding
            source="Touvron et al. 2023, arXiv:2302.13971, table 2",
        )
        for name, width, depth, params in (
            ("7b", 4096, 32, 6.7e9),
            ("13b", 5120, 40, 13.0e9),
            ("33b", 6656, 60, 32.5e9),
            ("65b", 8192, 80, 65.2e9),
        )
    ),
    Variant(
        name="mixtral-8x7b",
        size=Size(4096, 32),
        options=_MIXTRAL,
        params=47e9,
        convention="total",
        within=0.5e9,
        source="Jiang et al. 2024, arXiv:2401.04088, section 2",
    ),
)
"""Published models of this family, with the options that reproduce them."""
