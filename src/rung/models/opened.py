"""A model in memory, of whatever origin, as far as it takes to measure it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rung.models.size import ModelSize

if TYPE_CHECKING:
    from torch import Tensor, nn

Tokens = NDArray[np.int64]
"""The tokens of a text (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenModel:
    """A causal language model.

    Attributes:
        name: How it is called: the last part of its place.
        origin: "transformers" or "ladder".
        network: The network, in evaluation mode.
        size: How large it is.
        context: The most tokens that it predicts from [count].
        vocab: The tokens that it tells apart [count].
        start: The token that stands before a text; None where the model has none.
        encode: From a text to its tokens, without special ones.
        spelt: The bytes that one token stands for.
        logits: From tokens (B, T) to the logits of the next one (B, T, vocab).
        device: Where it computes.
        unused: Tensors of its files that the network has no place for.
        unknown: The token that stands for what its tokenizer cannot spell; None where it has none.
        decode: From tokens to their text, for tokenizers whose tokens are not spelt one by one; None where they are.
        ends: Tokens that end a text.
    """

    name: str
    origin: str
    network: nn.Module
    size: ModelSize
    context: int
    vocab: int
    start: int | None
    encode: Callable[[bytes], Tokens]
    spelt: Callable[[int], bytes]
    logits: Callable[[Tensor], Tensor]
    device: Any
    unused: tuple[str, ...] = ()
    unknown: int | None = None
    decode: Callable[[Sequence[int]], str] | None = None
    ends: frozenset[int] = frozenset()

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text that tokens stand for together."""
        if self.decode is not None:
            return self.decode(tokens)
        return b"".join(map(self.spelt, tokens)).decode("utf-8", "replace")


_SAMPLE = "The quick brown fox, 123 == x;\n\té 漢字".encode()


def same_tokens(one: OpenModel, other: OpenModel) -> bool:
    """Whether two models make a sample of text into the same tokens, out of as many."""
    return one.vocab == other.vocab and np.array_equal(one.encode(_SAMPLE), other.encode(_SAMPLE))
