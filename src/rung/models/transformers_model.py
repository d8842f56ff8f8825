"""A model of Transformers: a folder as it writes one, or a name on the Hugging Face hub. Only safetensors are opened, and no foreign code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import ModelError
from rung.messages import first_line
from rung.models.opened import OpenModel
from rung.models.size import ModelSize, stored_bits
from rung.models.weights import open_weights
from rung.runs.sources import weights_of

_NEEDED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
"""Files of a model on the hub that are fetched."""

_STARTS = ("<|endoftext|>", "<s>", "</s>")
_DTYPES = ("float32", "bfloat16", "float16", "stored")


def open_transformers(place: Path, *, name: str, device: str, dtype: str, text: bool = True) -> OpenModel:
    """A causal language model from a folder.

    Args:
        place: The folder.
        name: How the model is called.
        device: Where it computes.
        dtype: The numbers that it computes with.
        text: Whether it reads text; without it no tokenizer is needed.

    Raises:
        ModelError: A library is missing, the folder is damaged or incomplete, or the model is of another kind.
    """
    weights = open_weights(place)
    config = _config(place)
    if dtype not in _DTYPES:
        raise ModelError(f"--dtype {dtype}: choose among {', '.join(_DTYPES)}.")
    transformers = _transformers()
    tokenizer = _tokenizer(transformers, place) if text else None
    network, unused = _network(transformers, place, device, dtype)
    positions = next(
        (config[key] for key in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length") if key in config),
        None,
    )
    context = int(positions) if isinstance(positions, int) and positions > 0 else 1 << 20
    vocab = int(network.get_output_embeddings().weight.shape[0])
    mute = OpenModel(
        name=name,
        origin="transformers",
        network=network,
        size=_size(network, config, stored_bits(weights)),
        context=context,
        vocab=vocab,
        start=None,
        encode=_unread,
        spelt=_unread,
        logits=lambda tokens: network(input_ids=tokens, use_cache=False).logits,
        device=network.get_input_embeddings().weight.device,
        unused=unused,
    )
    return mute if tokenizer is None else _reading(mute, tokenizer, config, place)


def _unread(_: Any) -> Any:
    raise AssertionError("the model was opened without its tokenizer")


def _reading(model: OpenModel, tokenizer: Any, config: Mapping[str, Any], place: Path) -> OpenModel:
    """The model with its tokenizer."""
    start = _start(tokenizer, config)

    def encode(text: bytes) -> Any:
        found = tokenizer(text.decode("utf-8", "replace"), add_special_tokens=False, verbose=False)["input_ids"]
        return np.asarray(found, dtype=np.int64)

    return replace(
        model,
        start=start if start is not None and 0 <= start < model.vocab else None,
        encode=encode,
        spelt=lambda token: str(tokenizer.decode([token])).encode(),
        decode=lambda tokens: str(tokenizer.decode(list(tokens), skip_special_tokens=True)),
        ends=_ends(tokenizer, config, place),
        unknown=tokenizer.unk_token_id if tokenizer.unk_token_id != tokenizer.eos_token_id else None,
    )


def _ends(tokenizer: Any, config: Mapping[str, Any], place: Path) -> frozenset[int]:
    """The tokens that end a text, by the tokenizer, the configuration and what generates."""
    found = [tokenizer.eos_token_id, config.get("eos_token_id")]
    # A model need not say how it generates.
    with suppress(OSError, ValueError, AttributeError):
        found.append(json.loads((place / "generation_config.json").read_text(encoding="utf-8")).get("eos_token_id"))
    every = [one for entry in found for one in (entry if isinstance(entry, list) else [entry])]
    return frozenset(one for one in every if isinstance(one, int) and not isinstance(one, bool))


def fetched(name: str) -> Path:
    """The folder of a model of the hub, fetched once and kept by the hub's own library.

    Raises:
        ModelError: The library is missing, there is no network, or the hub has no such model.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ModuleNotFoundError:
        raise ModelError('a model of the hub needs huggingface-hub: pip install "rung[models]".') from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(_NEEDED)))
    except RepositoryNotFoundError:
        raise ModelError(
            f"{name}: there is no such folder, and the hub has no model of that name that you may read."
        ) from None
    except HFValidationError:
        raise ModelError(f"{name}: there is no such folder, and no model of the hub is called so.") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"{name}: there is no such folder, and the hub did not give a model of that name: {first_line(error)}"
        ) from None


def _transformers() -> Any:
    try:
        with _without_broken_torchvision():
            import transformers

            # What it found before, where somebody imported it first, is looked up anew, and kept.
            for name in ("is_torchvision_available", "is_torchvision_v2_available"):
                available = getattr(transformers.utils.import_utils, name)
                if hasattr(available, "cache_clear"):
                    available.cache_clear()
                available()
    except ModuleNotFoundError:
        raise ModelError('a model of Transformers needs it: pip install "rung[models]".') from None
    quiet: Any = transformers.utils.logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    return transformers


@contextmanager
def _without_broken_torchvision() -> Iterator[None]:
    """While Transformers looks for it, a torchvision that was built for another torch is not there: no language model needs one."""
    try:
        import torchvision.transforms  # noqa: F401
    except (RuntimeError, ImportError, OSError):
        before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "torchvision"}
        sys.modules["torchvision"] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules["torchvision"]
            sys.modules.update(before)
    else:
        yield


def _config(place: Path) -> Mapping[str, Any]:
    file = place / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{place} holds weights and no config.json, which says what network they belong to.") from None
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"{file} is damaged: it is no JSON.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{file} is damaged: it holds no object.")
    if content.get("auto_map"):
        raise ModelError(f"{file} asks for code of its own (auto_map), and foreign code is not run.")
    if content.get("is_encoder_decoder"):
        raise ModelError(f"{place} is an encoder with a decoder; the loss of causal language models is measured.")
    return {**content, **content["text_config"]} if isinstance(content.get("text_config"), dict) else content


def _tokenizer(transformers: Any, place: Path) -> Any:
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    if not any((place / name).is_file() for name in names):
        raise ModelError(f"{place} holds no tokenizer (tokenizer.json), without which no text can be measured.")
    return _loaded(lambda: transformers.AutoTokenizer.from_pretrained(str(place), local_files_only=True), place)


def _network(transformers: Any, place: Path, device: str, dtype: str) -> tuple[Any, tuple[str, ...]]:
    """The network in evaluation mode, and the tensors that it has no place for."""
    import torch

    def load() -> Any:
        return transformers.AutoModelForCausalLM.from_pretrained(
            str(place),
            dtype="auto" if dtype == "stored" else getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by their names
            **({"device_map": "auto"} if device == "auto" else {}),
        )

    network, report = _loaded(load, place)
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise ModelError(
            f"{place}: the network needs {missing[0]}, and the files do not hold it ({len(missing)} tensors are missing)."
        )
    other = sorted(str(one[0] if isinstance(one, tuple) else one) for one in report.get("mismatched_keys") or ())
    if other:
        raise ModelError(
            f"{place}: {other[0]} has another shape than the network of its config.json ({len(other)} such tensors)."
        )
    unused = tuple(sorted(report.get("unexpected_keys") or ()))
    return network.eval() if device == "auto" else network.eval().to(device), unused


def _loaded(load: Callable[[], Any], place: Path) -> Any:
    try:
        return load()
    except MemoryError:
        raise ModelError(f"{place} does not fit into memory. Try --dtype stored.") from None
    except Exception as error:  # noqa: BLE001  # the library raises what its parts raise; only their text says more
        raise ModelError(f"{place} cannot be opened by Transformers: {first_line(error)}") from None


def _start(tokenizer: Any, config: Mapping[str, Any]) -> int | None:
    """The token before a text: the beginning token of tokenizer or configuration, else one that ends texts."""
    for found in (tokenizer.bos_token_id, config.get("bos_token_id")):
        if isinstance(found, int):
            return found
    known = tokenizer.get_vocab()
    return next((known[name] for name in _STARTS if name in known), None)


def _size(network: Any, config: Mapping[str, Any], bits: int) -> ModelSize:
    from torch import nn

    every = list(network.parameters())
    total = sum(one.numel() for one in every)
    embeddings = {
        id(module.weight): module.weight.numel() for module in network.modules() if isinstance(module, nn.Embedding)
    }
    head = network.get_output_embeddings().weight
    tied = id(head) in embeddings
    outside = sum(embeddings.values()) + (0 if tied else head.numel())
    shape = weights_of(config)
    idle = shape.total - shape.active if shape is not None and shape.active is not None else 0.0
    active = round(total - idle)
    vectors = sum(one.numel() for one in every if one.ndim < 2)
    in_products = active - vectors - sum(embeddings.values()) + (head.numel() if tied else 0)
    return ModelSize(
        params=total,
        params_non_embedding=total - outside,
        params_active=active,
        params_nonzero=sum(int((one != 0).sum()) for one in every),
        outside_nonzero=sum(int((one != 0).sum()) for one in every if id(one) in embeddings or one is head),
        stored_bits=bits,
        flops_of_weights=2.0 * in_products,
        flops_of_position=_position(config),
    )


def _position(config: Mapping[str, Any]) -> float:
    """FLOPs of attending to one position, 4 L h d; 0 where the configuration does not say."""
    depth = config.get("num_hidden_layers", config.get("n_layer"))
    width = config.get("hidden_size", config.get("n_embd"))
    heads, each = config.get("num_attention_heads", config.get("n_head")), config.get("head_dim")
    across = heads * each if isinstance(heads, int) and isinstance(each, int) else width
    return 4.0 * depth * across if isinstance(depth, int) and isinstance(across, int) else 0.0
