"""A family out of a timm class: its width and depth go to the class's own arguments."""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rung.errors import LadderError
from rung.ladder.architectures.size import Counts, Size, along, filled, require_positive

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModel:
    """A timm class as a family of image classifiers.

    The class is called, not its entry points: those fix the size. Counts are read off the class built without memory,
    since each has its own.

    Attributes:
        model: Module and class below timm.models.
        width_argument: The argument that takes the width.
        depth_argument: The argument that takes the depth.
        depth_pattern: What the depth is multiplied by, for an argument that takes one depth for each stage.
        arguments: Further arguments of the class.
        image: Pixels along an edge [count].
        channels: Colours [count].
        classes: Classes [count].
        width_multiple: Widths are multiples of this [count].
        aspect: Width for one of depth, where a rung gives one of the two.
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
        """The class, called.

        Raises:
            LadderError: timm is not installed, or has no such class, or the class no such argument.
        """
        module, _, name = self.model.rpartition(".")
        try:
            called = getattr(import_module(f"timm.models.{module}"), name)
        except ModuleNotFoundError as error:
            if error.name == "timm":
                raise LadderError('the family timm needs timm: pip install "rung[timm]".') from None
            raise LadderError(f"model = {self.model!r}: timm.models has no module {module!r}.") from None
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
                near = difflib.get_close_matches(argument, known, 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise LadderError(f"{self.model} takes no argument {argument!r}; it takes {', '.join(known)}.{hint}")
        made: nn.Module = called(**arguments)
        return made

    def count_params(self, size: Size) -> Counts:
        return _measured(self, size)[0]

    def flops_per_token(self, size: Size) -> float:
        """Of one image, by torch's counter: three times a forward pass."""
        return 3.0 * _measured(self, size)[1]

    def __hash__(self) -> int:
        return hash(repr(self))


@lru_cache(maxsize=256)
def _measured(family: ImageModel, size: Size) -> tuple[Counts, int]:
    """Counts, and the FLOPs of a forward pass of one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        net = family.make(size).eval()
        head = sum(p.numel() for p in net.get_classifier().parameters())  # type: ignore[operator]  # every timm class has it
        total = sum(p.numel() for p in net.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.empty(1, family.channels, family.image, family.image))
    return Counts(total=total, embedding=0, head=head, active=total), counter.get_total_flops()
