"""From tracked runs, each with a configuration and logged values, to rows of the table of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.messages import did_you_mean, listed
from rung.progress import reported
from rung.runs.columns import plain
from rung.runs.sources.batch import batch_of
from rung.runs.sources.begun_again import counted_on, measured_rarely
from rung.runs.sources.curve import Curve, curve_of, in_its_unit
from rung.runs.sources.history import counted, live
from rung.runs.sources.loss import UNITS, LossChoice, choose_loss, is_ambiguous, is_held_out
from rung.runs.sources.notes import ImportNotes
from rung.runs.sources.records import along_tokens, ended, late_start, without_ranks
from rung.runs.sources.run_settings import columns_of_settings
from rung.runs.sources.tokens import COUNTED, tokens_at
from rung.runs.sources.tracked_run import ColumnOverrides, Found, Imported, TrackedRun

if TYPE_CHECKING:
    from rung.arrays import Array

SMOOTHED = 0.05
"""Share of a run's steps, at its end, over which a training loss is averaged."""

_SHOWN = 20
"""Names that a message lists at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What the rows of every run need: where they come from, what the user gave, and the notes."""

    where: str
    overrides: ColumnOverrides
    notes: ImportNotes


def assemble(found: Found, where: str, overrides: ColumnOverrides = ColumnOverrides()) -> Imported:  # noqa: B008  # frozen
    """The table of tracked runs.

    Args:
        found: The tracked runs, and what could not be read.
        where: The name of their source in messages.
        overrides: Names that the user gives in place of the rules.

    Raises:
        RunsError: There is no run, no run has a loss, or several losses could be meant.
    """
    if not found.runs:
        raise RunsError(" ".join([f"{where} has no runs.", *(finding.text for finding in found.findings[:3])]))
    notes = ImportNotes(warnings=list(found.findings))
    records, lost = without_ranks(found.runs)
    notes.warnings += lost
    runs = _told_apart(records, notes)
    context = _Context(where=where, overrides=overrides, notes=notes)
    choices: dict[str, LossChoice] = {}
    rows = []
    for run in reported(runs, "runs"):
        notes.warnings += run.notes
        rows += _rows(run, context, choices)
    if not rows:
        raise _no_loss(runs, where, overrides)
    _compare_losses(choices, notes)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    frame = frame.select([name for name in frame.columns if frame[name].null_count() < frame.height])
    for column in ("params", "tokens"):
        if column not in frame.columns:
            _ask_for(column, runs, context)
    if "params" in frame.columns:
        for name in frame.filter(pl.col("params").is_null())["run"].unique(maintain_order=True):
            notes.of_runs("no_params", "{runs}: no N, which other runs state. Give --params NAME, or fill it in.", name)
    mapping = notes.mapping(frame.columns)
    return Imported(frame=frame, mapping=mapping, sources=notes.sources, warnings=notes.findings())


def _told_apart(runs: list[TrackedRun], notes: ImportNotes) -> list[TrackedRun]:
    """The runs, those that share a name and have no step of their own told apart by their identity."""
    shared: dict[tuple[str, Any], list[int]] = {}
    for index, run in enumerate(runs):
        shared.setdefault((run.name, run.labels.get("step")), []).append(index)
    found = list(runs)
    for (name, _), indices in shared.items():
        if len(indices) > 1:
            for number, index in enumerate(indices, 1):
                found[index] = replace(runs[index], name=f"{name} ({runs[index].identity or number})")
            notes.finding(
                "same_name",
                f"{len(indices)} runs are named {name!r}; they are told apart as {listed([repr(found[i].name) for i in indices], 4)}.",
            )
    return found


def _straightened(run: TrackedRun, context: _Context) -> tuple[TrackedRun, str]:
    """The run with the trainer's steps, without dead branches, and the rule of its steps."""
    overrides, notes = context.overrides, context.notes
    run, counter, found = counted(run, overrides.step)
    notes.warnings += found
    if overrides.step and not counter:
        notes.finding(
            "other_steps",
            f"run {run.name!r} has no metric {overrides.step!r} that counts steps; its own steps are kept.",
        )
    for straightened in (counted_on, measured_rarely):
        run, found = straightened(run)
        notes.warnings += found
    run, restarts = live(ended(run))
    notes.warnings += late_start(run)
    if restarts:
        first_restart = restarts[0]
        often = f" ({len(restarts)} times)" if len(restarts) > 1 else ""
        notes.finding(
            "restart",
            f"run {run.name!r} goes back from step {first_restart.before:g} to {first_restart.after:g}, as after a restart{often}; the "
            f"{first_restart.dead} values of the branch that was given up are left out.",
        )
    return run, counter


def _rows(run: TrackedRun, context: _Context, choices: dict[str, LossChoice]) -> list[dict[str, Any]]:
    overrides, notes = context.overrides, context.notes
    run, counter = _straightened(run, context)
    choice = choose_loss(run.logged, overrides.loss)
    if run.scores:
        choice = replace(choice, held_out=True) if choice and overrides.loss else None
    if choice is None:
        if run.scores and not overrides.loss:
            return [
                {
                    "run": run.name,
                    **run.labels,
                    **columns_of_settings(run, context.overrides, context.notes),
                    **_other_metrics(run, "", notes),
                }
            ]
        notes.finding(
            "no_loss",
            f"run {run.name!r} of {context.where} has no {overrides.loss or 'loss that is recognised'}, and is left out.",
        )
        return []
    if is_ambiguous(choice):
        raise RunsError(
            f"{context.where}: run {run.name!r} has several held-out losses, {listed(sorted([choice.name, *choice.passed_over]), 8)}. "
            "Name the one that is meant: --loss NAME."
        )
    choice, bits = in_its_unit(run, choice)
    if bits:
        notes.of_runs("loss_in_bits", f"{{runs}}: {bits}. For nats as they stand, leave out the perplexity.", run.name)
    run = along_tokens(run, choice.name)
    curve = curve_of(run, choice)
    if not len(curve.steps):
        notes.finding(
            "no_loss",
            f"run {run.name!r} of {context.where}: no value of {choice.name} is a finite number, and the run is left out.",
        )
        return []
    choices[run.name] = choice
    _note_curve(run, curve, notes)
    if counter:
        notes.rule(run.name, "step", counter)
    return _filled(run, choice, curve, context)


def _filled(run: TrackedRun, choice: LossChoice, curve: Curve, context: _Context) -> list[dict[str, Any]]:
    """The rows of a run with a loss."""
    overrides, notes = context.overrides, context.notes
    steps, values, rule = _taken(curve, choice, checkpoints=overrides.checkpoints)
    notes.rule(run.name, "loss", rule)
    settings = columns_of_settings(run, context.overrides, context.notes)
    batch = batch_of(run, overrides)
    tokens = tokens_at(run, steps, batch, overrides)
    if batch.tokens is not None:
        settings["batch_tokens"] = batch.tokens
        notes.rule(run.name, "batch_tokens", batch.rule)
    if tokens.values is not None:
        notes.rule(run.name, "tokens", tokens.rule)
        if tokens.guess:
            notes.of_runs(
                "guessed_tokens",
                f"{{runs}}: {tokens.guess}. For another D: --tokens NAME, or --batch-tokens NUMBER.",
                run.name,
            )
        if tokens.resets:
            notes.finding(
                "counter_reset",
                f"run {run.name!r}: the counter of tokens begins again {tokens.resets} times; D is their sum.",
            )
    elif not (overrides.tokens or run.scores):
        option = "--tokens NAME" if run.axis else "--tokens NAME, or --batch-tokens NUMBER"
        notes.of_runs("no_tokens", f"{{runs}}: no D, since {tokens.rule}. Give {option}.", run.name)
    status = "diverged" if curve.diverged else run.status
    labels = {**run.labels, **({"status": status} if status else {})}
    others = {} if overrides.checkpoints else _other_metrics(run, choice.name, notes)
    return [
        {
            "run": run.name,
            **labels,
            **settings,
            **({} if tokens.values is None else {"tokens": float(tokens.values[index])}),
            "step": int(step) if abs(step) < 1e15 and not run.axis else None,
            "loss": float(value),
            **others,
        }
        for index, (step, value) in enumerate(zip(steps, values, strict=True))
    ]


def _taken(curve: Curve, choice: LossChoice, *, checkpoints: bool) -> tuple[Array, Array, str]:
    """The steps and losses that become rows, and the rule."""
    name = choice.converted or choice.name
    unit = f", in {UNITS[choice.unit]}" if choice.converted else ""
    steps, values = curve.steps, curve.values
    if checkpoints:
        return steps, values, f"{name}, every value{unit}"
    if choice.held_out:
        return steps[-1:], values[-1:], f"{name}, last value{unit}"
    mean = values[steps >= steps[-1] - SMOOTHED * (steps[-1] - steps[0])].mean()
    return steps[-1:], np.array([mean]), f"{name}, mean over the last {100 * SMOOTHED:g} % of the steps{unit}"


def _other_metrics(run: TrackedRun, loss: str, notes: ImportNotes) -> dict[str, float]:
    """Last values of the other held-out metrics, as further columns; of a run of scores, every score."""
    found: dict[str, float] = {}
    for name, metric in sorted(run.logged.items()):
        column = plain(name)
        held_out = run.scores or is_held_out(name) or column.startswith(("acc", "loss_"))
        if name == loss or name in COUNTED or not held_out:
            continue
        values = metric.values[np.isfinite(metric.values)]
        if len(values):
            notes.rule(run.name, column, f"{name}, last value")
            found[column] = float(values[-1])
    return found


def _note_curve(run: TrackedRun, curve: Curve, notes: ImportNotes) -> None:
    """Findings on the values of a loss."""
    if curve.diverged:
        notes.finding(
            "diverged",
            f"run {run.name!r} diverged: {curve.diverged}. Its status says so, and fits leave it out unless they are asked not to.",
        )
    elif curve.not_finite:
        notes.finding(
            "not_finite",
            f"run {run.name!r}: {curve.name} is not a finite number at {curve.not_finite} of {curve.not_finite + len(curve.steps)} steps, "
            f"first at step {curve.first_not_finite:g}; they are left out.",
        )
    if curve.gap:
        notes.finding(
            "gap", f"run {run.name!r}: no value of {curve.name} between steps {curve.gap[0]:g} and {curve.gap[1]:g}."
        )


def _compare_losses(choices: Mapping[str, LossChoice], notes: ImportNotes) -> None:
    """Findings on which losses stand in one column, and what else could have been taken."""
    for run, choice in choices.items():
        if choice.passed_over and not is_ambiguous(choice):
            notes.of_runs(
                "several_losses",
                f"{{runs}}: the loss is {choice.name}; {listed(choice.passed_over, 6)} could be meant too. For another: --loss NAME.",
                run,
            )
        elif not choice.usual:
            notes.of_runs(
                "guessed_loss",
                f"{{runs}}: the loss is {choice.name}, the only metric that looks like one. For another: --loss NAME.",
                run,
            )
    kinds: dict[str, list[str]] = {}
    for run, choice in choices.items():
        kind = f"{'held-out' if choice.held_out else 'training'} loss in {UNITS[choice.unit]}"
        kinds.setdefault(kind, []).append(run)
    if len(kinds) > 1:
        parts = listed(
            [
                f"{kind} ({len(runs)}: {', '.join(repr(run) for run in runs[:3])}{', ...' if len(runs) > 3 else ''})"
                for kind, runs in kinds.items()
            ]
        )
        notes.finding("mixed_losses", f"the column loss mixes {parts}. Name a metric that all runs have: --loss NAME.")


def _no_loss(runs: list[TrackedRun], where: str, overrides: ColumnOverrides) -> RunsError:
    names = sorted({name for run in runs for name in run.logged})
    wanted = overrides.loss or "a loss that is recognised"
    hint = did_you_mean(overrides.loss, names) if overrides.loss else ""
    lost = "".join(f" {finding.text}" for run in runs[:3] for finding in run.notes[:1])
    return RunsError(
        f"{where}: none of {len(runs)} runs has {wanted}; the logged metrics are {_some(names)}. Name it: --loss NAME.{hint}{lost}"
    )


def _ask_for(column: str, runs: list[TrackedRun], context: _Context) -> None:
    """Say that no run has a column; of one that the user named, that it is not there.

    Raises:
        RunsError: The user named an entry that no run has.
    """
    names = sorted({name for run in runs for name in (*run.config, *run.logged)})
    if requested := getattr(context.overrides, column):
        hint = did_you_mean(requested, names)
        raise RunsError(
            f"{context.where}: no run has a number {requested!r} for --{column}; the names are {_some(names)}.{hint}"
        )
    if column == "params":
        context.notes.finding(
            "no_params", f"no run states its params; the names are {_some(names)}. Name it: --params NAME."
        )


def _some(names: list[str]) -> str:
    """Names in a message, each cut where it is long."""
    shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "") or "none"
