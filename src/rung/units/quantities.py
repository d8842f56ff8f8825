"""Conversions whose names state their convention."""

import math
from typing import TypeVar

Number = TypeVar("Number")

BITS_PER_NAT = 1 / math.log(2)
"""Bits in one nat [bit/nat]."""


def flops_6nd(params: Number, tokens: Number) -> Number:
    """Training compute by the 6ND rule, C = 6 N D [FLOP].

    Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1. Attention, embeddings and recomputation
    are left out, so small models are undercounted.

    Args:
        params: Parameters N in the table's own convention [count].
        tokens: Training tokens D [count].
    """
    return 6 * params * tokens  # type: ignore[operator,return-value]  # both numbers and arrays
