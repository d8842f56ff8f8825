"""SparseGPT: columns are pruned one after another, and those to the right make up for each.

Source: Frantar and Alistarh 2023, arXiv:2301.00774, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.treat.masks import Pattern, masks_of

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = 128
"""Columns for which weights are chosen together, and whose updates are applied at once; the paper's."""


def sparsegpt(matrix: Tensor, second: Tensor, sparsity: float, pattern: Pattern, damp: float) -> Tensor:
    """The pruned and updated matrix.

    Args:
        matrix: The weights (outputs, inputs).
        second: Second moments of the inputs, X^T X (inputs, inputs).
        sparsity: The share that is pruned, in each run of columns.
        pattern: Which weights go together.
        damp: What is added to the diagonal of X^T X, over its mean.
    """
    import torch

    weights, hessian = matrix.double().clone(), second.double().clone()
    dead = hessian.diagonal() == 0
    hessian.diagonal()[dead] = 1.0
    # An input that is always zero does not need its weights.
    weights[:, dead] = 0.0
    hessian.diagonal().add_(damp * hessian.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    upper = torch.linalg.cholesky(inverse, upper=True)
    count = weights.shape[1]
    step = COLUMNS - COLUMNS % pattern.group or pattern.group
    for first in range(0, count, step):
        last = min(first + step, count)
        errors = torch.zeros_like(weights[:, first:last])
        kept = torch.ones_like(errors, dtype=torch.bool)
        if not pattern.of:
            scores = weights[:, first:last] ** 2 / upper.diagonal()[first:last] ** 2
            (kept,) = masks_of([scores], sparsity, pattern, "layer")
        for column in range(first, last):
            if pattern.of and (column - first) % pattern.of == 0:
                near = slice(column, column + pattern.of)
                scores = weights[:, near] ** 2 / upper.diagonal()[near] ** 2
                kept[:, column - first : column - first + pattern.of] = masks_of([scores], sparsity, pattern, "layer")[
                    0
                ]
            stays = kept[:, column - first]
            old = weights[:, column]
            new = torch.where(stays, old, torch.zeros_like(old))
            error = (old - new) / upper[column, column]
            weights[:, column] = new
            weights[:, column + 1 : last] -= torch.outer(error, upper[column, column + 1 : last])
            errors[:, column - first] = error
        weights[:, last:] -= errors @ upper[first:last, last:]
        weights[:, first:last] *= kept
    return weights.to(matrix.dtype)
