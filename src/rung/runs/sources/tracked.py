"""From tracked runs, each with a configuration and logged values, to rows of the table of runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import RunsError
from rung.messages import did_you_mean, first_line
from rung.runs.sources.column_rules import TRAINING, ImportNotes, loss_name, other_metrics, settings_of, tokens_at
from rung.runs.sources.tracked_run import ColumnOverrides, Imported, Logged, TrackedRun

SMOOTHED = 0.05
"""Share of a run's steps, at its end, over which a training loss is averaged."""


def assemble(runs: Iterable[TrackedRun], where: str, overrides: ColumnOverrides = ColumnOverrides()) -> Imported:  # noqa: B008  # frozen
    """The table of tracked runs.

    The loss is the last value of a held-out loss; of a training loss, the mean over the last 5 % of the steps. N is the
    entry of that name in the configuration, or 12 x layers x width^2. D is the metric that counts tokens, or the entry of
    that name in the configuration, or steps times batch times context.

    Args:
        runs: The tracked runs.
        where: The name of their source in messages.
        overrides: Names that the user gives in place of the rules.

    Raises:
        RunsError: There is no run, or no run has a loss.
    """
    found = list(runs)
    if not found:
        raise RunsError(f"{where} has no runs.")
    notes = ImportNotes()
    rows = [row for run in found for row in _rows(run, overrides, notes, where)]
    if not rows:
        names = sorted({name for run in found for name in run.logged})
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "nothing"
        raise RunsError(
            f"{where}: none of {len(found)} runs has {overrides.loss or 'a loss that is recognised'}; the logged metrics are {shown}. Name it: --loss NAME."
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    for column in ("params", "tokens"):
        if column not in frame.columns:
            names = sorted({name for run in found for name in (*run.config, *run.logged)})
            if requested := getattr(overrides, column):
                hint = did_you_mean(requested, names)
                raise RunsError(
                    f"{where}: no run has a number {requested!r} for --{column}; the names are {', '.join(names[:20])}.{hint}"
                )
            shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            code = {"params": "no_params", "tokens": "no_tokens"}[column]
            notes.finding(code, f"no run states its {column}; the names are {shown}. Name it: --{column} NAME.")
    mapping = {column: "; ".join(rules) for column, rules in notes.rules.items() if column in frame.columns}
    return Imported(frame=frame, mapping=mapping, warnings=tuple(notes.warnings))


def csv_frame(file: Path) -> pl.DataFrame:
    """A CSV file of metrics.

    Raises:
        RunsError: The file cannot be read.
    """
    try:
        return pl.read_csv(file, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RunsError(f"{file} cannot be read as CSV: {first_line(error)}.") from None


def _rows(run: TrackedRun, overrides: ColumnOverrides, notes: ImportNotes, where: str) -> list[dict[str, Any]]:
    name = loss_name(run, overrides)
    if name is None and run.scores and not overrides.loss:
        return [{"run": run.name, **settings_of(run, overrides, notes), **other_metrics(run, "", notes)}]
    if name is None:
        notes.finding(
            "no_loss",
            f"run {run.name!r} of {where} has no {overrides.loss or 'loss that is recognised'}, and is left out.",
        )
        return []
    steps, values = _cleaned(run.name, name, run.logged[name], notes)
    if not len(steps):
        notes.finding(
            "no_loss", f"run {run.name!r} of {where}: no value of {name} is a finite number, and the run is left out."
        )
        return []
    settings = settings_of(run, overrides, notes)
    training = name in TRAINING or name.startswith("train")
    if overrides.checkpoints:
        notes.rule("loss", f"{name}, every value")
        at = list(zip(steps, values, strict=True))
    elif training:
        notes.rule("loss", f"{name}, mean over the last {100 * SMOOTHED:g} % of the steps")
        at = [(steps[-1], float(values[steps >= steps[-1] - SMOOTHED * (steps[-1] - steps[0])].mean()))]
    else:
        notes.rule("loss", f"{name}, last value")
        at = [(steps[-1], float(values[-1]))]
    others = {} if overrides.checkpoints else other_metrics(run, name, notes)
    return [
        {
            "run": run.name,
            **settings,
            **tokens_at(run, float(step), overrides, notes),
            "step": int(step),
            "loss": float(value),
            **others,
        }
        for step, value in at
    ]


def _cleaned(run: str, name: str, logged: Logged, notes: ImportNotes) -> tuple[np.ndarray, np.ndarray]:
    """Steps and finite values, in order of step. A step logged twice, as after a restart, keeps the later value."""
    steps = np.array([step for step, _ in logged], dtype=float)
    values = np.array([value for _, value in logged], dtype=float)
    back = np.flatnonzero(np.diff(steps) < 0)
    if len(back):
        first = int(back[0])
        notes.finding(
            "restart",
            f"run {run!r}: {name} goes back from step {steps[first]:g} to {steps[first + 1]:g}, as after a restart"
            f"{f' ({len(back)} times)' if len(back) > 1 else ''}; a step that was logged twice keeps the later value.",
        )
    last = {float(step): index for index, step in enumerate(steps)}
    order = np.array([last[step] for step in sorted(last)], dtype=int)
    steps, values = steps[order], values[order]
    bad = ~np.isfinite(values)
    if bad.any():
        notes.finding(
            "not_finite",
            f"run {run!r}: {name} is not a finite number at {int(bad.sum())} of {len(values)} steps, first at step {steps[bad][0]:g}; they are left out.",
        )
    steps, values = steps[~bad], values[~bad]
    gaps = np.diff(steps)
    if len(gaps) > 3 and gaps.max() > 10 * np.median(gaps):
        index = int(gaps.argmax())
        notes.finding(
            "gap", f"run {run!r}: no value of {name} between steps {steps[index]:g} and {steps[index + 1]:g}."
        )
    return steps, values
