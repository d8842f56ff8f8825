"""Allen-Zhu and Li 2024, arXiv:2404.05405: knowledge is linear in parameters; 8-bit weights keep it, 4-bit lose it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rung.ladder.corpora import POOLS
from rung.papers.claims import FORM, SMALLER, Claim
from rung.papers.tables import Tables
from rung.papers.trained import rungs_of, trained
from rung.skill import FactCorpus, bits_of_people, bits_of_values

if TYPE_CHECKING:
    from rung.ladder.training import Trainer

_WIDTHS = (8, 16, 24)
"""Widths of the trained memorisers."""

_FACTS = {8: (500, 1000, 2000, 3000), 16: (1000, 2000, 4000, 6000), 24: (1500, 3000, 6000, 9000)}
"""Numbers of facts that the memorisers of each width are trained on."""

_ATTRIBUTES, _VALUES, _KEYS = 4, 64, 65_536
"""Attributes of a fact, values of an attribute, and keys that a fact's key is drawn from."""

_EXPOSURES = 300
"""How often a memoriser sees each fact."""


def check(tables: Tables) -> list[Claim]:
    """The bit count on oracles with a given loss, then the bits that key-value memorisers of three sizes store."""
    del tables
    return [*_meter(), *_stored()]


def _bits(facts: int, loss: float) -> float:
    """Bits of values that a memoriser stores; it gets the keys and strings as input, so they count no bits."""
    corpus = FactCorpus(
        facts=facts, attributes=_ATTRIBUTES, chunks=1, diversity=_VALUES, names=_KEYS, vocab=_VALUES, length=1
    )
    return bits_of_values(corpus, loss_name=math.log(_KEYS), loss_value=loss, loss_first=0.0)


def _meter() -> list[Claim]:
    facts, attributes, chunks, diversity, names, vocab, length = 1000, 5, 2, 32, 10**6, 100, 3
    corpus = FactCorpus(
        facts=facts,
        attributes=attributes,
        chunks=chunks,
        diversity=diversity,
        names=names,
        vocab=vocab,
        length=length,
    )

    def stored(name: float, value: float, first: float) -> float:
        return bits_of_values(corpus, loss_name=name, loss_value=value, loss_first=first)

    uniform = (math.log(names), chunks * math.log(diversity), length * math.log(vocab) - math.log(diversity))
    perfect = stored(math.log(facts), 0.0, 0.0)
    exact = (
        facts * math.log2(names / facts)
        + facts * attributes * chunks * math.log2(diversity)
        + attributes * diversity * math.log2(vocab**length / diversity)
    )
    dropped = stored(math.log(facts), 0.7, 0.0)
    half = _bits(facts, 0.5 * math.log(_VALUES)) / _bits(facts, 0.0)
    pools = list(POOLS.values())
    people = [
        bits_of_people(
            people=count,
            names=math.prod(pools[:3]),
            alternatives=math.prod(pools[3:]),
            loss_name=math.log(count),
            loss_value=0.0,
        )
        / count
        for count in (10_000, 100_000, 1_000_000)
    ]
    return [
        Claim(
            what="bits of oracles that know everything, nothing, and half of every value; bits that a loss of 0.7 nats per value takes away",
            asked=f"{exact:.3f}, 0, 0.5, {facts * attributes * 0.7 / math.log(2):.3f}",
            measured=f"{perfect:.3f}, {stored(*uniform):.3g}, {half:.9g}, {perfect - dropped:.3f}",
            scale=FORM,
            held=bool(
                abs(perfect / exact - 1) < 1e-9
                and abs(stored(*uniform)) < 1e-6
                and abs(half - 0.5) < 1e-9
                and abs((perfect - dropped) * math.log(2) / (facts * attributes * 0.7) - 1) < 1e-9
            ),
        ),
        Claim(
            what="bits per person of a bioS corpus that is known completely: 10 thousand, 100 thousand and a million people",
            asked="61.56, 58.24, 54.91",
            measured=", ".join(f"{value:.2f}" for value in people),
            scale=FORM,
            held=bool(np.abs(np.array(people) - [61.56, 58.24, 54.91]).max() < 0.006),
        ),
    ]


def _stored() -> list[Claim]:
    peaks, last, quantised = [], [], {}
    for width in _WIDTHS:
        bits = []
        for facts in _FACTS[width]:
            trainer = _memoriser(width, facts)
            bits.append(_bits(facts, trainer.evaluate()["loss"]))
        peaks.append(max(bits) / trainer.rung.counts.total)
        last.append(bits[-1] / bits[-2] - 1)
        if width == _WIDTHS[1]:
            before = bits[-1]
            quantised = {kept: _quantised(trainer, kept) / before - 1 for kept in (8, 4)}
    difference = max(peaks) / min(peaks) - 1
    percent = ", ".join(f"{100 * value:+.1f} %" for value in last)
    return [
        Claim(
            what=f"bits saturate: from {_FACTS[16][-2]} facts to {_FACTS[16][-1]} (and likewise at the other widths) they change by less than 15 %",
            asked="within 15 %",
            measured=percent,
            scale=SMALLER,
            held=max(map(abs, last)) < 0.15,
        ),
        Claim(
            what=f"capacity is linear in parameters: the peak of bits per parameter over widths {', '.join(map(str, _WIDTHS))} ({_EXPOSURES} exposures)",
            published="equal within 20 %; 2 for language models at 1000 exposures",
            measured=f"{', '.join(f'{peak:.2f}' for peak in peaks)}: within {100 * difference:.0f} %",
            scale=SMALLER,
            held=difference < 0.2 and all(0.5 <= peak <= 4 for peak in peaks),
        ),
        Claim(
            what="weights rounded to 8 bits keep the stored knowledge",
            asked="within 3 %",
            measured=f"{100 * quantised[8]:+.1f} %",
            scale=SMALLER,
            held=abs(quantised[8]) < 0.03,
        ),
        Claim(
            what="weights rounded to 4 bits lose much of it",
            asked="more than 25 % lost",
            measured=f"{100 * quantised[4]:+.1f} %",
            scale=SMALLER,
            held=quantised[4] < -0.25,
        ),
    ]


def _memoriser(width: int, facts: int) -> Trainer:
    (rung,) = rungs_of(
        "knowledge-capacity",
        {
            "family": {"name": "memoriser", "keys": _KEYS, "attributes": _ATTRIBUTES, "values": _VALUES},
            "corpus": {"name": "bio-d", "facts": facts},
            "recipe": {
                "batch_tokens": 256,
                "lr": "0.02 * (16 / width)^0.5",
                "schedule": "cosine",
                "warmup": 0.02,
                "beta2": 0.98,
            },
            "rung": [{"width": width, "depth": 1, "tokens": float(_EXPOSURES * facts)}],
        },
    )
    return trained(rung)


def _quantised(trainer: Trainer, kept: int) -> float:
    """Bits still stored after every matrix is rounded to `kept` bits, with a scale for each row."""
    import torch

    levels = 2 ** (kept - 1) - 1
    with torch.no_grad():
        before = [weight.clone() for weight in trainer.weights]
        for weight in trainer.weights:
            if weight.ndim == 2:
                scale = weight.abs().amax(dim=1, keepdim=True) / levels
                weight.copy_((weight / scale).round() * scale)
        bits = _bits(trainer.data.unique_items or 0, trainer.evaluate()["loss"])
        for weight, original in zip(trainer.weights, before, strict=True):
            weight.copy_(original)
    return bits
