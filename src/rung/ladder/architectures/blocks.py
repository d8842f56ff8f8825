"""Parts that transformers share: rotary positions, attention and MLPs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def rotary(positions: int, width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles, two tensors (positions, width / 2).

    The angle of position p in pair i of w / 2 pairs is p * base^(-2 i / w).

    Source: Su et al. 2021, arXiv:2104.09864.
    """
    angle = torch.outer(torch.arange(positions), base ** (-torch.arange(width // 2) / (width // 2)))
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate pairs of the first dimensions of each head by the angles of the position; the other dimensions stay."""
    rotated = 2 * cosine.shape[-1]
    kept = x[..., rotated:]
    first, second = x[..., :rotated].chunk(2, dim=-1)
    parts = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.cat((*parts, kept) if kept.shape[-1] else parts, dim=-1)


class Attention(nn.Module):
    """Attention with `queries` query heads and `keys` key and value heads, with rotary positions."""

    def __init__(self, width: int, queries: int, keys: int, head_width: int, *, causal: bool, qk_norm: bool) -> None:
        super().__init__()
        self.queries, self.keys, self.head_width, self.causal = queries, keys, head_width, causal
        self.query_key_value = nn.Linear(width, (queries + 2 * keys) * head_width, bias=False)
        self.output = nn.Linear(queries * head_width, width, bias=False)
        self.norm_query = nn.RMSNorm(head_width) if qk_norm else nn.Identity()
        self.norm_key = nn.RMSNorm(head_width) if qk_norm else nn.Identity()

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, length, _ = x.shape
        heads = (
            self.query_key_value(x).view(batch, length, self.queries + 2 * self.keys, self.head_width).transpose(1, 2)
        )
        query, key, value = heads.split((self.queries, self.keys, self.keys), dim=1)
        attended = functional.scaled_dot_product_attention(
            rotate(self.norm_query(query), cosine, sine),
            rotate(self.norm_key(key), cosine, sine),
            value,
            is_causal=self.causal,
            enable_gqa=self.queries != self.keys,
        )
        projected: Tensor = self.output(attended.transpose(1, 2).reshape(batch, length, -1))
        return projected


class Mlp(nn.Module):
    """An MLP: down(GELU(up(x)))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(functional.gelu(self.up(x), approximate="tanh"))
        return out


class GatedMlp(nn.Module):
    """A gated MLP: down(SiLU(gate(x)) * up(x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.down(functional.silu(gate) * up)
        return out


class Experts(nn.Module):
    """MLPs of which a router selects `top` for each token; no token is dropped.

    `balance` is n * sum_i f_i P_i of the last batch, with n experts, f_i the share of the selections that go to expert
    i and P_i its mean probability. It is 1 if all experts are used equally.
    """

    def __init__(self, width: int, experts: list[nn.Module], top: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, len(experts), bias=False)
        self.experts = nn.ModuleList(experts)
        self.top = top
        self.balance = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        share = functional.softmax(self.router(flat).float(), dim=-1)
        weight, chosen = share.topk(self.top, dim=-1)
        weight = (weight / weight.sum(dim=-1, keepdim=True)).to(x.dtype)
        used = functional.one_hot(chosen, len(self.experts)).sum(dim=1)
        self.balance = len(self.experts) * (used.float().mean(dim=0) / self.top * share.mean(dim=0)).sum()
        out = torch.zeros_like(flat)
        for index, expert in enumerate(self.experts):
            token, rank = (chosen == index).nonzero(as_tuple=True)
            out = out.index_add(0, token, expert(flat[token]) * weight[token, rank, None])
        return out.view_as(x)


def draw_weights(net: nn.Module, depth: int) -> None:
    """Draw the initial weights of matrices from a normal distribution.

    The standard deviation is 1 for embeddings, 1 / sqrt(fan_in) for other matrices, and 1 / sqrt(2 * depth * fan_in)
    for those that write to the residual stream.

    Source: Radford et al. 2019 (GPT-2), section 2.3, for the residual scaling.
    """
    for name, parameter in net.named_parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=1.0 if "embedding" in name else parameter.shape[1] ** -0.5)
    for name, parameter in net.named_parameters():
        if name.endswith(("output.weight", "down.weight")):
            nn.init.normal_(parameter, std=(2 * depth * parameter.shape[1]) ** -0.5)
