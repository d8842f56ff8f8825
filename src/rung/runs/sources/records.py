"""What the record of a run says of itself: ranks that repeat it, a start that is not in it, and an end before its plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rung.findings import Finding
from rung.messages import counted, listed
from rung.runs.loss_units import words_of
from rung.runs.sources.configuration import first
from rung.runs.sources.tracked_run import Metric, TrackedRun

_RANK = re.compile(r"(?<![a-z])(?:global_|local_)?rank[-_]?(\d+)", re.IGNORECASE)

_PLANNED = (
    *("max_steps", "max_iters", "total_steps", "train_iters", "num_train_steps", "total_iterations", "max_iterations"),
    *("train_steps", "num_training_steps", "total_train_steps", "num_iterations"),
)
"""Settings that give the step at which training ends."""

_NEAR_THE_END = 0.98
"""Share of its planned steps from which the record of a run reaches its end."""

_LATE, _PAUSES = 0.1, 5.0
"""A record begins late where its first step is this share of its last, and so many times the usual pause between steps."""


def without_ranks(runs: Sequence[TrackedRun]) -> tuple[list[TrackedRun], tuple[Finding, ...]]:
    """The runs, of those that each rank of one run recorded only the first; and a finding."""
    by_run: dict[str, list[tuple[int, TrackedRun]]] = {}
    for run in runs:
        rank = _RANK.search(run.name)
        by_run.setdefault(_RANK.sub("rank", run.name), []).append((int(rank[1]) if rank else -1, run))
    kept, lost = [], []
    for found in by_run.values():
        if len(found) > 1 and all(rank >= 0 for rank, _ in found):
            _, one = min(found, key=lambda pair: pair[0])
            kept.append(one)
            lost += [run.name for _, run in found if run is not one]
        else:
            kept += [run for _, run in found]
    if not lost:
        return kept, ()
    text = f"{counted(len(lost), 'record')} of further ranks left out, which repeat their run: {listed([repr(name) for name in lost], 4)}."
    return kept, (Finding("several_records", text),)


def ended(run: TrackedRun) -> TrackedRun:
    """The run with its status by its planned steps, where its place says nothing: unfinished if its record stops before."""
    planned = first(run.config, _PLANNED)
    if run.status is not None or run.axis or run.scores or planned is None:
        return run
    last = max((float(metric.steps.max()) for metric in run.logged.values() if len(metric)), default=0.0)
    several = any(len(metric) > 1 for metric in run.logged.values())
    early = several and 0 < last < _NEAR_THE_END * planned.value - 1
    return replace(run, status="unfinished") if early else run


def late_start(run: TrackedRun) -> tuple[Finding, ...]:
    """A finding where the record of a run begins long after its start, as that of a second start alone does."""
    longest = max(run.logged.values(), key=len, default=None)
    if longest is None or len(longest) < 4 or run.axis or run.scores:
        return ()
    begins = min(float(metric.steps.min()) for metric in run.logged.values() if len(metric))
    if begins < _LATE * float(longest.steps.max()):
        return ()
    pauses = np.diff(np.unique(longest.steps))
    if not len(pauses) or begins < _PAUSES * float(np.median(pauses)):
        return ()
    text = f"run {run.name!r} begins at step {begins:g}: what it did before is not in its record. Is it the second start of another run?"
    return (Finding("later_start", text),)


def along_tokens(run: TrackedRun, loss: str) -> TrackedRun:
    """The run whose loss was logged over tokens in place of steps, by its name: val_loss_vs_tokens."""
    if words_of(loss)[-2:] != ("vs", "tokens") or run.axis:
        return run
    metric = run.logged[loss]
    counted_tokens = Metric(steps=metric.steps, values=metric.steps, clock=metric.clock)
    return replace(run, axis="tokens", logged={loss: metric, "tokens": counted_tokens})
