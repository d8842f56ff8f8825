"""Steps that begin again: a counter that starts anew while the training goes on, a second run in one file, and counts of evaluations."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rung.findings import Finding
from rung.runs.loss_units import unit_of
from rung.runs.sources.loss import choose_loss, is_held_out
from rung.runs.sources.tracked_run import Metric, TrackedRun

if TYPE_CHECKING:
    from rung.arrays import Array

_GOES_ON = 0.5
"""A loss goes on where it differs from its value before by less than this share of what it differs from its first value."""

_BEGINS = 0.02
"""Steps begin again where they go back to within this share of those before, counted from the first step."""

_SLOWER = 2.0
"""Steps of training for each step of an evaluation, from which the evaluation has a count of its own."""


def counted_on(run: TrackedRun) -> tuple[TrackedRun, tuple[Finding, ...]]:
    """The run with its steps counted on where they begin again while its loss or its epoch goes on, and a finding."""
    reference = _reference(run)
    if reference is None:
        return run, ()
    metric = run.logged[reference]
    moments, offsets, total = [], [], 0.0
    for turn in _beginnings(metric):
        if not _goes_on(run, metric, turn):
            continue
        ahead = np.diff(metric.steps[: turn + 1])
        usual = float(np.median(ahead[ahead > 0])) if np.any(ahead > 0) else 1.0
        total += max(float(metric.steps[turn] - metric.steps[turn + 1]) + usual, 0.0)
        moments.append(float(metric.clock[turn + 1]))
        offsets.append(total)
    if not moments:
        return run, ()
    added = np.concatenate([[0.0], offsets])
    logged = {
        name: replace(one, steps=one.steps + added[np.searchsorted(moments, one.clock, side="right")])
        for name, one in run.logged.items()
    }
    end = float(logged[reference].steps.max())
    often = "once" if len(moments) == 1 else f"{len(moments)} times"
    text = f"run {run.name!r}: its steps begin again {often} while the training goes on, as after each epoch; they are counted on, to step {end:g}."
    return replace(run, logged=logged), (Finding("counter_reset", text),)


def parted(run: TrackedRun) -> tuple[list[TrackedRun], str]:
    """The runs that stand under each other in one file without a name, and a sentence about them.

    A second run begins at the first steps with a loss as at the start, and does not outlive what stands before; otherwise
    it is a start anew after a crash.
    """
    reference = _reference(run)
    if reference is None:
        return [run], ""
    metric = run.logged[reference]
    beginnings = _beginnings(metric)
    turns = [turn for turn in beginnings if not _goes_on(run, metric, turn)]
    if not turns or len(beginnings) != int(np.sum(np.diff(metric.steps) < 0)):
        return [run], ""
    bounds = [0, *(turn + 1 for turn in turns), len(metric)]
    ends = [float(metric.steps[first:last].max()) for first, last in itertools.pairwise(bounds)]
    if any(later > earlier for earlier, later in itertools.pairwise(ends)):
        return [run], ""
    moments = metric.clock[[turn + 1 for turn in turns]]
    runs = []
    for part in range(len(bounds) - 1):
        logged = {}
        for name, one in run.logged.items():
            kept = np.flatnonzero(np.searchsorted(moments, one.clock, side="right") == part)
            if len(kept):
                logged[name] = one.take(kept)
        runs.append(replace(run, name=f"{run.name} ({part + 1})", logged=logged))
    return runs, f"its steps begin again with the loss of a new run: read as {len(runs)} runs"


def measured_rarely(run: TrackedRun) -> tuple[TrackedRun, tuple[Finding, ...]]:
    """The run with an evaluation that counts its own times (1, 2, 3, ...) at the steps of training, and a finding.

    The step of such an evaluation is that of the training loss which was logged last before it.
    """
    if run.axis:
        return run, ()
    losses = [name for name in run.logged if unit_of(name) is not None]
    training = max(
        (name for name in losses if not is_held_out(name)), key=lambda name: len(run.logged[name]), default=None
    )
    if training is None or len(run.logged[training]) < 3:
        return run, ()
    clock = run.logged[training]
    logged, said = dict(run.logged), []
    for name in (name for name in run.logged if name != training and is_held_out(name)):
        metric = run.logged[name]
        at = np.searchsorted(clock.clock, metric.clock, side="right") - 1
        if len(metric) < 2 or np.any(np.diff(metric.steps) != 1) or np.any(np.diff(metric.clock) <= 0) or at[-1] < 0:
            continue
        steps = np.where(at >= 0, clock.steps[np.maximum(at, 0)], 0.0)
        if np.all(np.diff(steps) >= _SLOWER) and float(steps[-1]) > _SLOWER * float(metric.steps[-1]):
            logged[name] = replace(metric, steps=steps)
            said.append(name)
    if not said:
        return run, ()
    text = (
        f"run {run.name!r}: {said[0]} is logged by a count of its own, 1 to {int(run.logged[said[0]].steps[-1])}; "
        f"it is set to the steps of {training} at the same time, up to {float(logged[said[0]].steps[-1]):g}."
    )
    return replace(run, logged=logged), (Finding("other_steps", text),)


def _reference(run: TrackedRun) -> str | None:
    """The loss with the most values."""
    losses = [name for name in run.logged if unit_of(name) is not None]
    chosen = choose_loss(losses)
    return max(losses, key=lambda name: (len(run.logged[name]), name == (chosen and chosen.name)), default=None)


def _beginnings(metric: Metric) -> list[int]:
    """Where the steps go back to where they began: the indices of the last values before."""
    if len(metric) < 2:
        return []
    first = float(metric.steps[0])
    back = np.flatnonzero(np.diff(metric.steps) < 0)
    room = [_BEGINS * float(metric.steps[turn] - first) for turn in back]
    return [int(turn) for turn, most in zip(back, room, strict=True) if metric.steps[turn + 1] - first <= most]


def _goes_on(run: TrackedRun, metric: Metric, turn: int) -> bool:
    """Whether training goes on over a turn: by an epoch that grows, or by the loss."""
    for name in ("epoch", "train/epoch", "trainer/epoch", "epochs"):
        epoch = run.logged.get(name)
        if epoch is not None and len(epoch) > 1:
            before = _at(epoch, float(metric.clock[turn]))
            return _at(epoch, float(metric.clock[turn + 1])) > before
    values = metric.values
    if not np.isfinite(values[[0, turn, turn + 1]]).all() or turn < 1:
        return False
    start, after = float(values[0]), float(np.mean(values[turn + 1 : turn + 3]))
    before = float(np.mean(values[max(turn - 1, 1) : turn + 1]))
    return bool(abs(after - before) < _GOES_ON * abs(after - start))


def _at(metric: Metric, clock: float) -> float:
    """The last value at or before a moment."""
    at: Array = metric.values[: int(np.searchsorted(metric.clock, clock, side="right"))]
    return float(at[-1]) if len(at) else -np.inf
