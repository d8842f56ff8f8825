"""Text of files, folders and data sets as windows of bytes or tokens; every window is used once per epoch."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.files import write_all
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.corpus import HeldOut, Items, places, require_vocab
from rung.ladder.corpora.documents import Document, TextEncoding, npy_bytes, read_jsonl, read_parquet, read_tokenizer
from rung.messages import first_line

_HASHED = 1 << 22
"""Tokens that are hashed at once, which bounds the memory of a check [count]."""

_MOST_IN = 128
"""Largest `one_in`: one byte of a hash selects the held-out documents, and does not resolve smaller shares."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of context + 1 tokens; the last token of one window is the first of the next.

    Attributes:
        train: Training tokens, mapped from a file where they are kept (n,).
        held: Held-out tokens (m,).
        context: Tokens that are predicted in a window [count].
        identity: A fingerprint of the tokens.
    """

    train: NDArray[Any]
    held: NDArray[Any]
    context: int
    identity: str

    @property
    def unique_items(self) -> int:
        return (len(self.train) - 1) // self.context

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        starts = places(key, first, count, self.unique_items) * self.context
        return (self.train[starts[:, None] + np.arange(self.context + 1)],)

    def limited(self, tokens: int) -> Windows:
        """The same held-out text, with only the first `tokens` tokens to train on."""
        return Windows(self.train[: tokens + 1], self.held, self.context, self.identity)

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        """Windows at equal distances in the held-out text."""
        most = max(1, (len(self.held) - 1) // self.context)
        starts = np.linspace(0, len(self.held) - self.context - 1, min(count, most)).astype(int)
        return {"": HeldOut(items=(self.held[starts[:, None] + np.arange(self.context + 1)],))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Files or folders of text: plain, JSONL or Parquet; one byte is one token unless a tokenizer is named.

    The hash of its name (path, and row or part) decides whether a document is held out; other documents do not matter.

    Attributes:
        path: File or folder, or several.
        pattern: Pattern of the names of files that are read in a folder and below it.
        exclude: Names of folders that are skipped.
        field: Column of JSONL and Parquet that holds the text.
        separator: Text that separates the documents of a plain file; by default a file is one document.
        tokenizer: A tokenizer.json, or a name on the Hugging Face hub; bytes by default.
        one_in: About one document in this many is held out; the default is an assumption, not tuned [count].
    """

    path: str | tuple[str, ...]
    pattern: str = "*"
    exclude: tuple[str, ...] = ()
    field: str = "text"
    separator: str = ""
    tokenizer: str = ""
    one_in: int = 20

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Windows:
        files = list(self.files())
        if not files:
            raise LadderError(f"corpus: no file at {self.path!r} matches {self.pattern!r}.")
        try:
            stamp = [(name, file.stat().st_size, file.stat().st_mtime_ns) for name, file in files]
        except OSError as error:
            raise LadderError(f"corpus {self.path!r} cannot be read: {error.filename}: {error.strerror}.") from None
        return windows(
            lambda: self._documents(files),
            (repr(self), stamp),
            family,
            keep,
            tokenizer=self.tokenizer,
            one_in=self.one_in,
            what=f"corpus {self.path!r}",
        )

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file, with its name relative to the path that the user gave."""
        for path in (self.path,) if isinstance(self.path, str) else self.path:
            top = Path(path).expanduser()
            if top.is_file():
                yield top.name, top
            elif top.is_dir():
                yield from ((file.relative_to(top).as_posix(), file) for file in sorted(self._below(top)))
            else:
                raise LadderError(f"corpus: there is no file or folder {path!r}.")

    def _below(self, top: Path) -> Iterator[Path]:
        """Files below a folder; excluded folders are not entered, since they may hold far more than what is read."""
        for folder, inner, names in os.walk(top):
            inner[:] = [name for name in inner if name not in self.exclude]
            parent = Path(folder)
            yield from (parent / name for name in fnmatch.filter(names, self.pattern))

    def _documents(self, files: Sequence[tuple[str, Path]]) -> Iterator[Document]:
        for name, file in files:
            kind = file.suffix.lower()
            if kind in {".jsonl", ".ndjson"}:
                yield from read_jsonl(name, file, self.field)
            elif kind in {".parquet", ".pq"}:
                yield from read_parquet(name, file, self.field)
            elif self.separator:
                parts = file.read_bytes().split(self.separator.encode())
                yield from ((f"{name}:{number}", part) for number, part in enumerate(parts) if part.strip())
            else:
                yield name, file.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSource:
    """Source text of the standard library of the running interpreter, which every machine with Rung has.

    Its tests and bundled packages are left out.
    """

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Windows:
        return Text(
            path=sysconfig.get_paths()["stdlib"],
            pattern="*.py",
            exclude=("site-packages", "test", "tests", "idlelib", "lib2to3", "ensurepip"),
        ).open(family, keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A data set of the Hugging Face hub, or of a local folder that its library reads.

    Attributes:
        path: Name of the data set, or a folder or file.
        config: Configuration of the data set, if it has several.
        split: Split of the data set.
        revision: A commit or tag.
        field: Column that holds the text.
        tokenizer: A tokenizer.json, or a name on the Hugging Face hub; bytes by default.
        one_in: About one row in this many is held out [count].
    """

    path: str
    config: str = ""
    split: str = "train"
    revision: str = ""
    field: str = "text"
    tokenizer: str = ""
    one_in: int = 20

    @property
    def data(self) -> str:
        return "tokens"

    def open(self, family: Family, keep: Path | None) -> Windows:
        return windows(
            self._documents,
            (repr(self), stamps_of(Path(self.path))),
            family,
            keep,
            tokenizer=self.tokenizer,
            one_in=self.one_in,
            what=f"data set {self.path!r}",
        )

    def _documents(self) -> Iterator[Document]:
        try:
            from datasets import load_dataset
        except ModuleNotFoundError:
            raise LadderError('the corpus hub needs datasets: pip install "rung[hub]".') from None
        try:
            rows = load_dataset(self.path, self.config or None, split=self.split, revision=self.revision or None)
        except (OSError, ValueError) as error:
            raise LadderError(f"data set {self.path!r} cannot be loaded: {first_line(error)}") from None
        if self.field not in rows.column_names:
            raise LadderError(
                f"data set {self.path!r} has no column {self.field!r}; it has {', '.join(rows.column_names)}."
            )
        for row, text in enumerate(rows[self.field]):
            yield f"{self.split}:{row}", str(text).encode()


def windows(
    documents: Any,
    identity: Any,
    family: Family,
    keep: Path | None,
    *,
    tokenizer: str,
    one_in: int,
    what: str,
) -> Windows:
    """Windows of the tokens of documents.

    With a folder, the tokens are kept there under a fingerprint of their source, and mapped into memory.

    Args:
        documents: Gives the documents.
        identity: What the documents depend on: options, and names, sizes and times of files.
        family: The family that learns from the windows.
        keep: Folder where prepared tokens are kept; None for none.
        tokenizer: A tokenizer.json, or a name on the Hugging Face hub; "" for bytes.
        one_in: About one document in this many is held out [count].
        what: Name of the corpus in messages.

    Raises:
        LadderError: There are too few tokens for one training window and one held-out window.
    """
    if not 2 <= one_in <= _MOST_IN:
        raise LadderError(
            f"one_in = {one_in} must lie between 2 and {_MOST_IN}: about one document in this many is held out."
        )
    encoding = read_tokenizer(tokenizer)
    require_vocab(family, encoding.vocab, what)
    context = family.item_tokens
    if keep is None:
        return _tokenized(documents(), encoding, one_in, context, what)
    stamps = stamps_of(Path(tokenizer)) if tokenizer else []
    name = hashlib.sha256(repr((identity, stamps)).encode()).hexdigest()[:16]
    # The digest of the tokens is written last.
    *paths, digest = (keep / f"{name}{part}" for part in ("-train.npy", "-held.npy", ".sha256"))
    if not all(path.exists() for path in (*paths, digest)) or _kept_digest(paths) != digest.read_text(errors="replace"):
        # Never made, or damaged since: made again from the documents.
        fresh = _tokenized(documents(), encoding, one_in, context, what)
        keep.mkdir(parents=True, exist_ok=True)
        contents: dict[str | Path, bytes] = {
            path: npy_bytes(part) for path, part in zip(paths, (fresh.train, fresh.held), strict=True)
        }
        write_all({**contents, digest: fresh.identity.encode()})
    train, held = (np.load(path, mmap_mode="r") for path in paths)
    return Windows(train, held, context, digest.read_text())


def _kept_digest(paths: Sequence[Path]) -> str | None:
    """The digest of kept tokens, computed from the files; None if they cannot be read."""
    try:
        train, held = (np.load(path, mmap_mode="r") for path in paths)
    except (OSError, ValueError, EOFError):
        return None
    return _digest(train, held)


def _digest(train: NDArray[Any], held: NDArray[Any]) -> str:
    """A digest of tokens, read in parts."""
    sha = hashlib.sha256()
    for number, tokens in enumerate((train, held)):
        sha.update(b"\0" if number else b"")
        for first in range(0, len(tokens), _HASHED):
            sha.update(np.ascontiguousarray(tokens[first : first + _HASHED]).tobytes())
    return sha.hexdigest()[:16]


def stamps_of(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of a file, or of every file in a folder; nothing for a name on the hub."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _tokenized(documents: Iterator[Document], encoding: TextEncoding, one_in: int, context: int, what: str) -> Windows:
    try:
        train, held = _tokens(documents, encoding, one_in)
    except OSError as error:
        raise LadderError(f"{what} cannot be read: {error.filename or ''} {error.strerror or error}.") from None
    found = Windows(train, held, context, _digest(train, held))
    _require_windows(found, what)
    return found


def _require_windows(found: Windows, what: str) -> None:
    """Check that there is at least one training window and one held-out window.

    Raises:
        LadderError: There are too few tokens to train on, or to hold out.
    """
    train, held, context = found.train, found.held, found.context
    for tokens, use, remedy in (
        (train, "train on", "Give more text, or a smaller context in [family]."),
        (
            held,
            "hold out",
            "Whole documents are held out: give more of them, split a file with separator, or hold out a larger share (a smaller one_in).",
        ),
    ):
        if len(tokens) <= context:
            raise LadderError(
                f"{what}: {len(tokens)} tokens to {use}, and one window takes {context + 1} (context + 1). {remedy}"
            )


def _tokens(documents: Iterator[Document], encoding: TextEncoding, one_in: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Training tokens, with the documents shuffled, and held-out tokens."""
    kept: list[NDArray[Any]] = []
    held: list[NDArray[Any]] = []
    for name, text in documents:
        digest = hashlib.sha256(name.encode()).digest()
        (held if digest[0] % one_in == 0 else kept).append(encoding.document(text))
    kind = np.uint8 if encoding.vocab <= 1 << 8 else np.uint16 if encoding.vocab <= 1 << 16 else np.uint32
    order = np.random.default_rng(0).permutation(len(kept))
    empty = np.zeros(0, kind)
    return (
        np.concatenate([empty, *(kept[index] for index in order)]).astype(kind),
        np.concatenate([empty, *held]).astype(kind),
    )
