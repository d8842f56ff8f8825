"""The methods of pruning, each on the matrices of a network in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.errors import ModelError
from rung.models import OpenModel
from rung.progress import reported
from rung.treat.calibration import loss_of, mean_loss
from rung.treat.layers import Layer, watch_inputs
from rung.treat.masks import Pattern, masks_of
from rung.treat.obert import BlockFisher
from rung.treat.pruning import PRUNERS, Pruning
from rung.treat.sparsegpt import sparsegpt
from rung.units import format_bytes

if TYPE_CHECKING:
    from torch import Tensor

DAMPS = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Damping of the empirical Fisher matrix that is tried where none is given."""

_HELD = 4
"""Of the windows, every fourth is held back to choose the damping."""

_MOST_BYTES = 32e9


@dataclass(slots=True)
class Work:
    """A model that is pruned in place.

    Attributes:
        model: The model.
        layers: Its matrices.
        batches: The text.
        how: The request.
        pattern: Which weights go together.
    """

    model: OpenModel
    layers: Sequence[Layer]
    batches: Sequence[Tensor]
    how: Pruning
    pattern: Pattern

    @property
    def scope(self) -> str:
        """Where the least are sought."""
        return "group" if self.pattern.of else self.how.scope or PRUNERS[self.how.method].scope

    @property
    def sparsity(self) -> float:
        """The share that is pruned."""
        return 1 - self.pattern.kept / self.pattern.of if self.pattern.of else float(self.how.to or 0.0)

    @property
    def tokens(self) -> int:
        """Tokens that the text has."""
        return sum(batch.shape[0] * (batch.shape[1] - 1) for batch in self.batches)

    @property
    def forward(self) -> float:
        """What a pass over the text costs [FLOP]."""
        return self.model.size.flops_per_token(self.batches[0].shape[1] - 1) * self.tokens if self.batches else 0.0

    def keep(self, scores: Sequence[Tensor], layers: Sequence[Layer]) -> None:
        """Prune by scores."""
        for layer, mask in zip(layers, masks_of(scores, self.sparsity, self.pattern, self.scope), strict=True):
            layer.matrix.mul_(mask)

    def by_block(self) -> Iterator[list[Layer]]:
        """The matrices of each block."""
        for number in reported(sorted({layer.block for layer in self.layers}), "blocks"):
            yield [layer for layer in self.layers if layer.block == number]


def _magnitude(work: Work) -> tuple[float | None, float]:
    work.keep([layer.matrix.abs() for layer in work.layers], work.layers)
    return None, 0.0


def _wanda(work: Work) -> tuple[float | None, float]:
    """Block by block, each on what the pruned blocks before it give; over all of them at once where the scope is the model."""
    groups = [list(work.layers)] if work.scope == "global" else list(work.by_block())
    for layers in groups:
        squares: dict[str, Tensor] = {}

        def see(layer: Layer, inputs: Tensor, squares: dict[str, Tensor] = squares) -> None:
            squares[layer.name] = squares.get(layer.name, 0) + inputs.double().square().sum(dim=0)

        watch_inputs(work.model, layers, work.batches, see)
        # A matrix that no token reached, as an expert's may be, has no input to speak of.
        scores = [
            layer.matrix.abs() * squares[layer.name].sqrt() if layer.name in squares else layer.matrix.abs()
            for layer in layers
        ]
        work.keep(scores, layers)
    return None, work.forward * (len(groups) + 1) / 2


def _sparsegpt(work: Work) -> tuple[float | None, float]:
    damp = work.how.damp if work.how.damp is not None else 0.01
    blocks = 0
    for layers in work.by_block():
        blocks += 1
        moments: dict[str, Tensor] = {}

        def see(layer: Layer, inputs: Tensor, moments: dict[str, Tensor] = moments) -> None:
            values = inputs.double()
            moments[layer.name] = moments.get(layer.name, 0) + values.T @ values

        watch_inputs(work.model, layers, work.batches, see)
        unseen = [layer.name for layer in layers if layer.name not in moments]
        if unseen:
            raise ModelError(f"no token of the text reached {unseen[0]}. Give more text: --windows.")
        for layer in layers:
            layer.matrix.copy_(sparsegpt(layer.matrix, moments[layer.name], work.sparsity, work.pattern, damp))
    return damp, work.forward * (blocks + 1) / 2


def _obert(work: Work) -> tuple[float | None, float]:
    """With a damping that is given, or the one that loses least on windows held back."""
    values = 8 * work.how.block * sum(layer.matrix.numel() for layer in work.layers)
    if values > _MOST_BYTES:
        raise ModelError(
            f"the Fisher matrix would take {format_bytes(values)}. Take a smaller --block, or another method."
        )
    held = list(work.batches)[::_HELD] if len(work.batches) > _HELD else list(work.batches)
    seen = [batch for index, batch in enumerate(work.batches) if index % _HELD or len(work.batches) <= _HELD]
    if work.how.damp is not None:
        _obert_once(work, list(work.batches), work.how.damp)
        return work.how.damp, 3 * work.forward * work.how.steps
    start = [layer.matrix.clone() for layer in work.layers]
    found = []
    for damp in DAMPS:
        _obert_once(work, seen, damp)
        found.append((float(mean_loss(work.model, held)), damp))
        for layer, matrix in zip(work.layers, start, strict=True):
            layer.matrix.copy_(matrix)
    finite = [(loss, damp) for loss, damp in found if np.isfinite(loss)]
    if not finite:
        raise ModelError("with every damping that was tried the loss is not finite. Take a larger one: --damp 0.1.")
    damp = min(finite)[1]
    _obert_once(work, list(work.batches), damp)
    return damp, 3 * work.forward * work.how.steps * (len(DAMPS) + 1)


def _obert_once(work: Work, batches: Sequence[Tensor], damp: float) -> None:
    """Reach the share in steps of equal weights, with gradients anew for each."""
    import torch

    kept = [torch.ones_like(layer.matrix, dtype=torch.bool) for layer in work.layers]
    rows = [row[None] for batch in batches for row in batch]
    for step in reported(range(1, work.how.steps + 1), "steps"):
        fishers = [BlockFisher.of(layer.matrix, work.how.block, len(rows), damp) for layer in work.layers]
        for row in rows:
            for fisher, mask, gradient in zip(fishers, kept, _gradients(work, row), strict=True):
                fisher.add(gradient * mask)
        scores = [
            fisher.saliency(layer.matrix, work.pattern).masked_fill(~mask, -torch.inf)
            for fisher, layer, mask in zip(fishers, work.layers, kept, strict=True)
        ]
        masks = masks_of(scores, work.sparsity * step / work.how.steps, work.pattern, work.scope)
        for index, (fisher, layer, mask) in enumerate(zip(fishers, work.layers, masks, strict=True)):
            layer.matrix.copy_(fisher.updated(layer.matrix, mask, kept[index] & ~mask, work.pattern))
            kept[index] = mask


def _gradients(work: Work, row: Tensor) -> list[Tensor]:
    """Of the loss of one window in each matrix (outputs, inputs)."""
    import torch

    weights: list[Any] = [layer.module.weight for layer in work.layers]
    with torch.enable_grad():
        found = torch.autograd.grad(loss_of(work.model, row), weights)
    return [one.T if layer.transposed else one for one, layer in zip(found, work.layers, strict=True)]


PRUNE: Mapping[str, Callable[[Work], tuple[float | None, float]]] = {
    "magnitude": _magnitude,
    "wanda": _wanda,
    "sparsegpt": _sparsegpt,
    "obert": _obert,
}
"""What each method does: prunes in place, and says which damping it used and what it cost [FLOP]."""
