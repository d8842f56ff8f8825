"""The table of runs, read from run folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from rung.errors import LadderError
from rung.ladder.rung import Rung
from rung.ladder.training.run_folder import RunFolder
from rung.runs import Runs, read_runs

COLUMNS = (
    *("run", "family", "params", "params_total", "params_non_embedding", "params_active", "tokens", "loss", "step"),
    *("phase", "flops", "width", "depth", "seq_len", "batch_tokens", "lr", "unique_tokens", "seed", "time_s", "status"),
)
"""Columns that come first in the table, in this order; all others follow."""


def rows(folder: RunFolder) -> list[dict[str, Any]]:
    """The evaluations of a run in order, one row each; that of the finished model (phase = final) comes last."""
    rung = folder.rung()
    found = [line for line in folder.metrics() if "evaluation" in line]
    status = folder.status
    settings = _settings(rung)
    per_token = rung.flops_per_token
    return [
        {
            **settings,
            "tokens": line["tokens"],
            "step": line["step"],
            "phase": line["phase"],
            "flops": per_token * line["tokens"],
            "time_s": line["time_s"],
            "status": status,
            **line["evaluation"],
            **{f"floor{name[4:]}": value for name, value in line.get("floor", {}).items()},
        }
        for line in found
    ]


def _settings(rung: Rung) -> dict[str, Any]:
    family, counts = rung.made_family, rung.counts
    return {
        "run": rung.name,
        "family": rung.family.name,
        "params": rung.params,
        "params_total": counts.total,
        "params_non_embedding": counts.non_embedding,
        "params_active": counts.active,
        "width": rung.size.width,
        "depth": rung.size.depth,
        "seq_len": family.item_tokens,
        "batch_tokens": rung.batch * family.item_tokens,
        "lr": rung.recipe.lr,
        "unique_tokens": rung.unique_tokens or None,
        "seed": rung.seed,
    }


def read_ladder_runs(
    place: str | Path,
    mapping: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
    *,
    unfinished: bool = False,
) -> Runs:
    """The table of the runs of a ladder, as `read_runs` gives one of a file.

    Args:
        place: The folder of the runs, or the ladder file.
        mapping: The user's own names, as for `read_runs`.
        say: Shows a sentence about a run that is left out.
        unfinished: Whether to keep runs that did not finish.

    Raises:
        LadderError: There is no run, or none has been evaluated yet.
    """
    from rung.ladder.execution import folders_of

    runs = read_runs(table(folders_of(place), say), mapping, unfinished=unfinished)
    return replace(runs, source=Path(place).name)


def table(folders: Sequence[RunFolder], say: Callable[[str], None] = lambda _: None) -> pl.DataFrame:
    """The evaluations of runs as one table, canonical columns first.

    Args:
        folders: The runs; a damaged one is left out.
        say: Shows a sentence about a run that is left out.

    Raises:
        LadderError: No run has been evaluated yet, or all are damaged.
    """
    found: list[dict[str, Any]] = []
    broken: list[LadderError] = []
    for folder in folders:
        try:
            found += rows(folder)
        except LadderError as error:
            broken.append(error)
    if broken and not found:
        raise broken[0]
    for problem in broken:
        say(f"{problem.text} The run is left out of the table.")
    if not found:
        raise LadderError(
            "none of the runs has been evaluated yet, so there is no table. rung ladder status shows how far they are."
        )
    frame = pl.DataFrame(found, infer_schema_length=None)
    first = [name for name in COLUMNS if name in frame.columns and frame[name].null_count() < frame.height]
    others = [name for name in frame.columns if name not in COLUMNS]
    return frame.select(first + others)
