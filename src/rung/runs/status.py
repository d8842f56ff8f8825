"""How runs ended: the words that trackers use, and the rows of runs that did not come to their end."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from rung.messages import counted, listed

STATUSES = ("finished", "running", "unfinished", "failed", "killed", "diverged", "damaged")
"""How a run ended. unfinished: it stopped before its end, or is still running; damaged: a part of its record is lost."""

_WORDS = {
    **dict.fromkeys(("finished", "done", "completed", "complete", "success", "succeeded", "ok"), "finished"),
    **dict.fromkeys(("running", "in progress", "in_progress", "active", "pending", "scheduled", "queued"), "running"),
    **dict.fromkeys(("failed", "crashed", "error", "oom", "failure", "crash"), "failed"),
    **dict.fromkeys(("killed", "preempted", "preempting", "cancelled", "canceled", "aborted", "timeout"), "killed"),
    **dict.fromkeys(("unfinished", "stopped", "incomplete", "planned"), "unfinished"),
    **dict.fromkeys(("diverged", "nan"), "diverged"),
    "damaged": "damaged",
}

_COLUMNS = ("status", "state")
"""Columns that may say how a run ended."""


def status_of(text: str | None) -> str | None:
    """How a run ended, one of STATUSES, by the word that its place uses; None for a word that says nothing of it."""
    return _WORDS.get((text or "").strip().lower())


def status_column(names: Sequence[str]) -> str | None:
    """The column that says how runs ended; None without one."""
    return next((name for name in names if name.strip().lower() in _COLUMNS), None)


def without_unfinished(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """A table without the rows of runs that did not come to their end, and a sentence about them; empty without any.

    Only words that a tracker uses count. A column of other words says nothing about the rows.
    """
    column = status_column(frame.columns)
    if column is None or frame[column].dtype != pl.String:
        return frame, ""
    known = {text: status_of(text) for text in frame[column].drop_nulls().unique().to_list()}
    out = [text for text, status in known.items() if status not in {None, "finished"}]
    if not out:
        return frame, ""
    left = frame.filter(pl.col(column).is_in(out))
    kept = frame.filter(~pl.col(column).is_in(out) | pl.col(column).is_null())
    names = [str(known[text]) for text in left[column].to_list()]
    if "run" in frame.columns:
        pairs = dict.fromkeys(zip(left["run"].to_list(), names, strict=True))
        who = listed([f"{run!r} ({status})" for run, status in pairs], 5)
    else:
        who = listed([f"{counted(names.count(status), 'row')} {status}" for status in dict.fromkeys(names)])
    return (
        kept,
        f"{left.height} of {frame.height} rows left out, of runs that did not finish: {who}; --unfinished keeps them",
    )
