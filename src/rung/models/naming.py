"""What models are called: the last part of their places, or as much as tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def short_names(places: Sequence[str | Path]) -> list[str]:
    """A name for each model: the last part of its place, or the whole place where two share it."""
    last = [Path(place).resolve().name if Path(place).exists() else str(place).rpartition("/")[2] for place in places]
    return [name if last.count(name) == 1 else str(place) for name, place in zip(last, places, strict=True)]
