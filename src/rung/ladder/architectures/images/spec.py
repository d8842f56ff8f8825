"""A family made of a timm class: width and depth are passed as arguments of the class."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rung.errors import LadderError
from rung.ladder.architectures.size import Counts, Size, along, filled, require_positive
from rung.messages import did_you_mean, first_line

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModel:
    """A timm class as a family of image classifiers.

    The class itself is called, since timm's entry points fix the size. There is no closed form for all classes, so
    parameters and FLOPs are counted on the model, built without allocating memory. The default class is FocalNet,
    arXiv:2203.11926, whose tiny model has width 96 and depth 2 here.

    Attributes:
        model: Module and class in timm.models.
        width_argument: Argument that takes the width.
        depth_argument: Argument that takes the depth.
        depth_pattern: Multiples of the depth, one per stage, if the argument takes a depth per stage; () for one.
        arguments: Further arguments of the class.
        image: Pixels along an edge of the image [count].
        channels: Colour channels [count].
        classes: Classes [count].
        width_multiple: Widths are multiples of this [count].
        aspect: Width over depth by the size rule, used if a rung gives only one of the two.
    """

    model: str = "focalnet.FocalNet"
    width_argument: str = "embed_dim"
    depth_argument: str = "depths"
    depth_pattern: tuple[int, ...] = (1, 1, 3, 1)
    arguments: dict[str, Any] = field(default_factory=dict)
    image: int = 32
    channels: int = 3
    classes: int = 10
    width_multiple: int = 16
    aspect: float = 48.0

    def __post_init__(self) -> None:
        require_positive(self, "image", "channels", "classes", "width_multiple", "aspect")

    @property
    def data(self) -> str:
        return "images"

    @property
    def item_tokens(self) -> int:
        return 1

    def size_of(self, width: int | None, depth: int | None) -> Size:
        return filled(width, depth, self.aspect, self.width_multiple)

    def sizes(self) -> Iterator[Size]:
        return along(itertools.count(self.width_multiple, self.width_multiple), self.aspect)

    def make(self, size: Size) -> nn.Module:
        """The model at a size.

        Raises:
            LadderError: timm is not installed, timm has no such class, or the class has no such argument.
        """
        module, _, name = self.model.rpartition(".")
        try:
            called = getattr(import_module(f"timm.models.{module}"), name)
        except ModuleNotFoundError as error:
            if error.name == "timm":
                raise LadderError('the family timm needs timm: pip install "rung[timm]".') from None
            raise LadderError(f"model = {self.model!r}: timm.models has no module {module!r}.") from None
        except RuntimeError as error:
            raise LadderError(
                f"timm does not load here: {first_line(error)}. A torchvision that was built for another torch is the usual reason: "
                "pip uninstall torchvision, or install the build for this torch."
            ) from None
        except AttributeError:
            raise LadderError(f"model = {self.model!r}: timm.models.{module} has no class {name!r}.") from None
        depth = tuple(size.depth * part for part in self.depth_pattern) if self.depth_pattern else size.depth
        arguments = {
            "in_chans": self.channels,
            "num_classes": self.classes,
            self.width_argument: size.width,
            self.depth_argument: depth,
            **self.arguments,
        }
        known = inspect.signature(called).parameters
        for argument in arguments:
            if argument not in known:
                hint = did_you_mean(argument, known)
                raise LadderError(f"{self.model} takes no argument {argument!r}; it takes {', '.join(known)}.{hint}")
        made: nn.Module = called(**arguments)
        return made

    def count_params(self, size: Size) -> Counts:
        return _measured(self, size)[0]

    def flops_per_token(self, size: Size) -> float:
        """Training FLOPs of one image: three times those of a forward pass, by torch's counter [FLOP]."""
        return 3.0 * _measured(self, size)[1]

    def __hash__(self) -> int:
        return hash(repr(self))


@lru_cache(maxsize=256)
def _measured(family: ImageModel, size: Size) -> tuple[Counts, int]:
    """Parameters, and the FLOPs of a forward pass of one image [FLOP]."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        net = family.make(size).eval()
        head = sum(p.numel() for p in net.get_classifier().parameters())  # type: ignore[operator]  # every timm class has it
        total = sum(p.numel() for p in net.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.empty(1, family.channels, family.image, family.image))
    return Counts(total=total, embedding=0, head=head, active=total), counter.get_total_flops()
