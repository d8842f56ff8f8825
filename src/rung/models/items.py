"""Items with choices, scored by the likelihood that a model gives each choice behind its prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ModelError
from rung.models.json_lines import json_rows, require_whole
from rung.models.losses import cause_of
from rung.models.opened import OpenModel
from rung.models.ratio import Ratio, ratio
from rung.progress import reported
from rung.skill import ItemScore

_BLANK = re.compile(r"_{3,}")
"""The blank of a statement."""

_PROMPTS, _RIGHT = ("prompt", "context", "question", "query"), ("answer", "gold", "label", "target", "answer_index")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A prompt with choices.

    Attributes:
        name: Its name, or its line.
        prompt: What stands before each choice.
        choices: The choices.
        right: Which one is right.
    """

    name: str
    prompt: str
    choices: tuple[str, ...]
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """All items by one model.

    Attributes:
        every: The items, in their order.
    """

    every: tuple[ItemScore, ...]

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.every)

    def scores(self) -> dict[str, Ratio]:
        """Each score with its standard error over items."""
        ones = [1.0] * self.count
        return {
            "accuracy": ratio([float(one.correct) for one in self.every], ones),
            "accuracy by byte": ratio([float(one.correct_by_byte) for one in self.every], ones),
            "bits per byte of the right": ratio(
                [one.bits_of_right for one in self.every], [one.bytes[one.right] for one in self.every]
            ),
        }

    def row(self) -> dict[str, float | None]:
        """The scores as columns of a table."""
        found: dict[str, float | None] = {"items": self.count}
        for name, (_, value) in zip(
            ("accuracy", "accuracy_by_byte", "bpb_of_right"), self.scores().items(), strict=True
        ):
            found |= {name: value.value, f"{name}_se": value.se}
        return found


def read_items(file: Path) -> list[Item]:
    """The items of a JSONL file: {"prompt": ..., "choices": [...], "answer": 0}, or a "statement" with a blank ___ in place of the prompt.

    Raises:
        ModelError: The file cannot be read, or a line is no item.
    """
    found = [_item(*row) for row in json_rows(file, "--items")]
    if not found:
        raise ModelError(f"--items {file} holds no item.")
    return found


def _item(where: str, number: int, row: dict[str, Any]) -> Item:
    prompt = next((row[name] for name in _PROMPTS if isinstance(row.get(name), str)), None)
    choices, statement = row.get("choices"), row.get("statement")
    if isinstance(statement, str) and isinstance(choices, list) and all(isinstance(one, str) for one in choices):
        return _item(where, number, _filled(where, row, statement, choices))
    right = next((row[name] for name in _RIGHT if name in row), None)
    if prompt is None or not isinstance(choices, list) or not all(isinstance(one, str) for one in choices):
        raise ModelError(f'{where}: an item has a "prompt", "choices" (a list of texts) and an "answer".')
    if isinstance(right, str):
        right = choices.index(right) if right in choices else right
    if not isinstance(right, int) or isinstance(right, bool) or not 0 <= right < len(choices):
        raise ModelError(
            f"{where}: the answer {right!r} is none of the {len(choices)} choices: give its number from 0, or its text."
        )
    if len(set(choices)) < len(choices):
        raise ModelError(f"{where}: two choices are the same text.")
    require_whole(where, prompt, *choices)
    if len(choices) < 2 or not all(choices):
        raise ModelError(f"{where}: an item has two or more choices, none of them empty.")
    return Item(name=str(row.get("id", number)), prompt=prompt, choices=tuple(choices), right=right)


def _filled(where: str, row: dict[str, Any], statement: str, choices: list[str]) -> dict[str, Any]:
    """An item whose choices are whole statements: each choice in the blank, behind the first word that all of them share.

    Scored by byte this compares the perplexities of the statements, whose first word is the same. Source: Chen et al. 2025,
    arXiv:2503.00812 (Blank-ppl).
    """
    parts = _BLANK.split(statement)
    if len(parts) != 2:
        raise ModelError(f"{where}: a statement has one blank, ___; this has {len(parts) - 1}.")
    before, after = parts
    head = before.split(" ", 1)[0]
    kept = {name: value for name, value in row.items() if name != "statement" and name not in _PROMPTS}
    right = next((row[name] for name in _RIGHT if name in row), None)
    number = choices.index(right) if isinstance(right, str) and right in choices else right
    filled = [f"{before}{choice}{after}"[len(head) :] for choice in choices]
    return {**kept, "prompt": head, "choices": filled, "answer": number}


def score_items(model: OpenModel, items: Sequence[Item]) -> ItemScores:
    """Score items by a model. Prompt and choice are made into tokens together; a choice's tokens are those behind the prompt's.

    Raises:
        ModelError: A choice is longer than the model's context, or a likelihood is not finite.
    """
    return ItemScores(every=tuple(_score(model, item) for item in reported(items, "items")))


def _score(model: OpenModel, item: Item) -> ItemScore:
    import torch
    from torch.nn import functional

    prompt = item.prompt.encode()
    sequences, starts = [], []
    for choice in item.choices:
        together, before = model.encode(prompt + choice.encode()), model.encode(prompt)
        both = min(len(before), len(together))
        # Where a token crosses the border it belongs to the choice.
        apart = np.flatnonzero(before[:both] != together[:both])
        kept = min(int(apart[0]) if len(apart) else both, len(together) - 1)
        head = [] if model.start is None else [model.start]
        tokens = np.concatenate([np.array(head, np.int64), together])[-(model.context + 1) :]
        scored = len(together) - kept
        if scored >= len(tokens):
            raise ModelError(
                f"item {item.name}: a choice has {scored} tokens, and nothing before them that {model.name} predicts the first from: its "
                f"context has {model.context}, and the prompt is empty or longer."
            )
        sequences.append(tokens)
        starts.append(len(tokens) - scored)
    longest = max(map(len, sequences))
    batch = torch.zeros((len(sequences), longest), dtype=torch.int64)
    for row, tokens in enumerate(sequences):
        batch[row, : len(tokens)] = torch.from_numpy(np.ascontiguousarray(tokens))
    batch = batch.to(model.device)
    with torch.inference_mode():
        logits = model.logits(batch[:, :-1]).float()
        nats = [
            -float(
                functional.cross_entropy(
                    logits[row, start - 1 : len(tokens) - 1], batch[row, start : len(tokens)], reduction="sum"
                )
            )
            for row, (tokens, start) in enumerate(zip(sequences, starts, strict=True))
        ]
    if not np.isfinite(nats).all():
        raise ModelError(f"item {item.name}: a likelihood of {model.name} is not finite: {cause_of(model)}.")
    return ItemScore(
        name=item.name,
        nats=tuple(nats),
        bytes=tuple(len(choice.encode()) for choice in item.choices),
        right=item.right,
    )
