"""Numbers as they stand in other people's files: `50M`, `300BT`, `50,000,000`, `3,7`, `82.4 %`, and texts that mean no number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

MISSING = frozenset(
    {"", "na", "n/a", "null", "none", "-", "--", "\u2014", "\u2013", "?", "#n/a", "tbd", "missing", "unknown"}
)
"""Texts, in lower case, that mean that there is no value."""

NOT_FINITE = {
    **dict.fromkeys(("nan", "-nan", "+nan", "#num!", "1.#qnan", "1.#ind", "-1.#ind"), math.nan),
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity", "1.#inf", "∞"), math.inf),
    **dict.fromkeys(("-inf", "-infinity", "-1.#inf", "-∞"), -math.inf),
}
"""Texts, in lower case, of values that are not finite."""

_FACTORS = {
    "": 1.0,
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "mm": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "million": 1e6,
    "millions": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "g": 1e9,
    "mrd": 1e9,
    "milliard": 1e9,
    "billion": 1e9,
    "billions": 1e9,
    "t": 1e12,
    "tn": 1e12,
    "trillion": 1e12,
    "trillions": 1e12,
    "p": 1e15,
}
"""The factor of each suffix, in lower case."""

_ABOUT = re.compile(r"^(?:~|\u2248|\u2243|ca\.?|approx\.?|about|circa)\s*")
"""What stands before a number that is rounded."""

_NOUN = re.compile(r"\s*(?:tokens?|toks?|params?|parameters?|flops?|steps?)$")
"""What is counted, where a text says so behind the number."""

_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
_PARTS = re.compile(r"([+-]?[\d.,'\u2019_\u00a0\u202f ]*\d[\d.,]*(?:e[+-]?\d+)?)\s*([a-z%]*)")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:([,'\u2019_ .])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_ONE_GROUP = re.compile(r"[+-]?\d{1,3},\d{3}")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:e[+-]?\d+)?")
_BOTH = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+")


def read_number(text: str, *, decimal_comma: bool = False) -> float | None:
    """The number that a text stands for, or None where it stands for none.

    A comma before exactly three digits separates thousands unless `decimal_comma` says otherwise.

    >>> read_number("50M"), read_number("300BT"), read_number("50,000,000"), read_number("3,7"), read_number("80 %")
    (50000000.0, 300000000000.0, 50000000.0, 3.7, 0.8)
    """
    lowered = text.strip().lower()
    if lowered in NOT_FINITE:
        return NOT_FINITE[lowered]
    if _PLAIN.fullmatch(lowered):
        return float(lowered)
    match = _PARTS.fullmatch(_ABOUT.sub("", _NOUN.sub("", lowered)).replace("mio.", "mio").replace("mrd.", "mrd"))
    if match is None:
        return None
    suffix = match[2]
    if suffix not in _FACTORS and suffix.endswith("t"):
        # BT and MT count tokens.
        suffix = suffix[:-1]
    number = _digits(match[1].strip().replace("\u00a0", " ").replace("\u202f", " "), decimal_comma=decimal_comma)
    if number is None or (suffix not in _FACTORS and suffix != "%"):
        return None
    value = number / 100 if suffix == "%" else number * _FACTORS[suffix]
    return value if math.isfinite(value) else None


def _digits(text: str, *, decimal_comma: bool) -> float | None:
    """A number with separators of thousands or a decimal comma."""
    if _PLAIN.fullmatch(text):
        return float(text)
    if _BOTH.fullmatch(text):
        return float(text.replace(".", "").replace(",", "."))
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    if match := _THOUSANDS.fullmatch(text):
        separator = match[1]
        whole, _, rest = text.replace(separator, "").partition("." if separator != "." else ",")
        return float(f"{whole}.{rest or 0}") if "," not in whole else None
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    return None


def uses_decimal_comma(texts: Iterable[str]) -> bool | None:
    """Whether commas in these texts are decimal; None where that cannot be told, as with `3,706` alone."""
    with_comma = [text.strip() for text in texts if "," in text]
    if not with_comma:
        return False
    digits = [re.sub(r"[^\d.,eE+-]", "", text) for text in with_comma]
    if any(text.count(",") > 1 for text in digits):
        return False
    if any(_BOTH.fullmatch(text) or not _ONE_GROUP.fullmatch(text) for text in digits):
        # Commas before one, two or four digits, or after a leading 0, are decimal; 1,234.5 has a point of its own.
        return not any("." in text and text.index(",") < text.index(".") for text in digits)
    if any(text.lstrip("+-").startswith("0") for text in digits):
        return True
    return None


def is_missing(text: str) -> bool:
    """Whether a text means that there is no value."""
    return text.strip().lower() in MISSING
