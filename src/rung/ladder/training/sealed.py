"""Small JSON files that carry a digest of their own content, so that damage is named and not read as a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.files import digest_of

_SEALED, _SEAL = "sealed", "seal"
"""The first entry, which says that there is a digest, and the last, which holds that of all others: damage that removes one of them
leaves the other."""


def sealed(content: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Content as JSON with its digest."""
    return json.dumps({_SEALED: True, **content, _SEAL: digest_of(content)}, indent=indent) + "\n"


def opened(path: Path, remedy: str) -> dict[str, Any]:
    """The content of a sealed file; one of version 0.1 has no digest and is read as it is.

    Args:
        path: The file.
        remedy: What to do if it is damaged, as a sentence.

    Raises:
        FileNotFoundError: There is no such file.
        LadderError: It is damaged, or something else changed it.
    """
    if path.exists() and not path.is_file():  # reading a pipe waits for ever
        raise LadderError(f"{path} is damaged: it is no file. {remedy}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LadderError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise LadderError(f"{path} is damaged: it is not whole JSON. {remedy}") from None
    if not isinstance(content, dict):
        raise LadderError(f"{path} is damaged: it holds a {type(content).__name__}, not an object. {remedy}")
    says, found = content.pop(_SEALED, None), content.pop(_SEAL, None)
    if (says, found) != (None, None) and (says is not True or found != digest_of(content)):
        raise LadderError(
            f"{path} is damaged, or something else changed it: its content does not match its digest. {remedy}"
        )
    return content


def digest_of_start(path: Path, size: int) -> str | None:
    """SHA-256 of the first `size` bytes of a file; None if it is shorter or cannot be read."""
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            left = size
            while left:
                part = file.read(min(left, 1 << 20))
                if not part:
                    return None
                sha.update(part)
                left -= len(part)
    except OSError:
        return None if size else sha.hexdigest()
    return sha.hexdigest()
