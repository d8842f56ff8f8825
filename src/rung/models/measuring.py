"""Measuring models: their loss on a text, their scores on items, their size and pace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rung.errors import ModelError
from rung.findings import Finding
from rung.ladder.corpora import stamps_of
from rung.messages import counted, listed
from rung.models.documents import Document, documents, size_of
from rung.models.items import Item, read_items, score_items
from rung.models.kept_losses import KeptLosses
from rung.models.ladder_model import is_run_folder, known_of_run, open_run, run_tokenizer
from rung.models.losses import DocumentLoss, Losses
from rung.models.measured import MeasuredModel, Measurements
from rung.models.memory import peak_memory, reset_peak_memory
from rung.models.naming import short_names
from rung.models.opened import OpenModel
from rung.models.transformers_model import fetched, open_transformers
from rung.progress import working
from rung.units import format_percent

CONTEXT = 1024
"""Tokens of a window by default, where the model has as many."""

_MB = 1_000_000

CONVENTIONS = ("total", "non_embedding", "active")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """How models are measured.

    Attributes:
        data: Files and folders of text.
        items: A file of items.
        field: The column of JSONL and Parquet that holds the text.
        separator: What separates the documents of a plain file; by default a file is one document.
        context: The most tokens that are predicted from; 1024, or what the model has, by default.
        stride: How far windows are apart; half a window by default.
        device: "cpu", "cuda", ..., or "auto" to spread a model over several devices; a GPU where there is one by default.
        dtype: The numbers that are computed with: float32, bfloat16, float16 or stored.
        keep: A file of JSON lines that keeps the loss of every document, and from which an interrupted measurement goes on.
        convention: How N is counted: total, non_embedding or active; that of the ladder where all models are its runs, else total.
    """

    data: tuple[str, ...] = ()
    items: str | None = None
    field: str = "text"
    separator: str = ""
    context: int | None = None
    stride: int | None = None
    device: str | None = None
    dtype: str = "float32"
    keep: str | None = None
    convention: str | None = None


def open_model(place: str | Path, *, device: str | None = None, dtype: str = "float32", text: bool = True) -> OpenModel:
    """A model from a folder of Transformers, a finished run of a ladder, or the Hugging Face hub; without its tokenizer where it reads no text.

    Raises:
        ModelError: There is no such model, it is damaged, or it is of another kind.
    """
    path, where = Path(place), _require_device(device) if device else _device()
    if is_run_folder(path):
        return open_run(path, device="cpu" if where == "auto" else where)
    if path.is_dir():
        return open_transformers(path, name=path.resolve().name, device=where, dtype=dtype, text=text)
    if path.exists():
        raise ModelError(
            f"{path} is a file. Name the folder of a model: config.json, safetensors and tokenizer together."
        )
    if str(place).count("/") > 1 or str(place).startswith((".", "/", "~")):
        raise ModelError(f"{place}: there is no such folder.")
    name = str(place).rpartition("/")[2]
    return open_transformers(fetched(str(place)), name=name, device=where, dtype=dtype, text=text)


def tokenizer_of(place: str | Path) -> str:
    """The tokenizer of a model as a corpus of a ladder names it: its file, or "" for bytes.

    Raises:
        ModelError: It has none in one file.
    """
    path = Path(place)
    if is_run_folder(path):
        return run_tokenizer(path)
    file = (path if path.is_dir() else fetched(str(place))) / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{place} holds no tokenizer.json, which students read their text with.")
    return str(file)


def measure(models: Sequence[str | Path], how: Measuring) -> Measurements:
    """Measure models alike: one after another, each on the whole text and on all items.

    Raises:
        ModelError: A model cannot be opened, there is nothing to measure on, or an option is out of its range.
    """
    _require_possible(models, how)
    session = _Session(
        how=how,
        items=read_items(Path(how.items)) if how.items else [],
        convention=_convention(models, how.convention),
        kept=KeptLosses(Path(how.keep)) if how.keep else None,
    )
    result = Measurements(
        models=tuple(session.measured(name, place) for name, place in _named(models)),
        convention=session.convention,
        data=listed(list(how.data), 4) if how.data else "",
        rule="; ".join(sorted(session.rules)),
        warnings=(),
    )
    return replace(result, warnings=(*session.findings(), *_comparison_findings(result)))


def _require_possible(models: Sequence[str | Path], how: Measuring) -> None:
    if not models:
        raise ModelError("name one or more models.")
    if not how.data and not how.items:
        raise ModelError("name a text to measure the loss on (--data TEXT), or items to score (--items FILE.jsonl).")
    if how.context is not None and how.context < 2:
        raise ModelError(f"--context {how.context} must be at least 2 tokens.")
    if how.stride is not None and how.stride < 1:
        raise ModelError(f"--stride {how.stride} must be at least 1 token.")
    if how.convention is not None and how.convention not in CONVENTIONS:
        raise ModelError(f"--params {how.convention}: choose among {', '.join(CONVENTIONS)}.")


def _named(models: Sequence[str | Path]) -> Iterator[tuple[str, str | Path]]:
    """Each model with a name of its own: the last part of its place, or the whole where two share it."""
    twice = [place for place in models if list(map(str, models)).count(str(place)) > 1]
    if twice:
        raise ModelError(f"{twice[0]} is named twice.")
    yield from zip(short_names(models), models, strict=True)


def _convention(models: Sequence[str | Path], asked: str | None) -> str:
    if asked is not None:
        return asked
    runs = [known_of_run(Path(place)) for place in models if is_run_folder(Path(place))]
    conventions = {str(one["convention"]) for one in runs}
    return conventions.pop() if len(runs) == len(models) and len(conventions) == 1 else "total"


@dataclass(slots=True)
class _Session:
    """Models that are measured alike, and what is found out about them and their text.

    Attributes:
        how: How they are measured.
        items: The items that they are scored on.
        convention: How N is counted.
        kept: Where losses are kept; None for nowhere.
        rules: How windows were laid, in words.
        no_start: Models without a token that begins a text.
        no_text: Documents that are no text.
        mended: Documents of which some bytes are no text.
        unused: Models whose files hold tensors that they have no place for, in words.
        unknown: Models whose tokenizers could not spell some of the text, in words.
    """

    how: Measuring
    items: Sequence[Item]
    convention: str
    kept: KeptLosses | None
    rules: set[str] = field(default_factory=set)
    no_start: list[str] = field(default_factory=list)
    no_text: dict[str, None] = field(default_factory=dict)
    mended: dict[str, None] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def measured(self, name: str, place: str | Path) -> MeasuredModel:
        """One model."""
        reset_peak_memory()
        how = self.how
        model = open_model(place, device=how.device, dtype=how.dtype)
        if how.context is not None and how.context > model.context:
            raise ModelError(f"--context {how.context} is longer than what {name} has, {model.context} tokens.")
        context = min(how.context or CONTEXT, model.context)
        if model.unused:
            self.unused.append(f"{name} ({len(model.unused)}, {model.unused[0]} first)")
        stride = how.stride or max(1, context // 2)
        if stride > context:
            raise ModelError(
                f"--stride {stride} is longer than a window of {context} tokens: tokens between would be left out."
            )
        losses: tuple[DocumentLoss, ...] = ()
        pace = None
        if how.data:
            losses, pace = self._losses(name, place, Losses(model=model, context=context, stride=stride))
            self.rules.add(
                f"{context} tokens, {stride} apart: each token once, from at least {context - stride} before it, or all of its document"
            )
            if model.start is None:
                self.no_start.append(name)
        known = known_of_run(Path(place)) if is_run_folder(Path(place)) else {}
        return MeasuredModel(
            model=name,
            origin=model.origin,
            size=model.size,
            counts=model.size.by(self.convention),
            known={key: value for key, value in known.items() if key != "convention"},
            losses=losses,
            context=context if how.data else 0,
            stride=stride if how.data else 0,
            items=score_items(model, self.items) if self.items else None,
            tokens_per_s=pace,
            memory_bytes=peak_memory(model.device),
        )

    def _losses(self, name: str, place: str | Path, computing: Losses) -> tuple[tuple[DocumentLoss, ...], float | None]:
        """The loss on every document in their order, and the pace."""
        how = self.how
        asked = _identity(place, how, computing.context, computing.stride)
        before = self.kept.of(name, asked) if self.kept else {}
        found = dict(before)

        def remaining() -> Iterator[tuple[int, Document]]:
            every = documents(how.data, field=how.field, separator=how.separator)
            yield from ((number, document) for number, document in enumerate(every) if number not in before)

        read = 0
        with working("MB of text", size_of(how.data) // _MB) as advance:
            for number, one in computing.of(remaining()):
                found[number] = one
                # One without a token is read again: it costs nothing, and what is no text is named again.
                if self.kept and one.tokens:
                    self.kept.add(name, asked, number, one)
                for _ in range((read + one.bytes) // _MB - read // _MB):
                    advance()
                read += one.bytes
        self.no_text |= dict.fromkeys(computing.no_text)
        self.mended |= dict.fromkeys(computing.mended)
        scored = tuple(found[number] for number in sorted(found) if found[number].tokens)
        if not scored:
            why = f" {listed(computing.no_text, 4)} are no text in UTF-8." if computing.no_text else ""
            raise ModelError(f"--data {listed(how.data)}: no document has a token that could be predicted.{why}")
        if computing.unknown:
            share = computing.unknown / sum(one.tokens for one in scored)
            self.unknown.append(f"{name} ({format_percent(share)} of its tokens)")
        pace = computing.pace
        return scored, pace.tokens / pace.seconds if pace.seconds else None

    def findings(self) -> Iterator[Finding]:
        """What speaks against the text and the models."""
        if self.no_text:
            yield Finding(
                "no_text",
                f"{counted(len(self.no_text), 'document')} are no text in UTF-8 and are left out: {listed(list(self.no_text), 4)}.",
            )
        if self.mended:
            yield Finding(
                "no_text",
                f"{listed(list(self.mended), 4)}: some bytes are no UTF-8, and are read as characters that stand for nothing.",
            )
        if self.unused:
            yield Finding(
                "unused_tensors",
                f"files hold tensors that the network of their config.json has no place for: {listed(self.unused, 4)}. They are not measured: is "
                "the configuration that of these weights?",
            )
        if self.unknown:
            yield Finding(
                "unknown_tokens",
                f"the tokenizer of {listed(self.unknown, 4)} has no token for some of the text and puts one that stands for anything: bits per byte "
                "are then too low to compare.",
            )
        if self.no_start:
            yield Finding(
                "no_start",
                f"{listed(self.no_start, 4)} has no token that begins a text: the first token of each document is read and not scored.",
            )


def _identity(place: str | Path, how: Measuring, context: int, stride: int) -> str:
    """A fingerprint of a model's files, the text's files and the rule of windows."""
    stamps = [[str(top), stamps_of(Path(top))] for top in (*how.data, place)]
    content = json.dumps([stamps, how.field, how.separator, context, stride, how.dtype])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _require_device(device: str) -> str:
    """A device that torch knows and sees here; "auto" is left to Transformers.

    Raises:
        ModelError: It is another.
    """
    import torch

    if device == "auto":
        return device
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ModelError(
            f"--device {device}: torch knows no such device here. Use cpu, or cuda where there is a GPU."
        ) from None
    return device


def _device() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        raise ModelError('a model needs torch: pip install "rung[models]".') from None
    return "cuda" if torch.cuda.is_available() else "cpu"


def _comparison_findings(found: Measurements) -> Iterator[Finding]:
    """What speaks against errors and differences."""
    few = [one.model for one in found.models if len(one.losses) == 1]
    if few:
        yield Finding(
            "one_document",
            f"the text is one document, so nothing tells how much its loss depends on the text: {listed(few, 4)} have no standard error. "
            "Give several files or JSONL, or cut it: --separator.",
        )
    if len(found.models) > 1 and found.models[0].losses and not found.comparable:
        yield Finding(
            "other_documents",
            "the models did not score the same bytes of the same documents (one may read the first token of a document without scoring "
            "it), so their difference has no interval of its own: compare bits per byte with their own errors.",
        )
