"""The unit that a loss's name states: nats, bits, or a perplexity, of a token, a byte, a character or a word."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

_NATS = frozenset({"loss", "nll", "ce", "xent", "crossentropy"})
_PERPLEXITY = frozenset({"perplexity", "ppl"})
_OF = {
    "byte": frozenset({"bpb", "byte", "bytes"}),
    "character": frozenset({"bpc", "char", "character"}),
    "word": frozenset({"bpw", "word", "words"}),
}
"""Words of a name that say of what a loss is, besides a token."""

_BITS = frozenset({"bpb", "bpt", "bpc", "bits", "bpw"})


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: of "train/CrossEntropyLoss", train, cross, entropy and loss."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return tuple(re.findall(r"[a-z]+|\d+", parted.lower()))


@lru_cache(maxsize=4096)
def unit_of(name: str) -> str | None:
    """The unit that a metric's name states, as a key of UNITS; None where it names no loss."""
    words = words_of(name)
    has = set(words)
    if has & {"acc", "accuracy", "f1", "score"}:
        return None
    if has & _PERPLEXITY:
        if ("log", "2") in itertools.pairwise(words):
            return "bits per token"
        if has & {"log", "ln"}:
            return "nats"
        return "word perplexity" if "word" in has else "byte perplexity" if "byte" in has else "perplexity"
    if has & _BITS:
        if has & {"bpt", "token", "tok", "loss", "nll"} and not has & _OF["byte"]:
            return "bits per token"
        if has & _OF["word"]:
            return "bits per word"
        return "bits per character" if has & _OF["character"] else "bits per byte"
    if words and (words[-1] in _NATS or (has & {"loss", "nll", "crossentropy"}) or {"cross", "entropy"} <= has):
        return "nats"
    return None


def loss_of(name: str) -> str:
    """Of what a loss is by its name: "byte", "character", "word", or "token", also where the name says nothing."""
    has = set(words_of(name))
    for what, words in _OF.items():
        if has & words:
            return what
    return "token"


def in_nats(name: str) -> str:
    """The formula by which a column of this name becomes nats; empty where its name says nats, or is no loss."""
    unit = unit_of(name)
    if unit is None or unit == "nats":
        return ""
    return "log({})" if "perplexity" in unit else "{} * log(2)"
