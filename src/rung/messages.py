"""Parts of messages that every room writes alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Real

from rung.errors import RungError


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6, most: int = 1) -> str:
    """The nearest known names as a question that follows a sentence; empty where none is near."""
    near = get_close_matches(name, list(known), most, cutoff)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def first_line(error: BaseException) -> str:
    """What an exception of another library says, in one line without its full stop; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def printable(text: str) -> str:
    """Text for a terminal: control characters, which could move the cursor or change colours, are escaped."""
    return _CONTROLS.sub(lambda match: repr(match[0])[1:-1], text)


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for the tab and the end of a line, and characters that turn or break a line."""


def shortened(text: str, most: int = 1500) -> str:
    """Text of at most about `most` characters: its start and its end."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} [...] {text[-most // 3 :]}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 row", "3 rows"."""
    return f"{count:,} {plural_of(count, noun, plural)}"


def plural_of(count: int, singular: str, plural: str | None = None) -> str:
    """The form of a word that goes with a count: `plural_of(2, "has", "have")`."""
    return singular if count == 1 else plural or f"{singular}s"


def listed(words: Sequence[str], most: int | None = None) -> str:
    """Words as "a, b and c"; of more than `most`, the first ones and how many more."""
    if most is not None and len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def require_level(level: float, error: type[RungError]) -> None:
    """Refuse a coverage that is no probability.

    Raises:
        RungError: The level is not strictly between 0 and 1; of the class given.
    """
    if not 0 < require_number(level, "level", error) < 1:
        raise error(f"level is {level:g}, and must lie between 0 and 1, such as 0.9.")


def require_seed(seed: int, error: type[RungError]) -> None:
    """Refuse a seed below zero.

    Raises:
        RungError: The seed is negative; of the class given.
    """
    if seed < 0:
        raise error(f"seed is {seed}, and must be 0 or more.")


def require_number(value: object, name: str, error: type[RungError]) -> float:
    """A number as a float.

    Raises:
        RungError: The value is no number; of the class given.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise error(f"{name} is {value!r}, a {type(value).__name__}, and must be a number.")
    return float(value)
