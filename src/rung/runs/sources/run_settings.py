"""Columns that a run's settings give: N, its parts, the shape of the model, the learning rate and the seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from rung.messages import listed
from rung.runs.columns import ALIASES, plain
from rung.runs.loss_units import unit_of
from rung.runs.sources.configuration import as_number, exactly, first
from rung.runs.sources.notes import ImportNotes
from rung.runs.sources.shape import DEPTH, WIDTH
from rung.runs.sources.size import TOTAL, Size, size_of
from rung.runs.sources.tracked_run import ColumnOverrides, TrackedRun

_SETTINGS = {"lr": ("lr", "learning_rate", "peak_lr", "max_lr"), "seed": ("seed", "random_seed")}
"""Further columns, and the settings that give them."""


def columns_of_settings(run: TrackedRun, overrides: ColumnOverrides, notes: ImportNotes) -> dict[str, Any]:
    """The columns that the configuration gives, each with its rule in the notes."""
    found: dict[str, Any] = {}
    for column, (value, rule) in _size_columns(run, overrides, notes).items():
        found[column] = value
        notes.rule(run.name, column, rule)
    for column, names in (
        *((column, (column, *ALIASES[column])) for column in ("params_non_embedding", "params_active")),
        *(("width", WIDTH), ("depth", DEPTH), *_SETTINGS.items()),
    ):
        if column not in found and (entry := first(run.config, names, signed=column == "seed")):
            found[column] = entry.value
            notes.rule(run.name, column, entry.rule)
    return found


def _size_columns(run: TrackedRun, overrides: ColumnOverrides, notes: ImportNotes) -> dict[str, tuple[float, str]]:
    """N by what the user gives, or by the settings, with its rule."""
    if overrides.params:
        entry, number = exactly(run.config, overrides.params), as_number(overrides.params)
        if entry and entry.value > 0:
            return {"params": (entry.value, entry.rule)}
        return {"params": (number, "--params")} if number and number > 0 else {}
    size = size_of(run.config)
    if "params" not in size.columns or size.guess:
        size = size_of({**run.config, **_constants(run)})
    _note_size(run, size, notes)
    return {column: (value, size.rules[column]) for column, value in size.columns.items()}


def _note_size(run: TrackedRun, size: Size, notes: ImportNotes) -> None:
    """Findings on a size that is a guess, that is stated otherwise elsewhere, or in words that are no number."""
    if size.guess:
        notes.of_runs("guessed_params", f"{{runs}}: {size.guess}. For another N: --params NAME.", run.name)
    if size.others:
        also = listed([entry.name for entry in size.others], 4)
        notes.of_runs(
            "several_params",
            f"{{runs}}: N is {size.rules['params']}; {also} {'says' if len(size.others) == 1 else 'say'} another. For it: --params NAME.",
            run.name,
        )
    unread = next(
        (
            (name, value)
            for name, value in run.config.items()
            if plain(name) in TOTAL and isinstance(value, str) and value.strip() and as_number(value) is None
        ),
        None,
    )
    if unread and (size.guess or "params" not in size.columns):
        notes.of_runs(
            "no_params",
            f"{{runs}}: {unread[0]} is {unread[1][:40]!r}, which is no number. Give --params NUMBER.",
            run.name,
        )


def _constants(run: TrackedRun) -> dict[str, float]:
    """Metrics that have one value all along, as a size has that is logged and not set."""
    found = {name: metric.values for name, metric in run.logged.items() if unit_of(name) is None}
    return {name: float(values[0]) for name, values in found.items() if len(values) and np.ptp(values) == 0}
