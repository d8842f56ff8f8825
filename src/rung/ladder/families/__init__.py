"""The families: architectures with a size rule, counted without being built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.ladder.families.decoder import PUBLISHED as PUBLISHED_DECODERS
from rung.ladder.families.decoder import Decoder
from rung.ladder.families.features import Memoriser, Superposition
from rung.ladder.families.images import ImageModel
from rung.ladder.families.series import LADDER as SERIES_LADDER
from rung.ladder.families.series import PUBLISHED as PUBLISHED_SERIES
from rung.ladder.families.series import SeriesTransformer
from rung.ladder.families.size import COUNTS, Counts, Family, Size, Variant, nearest_size
from rung.ladder.families.towers import TwoTower

FAMILIES: dict[str, tuple[type[Any], Mapping[str, Any]]] = {
    "gpt": (Decoder, {}),
    "gpt-small-mlp": (Decoder, {"mlp_ratio": 1.0}),
    "gpt-no-mlp": (Decoder, {"mlp": "none"}),
    "llama": (Decoder, {"mlp": "swiglu", "mlp_ratio": 8 / 3, "mlp_multiple": 8}),
    "moe": (Decoder, {"mlp": "swiglu", "mlp_ratio": 8 / 3, "mlp_multiple": 8, "experts": 8}),
    "series-encoder": (SeriesTransformer, {"causal": False}),
    "series-decoder": (SeriesTransformer, {"causal": True}),
    "two-tower": (TwoTower, {}),
    "superposition": (Superposition, {}),
    "memoriser": (Memoriser, {}),
    "timm": (ImageModel, {}),
}
"""Each family's class, and the options by which it differs from the class's own defaults."""

PUBLISHED: tuple[Variant, ...] = (*PUBLISHED_DECODERS, *PUBLISHED_SERIES)

__all__ = [
    "COUNTS",
    "FAMILIES",
    "PUBLISHED",
    "SERIES_LADDER",
    "Counts",
    "Decoder",
    "Family",
    "ImageModel",
    "Memoriser",
    "SeriesTransformer",
    "Size",
    "Superposition",
    "TwoTower",
    "Variant",
    "nearest_size",
]
