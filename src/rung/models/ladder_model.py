"""A finished run of a ladder as a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rung.errors import LadderError, ModelError
from rung.ladder import Rung
from rung.ladder.architectures import Decoder, Preference, build_network
from rung.ladder.corpora import read_tokenizer
from rung.ladder.training import RunFolder
from rung.models.opened import OpenModel
from rung.models.size import ModelSize, stored_bits
from rung.models.weights import Weights, open_weights


def is_run_folder(place: Path) -> bool:
    """Whether a folder is that of a run of a ladder."""
    return (place / "rung.json").is_file()


def open_run(place: Path, *, device: str) -> OpenModel:
    """The network of a finished run.

    Raises:
        ModelError: The run is not finished, is no language model, or its weights do not fit.
    """
    rung, weights = run_and_weights(place)
    network = load_network(rung, weights).to(device)
    family, counts = rung.made_family, rung.counts
    assert isinstance(family, Decoder), "run_and_weights opens no other"
    each = 4.0 * rung.size.depth * family.heads(rung.size.width)[0] * family.head_width
    encoding = read_tokenizer(str(rung.corpus.options.get("tokenizer", "")))
    return OpenModel(
        name=place.name,
        origin="ladder",
        network=network,
        size=ModelSize(
            params=counts.total,
            params_non_embedding=counts.non_embedding,
            params_active=counts.active,
            params_nonzero=sum(int((one != 0).sum()) for one in network.parameters()),
            outside_nonzero=sum(
                int((one != 0).sum())
                for name, one in network.named_parameters()
                if name in {"embedding.weight", "head.weight"}
            ),
            stored_bits=stored_bits(weights),
            flops_of_weights=Decoder.flops_per_token(family, rung.size) / 3 - each * family.context,
            flops_of_position=each,
        ),
        context=family.context,
        vocab=family.vocab,
        start=encoding.end,
        encode=encoding.encode,
        spelt=encoding.spelt,
        ends=frozenset() if encoding.end is None else frozenset([encoding.end]),
        logits=network,
        device=device,
    )


def known_of_run(place: Path) -> dict[str, Any]:
    """What the folder of a run says of its training, by the columns of a table of runs; and its convention of N.

    Raises:
        ModelError: The folder is damaged.
    """
    try:
        rung = RunFolder(place).rung()
    except LadderError as error:
        raise ModelError(error.text) from None
    return {"family": rung.family.name, "tokens": rung.tokens, "seed": rung.seed, "convention": rung.convention}


def run_tokenizer(place: Path) -> str:
    """The tokenizer that a run reads its text with; "" for bytes."""
    return str(RunFolder(place).rung().corpus.options.get("tokenizer", ""))


def run_and_weights(place: Path) -> tuple[Rung, Weights]:
    """What a run trained, and the weights it ended with.

    Raises:
        ModelError: The run is not finished, or is no decoder over tokens.
    """
    folder = RunFolder(place)
    try:
        rung = folder.rung()
    except LadderError as error:
        raise ModelError(error.text) from None
    if not isinstance(rung.made_family, Decoder) or isinstance(rung.made_family, Preference):
        raise ModelError(f"{place} trains the family {rung.family.name}, which is no language model over tokens.")
    if not folder.model_path.is_file():
        raise ModelError(
            f"{place} holds no finished network: its status is {folder.status}. rung ladder resume {place} finishes it."
        )
    return rung, open_weights(folder.model_path)


def load_network(rung: Rung, weights: Weights) -> Any:
    """The network of a rung with its weights, in evaluation mode.

    Raises:
        ModelError: The weights are those of another network.
    """
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError:
        raise ModelError('a model needs torch: pip install "rung[models]".') from None
    network = build_network(rung.made_family, rung.size)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: one.shape for name, one in weights.tensors.items()}
    if expected != found:
        name = min(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise ModelError(
            f"{weights.place} does not fit the network of its rung.json: {name} is {found.get(name, 'missing')} there and "
            f"{expected.get(name, 'unknown')} in the network."
        )
    network.load_state_dict(load_file(weights.place))
    return network.eval()
