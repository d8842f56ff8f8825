"""A decoder with one number in place of logits: how good a text is, learnt from pairs of which people preferred one."""

from __future__ import annotations

from dataclasses import dataclass

from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.size import Counts, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference(Decoder):
    """A decoder-only transformer with a scalar head on the last token, trained by the loss of Bradley and Terry.

    An item is a pair, so it has two windows of `context` tokens; shorter texts are filled up, and what fills them counts in D.

    Source: Wang et al. 2025, arXiv:2505.10527; Bradley and Terry 1952.
    """

    @property
    def data(self) -> str:
        return "preferences"

    @property
    def item_tokens(self) -> int:
        return 2 * self.context

    def count_params(self, size: Size) -> Counts:
        attention, mlp, router, norms = self._matrices(size)
        embedding = self.vocab * size.width
        # A head of one number per text and the last norm stand outside the layers.
        outside = embedding + 2 * size.width
        return Counts(
            total=outside + size.depth * (attention + max(1, self.experts) * mlp + router + norms),
            embedding=embedding,
            head=size.width,
            active=outside + size.depth * (attention + (self.top if self.experts else 1) * mlp + router + norms),
        )

    def flops_per_token(self, size: Size) -> float:
        """Training FLOPs of one token: those of a decoder without its head [FLOP]."""
        return Decoder.flops_per_token(self, size) - 6.0 * self.vocab * size.width
