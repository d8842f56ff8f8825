"""Knowledge in bits: how much of what could not be guessed a model has stored, from its losses on the facts themselves.

A fact that is drawn from M alternatives is log2 M bits; a loss of p nats on it leaves p / ln 2 of them unknown.

Source: Allen-Zhu and Li 2024, arXiv:2404.05405, theorem 3.2 and definitions 4.1 and 4.3.
"""

from __future__ import annotations

import math

from rung.units import BITS_PER_NAT


def bits_of_values(
    *,
    facts: int,
    attributes: int,
    chunks: int,
    diversity: int,
    names: int,
    vocab: int,
    length: int,
    loss_name: float,
    loss_value: float,
    loss_first: float,
) -> float:
    """Bits that a model has learned of bioD: `facts` keys out of `names`, each with `attributes` of `chunks` chunks.

    A chunk is one of `diversity` strings of `length` tokens of `vocab`, a set of its own for each attribute.

    Args:
        facts: Keys N [count].
        attributes: Attributes K [count].
        chunks: Chunks C of a value [count].
        diversity: Strings D that a chunk is one of [count].
        names: Names N0 that a key is one of [count].
        vocab: Tokens T [count].
        length: Tokens L of a chunk [count].
        loss_name: Loss on a name, summed over its tokens [nats].
        loss_value: Loss on one value, summed over its tokens [nats].
        loss_first: Loss on one value's first chunk, summed over its tokens [nats].

    Returns:
        Bits of names, values and vocabularies together [bit]; no term is below zero, since a loss above chance knows nothing.
    """
    of_names = facts * _known(math.log(names), loss_name)
    of_values = facts * attributes * _known(chunks * math.log(diversity), loss_value)
    of_strings = attributes * diversity * _known(length * math.log(vocab) - math.log(diversity), loss_first)
    return of_names + of_values + of_strings


def bits_of_people(*, people: int, names: int, alternatives: float, loss_name: float, loss_value: float) -> float:
    """Bits that a model has learned of bioS: `people` out of `names`, whose attributes are one of `alternatives` together.

    Args:
        people: People N [count].
        names: Names N0 [count].
        alternatives: Combinations S0 of all attributes [count].
        loss_name: Loss on a name, summed over its tokens [nats].
        loss_value: Loss on all attributes of a person, summed over their tokens [nats].

    Returns:
        Bits of names and attributes together [bit].
    """
    return people * (_known(math.log(names), loss_name) + _known(math.log(alternatives), loss_value))


def _known(entropy: float, loss: float) -> float:
    """Bits of a fact that a loss leaves known; none where it is no better than chance."""
    return max(0.0, entropy - loss) * BITS_PER_NAT
