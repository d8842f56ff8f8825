"""JSON lines that a user wrote: items, and problems."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rung.errors import ModelError


def json_rows(file: Path, option: str) -> list[tuple[str, int, dict[str, Any]]]:
    """The objects of a file, each with its place in messages and its line; what is no object is an empty one.

    Args:
        file: The file.
        option: The option that names it, such as --items.

    Raises:
        ModelError: The file cannot be read, or a line is not JSON.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ModelError(f"{option} {file}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{option} {file} cannot be read: {error}.") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise ModelError(f"{where}: not JSON.") from None
        found.append((where, number, row if isinstance(row, dict) else {}))
    return found


def require_whole(where: str, *texts: str) -> None:
    """Texts hold no halves of characters.

    Raises:
        ModelError: One does.
    """
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise ModelError(f"{where}: a text holds half of a character.") from None
