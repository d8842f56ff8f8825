"""Which weights stay: masks from scores, over a whole model, a layer or a row, one by one, in blocks or N of M."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rung.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

SCOPES = ("global", "layer", "row")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which weights go together.

    Attributes:
        kept: How many of `of` neighbours along the inputs stay; 0 where weights go one by one or in blocks.
        of: How many neighbours there are.
        block: How many neighbours are pruned or stay together; 1 for one by one.
    """

    kept: int = 0
    of: int = 0
    block: int = 1

    @property
    def group(self) -> int:
        """Neighbours along the inputs that must not be cut apart."""
        return self.of or self.block


def read_pattern(text: str) -> Pattern:
    """A pattern from "unstructured", "block4" or "2:4".

    Raises:
        ModelError: It is none of these.
    """
    if text == "unstructured":
        return Pattern()
    if found := re.fullmatch(r"block(\d+)", text):
        size = int(found[1])
        if size >= 2:
            return Pattern(block=size)
    if found := re.fullmatch(r"(\d+):(\d+)", text):
        kept, of = int(found[1]), int(found[2])
        if 0 < kept < of:
            return Pattern(kept=kept, of=of)
    raise ModelError(
        f"--pattern {text}: choose unstructured, block4 (neighbours that go together) or 2:4 (kept of neighbours)."
    )


def masks_of(scores: Sequence[Tensor], sparsity: float, pattern: Pattern, scope: str) -> list[Tensor]:
    """What stays of some matrices (outputs, inputs) by their scores: the largest.

    Args:
        scores: A score of each weight; -inf for one that is already pruned.
        sparsity: The share that is pruned.
        pattern: Which weights go together; a block has the sum of its scores.
        scope: Where the least are sought: "global", over all matrices, "layer" or "row".
    """
    import torch

    if pattern.of:
        return [_n_of_m(one, pattern) for one in scores]
    summed = [_blocked(one, pattern.block) for one in scores]
    if scope == "row":
        kept = [_rows(one, sparsity) for one in summed]
    elif scope == "layer":
        kept = [_lowest([one], sparsity)[0] for one in summed]
    else:
        kept = _lowest(summed, sparsity)
    return [torch.repeat_interleave(one, pattern.block, dim=1) if pattern.block > 1 else one for one in kept]


def _grouped(matrix: Tensor, size: int) -> Tensor:
    """A matrix (outputs, inputs) with its inputs in groups of neighbours (outputs, groups, size)."""
    return matrix.reshape(matrix.shape[0], -1, size)


def _blocked(scores: Tensor, block: int) -> Tensor:
    return scores if block == 1 else _grouped(scores, block).sum(dim=2)


def _lowest(scores: Sequence[Tensor], sparsity: float) -> list[Tensor]:
    """Exactly the share with the lowest scores is pruned, over all matrices together; of equal ones the first."""
    import torch

    flat = torch.cat([one.flatten() for one in scores])
    pruned = torch.argsort(flat, stable=True)[: round(sparsity * len(flat))]
    kept = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
    kept[pruned] = False
    parts = torch.split(kept, [one.numel() for one in scores])
    return [part.reshape(one.shape) for part, one in zip(parts, scores, strict=True)]


def _rows(scores: Tensor, sparsity: float) -> Tensor:
    import torch

    pruned = torch.argsort(scores, dim=1, stable=True)[:, : int(scores.shape[1] * sparsity)]
    return torch.ones_like(scores, dtype=torch.bool).scatter_(1, pruned, False)


def _n_of_m(scores: Tensor, pattern: Pattern) -> Tensor:
    import torch

    groups = _grouped(scores, pattern.of)
    pruned = torch.argsort(groups, dim=2, stable=True)[..., : pattern.of - pattern.kept]
    return torch.ones_like(groups, dtype=torch.bool).scatter_(2, pruned, False).flatten(1)


def keeps(matrix: Tensor, pattern: Pattern) -> bool:
    """Whether what is not zero in a matrix (outputs, inputs) stands in the pattern."""
    nonzero = matrix != 0
    if pattern.of:
        return bool((_grouped(nonzero, pattern.of).sum(dim=2) <= pattern.kept).all())
    if pattern.block > 1:
        blocks = _grouped(nonzero, pattern.block).sum(dim=2)
        return bool(((blocks == 0) | (blocks == pattern.block)).all())
    return True
