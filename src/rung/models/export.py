"""A finished run of a ladder as a folder that Transformers loads: the same logits, under the names of one of its architectures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import LadderError, ModelError
from rung.ladder import Rung
from rung.ladder.architectures import Decoder
from rung.ladder.corpora import load_tokenizer
from rung.models.ladder_model import load_network, run_and_weights
from rung.models.weights import TensorInfo, Weights
from rung.models.writing import WeightsWriter, new_folder
from rung.results import Result, Summary
from rung.units import format_count

_NORM_EPS = float(np.finfo(np.float32).eps)
"""What torch adds under the root of an RMS norm where nothing else is said."""

_F32 = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exported(Result):
    """A run that was written for another library.

    Attributes:
        run: The run.
        output: The new folder.
        architecture: What Transformers calls it.
        params: Parameters, tied ones once [count].
        tokenizer: What the tokenizer is.
    """

    run: str
    output: str
    architecture: str
    params: int
    tokenizer: str

    def headline(self) -> str:
        return f"{self.run}: {self.architecture} with {format_count(self.params)} parameters, {self.tokenizer}"

    def describe(self) -> Summary:
        return Summary([f"{self.headline()}\nwritten to {self.output}"])

    def to_dict(self) -> dict[str, Any]:
        """The export as plain values."""
        return {name: getattr(self, name) for name in ("run", "output", "architecture", "params", "tokenizer")}


def export_run(run: str | Path, output: str | Path) -> Exported:
    """Write a finished run as a folder of Transformers.

    Raises:
        ModelError: The run is not finished, Transformers has no architecture that computes the same, or the folder is taken.
    """
    rung, weights = run_and_weights(Path(run))
    family = rung.made_family
    assert isinstance(family, Decoder), "run_and_weights opens no other"
    architecture, config = _config(family, rung)
    _require_sound(load_network(rung, weights), run)
    tensors = _tensors(family, rung, weights)
    announced = {
        name: TensorInfo(name=name, dtype="F32", shape=value.shape, file=Path(), start=0, size=_F32 * value.size)
        for name, value in tensors.items()
    }
    with new_folder(Path(output)) as folder:
        parts = ((name, iter([np.ascontiguousarray(value, "<f4").tobytes()])) for name, value in tensors.items())
        WeightsWriter(folder, announced).write(parts, {"format": "pt"})
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        tokenizer = _write_tokenizer(str(rung.corpus.options.get("tokenizer", "")), folder)
    return Exported(
        run=rung.name,
        output=str(output),
        architecture=architecture,
        params=rung.counts.total,
        tokenizer=tokenizer,
    )


def _require_sound(network: Any, run: str | Path) -> None:
    import torch

    bad = next((name for name, weight in network.named_parameters() if not torch.isfinite(weight).all()), None)
    if bad is not None:
        raise ModelError(f"{run}: {bad} holds numbers that are not finite.")


def _config(family: Decoder, rung: Rung) -> tuple[str, dict[str, Any]]:
    """The architecture that computes the same, and its configuration.

    Raises:
        ModelError: There is none.
    """
    queries, keys = family.heads(rung.size.width)
    kind = {
        ("swiglu", False, False): ("LlamaForCausalLM", "llama"),
        ("swiglu", True, False): ("Qwen3ForCausalLM", "qwen3"),
        ("swiglu", False, True): ("MixtralForCausalLM", "mixtral"),
        ("gelu", False, False): ("ArceeForCausalLM", "arcee"),
    }.get((family.mlp, family.qk_norm, bool(family.experts)))
    if kind is None:
        raise ModelError(
            f"Transformers has no architecture with mlp = {family.mlp!r}, qk_norm = {family.qk_norm} and experts = {family.experts}: "
            "exported are gpt, llama (qk_norm too) and moe."
        )
    architecture, model_type = kind
    experts = {"num_local_experts": family.experts, "num_experts_per_tok": family.top, "sliding_window": None}
    return architecture, {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": family.vocab,
        "hidden_size": rung.size.width,
        "intermediate_size": family.hidden(rung.size.width),
        "num_hidden_layers": rung.size.depth,
        "num_attention_heads": queries,
        "num_key_value_heads": keys,
        "head_dim": family.head_width,
        "hidden_act": "silu" if family.mlp == "swiglu" else "gelu_pytorch_tanh",
        "max_position_embeddings": family.context,
        "rms_norm_eps": _NORM_EPS,
        "rope_theta": family.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": family.rope_base},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": family.tied,
        "bos_token_id": 0 if family.vocab == _BYTES else None,
        "eos_token_id": 0 if family.vocab == _BYTES else None,
        "dtype": "float32",
        "torch_dtype": "float32",
        **(experts if family.experts else {}),
    }


_BYTES = 256


def _tensors(family: Decoder, rung: Rung, weights: Weights) -> dict[str, np.ndarray]:
    """Every tensor under the name that Transformers gives it."""

    def read(name: str) -> np.ndarray:
        parts = list(weights.floats(name, 1 << 24))
        return np.concatenate(parts).reshape(weights.tensors[name].shape)

    queries, keys = family.heads(rung.size.width)
    found = {"model.embed_tokens.weight": read("embedding.weight"), "model.norm.weight": read("norm.weight")}
    if not family.tied:
        found["lm_head.weight"] = read("head.weight")
    for index in range(rung.size.depth):
        ours, theirs = f"blocks.{index}.", f"model.layers.{index}."
        rows = np.cumsum([queries * family.head_width, keys * family.head_width])
        query, key, value = np.split(read(f"{ours}attention.query_key_value.weight"), rows)
        found |= {
            f"{theirs}self_attn.q_proj.weight": query,
            f"{theirs}self_attn.k_proj.weight": key,
            f"{theirs}self_attn.v_proj.weight": value,
            f"{theirs}self_attn.o_proj.weight": read(f"{ours}attention.output.weight"),
            f"{theirs}input_layernorm.weight": read(f"{ours}norm_attention.weight"),
            f"{theirs}post_attention_layernorm.weight": read(f"{ours}norm_mlp.weight"),
        }
        if family.qk_norm:
            found[f"{theirs}self_attn.q_norm.weight"] = read(f"{ours}attention.norm_query.weight")
            found[f"{theirs}self_attn.k_norm.weight"] = read(f"{ours}attention.norm_key.weight")
        found |= dict(_mlps(family, read, ours, theirs))
    return found


def _mlps(family: Decoder, read: Any, ours: str, theirs: str) -> Iterator[tuple[str, np.ndarray]]:
    """The MLPs of a layer."""
    if not family.experts:
        yield from _mlp(family, read, f"{ours}mlp.", f"{theirs}mlp.", ("gate_proj", "up_proj", "down_proj"))
        return
    yield f"{theirs}block_sparse_moe.gate.weight", read(f"{ours}mlp.router.weight")
    for index in range(family.experts):
        name = f"{theirs}block_sparse_moe.experts.{index}."
        yield from _mlp(family, read, f"{ours}mlp.experts.{index}.", name, ("w1", "w3", "w2"))


def _mlp(
    family: Decoder, read: Any, ours: str, theirs: str, names: tuple[str, str, str]
) -> Iterator[tuple[str, np.ndarray]]:
    gate, up, down = names
    if family.mlp == "swiglu":
        first, second = np.split(read(f"{ours}gate_up.weight"), 2)
        yield f"{theirs}{gate}.weight", first
        yield f"{theirs}{up}.weight", second
    else:
        yield f"{theirs}{up}.weight", read(f"{ours}up.weight")
    yield f"{theirs}{down}.weight", read(f"{ours}down.weight")


def _write_tokenizer(tokenizer: str, folder: Path) -> str:
    """Write the tokenizer of a run beside its weights, and say what it is.

    Raises:
        ModelError: The library of tokenizers is not installed, or the run's own tokenizer is gone.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    except ModuleNotFoundError:
        raise ModelError('an export needs tokenizers: pip install "rung[models]".') from None
    if tokenizer:
        try:
            made = load_tokenizer(tokenizer)
        except LadderError as error:
            raise ModelError(f"the run's {error.text}") from None
        said = f"with the tokenizer {tokenizer}"
    else:
        made = Tokenizer(models.BPE(vocab=_byte_vocab(), merges=[]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.decoder = decoders.ByteLevel()
        said = "one token for each byte"
    made.save(str(folder / "tokenizer.json"))
    about: Mapping[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return said


def _byte_vocab() -> dict[str, int]:
    """Every byte by the character that byte-level tokenizers write for it: itself where it prints, else one from 256 on.

    Source: Radford et al. 2019 (GPT-2), the released encoder.
    """
    printing = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)}
    others = iter(range(0x100, 0x200))
    return {chr(byte if byte in printing else next(others)): byte for byte in range(_BYTES)}
