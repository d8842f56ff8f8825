"""A checkpoint of a run, and the version of the code that writes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rung.ladder.training.sealed import digest_of_start
from rung.version import __version__


@cache
def code_version() -> dict[str, str]:
    """Versions that determine the numbers of a run, beside its rung: Rung, the source of the ladder room, and torch."""
    sha = hashlib.sha256()
    folder = Path(__file__).parent.parent
    for file in sorted(folder.rglob("*.py")):
        sha.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    return {"rung": __version__, "ladder": sha.hexdigest()[:16], "torch": torch}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a run after some of its steps.

    Attributes:
        step: Steps done [count].
        file: File of the tensors.
        digest: SHA-256 of that file.
        metrics_bytes: Size of the part of metrics.jsonl that belongs to those steps [bytes].
        metrics_digest: SHA-256 of that part; empty in a checkpoint of version 0.1.
        pending: Sum and number of the training losses that are not logged yet.
        time_s: Training time up to this step [s].
    """

    step: int
    file: Path
    digest: str
    metrics_bytes: int
    pending: tuple[float, int]
    time_s: float
    metrics_digest: str = ""

    @property
    def whole(self) -> bool:
        """Whether the file holds the tensors that were written, by its digest."""
        if not self.file.is_file():
            return False
        with self.file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == self.digest

    def fits(self, metrics: Path) -> bool:
        """Whether the metrics file holds the part that belongs to the steps of the checkpoint."""
        digest = digest_of_start(metrics, self.metrics_bytes)
        return digest is not None and self.metrics_digest in {"", digest}
