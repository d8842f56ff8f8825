"""The runs in one table of metrics: by a column that names them, or by the settings in which rows of one step differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.messages import counted, listed
from rung.runs.columns import ALIASES, plain
from rung.runs.loss_units import unit_of, words_of
from rung.runs.sources.history import counts_steps
from rung.runs.sources.shape import DEPTH, WIDTH
from rung.runs.sources.tokens import counts_tokens

_NAMES = (
    *("run", "run_name", "run_id", "name", "trial", "trial_id", "exp", "exp_id", "experiment_id", "wandb_id"),
    *("experiment", "experiment_name", "model", "model_name", "uid", "run_uuid"),
)
"""Columns that name runs, in order of preference."""

_NUMBERED = ("run_number", "run_idx", "run_index", "hyper_id", "task_id", "job_id", "trial_number", "config", "version")
"""Columns that tell runs apart where their steps begin again, before settings in which the runs differ."""

_SETTINGS = frozenset(
    {*("params", "seed", "size", "lr", "learning_rate", "group"), *WIDTH, *DEPTH, *ALIASES["params"], *ALIASES["seed"]}
)
"""Settings that differ between runs, even if each has a single row."""

_NO_SETTINGS = frozenset(
    {
        *("epoch", "epochs", "rank", "gpu", "device", "host", "node", "worker", "process", "pid", "time", "timestamp"),
        *("date", "elapsed", "seconds", "minutes", "hours", "sec", "walltime", "clock", "created", "updated", "index"),
        *("row", "status", "state"),
    }
)
"""Words of columns that differ within one run."""

_BEGINS = 0.1
"""A run begins within this share of the steps of its table; later rows of another value are a later life of one run."""


@dataclass(frozen=True, slots=True)
class RunsInTable:
    """The rows of each run.

    Attributes:
        parts: The rows of each run, by its name.
        by: The columns that name the runs.
        guess: A sentence where the runs were told apart by settings; empty otherwise.
    """

    parts: dict[str, pl.DataFrame]
    by: tuple[str, ...] = ()
    guess: str = ""


def runs_in(frame: pl.DataFrame, steps: pl.Series, name: str) -> RunsInTable:
    """The runs in a table of metrics.

    A column that names runs comes first. Where a loss is there twice for one step of such a run, or its steps go back, the
    columns are added in which these rows differ, if every value of them has rows from the beginning on: settings of
    several runs. Where no column tells them apart, it is one run that was restarted.

    Args:
        frame: The table.
        steps: The step of each row.
        name: The name of a single run.
    """
    named = _naming_column(frame, steps.name)
    codes = _codes(frame, [named] if named else [])
    at = steps.to_numpy()
    clashes = _clashes(frame, at, codes)
    added: list[str] = []
    if clashes:
        candidates = _settings(frame, steps.name, named, at)
        added, left = candidates, _clashes(frame, at, _codes(frame, [*_some(named), *candidates]))
        if left >= clashes:
            added = []
        for column in reversed(list(added)):
            fewer = [one for one in added if one != column]
            if fewer and _clashes(frame, at, _codes(frame, [*_some(named), *fewer])) <= left:
                added = fewer
    by = [*_some(named if named is None or not added or frame[named].n_unique() > 1 else None), *added]
    if not by:
        return RunsInTable({name: frame})
    parts = {}
    for values, part in frame.partition_by(by, as_dict=True, maintain_order=True).items():
        if named is None or named not in by or values[0] is not None:
            parts[_name(by, values, named)] = part
    guess = ""
    if added:
        guess = f"its rows are {counted(len(parts), 'run')}, which differ in {listed(added)}"
    return RunsInTable(parts, tuple(by), guess)


def _some(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _name(by: list[str], values: tuple[object, ...], named: str | None) -> str:
    """A run's name: the value of the column that names runs, and what else tells it apart with its column."""
    shown = [
        str(value) if column == named or (len(by) == 1 and isinstance(value, str)) else f"{column}={_short(value)}"
        for column, value in zip(by, values, strict=True)
    ]
    return ", ".join(shown)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _naming_column(frame: pl.DataFrame, step: str) -> str | None:
    """The first column that names runs and differs, or the first that has a single name for all."""
    by_plain = {plain(name): name for name in reversed(frame.columns)}
    found = [by_plain[name] for name in _NAMES if name in by_plain and by_plain[name] != step]
    found = [name for name in found if frame[name].drop_nulls().len()]
    differing = [name for name in found if frame[name].drop_nulls().n_unique() > 1]
    constant = [name for name in found if plain(name) not in {"model", "model_name"}]
    return next(iter([*differing, *constant]), None)


def _codes(frame: pl.DataFrame, by: list[str]) -> NDArray[np.int64]:
    """A number for the run of each row."""
    if not by:
        return np.zeros(frame.height, dtype=np.int64)
    return frame.select(pl.struct(by).rank("dense")).to_series().cast(pl.Int64).to_numpy()


def _clashes(frame: pl.DataFrame, at: NDArray[np.float64], codes: NDArray[np.int64]) -> int:
    """How often, within a run, a loss is there again at a step that is not later; rows that repeat each other count once."""
    losses = [name for name in frame.columns if unit_of(name) is not None]
    most = 0
    columns: list[str | None] = [*losses] if losses else [None]
    for loss in columns:
        there = np.isfinite(at)
        if loss is not None:
            there &= frame[loss].is_not_null().to_numpy()
            values = frame[loss].to_numpy()[there]
        else:
            values = np.arange(int(there.sum()))
        order = np.argsort(codes[there], kind="stable")
        steps, group, values = at[there][order], codes[there][order], values[order]
        back = (np.diff(steps) <= 0) & (np.diff(group) == 0)
        repeated = (np.diff(steps) == 0) & (values[1:] == values[:-1])
        most = max(most, int(np.sum(back & ~repeated)))
    return most


def _settings(frame: pl.DataFrame, step: str, named: str | None, at: NDArray[np.float64]) -> list[str]:
    """Columns that may tell runs apart, the likeliest first."""
    found: list[tuple[int, bool, int, str]] = []
    for name in frame.columns:
        short = plain(name)
        words = set(words_of(name))
        if name in {step, named} or unit_of(name) is not None or counts_steps(name) or counts_tokens(name):
            continue
        if words & _NO_SETTINGS or frame[name].null_count() or frame[name].dtype.is_nested():
            continue
        distinct = frame[name].n_unique()
        few = distinct <= frame.height // 2 or short in _SETTINGS or short in {*_NAMES, *_NUMBERED}
        if distinct > 1 and few and _begins(frame, name, at):
            rank = _NAMES.index(short) if short in _NAMES else len(_NAMES) + 1
            if short in _NUMBERED:
                rank = len(_NAMES)
            found.append((rank, short not in _SETTINGS, len(found), name))
    return [name for *_, name in sorted(found)]


def _begins(frame: pl.DataFrame, name: str, at: NDArray[np.float64]) -> bool:
    """Whether the rows of every value of a column begin where the table begins."""
    known = at[np.isfinite(at)]
    if not len(known):
        return False
    first, last = float(known.min()), float(known.max())
    begun = (
        pl.DataFrame({"by": frame[name], "at": at})
        .filter(pl.col("at").is_finite())
        .group_by("by")
        .agg(pl.col("at").min())
    )
    return bool((begun["at"] <= first + _BEGINS * (last - first)).all())
