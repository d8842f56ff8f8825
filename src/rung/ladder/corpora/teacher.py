"""Text with what a teacher thinks of it: tokens, and for each the teacher's likeliest tokens with their log-probabilities.

`rung distil` writes the folder:

about.json                 what the teacher saw
tokens.safetensors         tokens to train on, and those that are held out
part-00000.safetensors     of some windows, in their order: `likeliest` (windows, context, k), `likeliest_high` for large vocabularies, `log_p`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.corpus import HeldOut, Items, places, require_vocab
from rung.ladder.corpora.text import Windows

TEACHER = "teacher"
"""Name of this corpus."""

SCHEMA = 1
"""Version of the layout."""

PART = 1024
"""Windows of a part."""

_HIGH = 16
"""Bits of a token that stand in `likeliest`."""


@dataclass(frozen=True, slots=True)
class TaughtWindows:
    """Windows with the teacher's likeliest tokens.

    Attributes:
        windows: The windows of tokens.
        parts: The files of the teacher's answers, in the order of the windows.
    """

    windows: Windows
    parts: tuple[Path, ...]

    @property
    def identity(self) -> str:
        return self.windows.identity

    @property
    def unique_items(self) -> int:
        return self.windows.unique_items

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        indices = places(key, first, count, self.unique_items)
        (tokens,) = self.windows.batch(key, first, count)
        answers = [_answers(self.parts[index // PART], index % PART) for index in indices.tolist()]
        likeliest, log_p = (np.stack(side) for side in zip(*answers, strict=True))
        return tokens, likeliest, log_p

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        """Windows at equal distances in the held-out text, without the teacher."""
        return self.windows.held_out(count)


def _answers(part: Path, row: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The teacher's likeliest tokens of one window (context, k), and their log-probabilities."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(part, framework="numpy") as opened:
            likeliest = opened.get_slice("likeliest")[row].astype(np.int32)
            if "likeliest_high" in opened.keys():  # noqa: SIM118  # the object is no mapping
                likeliest = likeliest + (opened.get_slice("likeliest_high")[row].astype(np.int32) << _HIGH)
            return likeliest, opened.get_slice("log_p")[row]
    except (OSError, SafetensorError):
        raise LadderError(f"{part} is damaged. The same rung distil asks the teacher again.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A folder that `rung distil` wrote.

    Attributes:
        path: The folder.
    """

    path: str

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> TaughtWindows:
        del keep  # the folder is prepared already
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(self.path)
        about = read_about(folder)
        require_vocab(family, int(about["vocab"]), f"the text of {folder}")
        if family.item_tokens != about["context"]:
            raise LadderError(
                f"the teacher of {folder} saw windows of {about['context']} tokens, the family has context = {family.item_tokens}. Set "
                f"context = {about['context']} in [family]."
            )
        try:
            tokens = load_file(folder / "tokens.safetensors")
        except (OSError, SafetensorError):
            raise LadderError(
                f"{folder}/tokens.safetensors is missing or damaged. The same rung distil writes it anew."
            ) from None
        windows = Windows(tokens["train"], tokens["held"], int(about["context"]), str(about["identity"]))
        parts = tuple(folder / part_name(index) for index in range(-(-windows.unique_items // PART)))
        missing = next((part for part in parts if not part.is_file()), None)
        if missing is not None:
            raise LadderError(
                f"{missing} is missing: the teacher did not see the whole text. The same rung distil goes on from there."
            )
        return TaughtWindows(windows, parts)


def part_name(index: int) -> str:
    """The name of a part."""
    return f"part-{index:05d}.safetensors"


def read_about(folder: Path) -> dict[str, Any]:
    """What a folder says of its teacher.

    Raises:
        LadderError: There is no such folder, or it is another's.
    """
    file = folder / "about.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LadderError(
            f"{folder} is no folder of a teacher: it has no about.json. rung distil TEACHER --data TEXT -o {folder} makes one."
        ) from None
    except (OSError, ValueError, RecursionError):
        raise LadderError(f"{file} is damaged: it is no JSON.") from None
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA:
        raise LadderError(f"{file} was written by another version of Rung.")
    return content
