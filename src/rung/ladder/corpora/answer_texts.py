"""Prompts and answers of JSONL as tokens in windows: what is shared by the corpora of answers and of preferences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.corpus import HeldOut, Items, places, require_vocab
from rung.ladder.corpora.documents import TextEncoding, json_lines, read_tokenizer

_LONG = 0.05
"""Share of answers that may be longer than the context before that is an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTexts:
    """Answers behind their prompts, as tokens.

    Attributes:
        tokens: The tokens of every text, one after another.
        starts: Where each text begins, and the last one ends (texts + 1,).
        leads: How many tokens of each are its prompt's (texts,).
        context: Tokens of a window [count].
    """

    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    leads: NDArray[np.int64]
    context: int

    def items(self, rows: NDArray[Any]) -> Items:
        """These texts, filled up with 0 (items, context), their lengths, and those of their prompts (items,)."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        filled = np.zeros((len(rows), self.context), np.int32)
        for row, (text, length) in enumerate(zip(rows, lengths, strict=True)):
            filled[row, :length] = self.tokens[self.starts[text] : self.starts[text + 1]]
        return filled, lengths, self.leads[rows]


class HasItems(Protocol):
    """Texts of which some rows make a batch."""

    def items(self, rows: NDArray[Any]) -> Items:
        """The items of these rows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DealtTexts:
    """Texts to train on, and texts of other prompts or threads that are held out.

    Attributes:
        texts: All of them.
        train: Rows of those to train on.
        held: Rows of those that are held out.
        identity: A fingerprint of all.
    """

    texts: HasItems
    train: NDArray[Any]
    held: NDArray[Any]
    identity: str

    @property
    def unique_items(self) -> int:
        return len(self.train)

    def batch(self, key: tuple[int, ...], first: int, count: int) -> Items:
        return self.texts.items(self.train[places(key, first, count, len(self.train))])

    def held_out(self, count: int) -> Mapping[str, HeldOut]:
        """Held-out texts at equal distances in the file."""
        rows = np.linspace(0, len(self.held) - 1, min(count, len(self.held))).astype(int)
        return {"": HeldOut(items=self.texts.items(self.held[rows]))}


def dealt(
    groups: Sequence[str], one_in: int, texts: HasItems, parts: Sequence[NDArray[Any]], named: tuple[str, str]
) -> DealtTexts:
    """Hold out about one group in so many, whole, by a hash of its name.

    Args:
        groups: The prompt or thread of each row.
        one_in: About one group in this many is held out [count].
        texts: The rows as items.
        parts: What the fingerprint is of.
        named: The corpus, and what its groups are called.

    Raises:
        LadderError: None is left to train on, or none to hold out.
    """
    held = np.array([int.from_bytes(hashlib.sha256(one.encode()).digest()[:8], "big") % one_in == 0 for one in groups])
    if held.all() or not held.any():
        use = "train on" if held.all() else "hold out"
        source, called = named
        raise LadderError(f"corpus {source!r}: {len(set(groups))} {called} leave none to {use}. Give more {called}, or another one_in.")  # fmt: skip
    content = b"\0".join(part.tobytes() for part in (*parts, held))
    return DealtTexts(
        texts=texts,
        train=np.flatnonzero(~held),
        held=np.flatnonzero(held),
        identity=hashlib.sha256(content).hexdigest()[:16],
    )


def encode_answers(
    texts: Sequence[tuple[str, str]], family: Family, source: str, tokenizer: str, *, cut: bool
) -> AnswerTexts:
    """The tokens of prompts with their answers.

    Raises:
        LadderError: Too many answers are longer than the context, or the vocabulary is too small.
    """
    encoding = read_tokenizer(tokenizer)
    require_vocab(family, encoding.vocab, f"corpus {source!r}")
    context = int(getattr(family, "context", family.item_tokens))
    found = [_encoded(encoding, prompt, answer, context) for prompt, answer in texts]
    long = sum(is_long for *_, is_long in found)
    if long > _LONG * len(found) and not cut:
        raise LadderError(f"corpus {source!r}: {long:,} of {len(found):,} answers are longer than context = {context}. Set a larger context in [family], or cut = true in [corpus] to cut them.")  # fmt: skip
    return AnswerTexts(
        tokens=np.concatenate([tokens for tokens, *_ in found]),
        starts=np.concatenate([[0], np.cumsum([len(tokens) for tokens, *_ in found])]),
        leads=np.array([lead for _, lead, _ in found]),
        context=context,
    )


def rows_of(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with its place in messages."""
    file = Path(path).expanduser()
    try:
        for number, row in json_lines(file):
            if not isinstance(row, dict):
                raise LadderError(f"{file}, line {number}: a {type(row).__name__} where an object is meant.")
            yield f"{file}, line {number}", row
    except OSError as error:
        raise LadderError(f"corpus {path!r} cannot be read: {error.strerror}.") from None


def prompt_of(value: Any, where: str) -> str:
    """A prompt, or the texts of the messages of a conversation, an empty line between them."""
    if isinstance(value, list):
        return "\n\n".join(text_of([one], where, "a message of the prompt") for one in value)
    if value is not None and not isinstance(value, str):
        raise LadderError(
            f"{where}: the prompt is a {type(value).__name__}, where a text or a list of messages is meant."
        )
    return whole(value or "", where)


def text_of(value: Any, where: str, name: str) -> str:
    """A text, or the last message of a conversation."""
    if isinstance(value, list) and value and isinstance(value[-1], dict) and "content" in value[-1]:
        value = value[-1]["content"]
    if not isinstance(value, str) or not value:
        raise LadderError(f"{where}: {name} holds {type(value).__name__ if value != '' else 'nothing'}, where a text is meant.")  # fmt: skip
    return whole(value, where)


def whole(text: str, where: str) -> str:
    """A text without halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LadderError(f"{where}: a text holds half of a character.") from None
    return text


def _encoded(encoding: TextEncoding, prompt: str, answer: str, context: int) -> tuple[NDArray[Any], int, bool]:
    """The tokens of a text, how many are the prompt's, and whether the answer alone is longer than the context; of a long prompt the beginning is cut."""
    body = encoding.encode(answer.encode("utf-8", "replace")).astype(np.int32)
    lead = encoding.encode(f"{prompt}\n\n".encode("utf-8", "replace")).astype(np.int32) if prompt else body[:0]
    end = np.array([] if encoding.end is None else [encoding.end], np.int32)
    room = context - len(end)
    kept = body[:room]
    lead = lead[max(len(lead) - (room - len(kept)), 0) :]
    return np.concatenate([lead, kept, end]), len(lead), len(body) > room
