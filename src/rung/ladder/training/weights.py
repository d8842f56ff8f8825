"""Weights of finished runs: to begin another run from, and to use."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rung.errors import LadderError
from rung.ladder.architectures.decoder.preference import Preference
from rung.ladder.architectures.decoder.spec import Decoder
from rung.ladder.architectures.network import Net
from rung.ladder.architectures.registry import build_network
from rung.ladder.corpora.teacher import TEACHER
from rung.ladder.rung import Rung
from rung.ladder.training.run_folder import RunFolder


def load_weights(rung: Rung, run: Path) -> Net:
    """The network of a finished run.

    Raises:
        LadderError: The run is not finished, or its file is damaged.
    """
    net = build_network(rung.made_family, rung.size)
    net.load_state_dict(_state_of(run, str(run)))
    return net


def begin_from(net: Net, rung: Rung) -> None:
    """Give a network the weights that a finished run ended with.

    Raises:
        LadderError: The run is not finished, or has another network or tokenizer.
    """
    run = Path(rung.recipe.start)
    before = RunFolder(run).rung()
    family: Any = rung.made_family
    shape: Any = Decoder if isinstance(family, Decoder) else family
    names = [field.name for field in fields(shape) if field.name != "context"]
    differs = next(
        (name for name in names if getattr(before.made_family, name, None) != getattr(rung.made_family, name)), ""
    )
    # A preference model begins from the language model that it is one of, with a head of its own.
    speaks = [isinstance(one, Decoder) and not isinstance(one, Preference) for one in (before.made_family, family)]
    heads = isinstance(family, Preference) and speaks[0]
    if not (type(before.made_family) is type(family) or all(speaks) or heads) or differs or before.size != rung.size:
        what = (
            f"{differs} is {getattr(before.made_family, differs, None)!r} there and {getattr(rung.made_family, differs)!r} here"
            if differs
            else "its family or size differs"
        )
        raise LadderError(f"from = {str(run)!r} has another network: {what}. Use its family, its options and its size.")
    tokenizers = [str(one.corpus.options.get("tokenizer", "")) for one in (before, rung)]
    if tokenizers[0] != tokenizers[1] and TEACHER not in {before.corpus.name, rung.corpus.name}:
        raise LadderError(
            f"from = {str(run)!r} reads text with the tokenizer {tokenizers[0]!r}, and this run with {tokenizers[1]!r}."
        )
    state = _state_of(run, f"from = {str(run)!r}")
    own = net.state_dict()
    if heads:
        own, state = ({name: value for name, value in one.items() if name != "head.weight"} for one in (own, state))
    apart = [
        name
        for name in own.keys() | state.keys()
        if name not in own or name not in state or own[name].shape != state[name].shape
    ]
    if apart:
        raise LadderError(
            f"from = {str(run)!r} has another network: {min(apart)} differs. Use its family, its options and its size."
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(state[name])


def _state_of(run: Path, what: str) -> dict[str, Tensor]:
    """The weights that a run ended with.

    Raises:
        LadderError: The run is not finished, or its file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = run / "model.safetensors"
    if not file.is_file():
        raise LadderError(f"{what}: there is no finished run in that folder; it has no model.safetensors.")
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise LadderError(f"{file} is damaged: {error}.") from None
