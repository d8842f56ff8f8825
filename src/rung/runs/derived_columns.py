"""Columns by two others: D and U by the epochs, the batch in tokens by sequences and their length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rung.laws import name_text, parse_formula
from rung.runs.columns import Source, plain


def with_derived(sources: Sequence[Source], found: Sequence[str]) -> list[Source]:
    """The sources of a file's columns, and those that two of its columns give together."""
    by_plain = {plain(name): name for name in reversed(found)}
    by_column = {source.column: source for source in sources}
    return list(_by_sequences(_by_epochs(by_column, by_plain), by_plain).values())


def _of_two(column: str, first: str, sign: str, second: str) -> Source:
    """A column as the product, or the ratio, of two others."""
    text = f"{name_text(first)} {sign} {name_text(second)}"
    return Source(column=column, text=text, formula=parse_formula(f"x {sign} y"), parts=(first, second), declared=False)


def _by_epochs(sources: dict[str, Source], by_plain: Mapping[str, str]) -> dict[str, Source]:
    """The sources with D and U by the epochs where a table gives one of them and the epochs: D is what was read in all."""
    epochs = next(
        (by_plain[name] for name in ("epochs", "num_epochs", "n_epochs", "epoch_count") if name in by_plain), None
    )
    tokens = sources.get("tokens")
    if epochs is None or tokens is None or tokens.declared or tokens.formula is not None:
        return sources
    name = tokens.parts[0]
    if plain(name) in {"dataset_tokens", "training_dataset_size", "dataset_size"}:
        read = _of_two("tokens", name, "*", epochs)
        unique = Source(column="unique_tokens", text=name, formula=None, parts=(name,), declared=False)
        return {**sources, "tokens": read, "unique_tokens": sources.get("unique_tokens", unique)}
    if "unique_tokens" in sources:
        return sources
    unique = _of_two("unique_tokens", name, "/", epochs)
    return {**sources, "unique_tokens": unique}


_SEQUENCES = ("batch_size", "global_batch_size", "batch_size_sequences", "global_batch", "gbs", "sequences_per_batch")
_LENGTHS = (
    "seq_len",
    "seq_length",
    "sequence_length",
    "context_length",
    "context",
    "max_seq_len",
    "block_size",
    "ctx_len",
)
_MULTIPLIERS = frozenset(
    {
        *(
            "grad_accum",
            "grad_accum_steps",
            "gradient_accumulation_steps",
            "accumulation",
            "num_gpus",
            "world_size",
            "gpus",
        ),
        *("devices", "num_devices", "n_gpus"),
    }
)


def _by_sequences(sources: dict[str, Source], by_plain: Mapping[str, str]) -> dict[str, Source]:
    """The sources with the batch in tokens by sequences times their length, where nothing else multiplies it."""
    batch = next((by_plain[name] for name in _SEQUENCES if name in by_plain), None)
    length = next((by_plain[name] for name in _LENGTHS if name in by_plain), None)
    if batch is None or length is None or "batch_tokens" in sources or _MULTIPLIERS & set(by_plain):
        return sources
    found = _of_two("batch_tokens", batch, "*", length)
    return {**sources, "batch_tokens": found}
