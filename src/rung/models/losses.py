"""The loss of a model on documents, window by window, summed per document."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rung.errors import ModelError
from rung.models.documents import Document, is_no_text
from rung.models.opened import OpenModel
from rung.models.windows import Window, windows_of

_LOGITS = 1 << 26
"""Logits that a batch has at most [count]."""

_LARGEST_BATCH = 32
_SORTED = 16
"""Batches whose windows are sorted by length together, so that little is padded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLoss:
    """The loss of one document.

    Attributes:
        name: Its name.
        nats: The sum over its scored tokens [nats].
        tokens: Tokens that were scored [count].
        bytes: Bytes that these tokens stand for [count].
    """

    name: str
    nats: float
    tokens: int
    bytes: int


@dataclass(slots=True)
class Pace:
    """How much was computed, and how long it took.

    Attributes:
        tokens: Tokens that went through the network, context included [count].
        seconds: The time that the network took [s].
    """

    tokens: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Open:
    """A document whose windows are on their way."""

    name: str
    nats: float = 0.0
    tokens: int = 0
    bytes: int = 0
    waiting: int = 0
    read: bool = False


@dataclass(slots=True)
class Losses:
    """The losses of documents by one model.

    Attributes:
        model: The model.
        context: The most tokens of a window that are predicted from [count].
        stride: How far windows are apart [count].
        pace: How fast it went.
        no_text: Documents that are no text in UTF-8, which are left out.
        mended: Documents in which some bytes further on are no UTF-8, and are read as U+FFFD.
        unknown: Tokens that stand for what the tokenizer cannot spell [count].
    """

    model: OpenModel
    context: int
    stride: int
    pace: Pace = field(default_factory=Pace)
    no_text: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    unknown: int = 0
    _open: dict[int, _Open] = field(default_factory=dict)

    def of(self, documents: Iterable[tuple[int, Document]]) -> Iterator[tuple[int, DocumentLoss]]:
        """Each document's loss by its number, as soon as its last window is done; one with nothing to predict has 0 tokens.

        Raises:
            ModelError: The model gives a loss that is not finite, or a token that it does not know.
        """
        size = min(_LARGEST_BATCH, max(1, _LOGITS // (self.model.vocab * self.context)))
        held: list[Window] = []
        for number, (name, pieces) in documents:
            self._open[number] = one = _Open(name)
            for window in windows_of(number, self._tokens(one, pieces), self.context, self.stride):
                one.waiting += 1
                held.append(window)
                if len(held) >= size * _SORTED:
                    self._score(held, size)
                    held = []
                    yield from self._done()
            one.read = True
        self._score(held, size)
        yield from self._done()

    def _tokens(self, one: _Open, pieces: Iterator[bytes]) -> Iterator[np.ndarray]:
        """The tokens of a document, the start token first; its bytes are counted, without those that are not predicted."""
        start = self.model.start
        if start is not None:
            yield np.array([start])
        first = start is None
        for piece in pieces:
            tokens = self.model.encode(piece)
            if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.model.vocab:
                raise ModelError(
                    f"{self.model.name}: the tokenizer gives token {int(tokens.max())}, and the model knows {self.model.vocab}. "
                    "They do not belong together."
                )
            one.bytes += len(piece)
            self.unknown += 0 if self.model.unknown is None else int((tokens == self.model.unknown).sum())
            if is_no_text(piece):
                if one.bytes == len(piece):
                    self.no_text.append(one.name)
                    one.bytes = 0
                    return
                if one.name not in self.mended:
                    self.mended.append(one.name)
            if first and len(tokens):
                one.bytes -= len(self.model.spelt(int(tokens[0])))
                first = False
            yield np.asarray(tokens, dtype=np.int64)

    def _score(self, windows: Sequence[Window], size: int) -> None:
        by_length = sorted(windows, key=lambda window: len(window.tokens))
        for first in range(0, len(by_length), size):
            batch = by_length[first : first + size]
            for window, nats in zip(batch, self._nats(batch), strict=True):
                one = self._open[window.document]
                one.nats += nats
                one.tokens += window.scored
                one.waiting -= 1

    def _nats(self, batch: Sequence[Window]) -> list[float]:
        """The sum of the losses of each window's scored tokens [nats]."""
        import torch
        from torch.nn import functional

        longest = max(len(window.tokens) for window in batch)
        # Padding stands behind a window, where a causal network does not look from within it.
        tokens = torch.zeros((len(batch), longest), dtype=torch.int64)
        for row, window in enumerate(batch):
            tokens[row, : len(window.tokens)] = torch.from_numpy(np.ascontiguousarray(window.tokens))
        tokens = tokens.to(self.model.device)
        begun = time.perf_counter()
        with torch.inference_mode():
            logits = self.model.logits(tokens[:, :-1])
            found = []
            for row, window in enumerate(batch):
                end = len(window.tokens)
                scored = slice(end - window.scored, end)
                of_scored = logits[row, end - 1 - window.scored : end - 1].float()
                losses = functional.cross_entropy(of_scored, tokens[row, scored], reduction="none")
                found.append(losses.double().sum())
            nats = torch.stack(found).tolist()
        self.pace.seconds += time.perf_counter() - begun
        self.pace.tokens += sum(len(window.tokens) - 1 for window in batch)
        bad = next((index for index, value in enumerate(nats) if not np.isfinite(value)), None)
        if bad is not None:
            where = self._open[batch[bad].document].name
            raise ModelError(f"{self.model.name}: the loss on {where} is not finite: {cause_of(self.model)}.")
        return [float(value) for value in nats]

    def _done(self) -> Iterator[tuple[int, DocumentLoss]]:
        """The documents whose windows are all scored, in their order."""
        for number in [number for number, one in self._open.items() if one.read and not one.waiting]:
            one = self._open.pop(number)
            yield number, DocumentLoss(name=one.name, nats=one.nats, tokens=one.tokens, bytes=max(one.bytes, 0))


def cause_of(model: OpenModel) -> str:
    """Why a model gives numbers that are not finite."""
    import torch

    for name, weight in model.network.named_parameters():
        if not torch.isfinite(weight).all():
            return f"so are numbers of {name}"
    return "its numbers overflow on the way. Try --dtype float32"
