"""The Optimal BERT Surgeon: saliencies and updates from an empirical Fisher matrix in blocks.

Source: Kurtic et al. 2022, arXiv:2203.07259, equations 4 to 8: F = damp I + 1 / m sum g g^T in blocks of B neighbours along the flattened weights;
its inverse by Woodbury's formula, a gradient at a time.

Shapes: `b` blocks, `B` weights in a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rung.treat.masks import Pattern

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class BlockFisher:
    """The inverse of the empirical Fisher matrix of one matrix of weights.

    Attributes:
        inverse: Its blocks (b, B, B).
        shape: The shape of the matrix.
        gradients: m, how many gradients there will be [count].
    """

    inverse: Tensor
    shape: tuple[int, int]
    gradients: int

    @classmethod
    def of(cls, matrix: Tensor, size: int, gradients: int, damp: float) -> BlockFisher:
        """That of no gradient yet: I / damp."""
        import torch

        size = min(size, matrix.numel())
        blocks = -(-matrix.numel() // size)
        eye = torch.eye(size, dtype=torch.float64, device=matrix.device) / damp
        return cls(eye.repeat(blocks, 1, 1), (matrix.shape[0], matrix.shape[1]), gradients)

    def add(self, gradient: Tensor) -> None:
        """Add a gradient (outputs, inputs): F^-1 <- F^-1 - v v^T / (m + g^T v), v = F^-1 g."""
        g = self._in_blocks(gradient)
        v = (self.inverse @ g[:, :, None])[:, :, 0]
        below = self.gradients + (g * v).sum(dim=1)
        self.inverse -= v[:, :, None] * (v / below[:, None])[:, None, :]

    def saliency(self, matrix: Tensor, pattern: Pattern) -> Tensor:
        """What removing each weight costs, w^2 / (2 [F^-1]_pp), or each block of weights, shared among its members (outputs, inputs)."""
        import torch

        weights = self._in_blocks(matrix)
        if pattern.block == 1:
            diagonal = self.inverse.diagonal(dim1=1, dim2=2)
            return self._as_matrix(weights**2 / (2 * diagonal))
        w = weights.reshape(len(weights), -1, pattern.block)
        inner = self._inner(pattern.block)
        whole = 0.5 * (w * torch.linalg.solve(inner, w[..., None])[..., 0]).sum(dim=2)
        shared = torch.repeat_interleave(whole / pattern.block, pattern.block, dim=1)
        return self._as_matrix(shared)

    def updated(self, matrix: Tensor, kept: Tensor, pruned: Tensor, pattern: Pattern) -> Tensor:
        """The weights after those that are pruned now made up for: - F^-1_p w_p / [F^-1]_pp summed over them, and zero where nothing stays."""
        import torch

        weights = self._in_blocks(matrix)
        going = self._in_blocks(pruned.to(weights.dtype))
        if pattern.block == 1:
            shares = going * weights / self.inverse.diagonal(dim1=1, dim2=2)
        else:
            w = (going * weights).reshape(len(weights), -1, pattern.block)
            shares = torch.linalg.solve(self._inner(pattern.block), w[..., None])[..., 0].flatten(1)
        moved = weights - (self.inverse @ shares[:, :, None])[:, :, 0]
        return (self._as_matrix(moved) * kept).to(matrix.dtype)

    def _inner(self, size: int) -> Tensor:
        """The square parts of each block that belong to `size` neighbours (b, B / size, size, size)."""
        import torch

        blocks, width, _ = self.inverse.shape
        parts = self.inverse.reshape(blocks, width // size, size, width // size, size)
        return torch.stack([parts[:, index, :, index, :] for index in range(parts.shape[1])], dim=1)

    def _in_blocks(self, matrix: Tensor) -> Tensor:
        """A matrix as rows of blocks (b, B), filled up with zeros."""
        import torch

        flat = matrix.flatten().to(torch.float64)
        blocks, size, _ = self.inverse.shape
        return torch.nn.functional.pad(flat, (0, blocks * size - len(flat))).reshape(blocks, size)

    def _as_matrix(self, blocks: Tensor) -> Tensor:
        outputs, inputs = self.shape
        return blocks.flatten()[: outputs * inputs].reshape(outputs, inputs)
