"""Items with choices by the likelihood of each: the scores of one item, and the likelihoods that a harness's log keeps.

LM Evaluation Harness logs what it asked (`arguments`: a context and a continuation for each choice) and what the model gave (`resps`: a log
likelihood and whether it is the likeliest). The continuous scores that it does not write follow from these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.errors import SkillError

LIKELIHOOD_SCORES = ("correct_by_byte", "bpb_of_right")
"""Scores that follow from likelihoods, as `rung measure --items` names them."""

_LOGGED = {"arguments", "resps", "target"}
"""Columns of a log that keeps likelihoods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScore:
    """One item by one model.

    Attributes:
        name: The item.
        nats: The log likelihood of each choice [nats].
        bytes: The length of each choice [bytes].
        right: Which one is right.
    """

    name: str
    nats: tuple[float, ...]
    bytes: tuple[int, ...]
    right: int

    @property
    def correct(self) -> bool:
        """Whether the right choice is the likeliest."""
        return int(np.argmax(self.nats)) == self.right

    @property
    def correct_by_byte(self) -> bool:
        """Whether it is the likeliest by byte of its length."""
        return int(np.argmax(np.divide(self.nats, self.bytes))) == self.right

    @property
    def bits_of_right(self) -> float:
        """Bits that the right choice costs."""
        return -self.nats[self.right] / math.log(2)

    @property
    def bpb_of_right(self) -> float:
        """Bits per byte that the right choice costs."""
        return self.bits_of_right / self.bytes[self.right]

    def to_dict(self) -> dict[str, Any]:
        """The score as plain values."""
        return {
            "item": self.name,
            "correct": self.correct,
            "correct_by_byte": self.correct_by_byte,
            "bpb_of_right": self.bpb_of_right,
            "nats": list(self.nats),
            "right": self.right,
        }


def likelihood_score(frame: pl.DataFrame, name: str, place: str) -> pl.Series:
    """A score of every row of a harness's log, from the likelihoods in it.

    Args:
        frame: The log.
        name: One of `LIKELIHOOD_SCORES`.
        place: What the log is called.

    Raises:
        SkillError: A row has no likelihoods of two choices or more, or nothing says which choice is right.
    """
    if not keeps_likelihoods(frame):
        raise SkillError(f"{place}: {name} follows from likelihoods, and there are no columns {', '.join(sorted(_LOGGED))} as in a log of LM Evaluation Harness.")  # fmt: skip
    rows = [_row(row, index, name, place) for index, row in enumerate(frame.iter_rows(named=True))]
    right = _right(frame, rows, name, place)
    found = [
        ItemScore(name=str(index), nats=nats, bytes=tuple(len(one.encode()) for one in choices), right=gold)
        for index, ((choices, nats), gold) in enumerate(zip(rows, right, strict=True))
    ]
    return pl.Series(name, [float(getattr(one, name)) for one in found])


def keeps_likelihoods(frame: pl.DataFrame) -> bool:
    """Whether a table is a log with what was asked and answered."""
    return set(frame.columns) >= _LOGGED


def _row(row: Mapping[str, Any], index: int, name: str, place: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The choices of a row and their log likelihoods [nats]."""
    asked = _asked(row["arguments"])
    answers = row.get("filtered_resps") or row["resps"]
    nats = [_nats(one) for one in answers] if isinstance(answers, Sequence) and not isinstance(answers, str) else []
    if len(asked) < 2 or len(nats) != len(asked) or None in nats:
        raise SkillError(f"{place}, row {index + 1}: {name} needs the log likelihoods of two choices or more, as of a multiple-choice task; this row has none.")  # fmt: skip
    pairs = list(zip(asked, nats, strict=True))
    # The choices without their question follow where mutual information is scored too; they are no choices themselves.
    behind = [pair for pair in pairs if pair[0][0]]
    kept = behind if 2 <= len(behind) < len(pairs) else pairs
    return tuple(choice for (_, choice), _ in kept), tuple(float(value) for _, value in kept if value is not None)


def _asked(arguments: Any) -> list[tuple[str, str]]:
    """Context and continuation of each request: {"gen_args_0": {"arg_0": ..., "arg_1": ...}}, or a list of pairs."""
    if isinstance(arguments, Mapping):
        known = {name: one for name, one in arguments.items() if one is not None}
        parts: list[Any] = [
            list(one.values()) for _, one in sorted(known.items(), key=lambda item: int(item[0].rpartition("_")[2]))
        ]
    else:
        parts = list(arguments or [])
    return [(str(one[0]), str(one[1])) for one in parts if isinstance(one, Sequence) and len(one) > 1]


def _nats(answer: Any) -> float | None:
    """The log likelihood in an answer: (-1.5, False), which newer logs nest and write as text."""
    while isinstance(answer, Sequence) and not isinstance(answer, str) and answer:
        answer = answer[0]
    try:
        value = float(answer)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _right(
    frame: pl.DataFrame, rows: Sequence[tuple[tuple[str, ...], tuple[float, ...]]], name: str, place: str
) -> list[int]:
    """Which choice is right in each row: the target is its number or its text, whichever agrees with the log's own acc."""
    targets = frame["target"].to_list()
    by_number = [_number(target, len(choices)) for target, (choices, _) in zip(targets, rows, strict=True)]
    by_text = [_text(target, choices) for target, (choices, _) in zip(targets, rows, strict=True)]
    known = [[one for one in each if one is not None] for each in (by_text, by_number)]
    readings = [each for each in known if len(each) == len(rows)]
    if "acc" in frame.columns:
        acc = frame["acc"].cast(pl.Float64, strict=False).to_list()
        readings = [each for each in readings if all(_agrees(value, gold, nats) for value, gold, (_, nats) in zip(acc, each, rows, strict=True))]  # fmt: skip
    if not readings:
        first = next((index for index in range(len(rows)) if by_text[index] is None and by_number[index] is None), 0)
        raise SkillError(
            f"{place}, row {first + 1}: the target {targets[first]!r} is neither the number nor the text of one of the choices that agrees with acc, so nothing says which is right, and {name} is unknown."
        )
    return readings[0]


def _agrees(acc: float | None, gold: int, nats: Sequence[float]) -> bool:
    return acc is None or (acc == 1) == (int(np.argmax(nats)) == gold)


def _number(target: Any, count: int) -> int | None:
    try:
        value = float(target)
    except (TypeError, ValueError):
        return None
    return int(value) if value.is_integer() and 0 <= value < count else None


def _text(target: Any, choices: Sequence[str]) -> int | None:
    plain = [choice.strip() for choice in choices]
    told = f"{int(target)}" if isinstance(target, float) and target.is_integer() else str(target).strip()
    return plain.index(told) if plain.count(told) == 1 else None
