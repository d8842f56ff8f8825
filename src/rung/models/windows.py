"""Windows of a text, in which every token is predicted once.

A window holds up to `context` tokens that are predicted from. The next one begins `stride` tokens later and predicts the last `stride`
of its tokens, so that each token is predicted from at least `context - stride` tokens, or from all that stand before it in its document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window.

    Attributes:
        document: The number of its document.
        tokens: The tokens that are predicted from, and one more (n + 1,).
        scored: How many tokens at its end are predicted here [count].
    """

    document: int
    tokens: NDArray[Any]
    scored: int


def windows_of(document: int, pieces: Iterator[NDArray[Any]], context: int, stride: int) -> Iterator[Window]:
    """The windows of one document, whose tokens come in pieces; none for fewer than two tokens."""
    held, first = np.zeros(0, np.int64), True
    for piece in pieces:
        held = np.concatenate([held, piece])
        while len(held) > context:
            yield Window(document, held[: context + 1], context if first else stride)
            held, first = held[stride:], False
    # What is left was predicted up to its first `context - stride + 1` tokens, unless no window was full.
    done = 1 if first else context - stride + 1
    if len(held) > done:
        yield Window(document, held, len(held) - done)
