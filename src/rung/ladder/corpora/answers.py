"""Answers behind their prompts, from JSONL: what supervised fine-tuning learns.

    {"prompt": "...", "answer": "..."}
    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}    the last message is the answer

A text is the prompt, an empty line, the answer, and an end token, as in the corpus of preferences. Prompts are held out whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rung.errors import LadderError
from rung.ladder.architectures.size import Family
from rung.ladder.corpora.answer_texts import DealtTexts, dealt, encode_answers, prompt_of, rows_of, text_of

ANSWERS = "answers"
"""Name of this corpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """JSONL of prompts and answers.

    Attributes:
        path: File, or several.
        prompt: Field of the prompt; it may be missing.
        answer: Field of the answer.
        messages: Field of a conversation, in place of both.
        cut: Whether longer answers are cut at the end of the context; without it many of them are an error.
        tokenizer: A tokenizer.json, or a name on the Hugging Face hub; bytes by default.
        one_in: About one prompt in this many is held out [count].
    """

    path: str | tuple[str, ...]
    prompt: str = "prompt"
    answer: str = "answer"
    messages: str = "messages"
    cut: bool = False
    tokenizer: str = ""
    one_in: int = 20

    @property
    def data(self) -> str:
        return ANSWERS

    def open(self, family: Family, keep: Path | None) -> DealtTexts:
        del keep  # texts are read in seconds
        if self.one_in < 2:
            raise LadderError("answers: one_in must be at least 2.")
        found = list(dict.fromkeys(self.read()))
        if not found:
            raise LadderError(f"corpus {self.path!r} holds no answers.")
        texts = encode_answers(found, family, str(self.path), self.tokenizer, cut=self.cut)
        parts = (texts.tokens, texts.starts, texts.leads)
        return dealt(
            [prompt or answer for prompt, answer in found], self.one_in, texts, parts, (str(self.path), "prompts")
        )

    def read(self) -> Iterator[tuple[str, str]]:
        """Every prompt with its answer.

        Raises:
            LadderError: A file cannot be read, or a line holds no answer.
        """
        for path in (self.path,) if isinstance(self.path, str) else self.path:
            for where, row in rows_of(path):
                said = row.get(self.messages)
                if isinstance(said, list) and said:
                    if isinstance(said[-1], dict) and said[-1].get("role") in {"user", "system"}:
                        raise LadderError(f"{where}: the last message is of the {said[-1]['role']}, and the answer is the assistant's. Leave the line out, or end it with its answer.")  # fmt: skip
                    yield prompt_of(said[:-1], where), text_of(said, where, self.messages)
                elif self.answer in row:
                    yield prompt_of(row.get(self.prompt), where), text_of(row[self.answer], where, self.answer)
                else:
                    raise LadderError(f"{where}: no answer ({self.answer}, or {self.messages}); it has {', '.join(row)}. Name the fields in [corpus].")  # fmt: skip
