"""The network of the decoder-only transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.ladder.architectures.blocks import Attention, Experts, GatedMlp, Mlp, draw_weights, rotary
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.network import Batch, Net
from rung.ladder.architectures.size import Size


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


class DecoderNet(Net):
    """Logits of the next token, with their cross-entropy as the loss [nats/token]."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, family: Decoder, size: Size) -> None:
        super().__init__()
        self.balance = family.balance if family.experts else 0.0
        self.embedding = nn.Embedding(family.vocab, size.width)
        self.blocks = nn.ModuleList(Block(family, size.width) for _ in range(size.depth))
        self.norm = nn.RMSNorm(size.width)
        self.head = nn.Linear(size.width, family.vocab, bias=False)
        draw_weights(self, size.depth)
        if family.tied:
            nn.init.normal_(self.embedding.weight, std=size.width**-0.5)
            self.head.weight = self.embedding.weight
        else:
            nn.init.zeros_(self.head.weight)
        cosine, sine = rotary(family.context, family.head_width, family.rope_base)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        cosine, sine = self.cosine[: tokens.shape[1]], self.sine[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, cosine, sine)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        (tokens,) = batch
        tokens = tokens.long()
        logits = self(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].reshape(-1))
        if not self.balance:
            return loss, loss
        routed = [module.balance for module in self.modules() if isinstance(module, Experts)]
        uneven = torch.stack(routed).mean()
        return loss + self.balance * uneven, loss
