"""D of a tracked run: tokens that were counted while it trained, or steps times the batch; never what was only planned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rung.runs.columns import ALIASES, plain, unit_in
from rung.runs.loss_units import unit_of, words_of
from rung.runs.sources.batch import Batch, context_of
from rung.runs.sources.configuration import Entry, entries, exactly, in_unit
from rung.runs.sources.history import counts_steps, ordered, without_resets
from rung.runs.sources.tracked_run import ColumnOverrides, Metric, TrackedRun

if TYPE_CHECKING:
    from rung.arrays import Array

COUNTED = (
    *(
        "time/token",
        "tokens",
        "throughput/total_tokens",
        "total_tokens",
        "tokens_seen",
        "num_input_tokens_seen",
        "num_tokens",
    ),
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

_LOGGED_BATCH = (
    *("batch_tokens", "tokens_per_step", "global_batch_size", "batch_size", "batch-size", "train/batch_size"),
    *("global batch size", "train/global_batch_size", "batch size", "throughput/batch_size"),
)
"""Metrics that give the batch of each step."""


_TRAINED = frozenset({"seen", "consumed", "processed", "trained", "so", "far", "input", "throughput"})
"""Words of a number of tokens that is counted while a run trains."""

_RESETS = 0.2
"""Share of steps with a fall from which a metric is no counter but, say, the tokens of each batch."""


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


def counts_tokens(name: str) -> bool:
    """Whether a metric has one of the usual names of a counter of tokens or sequences."""
    return plain(name) in {plain(one) for one in (*COUNTED, *_SAMPLES)}


def is_along(name: str) -> bool:
    """Whether a metric's history may be needed: it may be the loss, count steps, tokens or sequences, or be the batch."""
    if unit_of(name) is not None or counts_steps(name):
        return True
    return plain(name) in {plain(one) for one in (*COUNTED, *_SAMPLES, *_LOGGED_BATCH)}


def tokens_at(run: TrackedRun, steps: Array, batch: Batch, overrides: ColumnOverrides) -> Tokens:
    """The tokens trained on at given steps.

    The order: what the user names; a metric that counts tokens, or sequences; a batch that was logged at every step;
    steps times the batch. A number of tokens in the configuration is a plan, and is taken only where the user names it.
    """
    if overrides.tokens and overrides.tokens not in run.logged:
        entry = exactly(run.config, overrides.tokens)
        if entry is None or entry.value <= 0:
            return Tokens(None, f"no entry {overrides.tokens}")
        return Tokens(np.full(len(steps), entry.value), entry.rule)
    if counted := _counted(run, steps, overrides):
        return counted
    if run.axis:
        return Tokens(None, f"its values stand along {run.axis}, and no metric counts tokens")
    stated = _stated(run)
    if stated is not None and (batch.tokens is None or not np.any(steps > 0) or run.row_steps):
        return _from_stated(run, stated, steps)
    if batch.tokens is None:
        return Tokens(None, f"{batch.rule}{_planned(run)}")
    if not np.any(steps > 0):
        return Tokens(None, "its steps were not logged")
    guess = batch.guess
    if run.row_steps:
        rows = "no metric counts the trainer's steps, so what was logged counts as steps (--step NAME for another)"
        guess = f"{guess}; {rows}" if guess else rows
    return Tokens(steps * batch.tokens, f"steps x {batch.rule}", guess)


def _planned(run: TrackedRun) -> str:
    """What a number of tokens in the settings may be, and the option that says so; empty without any."""
    planned = [entry.name for entry in entries(run.config, PLANNED, units=True)]
    if not planned:
        return ""
    name = planned[0]
    if run.counter and not run.status:
        # A table gives it with every row.
        return (
            f"; {name} is the same in all rows: if it is the tokens of a step, --batch-tokens {name}; if the run was trained on it in "
            f"all, --tokens {name}"
        )
    return f"; {name} is what was planned: if the run was trained on it, --tokens {name}"


def _counted(run: TrackedRun, steps: Array, overrides: ColumnOverrides) -> Tokens | None:
    """Tokens by what was counted while the run trained; None where nothing was."""
    names = (
        (overrides.tokens,)
        if overrides.tokens
        else [name for name in _present(run, COUNTED) if not _may_be_planned(run, name)]
    )
    for name in names:
        if (found := _count(run.logged[name], steps)) is not None:
            factor, unit = _unit(name, run.logged[name])
            return Tokens(found[0] * factor, f"{name}{unit}, at the step of the loss", resets=found[1])
    context = context_of(run.config)
    for name in _present(run, _SAMPLES) if context else ():
        if context and (found := _count(run.logged[name], steps)) is not None:
            return Tokens(
                found[0] * context.value, f"{name} x {context.name}, at the step of the loss", resets=found[1]
            )
    return None if overrides.batch_tokens else _logged_batch(run, steps, context)


def _may_be_planned(run: TrackedRun, name: str) -> bool:
    """Whether a number of tokens stands once for the whole run, so that it may be its plan or what it was trained on."""
    return name in run.config and len(run.logged[name]) == 1 and not set(words_of(name)) & _TRAINED


def _stated(run: TrackedRun) -> str | None:
    """The number of tokens that stands once for the whole run; None without any."""
    return next((name for name in _present(run, COUNTED) if _may_be_planned(run, name)), None)


def _from_stated(run: TrackedRun, name: str, steps: Array) -> Tokens:
    """Tokens by a number that stands once for a run: of one that finished it is what was trained on, planned or not."""
    if run.status in {None, "finished"}:
        factor, unit = _unit(name, run.logged[name])
        value = float(run.logged[name].values[-1]) * factor
        guess = f"D is {name}, which may be what was planned" if run.status is None else ""
        return Tokens(np.full(len(steps), value), f"{name}{unit} of the run", guess)
    return Tokens(
        None, f"{name} may be what was planned, and the run is {run.status}; if it was trained on it, --tokens {name}"
    )


def _unit(name: str, metric: Metric) -> tuple[float, str]:
    """The factor of a unit in the name of a counter of tokens, and how a rule shows it."""
    stated = None if counts_tokens(name) else unit_in(name)
    return in_unit(float(np.nanmax(metric.values)), stated[1]) if stated else (1.0, "")


def _present(run: TrackedRun, names: tuple[str, ...]) -> list[str]:
    """The metrics of these names, with or without a unit behind them, that have a positive value."""
    found = _of_these_names(tuple(run.logged), names)
    return [name for name in found if np.any(run.logged[name].values > 0)]


@lru_cache(maxsize=1024)
def _of_these_names(logged: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    by_plain = {}
    for name in reversed(logged):
        stated = unit_in(name)
        by_plain[stated[0] if stated and plain(name) not in by_plain else plain(name)] = name
    return tuple(dict.fromkeys(by_plain[plain(name)] for name in names if plain(name) in by_plain))


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
