"""The history of one run, put in order: the trainer's own steps, and without the branches that a restart left behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from rung.findings import Finding
from rung.messages import listed
from rung.runs.sources.tracked_run import Metric, TrackedRun

if TYPE_CHECKING:
    from rung.arrays import Array

COUNTERS = (
    *("optimizer_step", "opt_step", "update_step", "num_updates", "updates", "update", "optimizer_steps"),
    *("trainer/global_step", "train/global_step", "global_step", "globalstep", "trainer/step", "train/step"),
    *(
        "time/batch",
        "train_step",
        "training_step",
        "current_steps",
        "step",
        "steps",
        "train/iteration",
        "train/iter",
        "train_iter",
    ),
    *("iteration", "iterations", "iter", "iters", "it", "batch_idx"),
)
"""Metrics by which trainers count their own steps, in order of preference: those of the optimizer before passes."""

_NO_STEPS = frozenset(
    {
        *("token", "tokens", "sample", "samples", "sequence", "sequences", "example", "examples", "epoch", "epochs"),
        *("time", "runtime", "seconds", "hours", "flops", "flop", "compute"),
    }
)
"""Words of counters that count something else than steps."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A step back: the run was at `before` and went on from `after`; `dead` values of the earlier life were dropped."""

    before: float
    after: float
    dead: int


def counted(run: TrackedRun, wanted: str = "") -> tuple[TrackedRun, str, tuple[Finding, ...]]:
    """The run with the trainer's own steps, the rule by which they were found, and findings.

    A store that numbers what is logged keeps the trainer's counter as a metric: the one that was declared for a metric,
    otherwise the first of the usual names. A value takes the counter's last value before it.
    """
    if wanted:
        counter = run.logged.get(wanted)
        usable = counter is not None and len(counter) > 0
        return (_recounted(run, dict.fromkeys(run.logged, wanted)), wanted, ()) if usable else (run, "", ())
    found = [name for name in run.logged if _is_counter(run.logged[name])]
    if not (run.row_steps or _constant_steps(run)):
        # Beside steps that a trainer gave, only a counter that never falls is taken for its own.
        found = [name for name in found if np.all(np.diff(run.logged[name].values) >= 0)]
        if run.counter or not _differing(run, found):
            return run, "", ()
    usual = sorted((name for name in found if _rank(name) is not None), key=lambda name: (_rank(name), name))
    chosen = {name: _declared(name, run.step_metrics, found) or (usual[0] if usual else "") for name in run.logged}
    used = {counter for metric, counter in chosen.items() if counter and metric not in {*usual, *chosen.values()}}
    if not used:
        return run, "", ()
    ends = {name: float(run.logged[name].values[-1]) for name in usual}
    others = [
        f"{name} ends at {end:g}"
        for name, end in ends.items()
        if name not in used and end not in {*(ends.get(one) for one in used)}
    ]
    notes = (
        (
            Finding(
                "other_steps",
                f"run {run.name!r}: steps are those of {listed(sorted(used))}; {listed(others, 4)}. For another: --step NAME.",
            ),
        )
        if others
        else ()
    )
    return _recounted(run, chosen), listed(sorted(used)), notes


def _constant_steps(run: TrackedRun) -> bool:
    """Whether every value was logged at one step although metrics have several: the store was given no step."""
    steps = {step for metric in run.logged.values() for step in metric.steps[:2]} | {
        metric.steps[-1] for metric in run.logged.values() if len(metric)
    }
    return len(steps) == 1 and any(len(metric) > 1 for metric in run.logged.values())


def _is_counter(metric: Metric) -> bool:
    values = metric.values
    whole = len(values) > 0 and bool(
        np.isfinite(values).all() and (values >= 0).all() and (values == np.floor(values)).all()
    )
    return whole and float(values.max()) > 0


def counts_steps(name: str) -> bool:
    """Whether a metric has one of the usual names of a counter."""
    return _rank(name) is not None


def _rank(name: str) -> int | None:
    lowered = name.lower().replace(" ", "_")
    if lowered in COUNTERS:
        return COUNTERS.index(lowered)
    last = lowered.rpartition("/")[2]
    return len(COUNTERS) + COUNTERS.index(last) if last in COUNTERS else None


def _declared(name: str, declared: Mapping[str, str], found: list[str]) -> str:
    exact = declared.get(name, "")
    pattern = next((counter for glob, counter in declared.items() if "*" in glob and fnmatchcase(name, glob)), "")
    return next((counter for counter in (exact, pattern) if counter in found and _is_of_steps(counter)), "")


def _is_of_steps(name: str) -> bool:
    return not set(re.findall(r"[a-z]+", name.lower())) & _NO_STEPS


def _differing(run: TrackedRun, found: list[str]) -> bool:
    """Whether a counter of a usual name grows along the run and is not what its store took as the step."""
    for name in found:
        metric = run.logged[name]
        if _rank(name) is not None and len(metric) > 1 and np.ptp(metric.values) > 0:
            shift = metric.values - metric.steps
            if np.ptp(shift) > 1:
                return True
    return False


def _recounted(run: TrackedRun, chosen: Mapping[str, str]) -> TrackedRun:
    """The run with the steps of each metric replaced by its counter's last value at or before the same moment."""
    logged = {}
    for name, metric in run.logged.items():
        counter = run.logged.get(chosen.get(name, ""))
        if counter is None or not len(counter):
            logged[name] = metric
            continue
        at = np.maximum(np.searchsorted(counter.clock, metric.clock, side="right") - 1, 0)
        logged[name] = replace(metric, steps=counter.values[at])
    return replace(run, logged=logged, row_steps=False)


def live(run: TrackedRun) -> tuple[TrackedRun, tuple[Restart, ...]]:
    """The run without the values that a restart made obsolete, and its restarts.

    Where a metric goes back from step b to step a, the run was restarted at a: whatever was logged before that moment at
    step a or later belongs to a branch that was given up, in every metric.
    """
    turns = sorted(turn for metric in run.logged.values() for turn in _turns(metric))
    moments: list[list[float]] = []
    for at, previous, before, after in turns:
        if moments and previous < moments[-1][0]:
            # The same restart, seen in another metric.
            moments[-1][1], moments[-1][2] = max(moments[-1][1], before), min(moments[-1][2], after)
        else:
            moments.append([at, before, after])
    if not moments:
        return run, ()
    clocks = np.array([moment[0] for moment in moments])
    resumed = np.array([moment[2] for moment in moments])
    # The earliest step to which any later restart goes back; nothing after the last one.
    horizon = np.append(np.minimum.accumulate(resumed[::-1])[::-1], np.inf)
    dead = {
        name: metric.steps >= horizon[np.searchsorted(clocks, metric.clock, side="right")]
        for name, metric in run.logged.items()
    }
    logged = {name: metric.take(np.flatnonzero(~dead[name])) for name, metric in run.logged.items()}
    lost = sum(int(mask.sum()) for mask in dead.values())
    restarts = tuple(Restart(before, after, lost) for _, before, after in moments)
    return replace(run, logged={name: metric for name, metric in logged.items() if len(metric)}), restarts


def _turns(metric: Metric) -> list[tuple[float, float, float, float]]:
    """Where a metric's steps go back: the moment, the moment before it, and the steps before and after."""
    back = np.flatnonzero(np.diff(metric.steps) < 0)
    return [
        (float(metric.clock[i + 1]), float(metric.clock[i]), float(metric.steps[i]), float(metric.steps[i + 1]))
        for i in back
    ]


def ordered(metric: Metric) -> tuple[Array, Array]:
    """Steps in order and their values; of a step that was logged several times, the last value."""
    order = np.lexsort((metric.clock, metric.steps))
    steps, values = metric.steps[order], metric.values[order]
    last = np.append(steps[1:] != steps[:-1], True) if len(steps) else np.zeros(0, dtype=bool)
    return steps[last], values[last]


def without_resets(values: Array) -> tuple[Array, int]:
    """A counter that begins again at a restart, counted on; and how often it began again."""
    drops = np.diff(values) < 0
    if not drops.any():
        return values, 0
    carried = np.concatenate([[0.0], np.cumsum(np.where(drops, values[:-1], 0.0))])
    return values + carried, int(drops.sum())
