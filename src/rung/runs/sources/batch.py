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
_REPLICAS = ("data_parallel_size", "dp_size", "data_parallel_world_size", "ddp_world_size", "dp_world_size")
"""Settings that give how many devices train on sequences of their own."""

_DEVICES = ("world_size", "num_processes", "num_devices", "total_gpus", "num_gpus_total")
"""Settings that give the devices of all machines together."""

_DEVICES_EACH = (
    *("gpus_per_node", "num_gpus_per_node", "n_gpus_per_node", "nproc_per_node", "devices_per_node", "devices"),
    *("num_gpus", "n_gpus", "n_gpu", "ngpu", "ngpus", "gpus", "device_count", "n_devices"),
)
"""Settings that give the devices, of one machine where the number of machines is stated beside."""

_MACHINES = ("num_nodes", "n_nodes", "nnodes", "nodes", "num_machines", "num_hosts")
"""Settings that give the number of machines."""

_SPLIT = (
    ("tensor_model_parallel_size", "tensor_parallel_size", "tp_size", "tensor_parallel_degree"),
    ("pipeline_model_parallel_size", "pipeline_parallel_size", "pp_size", "pipeline_parallel_degree"),
    ("context_parallel_size", "cp_size", "sequence_parallel_size", "context_parallel_degree"),
)
"""Settings by which several devices train on one sequence together."""

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


@dataclass(frozen=True, slots=True)
class _Replicas:
    """How many devices train on sequences of their own.

    Attributes:
        count: Their number; None where it cannot be told.
        rule: How it follows, as factors of a rule; where it cannot be told, why not.
        guess: Why it is a guess; empty where the settings say it.
    """

    count: float | None
    rule: str
    guess: str = ""


def _replicas(config: Mapping[str, Any]) -> _Replicas | None:
    """The devices with sequences of their own; None where no entry speaks of devices."""
    if own := first(config, _REPLICAS):
        return _Replicas(own.value, f" x {own.name}")
    each, machines = first(config, _DEVICES_EACH), first(config, _MACHINES)
    count, rule, guess = 0.0, "", ""
    if total := first(config, _DEVICES):
        count, rule = total.value, f" x {total.name}"
    elif each and machines and machines.value > 1:
        count, rule = each.value * machines.value, f" x {each.name} x {machines.name}"
        stated = "per_node" in each.name or each.name.rpartition(".")[2] in {"devices", "nproc_per_node"}
        guess = "" if stated else f"{each.name} is read as the devices of one machine"
    elif each:
        count, rule = each.value, f" x {each.name}"
    elif machines and machines.value > 1:
        return _Replicas(
            None, f"{machines.name} says that there were several machines, and no entry says how many devices"
        )
    else:
        return None
    for names in _SPLIT:
        if (split := first(config, names)) and split.value > 1:
            count, rule = count / split.value, f"{rule} / {split.name}"
    if count < 1 or count != int(count):
        return _Replicas(None, f"its devices ({rule.removeprefix(' x ')}) are no whole number")
    return _Replicas(count, rule, guess)


def _of_devices(config: Mapping[str, Any], device: Entry, context: Entry) -> Batch:
    accumulation, replicas = first(config, _ACCUMULATION), _replicas(config)
    if replicas is None or replicas.count is None:
        why = "no entry says how many devices there were" if replicas is None else replicas.rule
        return Batch(None, f"{device.name} is the batch of one device, and {why}")
    guesses = [replicas.guess] if replicas.guess else []
    if accumulation is None:
        guesses.append(f"no entry states accumulation, so {device.name} counts once a step")
    times, passes = (accumulation.value, f" x {accumulation.name}") if accumulation else (1.0, "")
    value = device.value * times * replicas.count * context.value
    return Batch(value, f"{device.name}{passes}{replicas.rule} x {context.name}", "; ".join(guesses))


def _of_plain(config: Mapping[str, Any], batch: Entry, context: Entry) -> Batch:
    accumulation, replicas = first(config, _ACCUMULATION), _replicas(config)
    if replicas is not None and replicas.count is None:
        return Batch(None, replicas.rule)
    times, passes = (
        (accumulation.value, f" x {accumulation.name}") if accumulation and accumulation.value > 1 else (1.0, "")
    )
    count, rule = (replicas.count or 1.0, replicas.rule) if replicas and (replicas.count or 1.0) > 1 else (1.0, "")
    guess = f"{batch.name} is read as the batch of one device and pass" if times * count > 1 else ""
    return Batch(batch.value * times * count * context.value, f"{batch.name}{passes}{rule} x {context.name}", guess)
