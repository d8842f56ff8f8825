"""What looks wrong in a target: its unit, a better column beside it, percent, and rows that sum others up."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.laws import name_text
from rung.messages import plural_of
from rung.runs.columns import plain
from rung.runs.loss_units import in_nats, unit_of
from rung.runs.table import Runs

_LARGEST_LOSS = 25.0
"""Highest plausible loss in nats per token; a uniform guess over a million words has log(1e6) = 13.8."""

_HELD_OUT = frozenset({"val_loss", "valid_loss", "validation_loss", "eval_loss", "test_loss", "heldout_loss"})
"""Names of a held-out loss beside a column loss."""

_SCORES = frozenset({"acc", "accuracy", "score", "em", "match", "f1", "pass", "rate", "recall", "precision", "hits"})
"""Words of a score that is a share."""

_SUMMARIES = frozenset(
    {
        "mean",
        "average",
        "avg",
        "total",
        "sum",
        "std",
        "stdev",
        "median",
        "min",
        "max",
        "mittelwert",
        "summe",
        "moyenne",
        "overall",
    }
)
"""Names of rows that sum others up."""


def of_target(runs: Runs, target: str) -> list[tuple[str, str]]:
    """Findings on a target, as codes and texts."""
    return [*_loss(runs, target), *_percent(runs, target), *_summaries(runs)]


def _loss(runs: Runs, target: str) -> list[tuple[str, str]]:
    if target != "loss" or not runs.has("loss"):
        return []
    better = [name for name in runs.file_columns if runs.mapping.get("loss") == "loss" and plain(name) in _HELD_OUT]
    beside = [
        (
            "better_column",
            f"{runs.source}: the column loss is used, and {better[0]} stands beside it, which is held out by its name. If it is the "
            f"one: --map loss={better[0]}.",
        )
        for _ in better[:1]
    ]
    values = runs.numbers("loss")
    beside += _in_bits(runs, values)
    high = np.flatnonzero(values > _LARGEST_LOSS)
    if not len(high):
        return beside
    return [
        *beside,
        (
            "implausible_loss",
            f"{runs.row_name(int(high[0]))}: loss is {values[high[0]]:g}, higher than any loss in nats per token "
            f"({len(high)} such {plural_of(len(high), 'row')}). Is it a perplexity? Then pass --map 'loss=log(COLUMN)'.",
        ),
    ]


def _in_bits(runs: Runs, values: Array) -> list[tuple[str, str]]:
    """Findings on a loss that is in bits or a perplexity, by its column's name or by the perplexity beside it."""
    source = runs.mapping.get("loss", "loss")
    formula = in_nats(source) if source in runs.file_columns else ""
    if formula:
        what = "perplexity" if formula.startswith("log") else "loss in bits"
        text = f"{runs.source}: loss is {source} as it stands, by its name a {what}. In nats: --map 'loss={formula.format(name_text(source))}'."
        return [("implausible_loss", text)]
    for name in runs.file_columns:
        if unit_of(name) == "perplexity" and runs.frame[name].dtype.is_numeric():
            perplexity = runs.numbers(name)
            usable = np.isfinite(values) & (perplexity > 1) & (values > 0)
            ratio = float(np.median(values[usable] / np.log(perplexity[usable]))) if usable.sum() > 1 else 0.0
            if abs(ratio * np.log(2) - 1) < 0.02:
                text = (
                    f"{runs.source}: 2 to the power of {source} is {name}, so it is in bits. In nats: "
                    f"--map 'loss={name_text(source)} * log(2)'."
                )
                return [("implausible_loss", text)]
    return []


def _summaries(runs: Runs) -> list[tuple[str, str]]:
    """A finding on rows that are called a mean or a sum, as of a table with a last line about the others."""
    column = next(
        (name for name in ("run", "model", "name") if runs.has(name) and runs.frame[name].dtype == pl.String), None
    )
    if column is None:
        return []
    rows = runs.frame[column].str.strip_chars().str.to_lowercase().is_in(list(_SUMMARIES)).arg_true()
    if not len(rows):
        return []
    name = runs.frame[column][int(rows[0])]
    quoted = str(name).replace("'", "''")
    text = f"{runs.row_name(int(rows[0]))} is called {name!r}, which may be about the other rows. Leave it out: --where \"{column} <> '{quoted}'\"."
    return [("summary_row", text)]


def _percent(runs: Runs, target: str) -> list[tuple[str, str]]:
    """A finding where a score looks like percent, whose laws lie between 0 and 1."""
    if target == "loss" or not set(plain(target).split("_")) & _SCORES or not runs.has(target):
        return []
    values = runs.numbers(target)
    values = values[np.isfinite(values)]
    if not len(values) or not (1.5 < values.max() <= 100) or values.min() < 0:
        return []
    return [
        (
            "implausible_units",
            f"{runs.source}: {target} is up to {values.max():g} and looks like percent; a share lies between 0 and 1. "
            f"Divide it: --map '{target}={name_text(runs.mapping.get(target, target))}/100'.",
        )
    ]
