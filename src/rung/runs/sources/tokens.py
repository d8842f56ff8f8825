"""D of a tracked run: tokens that were counted while it trained, or steps times the batch; never what was only planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.runs.columns import ALIASES, plain
from rung.runs.sources.configuration import Entry, as_number, entries, exactly, first
from rung.runs.sources.history import counts_steps, ordered, without_resets
from rung.runs.sources.loss import unit_of
from rung.runs.sources.tracked_run import ColumnOverrides, Metric, TrackedRun

if TYPE_CHECKING:
    from rung.arrays import Array

COUNTED = (
    *("tokens", "throughput/total_tokens", "total_tokens", "tokens_seen", "num_input_tokens_seen", "num_tokens"),
    *(
        "train/tokens",
        "n_tokens",
        "consumed_tokens",
        "train/num_input_tokens_seen",
        "train/tokens_seen",
        "total_tokens_seen",
    ),
    *("train/total_tokens", "trained_tokens", "processed_tokens", "tokens_processed", "token_count", "seen_tokens"),
)
"""Metrics that count the tokens trained on, in order of preference."""

_SAMPLES = ("consumed_samples", "consumed_train_samples", "train/consumed_samples", "consumed-samples")
"""Metrics that count the sequences trained on."""

PLANNED = (
    *(name for name in ("tokens", *ALIASES["tokens"]) if len(name) > 1),
    *("max_tokens", "token_budget", "target_tokens", "planned_tokens", "tokens_planned", "num_train_tokens"),
    *("train_num_tokens", "total_train_tokens", "max_train_tokens"),
)
"""Settings that say how many tokens a run is to be trained on."""

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
    *("max_seq_length", "ctx_len", "context", "context_size", "n_ctx", "train_seq_len", "max_length"),
)
"""Settings that give the tokens of a sequence."""

_RAMPS = ("rampup_batch_size", "batch_size_schedule", "batch_size_warmup", "batch_ramp", "batch_warmup", "batch_rampup")
"""Settings that say that the batch grows during the run."""

_LOGGED_BATCH = (
    *("batch_tokens", "tokens_per_step", "global_batch_size", "batch_size", "batch-size", "train/batch_size"),
    *("global batch size", "train/global_batch_size", "batch size", "throughput/batch_size"),
)
"""Metrics that give the batch of each step."""


_RESETS = 0.2
"""Share of steps with a fall from which a metric is no counter but, say, the tokens of each batch."""


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


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a run was trained on, at given steps.

    Attributes:
        values: The tokens at each step; None where they are not known.
        rule: How they were found, or why not.
        guess: Why they are a guess; empty where they were counted.
        resets: How often the counter began again.
    """

    values: Array | None
    rule: str
    guess: str = ""
    resets: int = 0


def is_along(name: str) -> bool:
    """Whether a metric's history may be needed: it may be the loss, count steps, tokens or sequences, or be the batch."""
    if unit_of(name) is not None or counts_steps(name):
        return True
    return plain(name) in {plain(one) for one in (*COUNTED, *_SAMPLES, *_LOGGED_BATCH)}


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
    context = first(config, _CONTEXT)
    if context is None:
        return Batch(None, "the configuration has no batch in tokens, and no length of a sequence")
    return _of_sequences(run, context)


def _of_sequences(run: TrackedRun, context: Entry) -> Batch:
    """The tokens of one step by a batch in sequences: that of the step, of one device and pass, or of neither by name."""
    config = run.config
    total = first(config, ("total_batch_size",))
    if total and total.value >= 8 * context.value and total.value % context.value == 0:
        # Some trainers count it in tokens, others in sequences.
        guess = f"{total.name} is read as tokens, since it is a multiple of {context.name}"
        return Batch(total.value, f"configuration {total.name}", guess)
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


def tokens_at(run: TrackedRun, steps: Array, batch: Batch, overrides: ColumnOverrides) -> Tokens:
    """The tokens trained on at given steps.

    The order: what the user names; a metric that counts tokens, or sequences; a batch that was logged at every step;
    steps times the batch. A number of tokens in the configuration is a plan, and is taken only where the user names it.
    """
    if overrides.tokens and overrides.tokens not in run.logged:
        entry = exactly(run.config, overrides.tokens)
        if entry is None or entry.value <= 0:
            return Tokens(None, f"no entry {overrides.tokens}")
        return Tokens(np.full(len(steps), entry.value), f"configuration {entry.name}")
    if counted := _counted(run, steps, overrides):
        return counted
    if batch.tokens is None:
        planned = [entry.name for entry in entries(run.config, PLANNED)]
        plan = (
            f"; {planned[0]} is what was planned: if the run was trained on it, --tokens {planned[0]}"
            if planned
            else ""
        )
        return Tokens(None, f"{batch.rule}{plan}")
    if not np.any(steps > 0):
        return Tokens(None, "its steps were not logged")
    guess = batch.guess
    if run.row_steps:
        rows = "no metric counts the trainer's steps, so what was logged counts as steps (--step NAME for another)"
        guess = f"{guess}; {rows}" if guess else rows
    return Tokens(steps * batch.tokens, f"steps x {batch.rule}", guess)


def _counted(run: TrackedRun, steps: Array, overrides: ColumnOverrides) -> Tokens | None:
    """Tokens by what was counted while the run trained; None where nothing was."""
    for name in (overrides.tokens,) if overrides.tokens else _present(run, COUNTED):
        if (found := _count(run.logged[name], steps)) is not None:
            return Tokens(found[0], f"{name}, at the step of the loss", resets=found[1])
    context = first(run.config, _CONTEXT)
    for name in _present(run, _SAMPLES) if context else ():
        if context and (found := _count(run.logged[name], steps)) is not None:
            return Tokens(
                found[0] * context.value, f"{name} x {context.name}, at the step of the loss", resets=found[1]
            )
    return None if overrides.batch_tokens else _logged_batch(run, steps, context)


def _present(run: TrackedRun, names: tuple[str, ...]) -> list[str]:
    by_plain = {plain(name): name for name in reversed(list(run.logged))}
    found = [by_plain[plain(name)] for name in names if plain(name) in by_plain]
    return [name for name in dict.fromkeys(found) if np.any(run.logged[name].values > 0)]


def _count(metric: Metric, wanted: Array) -> tuple[Array, int] | None:
    """A counter at given steps, interpolated, and how often it began again; None where it does not count."""
    steps, values = ordered(metric)
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    falls = int(np.sum(np.diff(values) < 0))
    grows = len(values) < 3 or (np.ptp(values) > 0 and falls <= max(2, _RESETS * len(values)))
    if not (len(values) and grows):
        return None
    counted, resets = without_resets(values)
    if counted[0] > 0 and steps[0] > 0:
        # Nothing was trained on at step 0.
        steps, counted = np.concatenate([[0.0], steps]), np.concatenate([[0.0], counted])
    found = np.interp(wanted, steps, counted)
    beyond = wanted > steps[-1]
    if beyond.any() and steps[-1] > 0:
        found = np.where(beyond, counted[-1] * wanted / steps[-1], found)
    return found, resets


def _logged_batch(run: TrackedRun, wanted: Array, context: Entry | None) -> Tokens | None:
    """Tokens by a batch that was logged along the run and changes: each value holds from the value before it on."""
    for name in _present(run, _LOGGED_BATCH):
        steps, values = ordered(run.logged[name])
        in_tokens = "token" in name
        if len(values) < 2 or np.ptp(values) == 0 or not (in_tokens or context):
            continue
        tokens = np.cumsum(np.diff(steps, prepend=0.0) * values)
        found = np.interp(wanted, np.append(0.0, steps), np.append(0.0, tokens))
        factor = 1.0 if in_tokens or context is None else context.value
        return Tokens(
            found * factor,
            f"{name}, summed over the steps{'' if in_tokens or context is None else f' x {context.name}'}",
        )
    return None
