"""The families by name: architectures with a size rule, whose parameters are counted without building the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rung.ladder.architectures.decoder.aligned import DPO, ORPO, SFT, Aligned
from rung.ladder.architectures.decoder.preference import Preference
from rung.ladder.architectures.decoder.spec import PUBLISHED as PUBLISHED_DECODERS
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.features.spec import Memoriser, Superposition
from rung.ladder.architectures.images.spec import ImageModel
from rung.ladder.architectures.series.spec import PUBLISHED as PUBLISHED_SERIES
from rung.ladder.architectures.series.spec import SeriesTransformer
from rung.ladder.architectures.size import Family, Size, Variant
from rung.ladder.architectures.two_tower.spec import TwoTower

if TYPE_CHECKING:
    from rung.ladder.architectures.network import Net

_HERE = "rung.ladder.architectures"
"""Package of the networks, which are named as text so that torch is not imported."""


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """A family of the registry.

    Attributes:
        spec: Specification: sizes, parameter counts and FLOPs, without torch.
        network: Network, as "module:class"; imported when a rung is trained.
        options: Options that differ from the defaults of the specification.
    """

    spec: type[Any]
    network: str
    options: Mapping[str, Any] = field(default_factory=dict)


_DECODER = f"{_HERE}.decoder.network:DecoderNet"
_ALIGNED = f"{_HERE}.decoder.aligned_network:AlignedNet"
_SERIES = f"{_HERE}.series.network:SeriesNet"
_SWIGLU = {"mlp": "swiglu", "mlp_ratio": 8 / 3, "mlp_multiple": 8}

FAMILIES: dict[str, FamilyEntry] = {
    "gpt": FamilyEntry(Decoder, _DECODER),
    "gpt-small-mlp": FamilyEntry(Decoder, _DECODER, {"mlp_ratio": 1.0}),
    "gpt-no-mlp": FamilyEntry(Decoder, _DECODER, {"mlp": "none"}),
    "llama": FamilyEntry(Decoder, _DECODER, _SWIGLU),
    "moe": FamilyEntry(Decoder, _DECODER, {**_SWIGLU, "experts": 8}),
    "sft": FamilyEntry(Aligned, _ALIGNED, {"objective": SFT}),
    "dpo": FamilyEntry(Aligned, _ALIGNED, {"objective": DPO}),
    "orpo": FamilyEntry(Aligned, _ALIGNED, {"objective": ORPO}),
    "preference": FamilyEntry(Preference, f"{_HERE}.decoder.network:PreferenceNet", _SWIGLU),
    "series-encoder": FamilyEntry(SeriesTransformer, _SERIES, {"causal": False}),
    "series-decoder": FamilyEntry(SeriesTransformer, _SERIES, {"causal": True}),
    "two-tower": FamilyEntry(TwoTower, f"{_HERE}.two_tower.network:TowersNet"),
    "superposition": FamilyEntry(Superposition, f"{_HERE}.features.network:SuperpositionNet"),
    "memoriser": FamilyEntry(Memoriser, f"{_HERE}.features.network:MemoriserNet"),
    "timm": FamilyEntry(ImageModel, f"{_HERE}.images.network:ImageNet"),
}
"""The families by name. A new one is a folder with `spec.py` and `network.py`, and a line here."""


def build_network(family: Family, size: Size) -> Net:
    """The network of a family at a size, with initial weights drawn by torch's random number generator."""
    module, _, name = next(entry.network for entry in FAMILIES.values() if entry.spec is type(family)).partition(":")
    network: Net = getattr(import_module(module), name)(family, size)
    return network


PUBLISHED: tuple[Variant, ...] = (*PUBLISHED_DECODERS, *PUBLISHED_SERIES)
"""Published models, with their counts, of all families."""
