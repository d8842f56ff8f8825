"""How large a model is: parameters by convention, what is stored, and the work of a token."""

from __future__ import annotations

from dataclasses import dataclass

from rung.models.weights import Weights

BITS = 8
"""Bits of a byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """The size of a model.

    Attributes:
        params: All parameters; weights that are tied count once [count].
        params_non_embedding: Without the embedding and the output head [count].
        params_active: Those that one token uses, with embedding and head [count].
        params_nonzero: Those that are not zero [count].
        outside_nonzero: Of these, those of the embedding and the output head [count].
        stored_bits: What the tensors take on disk [bits].
        flops_of_weights: Of a forward pass of one token, without attention between positions [FLOP].
        flops_of_position: More for each position that it attends to [FLOP].
    """

    params: int
    params_non_embedding: int
    params_active: int
    params_nonzero: int
    outside_nonzero: int
    stored_bits: int
    flops_of_weights: float
    flops_of_position: float

    def by(self, convention: str) -> dict[str, int]:
        """All, active and nonzero parameters by a convention: "total", "non_embedding", or "active", where N is the active ones."""
        outside = self.params - self.params_non_embedding
        if convention == "non_embedding":
            return {
                "params": self.params_non_embedding,
                "params_active": self.params_active - outside,
                "params_nonzero": self.params_nonzero - self.outside_nonzero,
            }
        return {
            "params": self.params_active if convention == "active" else self.params,
            "params_active": self.params_active,
            "params_nonzero": self.params_nonzero,
        }

    def flops_per_token(self, context: int) -> float:
        """FLOPs of one token of a forward pass over a window, the causal mask not deducted [FLOP].

        2 W + 4 L h d T, with W weights in products, and L layers with attention of h heads of width d over T positions.

        Source: Kaplan et al. 2020, arXiv:2001.08361, table 1; Chowdhery et al. 2022, arXiv:2204.02311, appendix B.
        """
        return self.flops_of_weights + self.flops_of_position * context


def stored_bits(weights: Weights) -> int:
    """What the tensors of a model take on disk, without the headers [bits]."""
    return BITS * sum(one.size for one in weights.tensors.values())
