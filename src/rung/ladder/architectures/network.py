"""The interface between the networks of families and the trainer."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

Batch = tuple[Tensor, ...]
"""The parts of a batch of items, each (items, ...)."""


class Net(nn.Module, ABC):
    """A network with its own loss."""

    @abstractmethod
    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means over a batch: the training objective, and the reported loss [nats/token, or as the family says]."""

    def weight(self, batch: Batch) -> float:
        """How much a batch counts in a mean over several: its items, or what the losses are means over."""
        return float(len(batch[0]))

    def begin(self, *, started: bool) -> None:
        """Be told, once, that the weights that training begins from are in place.

        Args:
            started: Whether they are those of a finished run.
        """

    def measures(self, batch: Batch) -> dict[str, Tensor]:
        """Further means over a held-out batch, by the name of their column."""
        del batch
        return {}


class TaughtNet(Net):
    """A network of tokens that can learn from a teacher's likeliest tokens."""

    @abstractmethod
    def taught(self, batch: Batch, soft: float, temperature: float) -> tuple[Tensor, Tensor]:
        """Means over a batch whose further parts are the teacher's likeliest tokens (items, tokens, k) and their log-probabilities.

        Args:
            batch: Tokens, and the teacher's.
            soft: Share of the objective that learns from the teacher.
            temperature: By which logits of teacher and student are divided.
        """


class PairNet(Net):
    """A network whose loss compares all items of a batch with each other, by their embeddings."""

    @abstractmethod
    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings of both views, two tensors (items, width)."""

    @abstractmethod
    def compare(self, left: Tensor, right: Tensor) -> Tensor:
        """The loss of a batch of embeddings."""

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        loss = self.compare(*self.embed(batch))
        return loss, loss
