"""Tables of metrics in long form: rows of training and of evaluation under each other, or a row for each metric and step."""

from __future__ import annotations

import polars as pl

from rung.runs.columns import plain
from rung.runs.loss_units import unit_of, words_of
from rung.runs.sources.loss import EVALUATION

_PHASES = (
    *("split", "phase", "mode", "stage", "type", "event", "kind", "set", "subset", "partition", "fold", "eval_set"),
    *("dataset", "data", "source", "tag", "category"),
)
"""Columns that may say whether a row is one of training or of evaluation, in order of preference."""

_NAMES = ("metric", "metric_name", "tag", "key", "variable", "measure", "name", "series")
"""Columns that may hold the names of metrics, whose values stand in a column `value`."""

_MOST = 40
"""Names of phases and metrics up to which a column is taken for one of these."""

_TRAINING = frozenset({"train", "training"})


def from_long(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """A table in long form with a column for each metric, and a sentence about it; any other table as it is."""
    frame, named = _by_metric(frame)
    frame, phased = _by_phase(frame)
    return frame, "; ".join(note for note in (named, phased) if note)


def _by_metric(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Columns for the metrics whose names stand in one column and whose values in another."""
    by_plain = {plain(name): name for name in reversed(frame.columns)}
    value = by_plain.get("value") or by_plain.get("metric_value")
    names = next((by_plain[name] for name in _NAMES if name in by_plain), None)
    if value is None or names is None or frame[names].dtype != pl.String:
        return frame, ""
    found = frame[names].drop_nulls().unique(maintain_order=True).to_list()
    if not any(unit_of(name) for name in found) or len(found) > _MOST or set(found) & set(frame.columns):
        return frame, ""
    columns = [pl.when(pl.col(names) == name).then(pl.col(value)).alias(name) for name in found]
    return frame.with_columns(columns).drop(names, value), f"the metrics are those that {names} names"


def _by_phase(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Columns val/loss and train/loss where a column says of which part of the data a row's loss is."""
    losses = [name for name in frame.columns if unit_of(name) is not None]
    by_plain = {plain(name): name for name in reversed(frame.columns)}
    for wanted in _PHASES if losses else ():
        column = by_plain.get(wanted)
        if column is None or frame[column].dtype != pl.String:
            continue
        # Rows without a loss, such as a first line with settings, may be of another kind.
        measured = frame.filter(pl.any_horizontal(pl.col(losses).is_not_null()))[column].drop_nulls()
        phases = measured.unique(maintain_order=True).to_list()
        if not phases or len(phases) > _MOST or not all(_is_phase(phase) for phase in phases):
            continue
        parted = [
            pl.when(pl.col(column) == phase).then(pl.col(loss)).alias(f"{phase}/{loss}")
            for phase in phases
            for loss in losses
        ]
        return frame.with_columns(parted).drop(column, *losses), f"{column} says which part of the data a loss is of"
    return frame, ""


def _is_phase(text: str) -> bool:
    return bool({*words_of(text)} & {*EVALUATION, *_TRAINING})
