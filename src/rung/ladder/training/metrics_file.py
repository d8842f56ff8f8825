"""Reading metrics.jsonl: all lines, or only the last, without one that an interruption cut off."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_TAIL_BYTES = 4096
"""Part of the file that is read first to find the last line; a line has about a dozen numbers [bytes]."""


def read_lines(path: Path, size: int | None = None) -> tuple[list[dict[str, Any]], int | None]:
    """Every line, and the number of the first that is no line of metrics; None where all are.

    Args:
        path: The file; without it there are no lines.
        size: How many bytes of it count; None for all.
    """
    try:
        content = path.read_bytes()[:size]
    except FileNotFoundError:
        return [], None
    found: list[dict[str, Any]] = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        if (values := _values(line)) is None:
            return found, number
        found.append(values)
    return found, None


def read_last(path: Path) -> dict[str, Any] | None:
    """The last complete line, read from the end of the file; None before the first."""
    tail = _TAIL_BYTES
    while True:
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - tail))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return None
        # The first line of a part may be the end of a longer one.
        complete = [values for line in lines[int(tail < size) : -1] if (values := _values(line)) is not None]
        if complete or tail >= size:
            return complete[-1] if complete else None
        tail *= 16


def _values(line: bytes) -> dict[str, Any] | None:
    """The values of a line; None if it is no line of metrics."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("step"), int):
        return None
    return content if isinstance(content.get("evaluation", {}), dict) else None
