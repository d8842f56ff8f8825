"""Documents of a text corpus, read from files, and the tokenizer that encodes them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.messages import first_line

Document = tuple[str, bytes]
"""A name, which decides whether the document is held out, and its text in UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoding:
    """How a text becomes tokens.

    Attributes:
        encode: From the bytes of a text to its tokens, without an end token.
        spelt: The bytes that a token stands for.
        end: The token that ends a document; None where the tokenizer has none.
        vocab: Size of the vocabulary [count].
    """

    encode: Callable[[bytes], NDArray[Any]]
    spelt: Callable[[int], bytes]
    end: int | None
    vocab: int

    def document(self, text: bytes) -> NDArray[Any]:
        """The tokens of a whole document, with its end token."""
        tokens = self.encode(text)
        return tokens if self.end is None else np.append(tokens, np.asarray(self.end, tokens.dtype))


def read_tokenizer(tokenizer: str) -> TextEncoding:
    """The encoding of a tokenizer.json, or of a name on the Hugging Face hub; that of bytes for "".

    Raises:
        LadderError: The library of tokenizers is not installed, or the tokenizer cannot be loaded.
    """
    if not tokenizer:
        return TextEncoding(
            encode=lambda text: np.frombuffer(text, np.uint8), spelt=lambda token: bytes([token]), end=0, vocab=256
        )
    loaded = load_tokenizer(tokenizer)
    ids = [loaded.token_to_id(name) for name in END_TOKENS]
    return TextEncoding(
        encode=lambda text: np.array(loaded.encode(text.decode("utf-8", "replace")).ids),
        spelt=lambda token: str(loaded.decode([token], skip_special_tokens=False)).encode(),
        end=next((found for found in ids if found is not None), None),
        vocab=loaded.get_vocab_size(),
    )


def load_tokenizer(tokenizer: str) -> Any:
    """The tokenizer of a tokenizer.json, or of a name on the Hugging Face hub.

    Raises:
        LadderError: The library of tokenizers is not installed, or the tokenizer cannot be loaded.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise LadderError('a tokenizer needs tokenizers: pip install "rung[hub]".') from None
    if tokenizer.endswith(".json") and not Path(tokenizer).is_file():
        raise LadderError(f"tokenizer: there is no file {tokenizer!r}. Give a tokenizer.json, or a name on the hub.")
    try:
        return Tokenizer.from_file(tokenizer) if Path(tokenizer).exists() else Tokenizer.from_pretrained(tokenizer)
    except Exception as error:  # noqa: BLE001  # the library raises plain Exceptions; only their text says more
        raise LadderError(f"tokenizer {tokenizer!r} cannot be loaded: {first_line(error)}") from None


def npy_bytes(values: NDArray[Any]) -> bytes:
    """An array as the content of a .npy file."""
    out = io.BytesIO()
    np.save(out, values)
    return out.getvalue()


def json_lines(file: Path) -> Iterator[tuple[int, Any]]:
    """The values of a JSONL file, each with its line.

    Raises:
        LadderError: A line is not JSON.
    """
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise LadderError(f"{file}, line {number}: not JSON ({getattr(error, 'msg', error)}).") from None


def read_jsonl(name: str, file: Path, field: str) -> Iterator[Document]:
    """The documents of a JSONL file, one per line.

    Raises:
        LadderError: A line is not JSON, or has no text in the field.
    """
    for number, row in json_lines(file):
        if not isinstance(row, dict) or not isinstance(row.get(field), str):
            found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            if isinstance(row, dict) and field in row:
                raise LadderError(f"{file}, line {number}: {field!r} holds a {type(row[field]).__name__}, not a text.")
            raise LadderError(
                f"{file}, line {number}: no text in {field!r}; it has {found}. Name the field: field = ..."
            )
        yield f"{name}:{number}", row[field].encode("utf-8", "replace")


def read_parquet(name: str, file: Path, field: str) -> Iterator[Document]:
    """The documents of a Parquet file, one per row.

    Raises:
        LadderError: The file cannot be read, or has no such column.
    """
    import polars as pl

    try:
        column = pl.read_parquet(file, columns=[field])[field].cast(pl.String).fill_null("")
    except pl.exceptions.ColumnNotFoundError:
        found = ", ".join(pl.read_parquet_schema(file))
        raise LadderError(f"{file}: no column {field!r}; it has {found}. Name it: field = ...") from None
    except pl.exceptions.PolarsError as error:
        raise LadderError(f"{file} cannot be read as Parquet: {first_line(error)}") from None
    for row, text in enumerate(column):
        yield f"{name}:{row}", text.encode()


END_TOKENS = ("<|endoftext|>", "</s>", "<eos>")
"""Names of the end token in common tokenizers; the first that a tokenizer has ends each document."""
