"""N by the shape of a transformer: the weights in its layers, without embeddings, from the settings of its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.runs.columns import plain
from rung.runs.sources.configuration import first

WIDTH = ("hidden_size", "d_model", "n_embd", "hidden_dim", "model_dim", "width", "dim")
"""Settings that give the width of the model."""

DEPTH = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "depth")
"""Settings that give the number of layers."""

_HEADS = ("num_attention_heads", "n_heads", "n_head", "num_heads")
_KEY_HEADS = ("num_key_value_heads", "n_kv_heads", "n_kv_head", "num_kv_heads", "num_query_groups", "kv_n_heads")
_HEAD_SIZE = ("head_dim", "kv_channels", "d_kv", "head_size")
_INNER = ("intermediate_size", "ffn_hidden_size", "n_inner", "d_ff", "ffn_dim")
_BOTH_INNER = ("mlp_hidden_size",)
"""The outputs of the gate and of the part that it multiplies together, as OLMo counts them."""
_EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "n_experts")
_CHOSEN = (
    *("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "top_k_experts", "moe_topk", "moe_router_topk"),
    *("moe_k", "num_selected_experts", "top_k", "experts_per_token"),
)
_EXPERT_INNER = (
    "moe_intermediate_size",
    "moe_ffn_hidden_size",
    "expert_intermediate_size",
    "expert_ffn_hidden_size",
    *_INNER,
)
_DENSE_INNER = ("intermediate_size_mlp", "dense_intermediate_size", *_INNER)
_SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "n_shared_expert")
_DENSE_FIRST = ("first_k_dense_replace", "moe_layer_start_index", "num_dense_layers", "first_dense_layers")
_EVERY = (
    "decoder_sparse_step",
    "interleave_moe_layer_step",
    "expert_layer_period",
    "moe_layer_freq",
    "moe_layer_interval",
)
_SPARSE_LAYERS, _DENSE_LAYERS = ("moe_layers", "moe_layer_indices"), ("mlp_only_layers", "dense_layers")
_DECODER_DEPTH = ("num_decoder_layers", "decoder_layers", "n_decoder_layers")
_GATED = frozenset(
    {
        *(
            "silu",
            "swiglu",
            "swish",
            "geglu",
            "gelu_pytorch_tanh",
            "reglu",
            "glu",
            "swish_glu",
            "gated_gelu",
            "gated_silu",
        ),
        "llamamlp",
    }
)
_ACTIVATIONS = (
    "hidden_act",
    "hidden_activation",
    "activation",
    "activation_type",
    "mlp_type",
    "feed_forward_proj",
    "mlp_class_name",
)


_NOT_GATED = frozenset({"starcoder2", "gpt_bigcode", "falcon", "phi", "gpt_neox", "opt", "bloom", "gpt2", "mpt"})
"""Architectures without a gate whose activation has the name of one with it elsewhere."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights in the layers of a model.

    Attributes:
        total: All of them.
        active: Those that one token uses; None where that is all of them, or is not stated.
        rule: How they are counted.
    """

    total: float
    active: float | None
    rule: str


class Shape:
    """The settings of a transformer's shape, each found once.

    Attributes:
        config: The configuration.
        width: The width of the model; None without one.
        depth: The number of layers; None without one.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.width = self.number(WIDTH)
        self.depth = self.number(DEPTH)

    def number(self, names: Sequence[str]) -> float | None:
        """The setting of one of these names; None without one."""
        entry = first(self.config, names)
        return None if entry is None else entry.value

    def name(self, names: Sequence[str]) -> str:
        """The name under which a setting stands."""
        entry = first(self.config, names)
        return entry.name if entry else names[0]

    def layers(self, names: Sequence[str]) -> list[Any] | None:
        """A list of layers; None without one."""
        found = (value for name, value in self.config.items() if plain(name.rpartition(".")[2]) in names)
        return next((value for value in found if isinstance(value, list)), None)

    @property
    def gated(self) -> bool:
        """Whether the feed-forward part has a gate, by its activation."""
        if self.model_type in _NOT_GATED:
            return False
        for name, value in self.config.items():
            if name.rpartition(".")[2] in _ACTIVATIONS:
                return plain(str(value)) in _GATED
        return False

    @property
    def model_type(self) -> str:
        """The architecture by its name in Transformers; empty where it is not stated."""
        found = (value for name, value in self.config.items() if name.rpartition(".")[2] == "model_type")
        return next((str(value) for value in found), "")

    @property
    def key_heads(self) -> float | None:
        """The heads of keys and values; None where they are as many as those of queries, or not stated."""
        single = any(name.rpartition(".")[2] == "multi_query" and value is True for name, value in self.config.items())
        grouped = any(
            name.rpartition(".")[2] == "new_decoder_architecture" and value is True
            for name, value in self.config.items()
        )
        return 1.0 if single and not grouped else self.number(_KEY_HEADS)

    @property
    def inner(self) -> float | None:
        """The width of the feed-forward part."""
        both = self.number(_BOTH_INNER)
        return both / 2 if both and self.gated else both or self.number(_INNER)


def weights_of(config: Mapping[str, Any]) -> Weights | None:
    """The weights in the layers of a transformer of this shape; None without a shape.

    Attention has 2 W (H h + K h) weights for H heads and K key heads of h dimensions; the feed-forward part 2 W F or, gated,
    3 W F. Without heads and F it is the usual 12 W^2 per layer. A decoder that reads an encoder has attention twice in
    each layer. Of experts, all count in the total, and those of one token in the active ones.
    """
    shape = Shape(config)
    if shape.width is None or shape.depth is None:
        return None
    experts = shape.number(_EXPERTS)
    if experts and experts > 1:
        return _experts(shape, experts)
    inner = shape.inner
    if inner is None or shape.number(_HEADS) is None:
        rule = f"12 x {shape.name(DEPTH)} x {shape.name(WIDTH)}^2, weights in the layers of a standard transformer"
        return Weights(12 * shape.depth * shape.width**2, None, rule)
    matrices = 3 if shape.gated else 2
    attention, forward = _attention(shape), matrices * shape.width * inner
    total = shape.depth * (attention + forward)
    rule = f"{shape.name(DEPTH)} x (attention + {matrices} x {shape.name(WIDTH)} x {shape.name((*_BOTH_INNER, *_INNER))}), weights in the layers"
    if decoder := _decoder_depth(shape):
        total += decoder * (2 * attention + forward)
        rule = f"{shape.name(DEPTH)} layers of an encoder and {decoder:g} of a decoder, weights in the layers"
    return Weights(total, None, rule)


def _decoder_depth(shape: Shape) -> float:
    """The layers of a decoder that reads an encoder; 0 without one."""
    both = any(name.rpartition(".")[2] == "is_encoder_decoder" and value for name, value in shape.config.items())
    stated = shape.number(_DECODER_DEPTH)
    return (stated or shape.depth or 0.0) if both else 0.0


def _attention(shape: Shape) -> float:
    """Weights of the attention of one layer."""
    width, heads = shape.width or 0.0, shape.number(_HEADS)
    if heads is None:
        return 4 * width**2
    latent = shape.number(("kv_lora_rank",))
    if latent:
        return _latent_attention(shape, width, heads, latent)
    dimension = shape.number(_HEAD_SIZE) or width / heads
    return 2 * width * dimension * (heads + (shape.key_heads or heads))


def _latent_attention(shape: Shape, width: float, heads: float, latent: float) -> float:
    """Weights of attention over compressed keys and values (DeepSeek-V2, arXiv:2405.04434, section 2.1)."""
    plain_part = shape.number(("qk_nope_head_dim",)) or 128.0
    rotary = shape.number(("qk_rope_head_dim",)) or 64.0
    value = shape.number(("v_head_dim",)) or plain_part
    query = heads * (plain_part + rotary)
    compressed = shape.number(("q_lora_rank",))
    queries = compressed * (width + query) if compressed else width * query
    return queries + width * (latent + rotary) + latent * heads * (plain_part + value) + heads * value * width


def _experts(shape: Shape, experts: float) -> Weights:
    """The weights of a mixture of experts, each of which is gated."""
    width, depth = shape.width or 0.0, shape.depth or 0.0
    hidden = shape.number(_EXPERT_INNER) or 4 * width
    one = 3 * width * hidden
    shared_size = shape.number(("shared_expert_intermediate_size",))
    shared = shape.number(_SHARED) or (1.0 if shape.number(("interleave_moe_layer_step",)) else 0.0)
    always = 3 * width * shared_size if shared_size else one * shared
    sparse = _sparse_layers(shape)
    base = depth * _attention(shape) + sparse * (always + width * experts)
    base += (depth - sparse) * 3 * width * (shape.number(_DENSE_INNER) or hidden)
    chosen = shape.number(_CHOSEN)
    layers = shape.name(DEPTH) if sparse == depth else f"{sparse:g} of {shape.name(DEPTH)}"
    rule = f"{layers} layers with {shape.name(_EXPERTS)} experts, weights in the layers"
    active = base + sparse * chosen * one if chosen else None
    return Weights(base + sparse * experts * one, active, rule)


def _sparse_layers(shape: Shape) -> float:
    """The number of layers with experts: from a list, or every k-th one after the first that are dense."""
    depth = shape.depth or 0.0
    listed, dense = shape.layers(_SPARSE_LAYERS), shape.layers(_DENSE_LAYERS)
    if listed:
        return float(len(listed))
    every = max(shape.number(_EVERY) or 1.0, 1.0)
    after = min(shape.number(_DENSE_FIRST) or 0.0, depth)
    sparse = float(int((depth - after) // every))
    return max(sparse - (len(dense) if dense else 0), 0.0)
