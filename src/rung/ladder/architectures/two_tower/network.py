"""The network of the two towers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.ladder.architectures.blocks import Mlp, draw_weights
from rung.ladder.architectures.network import Batch, PairNet
from rung.ladder.architectures.size import Size
from rung.ladder.architectures.two_tower.spec import TwoTower


class Tower(nn.Module):
    """A residual MLP from one view to a unit embedding."""

    def __init__(self, family: TwoTower, size: Size) -> None:
        super().__init__()
        self.entry = nn.Linear(family.inputs, size.width)
        self.norms = nn.ModuleList(nn.RMSNorm(size.width) for _ in range(size.depth))
        self.blocks = nn.ModuleList(Mlp(size.width, family.ratio * size.width) for _ in range(size.depth))
        self.norm = nn.RMSNorm(size.width)
        self.head = nn.Linear(size.width, family.embedding_width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x))
        return functional.normalize(self.head(self.norm(x)), dim=-1)


class TowersNet(PairNet):
    """Unit embeddings of both views, with a symmetric cross-entropy as the loss [nats/pair].

    For embeddings l_i and r_i of n pairs and temperature t, the logits are l_i . r_j / t. The loss is the mean of the
    cross-entropies of finding r_i among all r_j and l_i among all l_j.
    """

    def __init__(self, family: TwoTower, size: Size) -> None:
        super().__init__()
        self.left = Tower(family, size)
        self.right = Tower(family, size)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.07)))  # the start in arXiv:2103.00020
        draw_weights(self, size.depth)

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        left, right = batch
        return self.left(left), self.right(right)

    def compare(self, left: Tensor, right: Tensor) -> Tensor:
        logits = left @ right.T / self.log_temperature.exp()
        partner = torch.arange(len(left), device=left.device)
        return (functional.cross_entropy(logits, partner) + functional.cross_entropy(logits.T, partner)) / 2
