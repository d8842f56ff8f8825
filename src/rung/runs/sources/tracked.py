"""Runs as trackers keep them, a configuration and logged values, and the rules by which they become rows."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.findings import Finding
from rung.runs.columns import ALIASES, plain

Logged = Sequence[tuple[float, float]]
"""Step and value, in the order in which they were logged."""

SMOOTHED = 0.05
"""Share of a run's last steps over which a training loss is averaged."""

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
_TRAINING = ("loss", "train_loss", "train/loss", "training_loss", "train/CrossEntropyLoss", "train/ce_loss")
_TOKENS = (
    *("tokens", "throughput/total_tokens", "total_tokens", "tokens_seen", "num_input_tokens_seen", "num_tokens"),
    *("train/tokens", "n_tokens", "consumed_tokens"),
)
_WIDTH = ("hidden_size", "d_model", "n_embd", "hidden_dim", "width", "dim")
_DEPTH = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "depth")
_BATCH_TOKENS = ("batch_tokens", "tokens_per_batch", "batch_size_tokens", "tokens_per_step")
_BATCH = (
    "global_train_batch_size",
    "train_batch_size",
    "global_batch_size",
    "batch_size",
    "per_device_train_batch_size",
)
_CONTEXT = ("max_sequence_length", "seq_len", "seq_length", "context_length", "block_size", "max_seq_len", "context")
_SETTINGS = {"lr": ("lr", "learning_rate", "peak_lr", "max_lr"), "seed": ("seed", "random_seed")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run of a tracker.

    Attributes:
        name: Its name there.
        config: Its configuration, flat: dotted names to values.
        logged: Its metrics, by name.
        scores: Whether every metric is a score that was asked for, and none need be a loss.
    """

    name: str
    config: Mapping[str, Any]
    logged: Mapping[str, Logged]
    scores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A table of runs from where they were tracked.

    Attributes:
        frame: The table.
        mapping: Each column, and the rule by which it was filled.
        warnings: What a user should know of the values.
    """

    frame: pl.DataFrame
    mapping: Mapping[str, str]
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOverrides:
    """What a user says instead of the rules.

    Attributes:
        loss: The metric that is the loss.
        params: The entry of the configuration that is N.
        tokens: The metric or the entry of the configuration that is D.
        checkpoints: A row for each value of the loss, instead of one for each run.
    """

    loss: str = ""
    params: str = ""
    tokens: str = ""
    checkpoints: bool = False


@dataclass(slots=True)
class _Told:
    """What is said of the columns and of the values while rows are made."""

    rules: dict[str, dict[str, None]] = field(default_factory=dict)
    warnings: list[Finding] = field(default_factory=list)

    def rule(self, column: str, text: str) -> None:
        self.rules.setdefault(column, {})[text] = None

    def finding(self, code: str, text: str) -> None:
        self.warnings.append(Finding(code, text))


def assemble(runs: Iterable[TrackedRun], where: str, overrides: ColumnOverrides = ColumnOverrides()) -> Imported:
    """Rows of tracked runs.

    The loss is a held-out one's last value; of a training loss, the mean over the last 5 % of the steps. N is the entry of
    the configuration that is called so, or 12 x layers x width^2. D is the metric that counts tokens, or steps times
    batch times context, where the configuration does not say it.

    Args:
        runs: The runs.
        where: What messages call their place.
        wishes: What the user says instead.

    Raises:
        RunsError: There is no run, or none with a loss.
    """
    found = list(runs)
    if not found:
        raise RunsError(f"{where} has no runs.")
    told = _Told()
    rows = [row for run in found for row in _rows(run, overrides, told, where)]
    if not rows:
        names = sorted({name for run in found for name in run.logged})
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "nothing"
        raise RunsError(
            f"{where}: none of {len(found)} runs has {overrides.loss or 'a loss that is known'}; logged is {shown}. Name it: --loss NAME."
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    for column in ("params", "tokens"):
        if column not in frame.columns:
            names = sorted({name for run in found for name in (*run.config, *run.logged)})
            if wish := getattr(overrides, column):
                near = difflib.get_close_matches(wish, names, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise RunsError(
                    f"{where}: no run has a number {wish!r} for --{column}; there is {', '.join(names[:20])}.{hint}"
                )
            shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            told.finding("no-" + column, f"no run says its {column}; there is {shown}. Name it: --{column} NAME.")
    mapping = {column: "; ".join(rules) for column, rules in told.rules.items() if column in frame.columns}
    return Imported(frame=frame, mapping=mapping, warnings=tuple(told.warnings))


def csv_frame(file: Path) -> pl.DataFrame:
    """A CSV of metrics.

    Raises:
        RunsError: It cannot be read.
    """
    try:
        return pl.read_csv(file, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RunsError(f"{file} cannot be read as CSV: {str(error).strip().splitlines()[0]}.") from None


def flat(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A nested configuration with dotted names."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _rows(run: TrackedRun, overrides: ColumnOverrides, told: _Told, where: str) -> list[dict[str, Any]]:
    name = _loss_name(run, overrides)
    if name is None and run.scores and not overrides.loss:
        return [{"run": run.name, **_about(run, overrides, told), **_others(run, "", told)}]
    if name is None:
        told.finding(
            "no-loss", f"run {run.name!r} of {where} has no {overrides.loss or 'loss that is known'}, and is left out."
        )
        return []
    steps, values = _mended(run.name, name, run.logged[name], told)
    if not len(steps):
        told.finding(
            "no-loss", f"run {run.name!r} of {where}: no value of {name} is a finite number, and it is left out."
        )
        return []
    about = _about(run, overrides, told)
    training = name in _TRAINING or name.startswith("train")
    if overrides.checkpoints:
        told.rule("loss", f"{name}, every value")
        at = list(zip(steps, values, strict=True))
    elif training:
        told.rule("loss", f"{name}, mean over the last {100 * SMOOTHED:g} % of the steps")
        at = [(steps[-1], float(values[steps >= steps[-1] - SMOOTHED * (steps[-1] - steps[0])].mean()))]
    else:
        told.rule("loss", f"{name}, last value")
        at = [(steps[-1], float(values[-1]))]
    others = {} if overrides.checkpoints else _others(run, name, told)
    return [
        {
            "run": run.name,
            **about,
            **_tokens(run, float(step), overrides, told),
            "step": int(step),
            "loss": float(value),
            **others,
        }
        for step, value in at
    ]


def _loss_name(run: TrackedRun, overrides: ColumnOverrides) -> str | None:
    if overrides.loss:
        return overrides.loss if overrides.loss in run.logged else None
    known = {name: name for name in run.logged}
    for wanted in (*_HELD_OUT, *_TRAINING):
        if wanted in known:
            return wanted
    losses = [name for name in sorted(run.logged) if plain(name).endswith("loss")]
    return losses[0] if len(losses) == 1 else None


def _mended(run: str, name: str, logged: Logged, told: _Told) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values in order of step; of a step that was logged twice, as after a restart, the later value."""
    steps = np.array([step for step, _ in logged], dtype=float)
    values = np.array([value for _, value in logged], dtype=float)
    back = np.flatnonzero(np.diff(steps) < 0)
    if len(back):
        first = int(back[0])
        told.finding(
            "restart",
            f"run {run!r}: {name} goes back from step {steps[first]:g} to {steps[first + 1]:g}, as after a restart"
            f"{f' ({len(back)} times)' if len(back) > 1 else ''}; of a step that was logged twice the later value is kept.",
        )
    last = {float(step): index for index, step in enumerate(steps)}
    order = np.array([last[step] for step in sorted(last)], dtype=int)
    steps, values = steps[order], values[order]
    bad = ~np.isfinite(values)
    if bad.any():
        told.finding(
            "not-finite",
            f"run {run!r}: {name} is no finite number at {int(bad.sum())} of {len(values)} steps, first at step {steps[bad][0]:g}; they are left out.",
        )
    steps, values = steps[~bad], values[~bad]
    gaps = np.diff(steps)
    if len(gaps) > 3 and gaps.max() > 10 * np.median(gaps):
        index = int(gaps.argmax())
        told.finding("gap", f"run {run!r}: nothing of {name} between steps {steps[index]:g} and {steps[index + 1]:g}.")
    return steps, values


def _about(run: TrackedRun, overrides: ColumnOverrides, told: _Told) -> dict[str, Any]:
    """Columns of the configuration."""
    found: dict[str, Any] = {}
    params = _entry(run.config, (overrides.params,) if overrides.params else ("params", *ALIASES["params"]))
    width, depth = _entry(run.config, _WIDTH), _entry(run.config, _DEPTH)
    if params:
        found["params"] = params[1]
        told.rule("params", f"configuration {params[0]}")
    elif width and depth and not overrides.params:
        found["params"] = 12 * depth[1] * width[1] ** 2
        told.rule("params", f"12 x {depth[0]} x {width[0]}^2, weights of the layers of a usual transformer")
    for column in ("params_non_embedding", "params_active"):
        if entry := _entry(run.config, (column, *ALIASES[column])):
            found[column] = entry[1]
            told.rule(column, f"configuration {entry[0]}")
    for column, entry in (("width", width), ("depth", depth)):
        if entry:
            found[column] = entry[1]
            told.rule(column, f"configuration {entry[0]}")
    for column, names in _SETTINGS.items():
        if entry := _entry(run.config, names):
            found[column] = entry[1]
            told.rule(column, f"configuration {entry[0]}")
    if batch := _batch_tokens(run.config):
        found["batch_tokens"] = batch[1]
        told.rule("batch_tokens", batch[0])
    return found


def _batch_tokens(config: Mapping[str, Any]) -> tuple[str, float] | None:
    if entry := _entry(config, _BATCH_TOKENS):
        return f"configuration {entry[0]}", entry[1]
    batch, context = _entry(config, _BATCH), _entry(config, _CONTEXT)
    if not (batch and context):
        return None
    text, value = f"{batch[0]} x {context[0]}", batch[1] * context[1]
    if batch[0].endswith("per_device_train_batch_size"):
        for name in ("gradient_accumulation_steps", "world_size"):
            if entry := _entry(config, (name,)):
                text, value = f"{text} x {entry[0]}", value * entry[1]
    return text, value


def _tokens(run: TrackedRun, step: float, overrides: ColumnOverrides, told: _Told) -> dict[str, float]:
    """D at a step: by a metric that counts it, between its counts; by the configuration; or by steps and batch."""
    for name in (overrides.tokens,) if overrides.tokens else _TOKENS:
        counted = sorted(run.logged.get(name, ()))
        if counted:
            steps, values = np.array(counted).T
            told.rule("tokens", f"{name}, at the step of the loss")
            return {"tokens": float(np.interp(step, steps, values))}
    entry = _entry(run.config, (overrides.tokens,) if overrides.tokens else ("tokens", *ALIASES["tokens"], *_TOKENS))
    if entry and not overrides.checkpoints:
        told.rule("tokens", f"configuration {entry[0]}")
        return {"tokens": entry[1]}
    if batch := _batch_tokens(run.config):
        told.rule("tokens", f"steps x {batch[0]}")
        return {"tokens": step * batch[1]}
    return {}


def _others(run: TrackedRun, loss: str, told: _Told) -> dict[str, float]:
    """Last values of the other held-out metrics, as further columns; every score of a run of scores."""
    found: dict[str, float] = {}
    for name, logged in sorted(run.logged.items()):
        held_out = run.scores or plain(name).startswith(("eval", "val", "test", "acc", "loss_"))
        if name != loss and name not in _TOKENS and held_out:
            told.rule(plain(name), f"{name}, last value")
            values = [value for _, value in logged if math.isfinite(value)]
            if values:
                found[plain(name)] = values[-1]
    return found


def _entry(config: Mapping[str, Any], names: Sequence[str]) -> tuple[str, float] | None:
    """The first entry that is called so, by its whole dotted name or by its last part, and is a positive number."""
    for wanted in names:
        for name, value in config.items():
            if plain(wanted) in {plain(name), plain(name.rpartition(".")[2]), plain(name.rpartition("/")[2])}:
                number = _number(value)
                if number is not None and (number > 0 or wanted in _SETTINGS["seed"]):
                    return name, number
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
