"""The text that a treatment looks at, as batches of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rung.errors import ModelError
from rung.models import OpenModel, documents, is_no_text

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 8
"""Windows of a batch."""


def windows_of_text(
    model: OpenModel, places: Sequence[str], *, count: int, context: int | None, seed: int = 0, fewer: bool = False
) -> list[Tensor]:
    """Windows of equal length out of a text, in batches (rows, tokens + 1).

    The documents stand one after another, each behind the token that begins texts; windows are drawn from the whole at random, without
    overlap; with `fewer` as many as there are where the text is too short for all.

    Raises:
        ModelError: The text is too short for them.
    """
    import torch

    if context is not None and not 2 <= context <= model.context:
        raise ModelError(f"--context {context} must lie between 2 and {model.context}, which is what the model has.")
    length = context or model.context
    tokens = np.concatenate([np.zeros(0, np.int64), *_tokens(model, places)])
    available = (len(tokens) - 1) // length
    count = min(count, max(available, 1)) if fewer else count
    if available < count:
        raise ModelError(
            f"the text has {len(tokens):,} tokens, which are {available} windows of {length}, and {count} are asked for. "
            "Give more text, or ask for fewer: --windows."
        )
    starts = length * np.sort(np.random.default_rng(seed).permutation(available)[:count])
    windows = torch.from_numpy(np.stack([tokens[start : start + length + 1] for start in starts]))
    return [windows[first : first + _ROWS].to(model.device) for first in range(0, count, _ROWS)]


def _tokens(model: OpenModel, places: Sequence[str]) -> Iterator[np.ndarray]:
    head = [] if model.start is None else [np.array([model.start], np.int64)]
    for name, pieces in documents(places):
        yield from head
        for piece in pieces:
            if is_no_text(piece):
                raise ModelError(f"{name} is no text in UTF-8. Convert it, or leave it out.")
            yield model.encode(piece).astype(np.int64)


def mean_loss(model: OpenModel, batches: Sequence[Tensor]) -> Tensor:
    """The mean loss of batches [nats/token]."""
    import torch

    with torch.no_grad():
        losses = [loss_of(model, tokens) * tokens.shape[0] for tokens in batches]
    return torch.stack(losses).sum() / sum(tokens.shape[0] for tokens in batches)


def loss_of(model: OpenModel, tokens: Tensor) -> Tensor:
    """The loss of a batch of equal windows (rows, tokens + 1) [nats/token]."""
    from torch.nn import functional

    logits = model.logits(tokens[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].reshape(-1))
