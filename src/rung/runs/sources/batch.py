"""The batch of a tracked run in tokens: stated, or sequences over devices and passes times the tokens of a sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.runs.columns import plain
from rung.runs.sources.configuration import Entry, as_number, exactly, first
from rung.runs.sources.tracked_run import ColumnOverrides, TrackedRun

_BATCH_TOKENS = (
    *("batch_tokens", "tokens_per_batch", "batch_size_tokens", "tokens_per_step", "global_batch_tokens"),
    *("batch_size_in_tokens", "global_batch_size_tokens", "tokens_per_iter", "tokens_per_update"),
)
"""Settings that give the batch of a step in tokens."""

_WHOLE_BATCH = ("global_train_batch_size", "global_batch_size", "total_train_batch_size", "effective_batch_size", "gbs")
"""Settings that give the batch of a step in sequences, over all devices and accumulations."""

_DEVICE_BATCH = (
    *("per_device_train_batch_size", "train_micro_batch_size_per_gpu", "micro_batch_size", "device_batch_size"),
    *(
        "per_device_batch_size",
        "batch_size_per_gpu",
        "per_gpu_batch_size",
        "per_gpu_train_batch_size",
        "local_batch_size",
    ),
    *("device_train_microbatch_size", "batch_size_per_device", "mbs", "micro_batch"),
)
"""Settings that give the sequences of one device in one pass."""

_PLAIN_BATCH = ("batch_size", "train_batch_size", "bs", "batch")
"""Settings that give a batch in sequences without saying of what; accumulation and devices, where stated, multiply it."""

_ACCUMULATION = (
    *("gradient_accumulation_steps", "grad_accum_steps", "accumulate_grad_batches", "gradient_accumulation"),
    *("grad_accum", "accum_steps", "accumulation_steps", "grad_accumulation_steps", "iter_size", "update_freq"),
)
_DEVICES = (
    *("world_size", "num_gpus", "n_gpus", "n_gpu", "num_devices", "data_parallel_size", "dp_size", "num_processes"),
    *("ngpu", "ngpus", "gpus", "data_parallel_world_size", "ddp_world_size", "device_count"),
)
_CONTEXT = (
    *("max_sequence_length", "seq_len", "seq_length", "sequence_length", "context_length", "block_size", "max_seq_len"),
    *("max_seq_length", "ctx_len", "context", "context_size", "train_seq_len", "train_sequence_length"),
)
"""Settings that give the tokens of a sequence."""

_MODEL_CONTEXT = ("n_ctx", "max_length")
"""Settings that give it too, except beside the settings of a Transformers model, where they are the most the model can take."""

_OF_TRANSFORMERS = frozenset(
    {"model_type", "architectures", "transformers_version", "n_positions", "max_position_embeddings"}
)
"""Settings by which a configuration is that of a Transformers model."""

_MANY_SEQUENCES = 16_384
"""Sequences of one step that no run has, so that a batch of as many, in whole sequences, is one in tokens."""

_RAMPS = ("rampup_batch_size", "batch_size_schedule", "batch_size_warmup", "batch_ramp", "batch_warmup", "batch_rampup")
"""Settings that say that the batch grows during the run."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The tokens of one step.

    Attributes:
        tokens: Their number; None where it cannot be told.
        rule: How it is computed, or why it cannot be.
        guess: Why it is a guess; empty where the configuration says it.
    """

    tokens: float | None
    rule: str
    guess: str = ""


def batch_of(run: TrackedRun, overrides: ColumnOverrides) -> Batch:
    """The tokens of one step, by what the user gives, by an entry that states them, or by sequences times context."""
    config = run.config
    if overrides.batch_tokens:
        entry = exactly(config, overrides.batch_tokens)
        if entry:
            return Batch(entry.value, f"configuration {entry.name}")
        value = as_number(overrides.batch_tokens)
        return Batch(value, "--batch-tokens" if value else f"the configuration has no {overrides.batch_tokens!r}")
    if entry := first(config, _BATCH_TOKENS):
        return Batch(entry.value, f"configuration {entry.name}")
    ramp = next((name for name in config if plain(name.rpartition(".")[2]) in _RAMPS and config[name]), None)
    if ramp:
        return Batch(None, f"{ramp} says that the batch grows during the run")
    context = context_of(config)
    logged = {
        name: float(metric.values[-1])
        for name, metric in run.logged.items()
        if len(metric) and plain(name.rpartition("/")[2]) in _BATCH_TOKENS and np.ptp(metric.values) == 0
    }
    if entry := first(logged, _BATCH_TOKENS):
        return Batch(entry.value, f"{entry.name}, one value all along")
    if context is None:
        return Batch(None, "the configuration has no batch in tokens, and no length of a sequence")
    return _of_sequences(run, context)


def context_of(config: Mapping[str, Any]) -> Entry | None:
    """The tokens of a sequence in training."""
    own = not any(plain(re.split(r"[./]", name)[-1]) in _OF_TRANSFORMERS for name in config)
    return first(config, (*_CONTEXT, *(_MODEL_CONTEXT if own else ())))


def _of_sequences(run: TrackedRun, context: Entry) -> Batch:
    """The tokens of one step by a batch in sequences: that of the step, of one device and pass, or of neither by name."""
    config = run.config
    total = first(config, ("total_batch_size",))
    if total and total.value >= 8 * context.value and total.value % context.value == 0:
        # Some trainers count it in tokens, others in sequences.
        guess = f"{total.name} is read as tokens, since it is a multiple of {context.name}"
        return Batch(total.value, f"configuration {total.name}", guess)
    large = first(config, (*_WHOLE_BATCH, *_PLAIN_BATCH))
    if large and large.value >= _MANY_SEQUENCES and large.value % context.value == 0:
        guess = f"{large.name} is read as tokens, since nobody trains on {large.value:g} sequences at once"
        return Batch(large.value, f"configuration {large.name}", guess)
    if whole := first(config, _WHOLE_BATCH) or total:
        return Batch(whole.value * context.value, f"{whole.name} x {context.name}")
    if run.unknown_batch:
        return Batch(None, run.unknown_batch)
    if device := first(config, _DEVICE_BATCH):
        return _of_devices(config, device, context)
    if some := first(config, _PLAIN_BATCH):
        return _of_plain(config, some, context)
    return Batch(None, "the configuration has no batch")


def _of_devices(config: Mapping[str, Any], device: Entry, context: Entry) -> Batch:
    accumulation, devices = first(config, _ACCUMULATION), first(config, _DEVICES)
    if devices is None:
        return Batch(None, f"{device.name} is the batch of one device, and no entry says how many devices there were")
    if accumulation is None:
        rule = f"{device.name} x {devices.name} x {context.name}"
        return Batch(
            device.value * devices.value * context.value,
            rule,
            f"no entry states accumulation, so {device.name} counts once a step",
        )
    value = device.value * accumulation.value * devices.value * context.value
    return Batch(value, f"{device.name} x {accumulation.name} x {devices.name} x {context.name}")


def _of_plain(config: Mapping[str, Any], batch: Entry, context: Entry) -> Batch:
    more = [entry for names in (_ACCUMULATION, _DEVICES) if (entry := first(config, names)) and entry.value > 1]
    value, rule = batch.value, batch.name
    for entry in more:
        value, rule = value * entry.value, f"{rule} x {entry.name}"
    guess = f"{batch.name} is read as the batch of one device and pass" if more else ""
    return Batch(value * context.value, f"{rule} x {context.name}", guess)
