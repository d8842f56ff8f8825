"""Knowledge in bits: how much a model has stored beyond what it could guess, from its losses on the facts themselves.

A fact that is drawn from M alternatives has log2 M bits of entropy. A loss of p nats on it leaves p / ln 2 of them
unknown, so the model has stored

    max(0, ln M - p) / ln 2

Source: Allen-Zhu and Li 2024, arXiv:2404.05405, theorem 3.2 and definitions 4.1 and 4.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rung.units import BITS_PER_NAT


@dataclass(frozen=True, slots=True, kw_only=True)
class FactCorpus:
    """A corpus of bioD facts: keys with attributes, whose values consist of chunks of tokens.

    Each attribute has a set of chunk strings of its own.

    Attributes:
        facts: Keys N in the corpus [count].
        attributes: Attributes K of a key [count].
        chunks: Chunks C of a value [count].
        diversity: Strings D from which each chunk is drawn [count].
        names: Names N0 from which the keys are drawn [count].
        vocab: Tokens T of the vocabulary [count].
        length: Tokens L of a chunk [count].
    """

    facts: int
    attributes: int
    chunks: int
    diversity: int
    names: int
    vocab: int
    length: int


def bits_of_values(corpus: FactCorpus, *, loss_name: float, loss_value: float, loss_first: float) -> float:
    """Bits of a bioD corpus that a model has stored.

    With losses p [nats] the sum over names, values and the sets of chunk strings is

        N max(0, ln N0 - p_name) + N K max(0, C ln D - p_value) + K D max(0, L ln T - ln D - p_first)

    divided by ln 2.

    Args:
        corpus: The corpus of facts.
        loss_name: Loss on a name, summed over its tokens [nats].
        loss_value: Loss on one value, summed over its tokens [nats].
        loss_first: Loss on the first chunk of a value, summed over its tokens [nats].

    Returns:
        Bits of names, values and chunk strings together [bit]. No term is below zero: a loss above that of a uniform
        guess means that nothing is stored.
    """
    of_names = corpus.facts * _stored(math.log(corpus.names), loss_name)
    of_values = corpus.facts * corpus.attributes * _stored(corpus.chunks * math.log(corpus.diversity), loss_value)
    entropy_string = corpus.length * math.log(corpus.vocab) - math.log(corpus.diversity)
    of_strings = corpus.attributes * corpus.diversity * _stored(entropy_string, loss_first)
    return of_names + of_values + of_strings


def bits_of_people(*, people: int, names: int, alternatives: float, loss_name: float, loss_value: float) -> float:
    """Bits of a bioS corpus that a model has stored.

    With losses p [nats] the sum over names and attributes is

        N (max(0, ln N0 - p_name) + max(0, ln S0 - p_value))

    divided by ln 2.

    Args:
        people: People N [count].
        names: Names N0 from which theirs are drawn [count].
        alternatives: Combinations S0 of all attributes [count].
        loss_name: Loss on a name, summed over its tokens [nats].
        loss_value: Loss on all attributes of a person, summed over their tokens [nats].

    Returns:
        Bits of names and attributes together [bit].
    """
    return people * (_stored(math.log(names), loss_name) + _stored(math.log(alternatives), loss_value))


def _stored(entropy: float, loss: float) -> float:
    """Bits of a fact that a model has stored; 0 where its loss is no better than that of a uniform guess."""
    return max(0.0, entropy - loss) * BITS_PER_NAT
