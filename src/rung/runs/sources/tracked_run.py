"""A tracked run, and the table that is imported from many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from rung.findings import Finding

Logged = Sequence[tuple[float, float]]
"""Pairs of step and value, in the order in which they were logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run of a tracker.

    Attributes:
        name: Its name in the tracker.
        config: Its configuration, flat: dotted names to values.
        logged: Its metrics, by name.
        scores: Whether every metric is an evaluation score, so that none needs to be a loss.
    """

    name: str
    config: Mapping[str, Any]
    logged: Mapping[str, Logged]
    scores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A table of runs imported from a source.

    Attributes:
        frame: The table.
        mapping: For each column, the rule by which it was filled.
        warnings: What a user should know about the values.
    """

    frame: pl.DataFrame
    mapping: Mapping[str, str]
    warnings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOverrides:
    """What a user states in place of the rules.

    Attributes:
        loss: The metric that is the loss.
        params: The entry of the configuration that is N.
        tokens: The metric or the entry of the configuration that is D.
        checkpoints: Whether each value of the loss gives a row, instead of each run.
    """

    loss: str = ""
    params: str = ""
    tokens: str = ""
    checkpoints: bool = False
