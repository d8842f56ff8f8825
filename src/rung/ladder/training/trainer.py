"""The trainer: network, optimizer and data of a rung, one step at a time, with the whole state as named tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rung.errors import LadderError
from rung.ladder.architectures.network import Batch, Net, PairNet, TaughtNet
from rung.ladder.architectures.registry import build_network
from rung.ladder.corpora.corpus import Data, HeldOut
from rung.ladder.corpora.text import Windows
from rung.ladder.recipe import Recipe
from rung.ladder.rung import Rung
from rung.ladder.training.optimizer import Optimizer
from rung.ladder.training.weights import begin_from

_EVALUATED = 64
"""Items that are evaluated at once, which bounds the memory of an evaluation [count]."""
_RNG, _OLD_RNG = "rng/", "chance/"
"""Prefix of the RNG state among the tensors of a checkpoint, and the prefix that version 0.1 wrote."""


class Trainer:
    """A run in memory.

    Attributes:
        rung: The rung that is trained.
        net: The network.
        step: Steps done [count].
    """

    def __init__(self, rung: Rung, *, device: str = "cpu", keep: Path | None = None) -> None:
        """Draw the weights and open the corpus.

        Raises:
            LadderError: The corpus cannot be read or is too small.
        """
        self.rung = rung
        self.device = torch.device(device)
        family = rung.made_family
        self.data: Data = _limited(rung.made_corpus.open(family, keep), rung.unique_tokens)
        torch.manual_seed(rung.seed)
        self.net: Net = build_network(family, rung.size).to(self.device)
        built = sum(weight.numel() for weight in self.net.parameters())
        if built != rung.counts.total:
            raise LadderError(f"{rung.name}: the network has {built} weights, its family counts {rung.counts.total}.")
        if rung.recipe.start:
            begin_from(self.net, rung)
        self.net.begin(started=bool(rung.recipe.start))
        self.optimizer = Optimizer(self.net, rung.recipe)
        self.weights = list(self.net.parameters())
        self.average = [weight.detach().clone() for weight in self.weights] if rung.recipe.ema else []
        objective = _objective(self.net, rung.recipe)
        self.called: Any = torch.compile(objective) if rung.recipe.compile else objective
        self.step = 0
        self._held: dict[str, list[Batch]] | None = None
        self._floors: dict[str, float | None] = {}

    def _cast(self) -> Any:
        if self.rung.recipe.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _tensors(self, items: tuple[Any, ...]) -> Batch:
        return tuple(torch.from_numpy(np.ascontiguousarray(part)).to(self.device) for part in items)

    def advance(self) -> Tensor:
        """Do one step and return its training loss."""
        rung, recipe = self.rung, self.rung.recipe
        batch = self._tensors(self.data.batch(rung.key, self.step * rung.batch, rung.batch))
        for weight in self.weights:
            weight.grad = None
        with self._cast():
            loss = self._gradients(batch)
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.weights, recipe.clip)
        self.optimizer.step(recipe.rate(self.step, rung.steps))
        if self.average:
            torch._foreach_lerp_(self.average, [weight.detach() for weight in self.weights], 1 - recipe.ema)
        self.step += 1
        return loss

    def _gradients(self, batch: Batch) -> Tensor:
        micro = self.rung.recipe.micro_batch
        if not micro or micro >= len(batch[0]):
            objective, loss = self.called(batch)
            objective.backward()
            detached: Tensor = loss.detach()
            return detached
        parts = list(zip(*(torch.split(part, micro) for part in batch), strict=True))
        if isinstance(self.net, PairNet):
            return cached_gradients(self.net, parts)
        mean = torch.zeros((), device=self.device)
        whole = self.net.weight(batch)
        for part in parts:
            objective, loss = self.called(part)
            share = self.net.weight(part) / whole
            (objective * share).backward()
            mean += loss.detach() * share
        return mean

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out losses by column: `loss` for the corpus itself, `loss_NAME` for each further set."""
        if self._held is None:
            found: Mapping[str, HeldOut] = self.data.held_out(self.rung.evaluate.items)
            self._held = {name: [self._tensors(items) for items in _parts(held)] for name, held in found.items()}
            self._floors = {name: held.floor for name, held in found.items()}
        with self.averaged(), self._cast():
            self.net.eval()
            losses = {_column(name): self._mean_loss(batches) for name, batches in self._held.items()}
            further = [self._measures(name, batches) for name, batches in self._held.items()]
            self.net.train()
        return losses | {column: value for one in further for column, value in one.items()}

    def _measures(self, name: str, batches: list[Batch]) -> dict[str, float]:
        """What the network measures besides its loss: means over the items of a set."""
        found = [self.net.measures(batch) for batch in batches]
        sizes = [self.net.weight(batch) for batch in batches]
        return {
            f"{column}_{name}" if name else column: float(
                np.average([float(one[column]) for one in found], weights=sizes)
            )
            for column in found[0]
        }

    def _mean_loss(self, batches: list[Batch]) -> float:
        """Mean over items; a loss that compares items with each other compares those within each batch."""
        sizes = [self.net.weight(batch) for batch in batches]
        losses = [float(self.net.losses(batch)[1]) for batch in batches]
        return float(np.average(losses, weights=sizes))

    @property
    def floors(self) -> dict[str, float]:
        """The lowest possible losses, where they are known; empty before the first evaluation."""
        return {_column(name): floor for name, floor in self._floors.items() if floor is not None}

    def averaged(self) -> Any:
        """A context in which the weights are their averages, if the recipe keeps averages."""
        return _swapped(self.weights, self.average) if self.average else nullcontext()

    def state(self) -> dict[str, Tensor]:
        """Every tensor that determines the rest of the training."""
        average = {f"average/{index}": value for index, value in enumerate(self.average)}
        weights = {f"weight/{name}": value for name, value in self.net.state_dict().items()}
        rng = {f"{_RNG}cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            rng[f"{_RNG}cuda"] = torch.cuda.get_rng_state(self.device)
        return {**weights, **self.optimizer.state(), **average, **rng}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Continue from a state, also from one that version 0.1 wrote.

        Raises:
            LadderError: The state belongs to another run.
        """
        state = {name.replace(_OLD_RNG, _RNG): value for name, value in state.items()}
        own = self.state()
        if own.keys() != state.keys():
            raise LadderError(
                f"the checkpoint holds other tensors than {self.rung.name} has: {min(own.keys() ^ state.keys())}."
            )
        for name, value in own.items():
            if not name.startswith(_RNG):
                value.copy_(state[name])
        torch.set_rng_state(state[f"{_RNG}cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state[f"{_RNG}cuda"].cpu(), self.device)
        self.step = step


def train(rung: Rung, *, device: str = "cpu", keep: Path | None = None) -> Trainer:
    """Train a rung in memory to its last step, without a folder."""
    trainer = Trainer(rung, device=device, keep=keep)
    while trainer.step < rung.steps:
        trainer.advance()
    return trainer


def cached_gradients(net: PairNet, parts: list[Batch]) -> Tensor:
    """Compute the gradients of a loss over a whole batch in the memory of its parts, and return the loss.

    The embeddings Z = f(x; w) of all parts are computed without a graph, which gives G = dL/dZ. Each part is then
    embedded again, and the chain rule gives dL/dw = sum over parts of G_part dZ_part/dw. The gradients are exact, at
    the cost of one more forward pass.

    Source: Pham et al. 2021, arXiv:2111.10050, section 4; Gao et al. 2021, arXiv:2101.06983.
    """
    rng_state = torch.get_rng_state()
    with torch.no_grad():
        sides = [torch.cat(side) for side in zip(*(net.embed(part) for part in parts), strict=True)]
    left, right = (side.requires_grad_() for side in sides)
    loss = net.compare(left, right)
    loss.backward()  # type: ignore[no-untyped-call]
    assert left.grad is not None
    assert right.grad is not None
    torch.set_rng_state(rng_state)
    first = 0
    for part in parts:
        rows = slice(first, first + len(part[0]))
        torch.autograd.backward(net.embed(part), (left.grad[rows], right.grad[rows]))
        first = rows.stop
    return loss.detach()


def best_device(requested: str) -> str:
    """The device for a request; auto is a GPU if there is one.

    Raises:
        LadderError: A GPU is requested and there is none, or the device is not known.
    """
    has_gpu = torch.cuda.is_available()
    if requested == "auto":
        return "cuda" if has_gpu else "cpu"
    if requested.startswith("cuda") and not has_gpu:
        raise LadderError(
            f"device = {requested!r}: torch sees no GPU here. Set device = 'cpu', or install a build of torch for GPUs."
        )
    if not requested.startswith("cuda") and requested != "cpu":
        raise LadderError(f"device = {requested!r} is not known; it is auto, cpu, cuda or cuda:N.")
    return requested


def _objective(net: Net, recipe: Recipe) -> Any:
    """From a batch to its objective and its loss."""
    if not recipe.soft:
        return net.losses
    if not isinstance(net, TaughtNet):
        raise LadderError("soft is for families of tokens, which can learn from a teacher.")
    return partial(net.taught, soft=recipe.soft, temperature=recipe.temperature)


def _limited(data: Data, tokens: int) -> Data:
    if not tokens:
        return data
    if not isinstance(data, Windows):
        raise LadderError("unique_tokens limits a corpus of text, and this corpus is none.")
    limited = data.limited(tokens)
    if limited.unique_items < 1:
        raise LadderError(f"unique_tokens = {tokens} is less than one window of {data.context + 1}.")
    return limited


def _parts(held: HeldOut) -> Iterator[tuple[Any, ...]]:
    count = len(held.items[0])
    for first in range(0, count, _EVALUATED):
        yield tuple(part[first : first + _EVALUATED] for part in held.items)


def _column(name: str) -> str:
    return f"loss_{name}" if name else "loss"


class _swapped:  # noqa: N801  # a context manager, named like those of contextlib
    """A context in which the weights have other values."""

    def __init__(self, weights: list[Any], values: list[Tensor]) -> None:
        self.weights, self.values = weights, values

    def _exchange(self) -> None:
        for weight, value in zip(self.weights, self.values, strict=True):
            kept = weight.data.clone()
            weight.data.copy_(value)
            value.copy_(kept)

    def __enter__(self) -> None:
        self._exchange()

    def __exit__(self, *_: object) -> None:
        self._exchange()
