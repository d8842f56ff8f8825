"""The layers of a network that are pruned: the matrices in its blocks, by the name under which they are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rung.errors import ModelError
from rung.models import OpenModel, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A linear layer.

    Attributes:
        name: The tensor that stores its matrix.
        module: The layer.
        transposed: Whether the matrix is stored as (inputs, outputs), as GPT-2 does.
        block: The number of the block that it stands in.
    """

    name: str
    module: nn.Module
    transposed: bool
    block: int

    @property
    def matrix(self) -> Tensor:
        """The matrix (outputs, inputs), a view of the network's own."""
        weight: Any = self.module.weight
        found: Tensor = weight.detach().T if self.transposed else weight.detach()
        return found


def layers_of(model: OpenModel, weights: Weights) -> list[Layer]:
    """The linear layers in the blocks of a network, in their order; embedding and head are left as they are.

    Raises:
        ModelError: The network has no blocks, or a matrix of them is not stored under its name.
    """
    from torch import nn

    blocks = _blocks(model.network)
    found, lost = [], []
    for index, (prefix, block) in enumerate(blocks):
        for name, module in block.named_modules():
            transposed = type(module).__name__ == "Conv1D"
            if not isinstance(module, nn.Linear) and not transposed:
                continue
            stored = _stored(f"{prefix}.{name}.weight", weights.tensors)
            if stored is None:
                lost.append(f"{prefix}.{name}.weight")
            else:
                found.append(Layer(stored, module, transposed, index))
    if lost:
        raise ModelError(f"{weights.place}: {lost[0]} is not stored under that name ({len(lost)} such layers).")
    if not found:
        raise ModelError(f"{weights.place}: no block of the network has a linear layer that could be pruned.")
    return found


def _blocks(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The blocks: the longest list of modules of one class, or the shallowest of such."""
    from torch import nn

    lists = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(one) for one in module}) == 1
    ]
    if not lists:
        raise ModelError("the network has no list of blocks, so it is not known what to prune.")
    name, best = max(lists, key=lambda pair: (len(pair[1]), -pair[0].count(".")))
    return [(f"{name}.{index}", block) for index, block in enumerate(best)]


def _stored(name: str, tensors: Mapping[str, Any]) -> str | None:
    """The name of a tensor in the files: its own, or the only one without the prefix of the whole network."""
    if name in tensors:
        return name
    ends = [stored for stored in tensors if name.endswith(f".{stored}") or stored.endswith(f".{name}")]
    return ends[0] if len(ends) == 1 else None


class _Reached(Exception):  # noqa: N818  # no error: it ends a forward pass early
    """A forward pass has come as far as it is needed."""


def watch_inputs(
    model: OpenModel, layers: Sequence[Layer], batches: Sequence[Tensor], see: Callable[[Layer, Tensor], None]
) -> None:
    """Run windows of tokens as far as the layers, and show the inputs of each (tokens, inputs); the last token is only predicted."""
    import torch

    waiting: set[int] = set()
    hooks = []

    def hook(layer: Layer) -> Any:
        def seen(_module: Any, given: Any) -> None:
            see(layer, given[0].detach().flatten(0, -2).float())
            waiting.discard(id(layer))

        return seen

    def left(_module: Any, _given: Any, _out: Any) -> None:
        if not waiting:
            raise _Reached

    for layer in layers:
        hooks.append(layer.module.register_forward_pre_hook(hook(layer)))
        hooks.append(layer.module.register_forward_hook(left))
    try:
        with torch.inference_mode():
            for tokens in batches:
                waiting |= {id(layer) for layer in layers}
                try:
                    model.logits(tokens[:, :-1])
                except _Reached:
                    continue
    finally:
        for one in hooks:
            one.remove()
