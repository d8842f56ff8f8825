"""The networks that families build: what a trainer asks of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

Batch = tuple[Tensor, ...]


class Net(nn.Module, ABC):
    """A network that knows its own loss."""

    @abstractmethod
    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Two means over a batch: what training minimises, and the loss that is told [nats per token, or as the family says]."""


class PairNet(Net):
    """A network whose loss compares every item of a batch with every other, by their embeddings."""

    @abstractmethod
    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings of both views (items, width)."""

    @abstractmethod
    def compare(self, left: Tensor, right: Tensor) -> Tensor:
        """The loss of a batch of embeddings."""

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        loss = self.compare(*self.embed(batch))
        return loss, loss
