"""The text that models are measured on: documents of files, each in pieces, so that a long one is never held whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rung.errors import LadderError, ModelError
from rung.ladder.corpora import Text, read_jsonl, read_parquet

PIECE = 1 << 20
"""Bytes of a text that are made into tokens at once; a piece ends at a line where there is one."""

Document = tuple[str, Iterator[bytes]]
"""A name, and the text in pieces."""


def documents(places: Sequence[str], *, field: str = "text", separator: str = "") -> Iterator[Document]:
    """The documents of files and folders: lines of JSONL, rows of Parquet, other files whole or cut at a separator.

    Raises:
        ModelError: There is no such file, or it cannot be read.
    """
    try:
        for name, file in Text(path=tuple(places)).files():
            kind = file.suffix.lower()
            if kind in {".jsonl", ".ndjson"}:
                yield from ((row, pieces(iter([text]))) for row, text in read_jsonl(name, file, field))
            elif kind in {".parquet", ".pq"}:
                yield from ((row, pieces(iter([text]))) for row, text in read_parquet(name, file, field))
            elif separator:
                yield from _separated(name, file, separator.encode())
            else:
                yield name, pieces(_blocks(file))
    except LadderError as error:
        raise ModelError(error.text.replace("corpus: ", "--data: ").replace("field = ...", "--field NAME")) from None
    except OSError as error:
        raise ModelError(f"--data: {error.filename} cannot be read: {error.strerror or error}.") from None


def is_no_text(text: bytes) -> bool:
    """Whether bytes are no text in UTF-8."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return b"\0" in text


def size_of(places: Sequence[str]) -> int:
    """The size of the files that `documents` reads [bytes]; 0 where there are none."""
    try:
        return sum(file.stat().st_size for _, file in Text(path=tuple(places)).files())
    except (LadderError, OSError):
        return 0


def _separated(name: str, file: Path, separator: bytes) -> Iterator[Document]:
    rest, number = b"", 0
    for block in _blocks(file):
        *whole, rest = (rest + block).split(separator)
        for part in whole:
            if part.strip():
                yield f"{name}:{number}", pieces(iter([part]))
            number += 1
    if rest.strip():
        yield f"{name}:{number}", pieces(iter([rest]))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(PIECE):
            yield block


def pieces(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks as pieces of about PIECE bytes that end at a line, or else between two characters."""
    rest = b""
    for block in blocks:
        rest += block
        while len(rest) > PIECE:
            at = rest.rfind(b"\n", 0, PIECE) + 1 or _between_characters(rest, PIECE)
            yield rest[:at]
            rest = rest[at:]
    if rest:
        yield rest


def _between_characters(text: bytes, at: int) -> int:
    """The last place up to `at` where a character of UTF-8 begins; `at` where there is none near."""
    return next((place for place in range(at, at - 4, -1) if text[place] & 0xC0 != 0x80), at)
