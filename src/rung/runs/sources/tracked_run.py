"""A tracked run, and what is imported from many of them, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from rung.findings import Finding

Logged = Sequence[tuple[float, float]]
"""Step and value, in the order in which they were logged."""


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
