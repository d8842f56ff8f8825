"""N of a tracked run: the entry that states it, or the weights of its layers by its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.runs.columns import ALIASES
from rung.runs.sources.configuration import Entry, entries, first
from rung.runs.sources.shape import weights_of

TOTAL = tuple(name for name in ("params", *ALIASES["params"]) if len(name) > 1)
"""Settings that state the number of parameters, in order of preference."""

_NOT_BY_SHAPE = (
    *("mamba_d_state", "attn_layer_period", "ssm_state_size", "state_size", "time_mix_extra_dim", "lru_width"),
    *("hybrid_override_pattern", "mamba_expand", "rwkv_version"),
)
"""Settings of architectures whose layers are no transformer layers alone, so that their shape does not give N."""


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers of parameters of a run, with the rule behind each column.

    Attributes:
        columns: Values by column: params, and params_active of a mixture of experts.
        rules: How each was found.
        guess: Why N is a guess; empty where an entry states it.
        others: Further entries that state another N.
    """

    columns: Mapping[str, float]
    rules: Mapping[str, str]
    guess: str = ""
    others: tuple[Entry, ...] = ()


def size_of(config: Mapping[str, Any]) -> Size:
    """The parameters of a run: the entry that states them, otherwise the weights in its layers by its shape."""
    stated = entries(config, TOTAL, units=True)
    by_shape = shape_size(config)
    if stated:
        chosen = stated[0]
        others = tuple(entry for entry in stated[1:] if entry.value != chosen.value)
        columns, rules = {"params": chosen.value}, {"params": chosen.rule}
        if by_shape and "params_active" in by_shape.columns and by_shape.columns["params_active"] < chosen.value:
            columns["params_active"] = by_shape.columns["params_active"]
            rules["params_active"] = by_shape.rules["params_active"]
        guess = "" if chosen.certain else f"N is {chosen.name}, whose section may describe another model"
        return Size(columns, rules, guess, others)
    return by_shape or Size({}, {})


def shape_size(config: Mapping[str, Any]) -> Size | None:
    """The weights in the layers of a transformer of the configuration's shape, without embeddings; None without a shape."""
    if first(config, _NOT_BY_SHAPE) or _has_other_layers(config):
        return None
    found = weights_of(config)
    if found is None:
        return None
    guess = "no entry states the number of parameters; N counts the weights in the layers by their shape, without embeddings"
    columns, rules = {"params": found.total}, {"params": found.rule}
    if found.active is not None:
        columns["params_active"], rules["params_active"] = found.active, f"{found.rule}, those of one token"
    return Size(columns, rules, guess)


_OTHER_TYPES = (
    "rwkv",
    "mamba",
    "mamba2",
    "albert",
    "falcon_mamba",
    "jamba",
    "zamba",
    "zamba2",
    "recurrent_gemma",
    "xlstm",
)
"""Architectures in Transformers whose layers share weights, or are no transformer layers."""


def _has_other_layers(config: Mapping[str, Any]) -> bool:
    """Whether some layers are no transformer layers of their own: recurrent ones, or layers that share their weights."""
    for name, value in config.items():
        last = name.rpartition(".")[2]
        if last == "model_type" and str(value).lower() in _OTHER_TYPES:
            return True
        listed = value if last in {"layer_types", "layers_block_type"} and isinstance(value, list) else []
        if any("attention" not in str(one) for one in listed):
            return True
    return False
