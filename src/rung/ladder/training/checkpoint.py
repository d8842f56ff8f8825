"""A checkpoint of a run, and the code that wrote it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import rung as package


@cache
def code_version() -> dict[str, str]:
    """What a training's numbers hang on beside its rung: Rung, the source of this room, and torch."""
    sha = hashlib.sha256()
    root = Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        sha.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    return {"rung": package.__version__, "ladder": sha.hexdigest()[:16], "torch": torch}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far a run had come.

    Attributes:
        step: Steps done.
        file: The tensors.
        digest: SHA-256 of that file.
        metrics_bytes: How much of metrics.jsonl belongs to those steps.
        pending: Sum and number of the training losses that are not logged yet.
        time_s: Seconds that it took to come so far.
    """

    step: int
    file: Path
    digest: str
    metrics_bytes: int
    pending: tuple[float, int]
    time_s: float

    @property
    def whole(self) -> bool:
        """Whether the tensors are those that were written."""
        if not self.file.is_file():
            return False
        with self.file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == self.digest
