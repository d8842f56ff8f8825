"""A classifier of images around any module."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from rung.ladder.nets import Batch, Net


class ImageNet(Net):
    """Logits of the class, and their cross-entropy [nats/image]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        images, labels = batch
        loss = functional.cross_entropy(self.model(images).float(), labels.long())
        return loss, loss
