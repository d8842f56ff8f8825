"""The network of the image classifiers, around any timm model."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from rung.ladder.architectures.images.spec import ImageModel
from rung.ladder.architectures.network import Batch, Net
from rung.ladder.architectures.size import Size


class ImageNet(Net):
    """Logits of the class, with their cross-entropy as the loss [nats/image]."""

    def __init__(self, family: ImageModel, size: Size) -> None:
        super().__init__()
        self.model = family.make(size)

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        images, labels = batch
        loss = functional.cross_entropy(self.model(images).float(), labels.long())
        return loss, loss
