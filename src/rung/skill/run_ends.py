"""Rows that are runs: the last checkpoint of each, each step of a run once, and what was left out, by name."""

from __future__ import annotations

import numpy as np
import polars as pl

from rung.arrays import Mask
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, plural_of
from rung.runs import RowChoice, Runs, select_rows


def ends_of_runs(table: Runs) -> tuple[Runs, list[Finding]]:
    """The last row of each run, where rows are its checkpoints at several steps, and a finding that says so."""
    clock = next((name for name in ("step", "tokens") if table.has(name)), None)
    if clock is None or not table.has("run"):
        return table, []
    # Rows of a run at one step are repeats of its evaluation, which all count.
    per_run = table.frame.group_by("run").agg(pl.col(clock).n_unique())
    if per_run[clock].max() == 1:
        return table, []
    runs = per_run.height
    ends = select_rows(table, RowChoice(last=True), "loss")
    text = f"{table.source} has {table.frame.height:,} checkpoints of {counted(runs, 'run')}; the last of each is judged, since checkpoints of one run are no runs."
    return ends, [Finding("checkpoints_ended", text)]


def left_out(table: Runs, name: str, kept: Mask) -> list[Finding]:
    """A finding that rows without a usable number are left out; none where all are kept."""
    missing = table.row_numbers()[~kept]
    if not len(missing):
        return []
    text = f"{table.source}: {counted(len(missing), 'row')} without a usable number for {name} {plural_of(len(missing), 'is', 'are')} left out, row {missing[0]} first."
    return [Finding("left_out_rows", text)]


def require_steps_once(table: Runs, clock: str) -> None:
    """Each step of a run stands once.

    Raises:
        SkillError: A run has two rows at one step.
    """
    keys = table.frame.select("run", clock)
    twice = keys.is_duplicated().to_numpy()
    if twice.any():
        row = keys.row(int(np.flatnonzero(twice)[0]), named=True)
        raise SkillError(
            f"{table.source}: run {row['run']!r} has several rows at {clock} {row[clock]}, such as those of several tasks. Choose rows, --where, or "
            "make each measure a column."
        )
