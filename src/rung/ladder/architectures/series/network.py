"""The network of the transformers for time series."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.ladder.architectures.blocks import Attention, GatedMlp, draw_weights, rotary
from rung.ladder.architectures.network import Batch, Net
from rung.ladder.architectures.series.spec import HEAD_WIDTH, SeriesTransformer
from rung.ladder.architectures.size import Size

_MASKED = 0.3
"""Share of the patches of a window that the encoder hides."""


class Block(nn.Module):
    """A layer: attention and a gated MLP, each after a norm and added to the residual stream."""

    def __init__(self, family: SeriesTransformer, width: int) -> None:
        super().__init__()
        head_width = min(width, HEAD_WIDTH)
        heads = width // head_width
        self.norm_attention = nn.RMSNorm(width)
        self.attention = Attention(width, heads, heads, head_width, causal=family.causal, qk_norm=True)
        self.norm_mlp = nn.RMSNorm(width)
        self.mlp = GatedMlp(width, family.hidden(width))

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.attention(self.norm_attention(x), cosine, sine)
        mixed: Tensor = x + self.mlp(self.norm_mlp(x))
        return mixed


class SeriesNet(Net):
    """The distribution of the next patch or of masked ones, with the negative log-likelihood as the loss [nats/point]."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, family: SeriesTransformer, size: Size) -> None:
        super().__init__()
        self.causal, self.patch = family.causal, family.patch
        self.entry = nn.Linear(family.patch, size.width)
        self.blocks = nn.ModuleList(Block(family, size.width) for _ in range(size.depth))
        self.norm = nn.RMSNorm(size.width)
        self.head = nn.Linear(size.width, family.outputs)
        self.mask = None if family.causal else nn.Parameter(torch.zeros(family.patch))
        draw_weights(self, size.depth)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        nn.init.zeros_(self.entry.bias)
        head_width = min(size.width, HEAD_WIDTH)
        cosine, sine = rotary(family.context, head_width // 2, 10_000.0)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        x = self.entry(patches)
        for block in self.blocks:
            x = block(x, self.cosine[: x.shape[1]], self.sine[: x.shape[1]])
        outputs: Tensor = self.head(self.norm(x))
        return outputs

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See Net; a window has context + 1 patches (items, patches, points), of which the encoder drops the last."""
        patches, order = batch
        if self.causal:
            outputs, targets = self(patches[:, :-1]), patches[:, 1:]
        else:
            assert self.mask is not None
            seen = patches[:, :-1]
            hidden = order.argsort(dim=1) < max(1, round(_MASKED * seen.shape[1]))
            outputs = self(torch.where(hidden[..., None], self.mask.to(seen.dtype), seen))[hidden]
            targets = seen[hidden]
        loss = -log_density(outputs.float(), targets.float()).mean()
        return loss, loss


def log_density(described: Tensor, points: Tensor) -> Tensor:
    """Log-density of points (..., P) under mixtures of K Student's t distributions, given by (..., 4 K P) numbers.

        log p(x) = logsumexp_k(log w_k + log t(x; nu_k, mu_k, s_k))
        log t(x; nu, mu, s) = lgamma((nu + 1) / 2) - lgamma(nu / 2) - log(nu pi) / 2 - log(s)
                              - (nu + 1) / 2 log(1 + ((x - mu) / s)^2 / nu)

    The weights w are a softmax of the numbers, nu is 2 + softplus, and s is softplus + 1e-4.
    """
    parts = described.view(*described.shape[:-1], 4, -1, points.shape[-1])
    weight, freedom, location, scale = parts.unbind(dim=-3)
    freedom = 2 + functional.softplus(freedom)
    scale = functional.softplus(scale) + 1e-4  # keeps the density finite
    offset = (points[..., None, :] - location) / scale
    each = (
        torch.lgamma((freedom + 1) / 2)
        - torch.lgamma(freedom / 2)
        - 0.5 * torch.log(freedom * math.pi)
        - torch.log(scale)
        - (freedom + 1) / 2 * torch.log1p(offset**2 / freedom)
    )
    return torch.logsumexp(torch.log_softmax(weight, dim=-2) + each, dim=-2)
