"""The networks of the toy model of superposition and of the memoriser."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.ladder.architectures.blocks import Mlp, draw_weights
from rung.ladder.architectures.features.spec import Memoriser, Superposition
from rung.ladder.architectures.network import Batch, Net
from rung.ladder.architectures.size import Size


class SuperpositionNet(Net):
    """y = ReLU(W W' x + b), with the mean squared error over features as the loss."""

    def __init__(self, family: Superposition, size: Size) -> None:
        super().__init__()
        self.loss_scale = family.loss_scale
        self.directions = nn.Parameter(torch.randn(family.features, size.width) / size.width**0.5)
        self.bias = nn.Parameter(torch.randn(family.features))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x @ self.directions @ self.directions.T + self.bias)

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        (x,) = batch
        loss = functional.mse_loss(self(x), x)
        return self.loss_scale * loss, loss


class MemoriserNet(Net):
    """Logits of every attribute of a key, with the mean cross-entropy of a value as the loss [nats/value]."""

    def __init__(self, family: Memoriser, size: Size) -> None:
        super().__init__()
        self.base, self.digits, self.attributes = family.digit_base, family.key_digits, family.attributes
        self.embedding = nn.Embedding(family.key_digits * family.digit_base, size.width)
        self.norms = nn.ModuleList(nn.RMSNorm(size.width) for _ in range(size.depth))
        self.blocks = nn.ModuleList(Mlp(size.width, family.ratio * size.width) for _ in range(size.depth))
        self.norm = nn.RMSNorm(size.width)
        self.head = nn.Linear(size.width, family.attributes * family.values, bias=False)
        draw_weights(self, size.depth)

    def forward(self, keys: Tensor) -> Tensor:
        """Logits (items, attributes, values)."""
        parts = [keys // self.base**digit % self.base + digit * self.base for digit in range(self.digits)]
        x = self.embedding(torch.stack(parts, dim=-1)).sum(dim=-2)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x))
        logits: Tensor = self.head(self.norm(x)).unflatten(-1, (self.attributes, -1))
        return logits

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        keys, values = batch
        loss = functional.cross_entropy(self(keys.long()).flatten(0, 1).float(), values.long().flatten())
        return loss, loss
