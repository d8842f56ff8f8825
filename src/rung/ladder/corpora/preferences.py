"""Pairs of texts of which people preferred one, from JSONL: pairs as they are, or posts of a thread with their votes.

    {"prompt": "...", "chosen": "...", "rejected": "..."}              a pair
    {"thread": "17", "prompt": "...", "text": "...", "votes": 12}       a post: of two posts of a thread the one with more votes is preferred

A text is the prompt, an empty line, the answer, and an end token. Threads (prompts, where no thread is named) are held out whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import LadderError
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.answer_texts import (
    AnswerTexts,
    DealtTexts,
    dealt,
    encode_answers,
    prompt_of,
    rows_of,
    text_of,
    whole,
)
from rung.ladder.corpora.corpus import Items

PREFERENCES = "preferences"
"""Name of this corpus."""

Pair = tuple[str, str, str, str]
"""Thread, prompt, preferred answer and the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTexts:
    """Pairs as tokens.

    Attributes:
        texts: Every distinct text.
        pairs: Numbers of the preferred text and the other (pairs, 2).
    """

    texts: AnswerTexts
    pairs: NDArray[np.int64]

    def items(self, rows: NDArray[Any]) -> Items:
        """Texts of the preferred side and the other of these pairs, filled up with 0 (items, context), their lengths and those of their prompts (items, 2)."""
        sides = [self.texts.items(self.pairs[rows, side]) for side in (0, 1)]
        lengths, leads = (np.stack([side[part] for side in sides], axis=1) for part in (1, 2))
        return sides[0][0], sides[1][0], lengths, leads


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """JSONL of pairs, or of posts with votes.

    Attributes:
        path: File, or several.
        prompt: Field of the prompt; it may be missing.
        chosen: Field of the preferred answer.
        rejected: Field of the other.
        text: Field of a post's text.
        votes: Field of its votes.
        thread: Field of its thread; posts with one prompt are a thread where it is missing.
        gap: Least difference in votes that makes a pair.
        most: Pairs of a thread, at most [count].
        cut: Whether longer answers are cut at the end of the context; without it many of them are an error.
        tokenizer: A tokenizer.json, or a name on the Hugging Face hub; bytes by default.
        one_in: About one thread in this many is held out [count].
    """

    path: str | tuple[str, ...]
    prompt: str = "prompt"
    chosen: str = "chosen"
    rejected: str = "rejected"
    text: str = "text"
    votes: str = "votes"
    thread: str = "thread"
    gap: float = 1.0
    most: int = 8
    cut: bool = False
    tokenizer: str = ""
    one_in: int = 20

    @property
    def data(self) -> str:
        return "preferences"

    def open(self, family: Family, keep: Path | None) -> DealtTexts:
        del keep  # texts are read in seconds
        if self.gap <= 0 or self.most < 1 or self.one_in < 2:
            raise LadderError("preferences: gap must be positive, most at least 1, one_in at least 2.")
        pairs = list(self.read())
        texts = self.encoded(family, pairs)
        parts = (texts.texts.tokens, texts.texts.starts, texts.pairs)
        return dealt([thread for thread, *_ in pairs], self.one_in, texts, parts, (str(self.path), "threads"))

    def encoded(self, family: Family, pairs: Sequence[Pair]) -> PairTexts:
        """The tokens of pairs, of which every text is kept once.

        Raises:
            LadderError: There are none, or too many answers are longer than the context.
        """
        if not pairs:
            raise LadderError(f"corpus {self.path!r} holds no pairs: no two posts of a thread differ by {self.gap:g} votes.")  # fmt: skip
        numbers: dict[tuple[str, str], int] = {}
        for _, prompt, *answers in pairs:
            for answer in answers:
                numbers.setdefault((prompt, answer), len(numbers))
        return PairTexts(
            texts=encode_answers(list(numbers), family, str(self.path), self.tokenizer, cut=self.cut),
            pairs=np.array([[numbers[prompt, better], numbers[prompt, worse]] for _, prompt, better, worse in pairs]),
        )

    def read(self) -> Iterator[Pair]:
        """Every pair of the files.

        Raises:
            LadderError: A file cannot be read, or a line is neither a pair nor a post.
        """
        for path in (self.path,) if isinstance(self.path, str) else self.path:
            threads: dict[str, list[tuple[str, str, float]]] = {}
            for where, row in rows_of(path):
                prompt = prompt_of(row.get(self.prompt), where)
                if self.chosen in row and self.rejected in row:
                    shared = "" if prompt else _shared(row[self.chosen], row[self.rejected], where)
                    better, worse = (text_of(row[name], where, name) for name in (self.chosen, self.rejected))
                    if better != worse:
                        asked = prompt or shared
                        yield _thread(row.get(self.thread), where) or asked or better, asked, better, worse
                elif self.text in row and self.votes in row:
                    votes = _votes(row[self.votes], where, self.votes)
                    thread = _thread(row.get(self.thread), where) or prompt
                    if not thread:
                        raise LadderError(f"{where}: a post needs {self.thread} or {self.prompt}, so that posts of one question are compared.")  # fmt: skip
                    threads.setdefault(thread, []).append((prompt, text_of(row[self.text], where, self.text), votes))  # fmt: skip
                else:
                    raise LadderError(f"{where}: neither a pair ({self.chosen}, {self.rejected}) nor a post ({self.text}, {self.votes}); it has {', '.join(row)}. Name the fields in [corpus].")  # fmt: skip
            for thread, posts in threads.items():
                yield from self._pairs(thread, posts)

    def _pairs(self, thread: str, posts: Sequence[tuple[str, str, float]]) -> Iterator[Pair]:
        """Pairs of a thread; of too many the first by a hash, which does not depend on their order in the file."""
        found = []
        for one, other in combinations(posts, 2):
            better, worse = (one, other) if one[2] > other[2] else (other, one)
            if better[2] - worse[2] >= self.gap and better[1] != worse[1]:
                found.append((thread, better[0] or worse[0], better[1], worse[1]))
        found.sort(key=lambda pair: hashlib.sha256("\0".join(pair).encode()).digest())
        yield from found[: self.most]


def _thread(value: Any, where: str) -> str:
    """The name of a thread; "" where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise LadderError(f"{where}: a thread is a {type(value).__name__}, where a name or a number is meant.")
    return whole(str(value), where)


def _votes(value: Any, where: str, name: str) -> float:
    try:
        votes = float(value) if not isinstance(value, bool) and isinstance(value, int | float) else math.nan
    except OverflowError:
        votes = math.inf
    if not math.isfinite(votes):
        raise LadderError(f"{where}: {name} is {str(value)[:40]!r}, no number of votes.")
    return votes


def _shared(one: Any, other: Any, where: str) -> str:
    """The prompt of two conversations that differ in their last message alone; "" where they are texts."""
    if not isinstance(one, list) or not isinstance(other, list):
        return ""
    if one[:-1] != other[:-1]:
        raise LadderError(f"{where}: the two conversations differ before their last messages; give what they share as the prompt.")  # fmt: skip
    return prompt_of(one[:-1], where)
