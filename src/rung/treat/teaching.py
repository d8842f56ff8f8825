"""What teachers think of a text: for each of its tokens the likeliest ones, kept on disk so that no teacher is in memory while students train.

A window of the text is what a student will see of it, and the teachers answer from that window alone. The probabilities of several teachers
are averaged. `rung.ladder` reads the folder as the corpus "teacher".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import LadderError, ModelError
from rung.files import write_text
from rung.ladder.architectures import Decoder
from rung.ladder.corpora import PART, SCHEMA, Text, part_name, read_about, stamps_of
from rung.messages import listed
from rung.models import OpenModel, cause_of, open_model, same_tokens, tokenizer_of
from rung.progress import reported
from rung.results import Result, Summary
from rung.units import format_bytes, format_count

_SMALL = 1 << 16
"""Tokens that two bytes tell apart."""

_LOGITS = 1 << 26
"""Logits that a batch has at most [count]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """How teachers are asked.

    Attributes:
        data: Files and folders of text.
        context: Tokens of a window: the student's context [count].
        likeliest: k, how many tokens are kept of each answer [count].
        one_in: About one document in this many is held out [count].
        field: The column of JSONL and Parquet that holds the text.
        separator: What separates the documents of a plain file.
        device: Where teachers compute; a GPU where there is one by default.
        dtype: The numbers that they compute with.
    """

    data: tuple[str, ...]
    context: int
    likeliest: int = 8
    one_in: int = 20
    field: str = "text"
    separator: str = ""
    device: str | None = None
    dtype: str = "float32"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught(Result):
    """A text that teachers have seen.

    Attributes:
        output: The folder.
        teachers: The teachers.
        tokens: Tokens to train on [count].
        held: Tokens that are held out [count].
        windows: Windows that the teachers answered [count].
        likeliest: Tokens kept of each answer [count].
        mass: The share of the teachers' probability that these have, as a mean.
        bytes_per_token: What an answer takes on disk [bytes].
        vocab: The tokens that a student must tell apart [count].
        context: Its context [count].
        cost: What the answers cost [FLOP].
    """

    output: str
    teachers: tuple[str, ...]
    tokens: int
    held: int
    windows: int
    likeliest: int
    mass: float
    bytes_per_token: float
    vocab: int
    context: int
    cost: float

    def headline(self) -> str:
        return f"{listed(list(self.teachers))} on {format_count(self.tokens)} tokens: the {self.likeliest} likeliest have {100 * self.mass:.3g} % of the probability"

    def describe(self) -> Summary:
        lines = [
            self.headline(),
            f"kept in {self.output}: {self.bytes_per_token:.3g} bytes for each token, {format_bytes(self.bytes_per_token * self.tokens)} in all; "
            f"{format_count(self.held)} tokens are held out",
            f"cost        {self.cost:.3g} FLOPs (treatment_flops for rung worth, with what the student itself took)",
        ]
        example = (
            "a student is a ladder with\n\n"
            f'[family]\nname = "gpt"\nvocab = {self.vocab}\ncontext = {self.context}\n\n[corpus]\nname = "teacher"\npath = "{self.output}"\n\n'
            "[recipe]\nsoft = 0.5          # 0 for its control, which learns from the text alone\ntemperature = 2.0"
        )
        return Summary(["\n".join(lines), example])

    def to_dict(self) -> dict[str, Any]:
        """The answers as plain values."""
        names = (
            *("output", "teachers", "tokens", "held", "windows", "likeliest", "mass", "bytes_per_token"),
            *("vocab", "context"),
        )
        return {**{name: getattr(self, name) for name in names}, "treatment_flops": self.cost}


def teach(teachers: Sequence[str | Path], output: str | Path, how: Teaching) -> Taught:
    """Ask teachers about every window of a text, and keep the likeliest tokens; what an interrupted call has kept is not asked again.

    Raises:
        ModelError: A teacher cannot be opened, teachers differ in their tokens, the text is too short, or the folder holds something else.
    """
    if not teachers:
        raise ModelError("name one or more teachers.")
    if not how.data:
        raise ModelError("name the text that they are asked about: --data TEXT.")
    opened = [open_model(one, device=how.device, dtype=how.dtype) for one in teachers]
    _require_possible(opened, teachers, how)
    encoding = tokenizer_of(teachers[0])
    text = Text(path=how.data, field=how.field, separator=how.separator, tokenizer=encoding, one_in=how.one_in)
    vocab = min(one.vocab for one in opened)
    try:
        windows = text.open(Decoder(vocab=vocab, context=how.context), None)
    except LadderError as error:
        said = error.text.replace("corpus: ", "--data: ").replace("corpus ", "--data ")
        said = said.replace("field = ...", "--field NAME").replace(str(how.data), listed(how.data, 4))
        raise ModelError(said) from None
    place = Path(output)
    about = {
        "schema_version": SCHEMA,
        "teachers": [str(one) for one in teachers],
        "context": how.context,
        "likeliest": how.likeliest,
        "vocab": vocab,
        "identity": hashlib.sha256(
            json.dumps([windows.identity, *([str(one), stamps_of(Path(one))] for one in teachers)]).encode()
        ).hexdigest()[:16],
    }
    _begin(place, about, windows)
    mass = _answer_all(opened, windows.train, windows.unique_items, place, how)
    answered = windows.unique_items * how.context
    each = sum(file.stat().st_size for file in place.glob("part-*.safetensors")) / answered
    return Taught(
        output=str(output),
        teachers=tuple(one.name for one in opened),
        tokens=answered,
        held=len(windows.held),
        windows=windows.unique_items,
        likeliest=how.likeliest,
        mass=mass,
        bytes_per_token=each,
        vocab=vocab,
        context=how.context,
        cost=sum(one.size.flops_per_token(how.context) for one in opened) * answered,
    )


def _require_possible(opened: Sequence[OpenModel], teachers: Sequence[str | Path], how: Teaching) -> None:
    least = min(one.context for one in opened)
    if not 2 <= how.context <= least:  # one to predict from, one to predict
        raise ModelError(f"--context {how.context} must lie between 2 and {least}, which is what the teachers have.")
    if not 1 <= how.likeliest <= min(one.vocab for one in opened):
        raise ModelError(f"--likeliest {how.likeliest} must lie between 1 and the size of the vocabulary.")
    for one, place in zip(opened[1:], teachers[1:], strict=True):
        if not same_tokens(opened[0], one):
            raise ModelError(
                f"{teachers[0]} and {place} have different tokenizers: their answers are about different tokens, and are not averaged."
            )


def _begin(place: Path, about: dict[str, Any], windows: Any) -> None:
    """Make the folder, or see that it is one that an interrupted call began."""
    from safetensors.numpy import save_file

    names = [one.name for one in place.iterdir()] if place.is_dir() else []
    if "about.json" not in names and all(name == "tokens.safetensors" or name.endswith(".part") for name in names):
        names = []  # empty, or interrupted before a word was said about it
    tokens = {"train": np.array(windows.train), "held": np.array(windows.held)}
    if names:
        try:
            before = read_about(place)
        except LadderError as error:
            raise ModelError(f"{place} is there already, and is no folder of a teacher: {error.text}") from None
        if before != about:
            name = next(key for key in about if before.get(key) != about[key])
            raise ModelError(
                f"{place} holds other answers: {name} is {before.get(name)!r} there, {about[name]!r} here. Name another folder."
            )
    try:
        place.mkdir(parents=True, exist_ok=True)
        part = place / ".tokens.part"
        save_file(tokens, part)
        part.rename(place / "tokens.safetensors")
    except OSError as error:
        raise ModelError(f"{place} cannot be written: {error.strerror or error}.") from None
    write_text(place / "about.json", json.dumps(about, indent=1) + "\n")


def _answer_all(opened: Sequence[OpenModel], train: Any, count: int, place: Path, how: Teaching) -> float:
    """Write every part that is not there, and return the mean mass of what is kept."""
    from safetensors.numpy import save_file

    masses = []
    for index in reported(range(-(-count // PART)), "parts of 1024 windows"):
        file = place / part_name(index)
        rows = range(index * PART, min((index + 1) * PART, count))
        if (known := _mass(file, len(rows), how)) is not None:
            masses.append(known)
            continue
        tokens = np.stack([train[row * how.context : (row + 1) * how.context] for row in rows]).astype(np.int64)
        likeliest, log_p = _answers(opened, tokens, how.likeliest)
        masses.append(float(np.exp(log_p).sum(axis=-1).mean()))
        kept = {"likeliest": (likeliest % _SMALL).astype(np.uint16), "log_p": log_p.astype(np.float16)}
        if max(one.vocab for one in opened) > _SMALL:
            kept["likeliest_high"] = (likeliest // _SMALL).astype(np.uint8)
        part = file.with_name(f".{file.name}.part")
        try:
            save_file(kept, part)
            part.rename(file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ModelError(
                f"{file} cannot be written: {error.strerror or error}. The same command goes on from there."
            ) from None
    return float(np.mean(masses))


def _mass(file: Path, windows: int, how: Teaching) -> float | None:
    """The mean mass of a part that is there already; None where it is not, or is damaged and to be answered again."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        log_p = load_file(file)["log_p"]
    except (OSError, SafetensorError, KeyError):
        return None
    return (
        float(np.exp(log_p.astype(np.float32)).sum(axis=-1).mean())
        if log_p.shape == (windows, how.context, how.likeliest)
        else None
    )


def _answers(opened: Sequence[OpenModel], tokens: Any, likeliest: int) -> tuple[Any, Any]:
    """The likeliest tokens after each token of some windows (windows, context, k), and their log-probabilities."""
    import torch

    size = max(1, _LOGITS // (opened[0].vocab * tokens.shape[1]))
    found = []
    vocab = min(one.vocab for one in opened)
    with torch.inference_mode():
        for first in range(0, len(tokens), size):
            batch = torch.from_numpy(np.ascontiguousarray(tokens[first : first + size]))
            logs = [
                torch.log_softmax(one.logits(batch.to(one.device)).float(), dim=-1)[..., :vocab].to(opened[0].device)
                for one in opened
            ]
            mean = logs[0] if len(logs) == 1 else torch.logsumexp(torch.stack(logs), dim=0) - float(np.log(len(logs)))
            if not torch.isfinite(mean).any(dim=-1).all():
                raise ModelError(f"an answer of {opened[0].name} is not finite: {cause_of(opened[0])}.")
            best = mean.topk(likeliest, dim=-1)
            found.append((best.indices.cpu().numpy(), best.values.cpu().numpy()))
    ids, values = (np.concatenate(side) for side in zip(*found, strict=True))
    return ids, values
