"""Rules: which metric or setting of a tracked run becomes which column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.findings import Finding
from rung.runs.columns import ALIASES, plain
from rung.runs.sources.tracked_run import ColumnOverrides, TrackedRun

_HELD_OUT = (
    *(
        "eval/loss",
        "eval_loss",
        "val/loss",
        "val_loss",
        "valid/loss",
        "valid_loss",
        "validation/loss",
        "validation_loss",
    ),
    *("eval/c4_en/loss", "eval/loss/mean", "test_loss", "test/loss"),
)
"""Names of a held-out loss, in order of preference."""

TRAINING = ("loss", "train_loss", "train/loss", "training_loss", "train/CrossEntropyLoss", "train/ce_loss")
"""Names of a training loss, in order of preference; a held-out loss comes before them."""

_TOKENS = (
    *("tokens", "throughput/total_tokens", "total_tokens", "tokens_seen", "num_input_tokens_seen", "num_tokens"),
    *("train/tokens", "n_tokens", "consumed_tokens"),
)
"""Metrics and settings that count tokens."""

_WIDTH = ("hidden_size", "d_model", "n_embd", "hidden_dim", "width", "dim")
"""Settings that give the width of the model."""

_DEPTH = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "depth")
"""Settings that give the number of layers."""

_BATCH_TOKENS = ("batch_tokens", "tokens_per_batch", "batch_size_tokens", "tokens_per_step")
"""Settings that give the batch in tokens."""

_BATCH = (
    "global_train_batch_size",
    "train_batch_size",
    "global_batch_size",
    "batch_size",
    "per_device_train_batch_size",
)
"""Settings that give the batch in sequences."""

_CONTEXT = ("max_sequence_length", "seq_len", "seq_length", "context_length", "block_size", "max_seq_len", "context")
"""Settings that give the tokens of a sequence."""

_SETTINGS = {"lr": ("lr", "learning_rate", "peak_lr", "max_lr"), "seed": ("seed", "random_seed")}
"""Further columns, and the settings that give them."""


@dataclass(slots=True)
class ImportNotes:
    """Notes on columns and values, collected while rows are made.

    Attributes:
        rules: For each column, the rules by which it was filled, in order.
        warnings: What is wrong with the values.
    """

    rules: dict[str, dict[str, None]] = field(default_factory=dict)
    warnings: list[Finding] = field(default_factory=list)

    def rule(self, column: str, text: str) -> None:
        self.rules.setdefault(column, {})[text] = None

    def finding(self, code: str, text: str) -> None:
        self.warnings.append(Finding(code, text))


def flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A nested configuration as one mapping with dotted names."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def loss_name(run: TrackedRun, overrides: ColumnOverrides) -> str | None:
    if overrides.loss:
        return overrides.loss if overrides.loss in run.logged else None
    for wanted in (*_HELD_OUT, *TRAINING):
        if wanted in run.logged:
            return wanted
    losses = [name for name in sorted(run.logged) if plain(name).endswith("loss")]
    return losses[0] if len(losses) == 1 else None


def settings_of(run: TrackedRun, overrides: ColumnOverrides, notes: ImportNotes) -> dict[str, Any]:
    """Columns that the configuration gives; without a setting for N, N = 12 x layers x width^2."""
    found: dict[str, Any] = {}
    params = first_setting(run.config, (overrides.params,) if overrides.params else ("params", *ALIASES["params"]))
    width, depth = first_setting(run.config, _WIDTH), first_setting(run.config, _DEPTH)
    if params:
        found["params"] = params[1]
        notes.rule("params", f"configuration {params[0]}")
    elif width and depth and not overrides.params:
        found["params"] = 12 * depth[1] * width[1] ** 2
        notes.rule("params", f"12 x {depth[0]} x {width[0]}^2, weights in the layers of a standard transformer")
    for column in ("params_non_embedding", "params_active"):
        if entry := first_setting(run.config, (column, *ALIASES[column])):
            found[column] = entry[1]
            notes.rule(column, f"configuration {entry[0]}")
    for column, entry in (("width", width), ("depth", depth)):
        if entry:
            found[column] = entry[1]
            notes.rule(column, f"configuration {entry[0]}")
    for column, names in _SETTINGS.items():
        if entry := first_setting(run.config, names):
            found[column] = entry[1]
            notes.rule(column, f"configuration {entry[0]}")
    if batch := batch_tokens_of(run.config):
        found["batch_tokens"] = batch[1]
        notes.rule("batch_tokens", batch[0])
    return found


def batch_tokens_of(config: Mapping[str, Any]) -> tuple[str, float] | None:
    if entry := first_setting(config, _BATCH_TOKENS):
        return f"configuration {entry[0]}", entry[1]
    batch, context = first_setting(config, _BATCH), first_setting(config, _CONTEXT)
    if not (batch and context):
        return None
    text, value = f"{batch[0]} x {context[0]}", batch[1] * context[1]
    if batch[0].endswith("per_device_train_batch_size"):
        for name in ("gradient_accumulation_steps", "world_size"):
            if entry := first_setting(config, (name,)):
                text, value = f"{text} x {entry[0]}", value * entry[1]
    return text, value


def tokens_at(run: TrackedRun, step: float, overrides: ColumnOverrides, notes: ImportNotes) -> dict[str, float]:
    """D at a step: interpolated in a metric that counts tokens, or from the configuration, or steps times batch."""
    for name in (overrides.tokens,) if overrides.tokens else _TOKENS:
        counted = sorted(run.logged.get(name, ()))
        if counted:
            steps, values = np.array(counted).T
            notes.rule("tokens", f"{name}, at the step of the loss")
            return {"tokens": float(np.interp(step, steps, values))}
    entry = first_setting(
        run.config, (overrides.tokens,) if overrides.tokens else ("tokens", *ALIASES["tokens"], *_TOKENS)
    )
    if entry and not overrides.checkpoints:
        notes.rule("tokens", f"configuration {entry[0]}")
        return {"tokens": entry[1]}
    if batch := batch_tokens_of(run.config):
        notes.rule("tokens", f"steps x {batch[0]}")
        return {"tokens": step * batch[1]}
    return {}


def other_metrics(run: TrackedRun, loss: str, notes: ImportNotes) -> dict[str, float]:
    """Last values of the other held-out metrics, as further columns; of a run of scores, every score."""
    found: dict[str, float] = {}
    for name, logged in sorted(run.logged.items()):
        held_out = run.scores or plain(name).startswith(("eval", "val", "test", "acc", "loss_"))
        if name != loss and name not in _TOKENS and held_out:
            notes.rule(plain(name), f"{name}, last value")
            values = [value for _, value in logged if math.isfinite(value)]
            if values:
                found[plain(name)] = values[-1]
    return found


def first_setting(config: Mapping[str, Any], names: Sequence[str]) -> tuple[str, float] | None:
    """The first entry that has one of these names, whole or as the last part of a dotted name, and is a positive number.

    A seed may be any number.
    """
    for wanted in names:
        for name, value in config.items():
            if plain(wanted) in {plain(name), plain(name.rpartition(".")[2]), plain(name.rpartition("/")[2])}:
                number = as_number(value)
                if number is not None and (number > 0 or wanted in _SETTINGS["seed"]):
                    return name, number
    return None


def as_number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
