"""N of a tracked run: the entry that states it, or the weights of its layers by its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.runs.columns import ALIASES
from rung.runs.sources.configuration import Entry, entries, first

WIDTH = ("hidden_size", "d_model", "n_embd", "hidden_dim", "model_dim", "width", "dim")
"""Settings that give the width of the model."""

DEPTH = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "depth")
"""Settings that give the number of layers."""

_TOTAL = tuple(name for name in ("params", *ALIASES["params"]) if len(name) > 1)
_HEADS = ("num_attention_heads", "n_heads", "n_head", "num_heads")
_KEY_HEADS = ("num_key_value_heads", "n_kv_heads", "n_kv_head", "num_kv_heads", "num_query_groups")
_INNER = ("intermediate_size", "ffn_hidden_size", "n_inner", "d_ff", "ffn_dim", "mlp_hidden_size")
_EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "n_experts")
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "top_k_experts", "moe_topk", "moe_router_topk")
_EXPERT_INNER = ("moe_intermediate_size", "moe_ffn_hidden_size", "expert_intermediate_size", *_INNER)
_SHARED = ("n_shared_experts", "num_shared_experts")
_DENSE_FIRST = ("first_k_dense_replace",)
_GATED = frozenset({"silu", "swiglu", "swish", "geglu", "gelu_pytorch_tanh", "reglu", "glu", "swish_glu"})


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
    stated = entries(config, _TOTAL)
    by_shape = shape_size(config)
    if stated:
        chosen = stated[0]
        others = tuple(entry for entry in stated[1:] if entry.value != chosen.value)
        columns, rules = {"params": chosen.value}, {"params": f"configuration {chosen.name}"}
        if by_shape and "params_active" in by_shape.columns and by_shape.columns["params_active"] < chosen.value:
            columns["params_active"] = by_shape.columns["params_active"]
            rules["params_active"] = by_shape.rules["params_active"]
        guess = "" if chosen.certain else f"N is {chosen.name}, whose section may describe another model"
        return Size(columns, rules, guess, others)
    return by_shape or Size({}, {})


def shape_size(config: Mapping[str, Any]) -> Size | None:
    """The weights in the layers of a transformer of the configuration's shape, without embeddings; None without a shape.

    Attention has 2 W (H h + K h) weights for H heads and K key heads of h dimensions; the feed-forward part 2 W F or, gated,
    3 W F. Without heads and F it is the usual 12 W^2 per layer. Of experts, all count in params, and those of one
    token in params_active.
    """
    width, depth = first(config, WIDTH), first(config, DEPTH)
    if width is None or depth is None:
        return None
    experts, chosen = first(config, _EXPERTS), first(config, _CHOSEN)
    inner, heads = first(config, _INNER), first(config, _HEADS)
    guess = "no entry states the number of parameters; N counts the weights in the layers by their shape, without embeddings"
    if experts and experts.value > 1:
        return _experts(config, width, depth, experts, chosen, guess)
    if inner is None or heads is None:
        value = 12 * depth.value * width.value**2
        rule = f"12 x {depth.name} x {width.name}^2, weights in the layers of a standard transformer"
        return Size({"params": value}, {"params": rule}, guess)
    matrices = 3 if _is_gated(config) else 2
    value = depth.value * (_attention(config, width.value) + matrices * width.value * inner.value)
    rule = f"{depth.name} x (attention + {matrices} x {width.name} x {inner.name}), weights in the layers"
    return Size({"params": value}, {"params": rule}, guess)


def _attention(config: Mapping[str, Any], width: float) -> float:
    """Weights of the attention of one layer."""
    heads = first(config, _HEADS)
    if heads is None:
        return 4 * width**2
    head = first(config, ("head_dim", "kv_channels"))
    dimension = head.value if head else width / heads.value
    keys = first(config, _KEY_HEADS)
    return 2 * width * dimension * (heads.value + (keys.value if keys else heads.value))


def _experts(
    config: Mapping[str, Any], width: Entry, depth: Entry, experts: Entry, chosen: Entry | None, guess: str
) -> Size:
    """The size of a mixture of experts, each of which is gated."""
    inner, dense_inner = first(config, _EXPERT_INNER), first(config, _INNER)
    hidden = inner.value if inner else 4 * width.value
    one = 3 * width.value * hidden
    shared_size, shared = first(config, ("shared_expert_intermediate_size",)), first(config, _SHARED)
    always = 3 * width.value * shared_size.value if shared_size else one * (shared.value if shared else 0)
    router = width.value * experts.value
    dense = first(config, _DENSE_FIRST)
    dense_layers = min(dense.value, depth.value) if dense else 0.0
    rest = depth.value - dense_layers
    base = depth.value * _attention(config, width.value) + rest * (always + router)
    base += dense_layers * 3 * width.value * (dense_inner.value if dense_inner else hidden)
    columns = {"params": base + rest * experts.value * one}
    rules = {"params": f"{depth.name} layers of {experts.name} experts, all of them, weights in the layers"}
    if chosen:
        columns["params_active"] = base + rest * chosen.value * one
        rules["params_active"] = f"{depth.name} layers with {chosen.name} experts, weights in the layers"
    return Size(columns, rules, guess)


def _is_gated(config: Mapping[str, Any]) -> bool:
    """Whether the feed-forward part has a gate: by its activation."""
    for name, value in config.items():
        if name.rpartition(".")[2] in {"hidden_act", "hidden_activation", "activation", "activation_type", "mlp_type"}:
            return str(value).lower() in _GATED
    return False
