"""The optimizer of a rung."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from rung.ladder.recipe import Recipe


class Optimizer:
    """AdamW or SGD over two groups, matrices and vectors, by torch's functional forms.

    The classes of torch.optim are not used: the first object of one imports torch's compiler, which takes longer than a
    small run.
    """

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        self.recipe = recipe
        named = [(name, weight) for name, weight in net.named_parameters() if weight.requires_grad]
        matrices = [(name, weight) for name, weight in named if weight.ndim >= 2]
        vectors = [(name, weight) for name, weight in named if weight.ndim < 2]
        self.names = [name for name, _ in (*matrices, *vectors)]
        self.weights: list[Tensor] = [weight for _, weight in (*matrices, *vectors)]
        self.groups = [slice(0, len(matrices)), slice(len(matrices), len(self.weights))]
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights] if recipe.optimizer == "adamw" else []
        self.counts = [torch.zeros((), dtype=torch.float32, device=weight.device) for weight in self.weights]

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Update the weights by their gradients, at a share of the peak learning rates.

        A negative weight decay -k moves each row w of a matrix towards unit length: w <- w - lr k (1 - 1 / |w|) w.

        Source: Liu et al. 2025, arXiv:2505.10465, for the negative weight decay.
        """
        recipe = self.recipe
        for group, peak, decay in zip(
            self.groups, (recipe.lr, recipe.lr_vectors), (recipe.weight_decay, 0.0), strict=True
        ):
            weights = self.weights[group]
            if not weights:
                continue
            assert isinstance(peak, float)
            assert isinstance(decay, float)
            lr = peak * share
            gradients = [weight.grad if weight.grad is not None else torch.zeros_like(weight) for weight in weights]
            if decay < 0:
                for weight in weights:
                    length = weight.norm(dim=1, keepdim=True).clamp_min(1e-12)
                    weight.mul_(1 + lr * decay * (1 - 1 / length))
            if recipe.optimizer == "adamw":
                adam(
                    weights,
                    gradients,
                    self.means[group],
                    self.squares[group],
                    [],
                    self.counts[group],
                    fused=True,
                    amsgrad=False,
                    beta1=recipe.beta1,
                    beta2=recipe.beta2,
                    lr=lr,
                    weight_decay=max(0.0, decay),
                    eps=recipe.eps,
                    maximize=False,
                    decoupled_weight_decay=True,
                )
            else:
                if decay > 0:
                    torch._foreach_mul_(weights, 1 - lr * decay)  # private, but what torch's own optimizers call
                sgd(
                    weights,
                    gradients,
                    list(self.means[group]),
                    weight_decay=0.0,
                    momentum=recipe.beta1,
                    lr=lr,
                    dampening=0.0,
                    nesterov=False,
                    maximize=False,
                )

    def state(self) -> dict[str, Tensor]:
        """Every tensor that determines the next step, except the weights."""
        parts: dict[str, list[Tensor]] = {"mean": self.means, "square": self.squares, "count": self.counts}
        return {
            f"{part}/{name}": value
            for part, values in parts.items()
            for name, value in zip(self.names, values, strict=bool(values))
        }
