"""A tracked run, and the table that is imported from many of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.findings import Finding

if TYPE_CHECKING:
    from rung.arrays import Array


INFINITY = 1.797693134862315e308
"""Stores keep an infinite value as the largest number there is; from here on a value counts as infinite."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """The values of one metric, in the order in which they were logged.

    Attributes:
        steps: The step of each value (n,).
        values: The values (n,); those that are not finite stand as they were logged.
        clock: When each was logged (n,), in a unit that all metrics of the run share.
    """

    steps: Array
    values: Array
    clock: Array

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]], clock: Iterable[float] | None = None) -> Metric:
        """A metric from pairs of step and value; without a clock, each pair is logged one tick after the one before."""
        table = np.array(list(pairs), dtype=float).reshape(-1, 2)
        ticks = np.arange(len(table), dtype=float) if clock is None else np.array(list(clock), dtype=float)
        return cls(steps=table[:, 0], values=table[:, 1], clock=ticks)

    @classmethod
    def of_rows(cls, rows: Mapping[str, Sequence[tuple[float, float, float]]]) -> dict[str, Metric]:
        """Metrics by name, from rows of step, value and clock."""
        return {
            name: cls.of(((step, value) for step, value, _ in found), (clock for *_, clock in found))
            for name, found in rows.items()
        }

    def take(self, chosen: NDArray[np.intp]) -> Metric:
        """The values at indices."""
        return Metric(steps=self.steps[chosen], values=self.values[chosen], clock=self.clock[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run of a tracker.

    Attributes:
        name: Its name in the tracker.
        config: Its configuration, flat: dotted names to values.
        logged: Its metrics, by name.
        identity: What tells it apart from another run of the same name.
        status: How it ended, one of STATUSES; None where its place does not say.
        row_steps: Whether the steps only count what was logged, so that a counter among the metrics comes before them.
        counter: The counter that was chosen for the steps where its place has several; empty where it does not say.
        axis: What stands in place of steps, such as hours or epochs; empty where the steps are steps.
        step_metrics: The counter that was declared for a metric, by the metric's name or pattern.
        scores: Whether every metric is an evaluation score, so that none needs to be a loss.
        labels: Further columns of the run.
        unknown_batch: Why the batch in the configuration is not the batch of a step; empty where it may be.
        notes: What its place says about damage or gaps, as findings.
    """

    name: str
    config: Mapping[str, Any]
    logged: Mapping[str, Metric]
    identity: str = ""
    status: str | None = None
    row_steps: bool = False
    counter: str = ""
    axis: str = ""
    step_metrics: Mapping[str, str] = field(default_factory=dict)
    scores: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict)
    unknown_batch: str = ""
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a place holds.

    Attributes:
        runs: Its runs.
        findings: What of it could not be read.
    """

    runs: Sequence[TrackedRun]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A table of runs imported from a source.

    Attributes:
        frame: The table.
        mapping: For each column, the rules by which it was filled.
        sources: For each run, by its name in the table, the rule that filled each of its columns.
        warnings: What a user should know about the values.
    """

    frame: pl.DataFrame
    mapping: Mapping[str, str]
    sources: Mapping[str, Mapping[str, str]]
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOverrides:
    """What a user states in place of the rules.

    Attributes:
        loss: The metric that is the loss.
        params: The entry of the configuration that is N, or a number.
        tokens: The metric or the entry of the configuration that is D.
        step: The metric that counts the trainer's steps.
        batch_tokens: The batch in tokens: a number, or the entry of the configuration that holds it.
        checkpoints: Whether each value of the loss gives a row, instead of each run.
    """

    loss: str = ""
    params: str = ""
    tokens: str = ""
    step: str = ""
    batch_tokens: str = ""
    checkpoints: bool = False
