"""The network of the decoder-only transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.ladder.architectures.blocks import Attention, Experts, GatedMlp, Mlp, draw_weights, rotary
from rung.ladder.architectures.decoder.preference import Preference
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.network import Batch, Net, TaughtNet
from rung.ladder.architectures.size import Size

_ALMOST_ALL = -1e-6
"""Logarithm of the largest share of probability that some tokens are taken to have together, so that the rest has a logarithm."""


class Block(nn.Module):
    """A layer: attention and an MLP, each after a norm and added to the residual stream."""

    def __init__(self, family: Decoder, width: int) -> None:
        super().__init__()
        queries, keys = family.heads(width)
        self.norm_attention = nn.RMSNorm(width)
        self.attention = Attention(width, queries, keys, family.head_width, causal=True, qk_norm=family.qk_norm)
        self.norm_mlp: nn.Module | None = None
        self.mlp: nn.Module | None = None
        if family.mlp != "none":
            make = GatedMlp if family.mlp == "swiglu" else Mlp
            hidden = family.hidden(width)
            self.norm_mlp = nn.RMSNorm(width)
            self.mlp = (
                Experts(width, [make(width, hidden) for _ in range(family.experts)], family.top)
                if family.experts
                else make(width, hidden)
            )

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.attention(self.norm_attention(x), cosine, sine)
        if self.mlp is None or self.norm_mlp is None:
            return x
        mixed: Tensor = x + self.mlp(self.norm_mlp(x))
        return mixed


class Trunk(Net):
    """Embedding and layers, with a head of so many numbers per token."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, family: Decoder, size: Size, numbers: int) -> None:
        super().__init__()
        self.balance = family.balance if family.experts else 0.0
        self.embedding = nn.Embedding(family.vocab, size.width)
        self.blocks = nn.ModuleList(Block(family, size.width) for _ in range(size.depth))
        self.norm = nn.RMSNorm(size.width)
        self.head = nn.Linear(size.width, numbers, bias=False)
        draw_weights(self, size.depth)
        nn.init.zeros_(self.head.weight)
        cosine, sine = rotary(family.context, family.head_width, family.rope_base)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def states(self, tokens: Tensor) -> Tensor:
        """The residual stream after the last layer and its norm (items, tokens, width)."""
        x = self.embedding(tokens)
        cosine, sine = self.cosine[: tokens.shape[1]], self.sine[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, cosine, sine)
        normed: Tensor = self.norm(x)
        return normed

    def uneven(self) -> Tensor | float:
        """What uneven use of experts adds to the objective; 0 without experts."""
        if not self.balance:
            return 0.0
        routed = [module.balance for module in self.modules() if isinstance(module, Experts)]
        return self.balance * torch.stack(routed).mean()


class PreferenceNet(Trunk):
    """A score of each text, with -log sigmoid(score of the preferred - score of the other) as the loss [nats/pair]."""

    def __init__(self, family: Preference, size: Size) -> None:
        super().__init__(family, size, numbers=1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Scores of texts (items,), read at their last token.

        Args:
            tokens: Texts, filled up at the right (items, context).
            lengths: How many tokens each has (items,).
        """
        last = self.states(tokens.long())[torch.arange(len(tokens), device=tokens.device), lengths.long() - 1]
        scores: Tensor = self.head(last)[:, 0]
        return scores

    def margins(self, batch: Batch) -> Tensor:
        """Score of the preferred text less that of the other (items,)."""
        preferred, other, lengths, *_ = batch
        scores = self(torch.cat([preferred, other]), torch.cat([lengths[:, 0], lengths[:, 1]])).float()
        margins: Tensor = scores[: len(preferred)] - scores[len(preferred) :]
        return margins

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        loss = -functional.logsigmoid(self.margins(batch)).mean()
        objective: Tensor = loss + self.uneven()
        return objective, loss

    def measures(self, batch: Batch) -> dict[str, Tensor]:
        """The share of pairs whose preferred text scores higher; half of a tie counts."""
        margins = self.margins(batch)
        return {"accuracy": ((margins > 0).float() + 0.5 * (margins == 0).float()).mean()}


class DecoderNet(Trunk, TaughtNet):
    """Logits of the next token, with their cross-entropy as the loss [nats/token]."""

    def __init__(self, family: Decoder, size: Size) -> None:
        super().__init__(family, size, numbers=family.vocab)
        if family.tied:
            nn.init.normal_(self.embedding.weight, std=size.width**-0.5)
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.states(tokens))
        return logits

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        _, loss = self._hard(batch[0].long())
        return loss + self.uneven(), loss

    def taught(self, batch: Batch, soft: float, temperature: float) -> tuple[Tensor, Tensor]:
        """(1 - soft) CE + soft (KL(P, Q) + P T^2 sum_k p_k (log p_k - log q_k)), over the teacher's k likeliest tokens.

        P and Q are the shares of probability that teacher and student give to these tokens together, and KL(P, Q) is that of having one
        of them or not; p and q are the softmax over them alone at temperature T. At T = 1 it is the divergence over k + 1 outcomes,
        the last of which is any other token, so that little is lost by keeping k of them.

        Source: Hinton et al. 2015, arXiv:1503.02531, for T^2 and the two parts of the objective.
        """
        tokens, likeliest, log_p = batch
        logits, loss = self._hard(tokens.long())
        log_p, of_teacher = log_p.float(), likeliest.long()
        chosen = logits.float().gather(-1, of_teacher)
        mass_p = log_p.logsumexp(-1).clamp(max=_ALMOST_ALL)
        mass_q = (chosen.logsumexp(-1) - logits.float().logsumexp(-1)).clamp(max=_ALMOST_ALL)
        rest_p, rest_q = torch.log(-torch.expm1(mass_p)), torch.log(-torch.expm1(mass_q))
        among = mass_p.exp() * (mass_p - mass_q) + rest_p.exp() * (rest_p - rest_q)
        teacher = functional.log_softmax(log_p / temperature, dim=-1)
        student = functional.log_softmax(chosen / temperature, dim=-1)
        within = (teacher.exp() * (teacher - student)).sum(dim=-1)
        apart = (among + mass_p.exp() * temperature**2 * within).mean()
        return (1 - soft) * loss + soft * apart + self.uneven(), loss

    def _hard(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and their cross-entropy with the tokens that follow."""
        logits = self(tokens[:, :-1])
        return logits, functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].reshape(-1))
