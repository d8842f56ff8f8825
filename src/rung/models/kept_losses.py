"""The losses of documents that are kept while models are measured, so that an interruption costs little."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rung.errors import ModelError
from rung.models.losses import DocumentLoss


class KeptLosses:
    """A file of JSON lines with the loss of every document."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def of(self, model: str, asked: str) -> dict[int, DocumentLoss]:
        """The documents of a model that are kept, by their numbers; a last line that an interruption cut is dropped.

        Raises:
            ModelError: The file cannot be read, or holds something else.
        """
        if self.file.exists() and not self.file.is_file():
            raise ModelError(f"{self.file} is no file: losses are kept in one.")
        if not self.file.parent.is_dir():
            raise ModelError(f"{self.file}: there is no folder {self.file.parent}.")
        try:
            lines = self.file.read_bytes().splitlines(keepends=True) if self.file.exists() else []
        except OSError as error:
            raise ModelError(f"{self.file} cannot be read: {error.strerror or error}.") from None
        if lines and not lines[-1].endswith(b"\n"):
            with self.file.open("r+b") as opened:
                opened.truncate(sum(map(len, lines[:-1])))
            lines = lines[:-1]
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if (row["model"], row["asked"]) == (model, asked):
                    values = {key: row[key] for key in ("name", "nats", "tokens", "bytes")}
                    found[int(row["number"])] = DocumentLoss(**values)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise ModelError(
                    f"{self.file}, line {number}, is no loss of a document. Name another file, or remove it."
                ) from None
        return found

    def add(self, model: str, asked: str, number: int, one: DocumentLoss) -> None:
        """Add the loss of a document."""
        try:
            with self.file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps({"model": model, "asked": asked, "number": number, **asdict(one)}) + "\n")
        except OSError as error:
            raise ModelError(f"{self.file} cannot be written: {error.strerror or error}.") from None
