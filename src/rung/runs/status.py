"""How runs ended: the words that trackers and people use, and the rows of runs that did not come to their end."""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from rung.messages import counted, listed

STATUSES = ("finished", "running", "unfinished", "failed", "killed", "diverged", "damaged")
"""How a run ended. unfinished: it stopped before its end, or is still running; damaged: a part of its record is lost."""

_WORDS = {
    "diverged": ("diverged", "diverging", "divergence", "diverge", "nan", "nans", "exploded", "blew"),
    "failed": (
        *("failed", "fail", "fails", "failure", "crashed", "crash", "error", "errored", "oom", "exception"),
        *("out_of_memory", "outofmemory", "node_fail", "boot_fail", "killed_by_oom"),
    ),
    "killed": (
        *("killed", "preempted", "preempting", "cancelled", "canceled", "aborted", "timeout", "terminated"),
        *(
            "interrupted",
            "evicted",
            "revoked",
            "deadline",
            "timed_out",
            "sigkill",
            "sigterm",
            "walltime",
            "out_of_time",
        ),
    ),
    "running": (
        *("running", "in_progress", "inprogress", "active", "pending", "scheduled", "queued", "ongoing", "started"),
        *("training", "wip", "submitted", "configuring", "completing", "suspended"),
    ),
    "unfinished": (
        *("unfinished", "stopped", "incomplete", "planned", "partial", "paused", "early", "short", "hung", "stalled"),
        *("dnf", "stuck", "abandoned", "abgebrochen", "unvollstaendig", "cut"),
    ),
    "damaged": ("damaged", "corrupt", "corrupted"),
    "finished": (
        "finished",
        "done",
        "completed",
        "complete",
        "success",
        "succeeded",
        "successful",
        "ok",
        "ended",
        "finish",
    ),
}
"""Words of each status. A text with several of them means the first status in this order: DIVERGED (after a crash)."""

_STATUS_OF = {word: status for status, words in reversed(_WORDS.items()) for word in words}

_SYMBOLS = {**dict.fromkeys("\u2717\u2718\u274c", "failed"), **dict.fromkeys("\u2713\u2714\u2705", "finished")}
"""Signs in place of a word."""

_NEGATIONS = frozenset({"not", "never", "no", "didn", "isn", "wasn"})

_COLUMNS = (
    *("status", "state", "run_status", "run_state", "job_status", "job_state", "final_status", "exit_status"),
    *("training_status", "wandb_state", "slurm_state", "end_state", "jobstate", "runstate", "jobstatus"),
    *("exit_code", "exitcode", "return_code"),
)
"""Columns that may say how a run ended, in order of preference."""

_FLAGS: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("diverged", "is_diverged", "has_diverged", "nan", "is_nan", "has_nan"), ("diverged", None)),
    **dict.fromkeys(("failed", "crashed", "is_failed", "oom"), ("failed", None)),
    **dict.fromkeys(("killed", "preempted", "cancelled", "aborted"), ("killed", None)),
    **dict.fromkeys(
        (*("finished", "completed", "is_finished", "is_complete", "is_completed", "complete", "done", "is_done"),),
        ("finished", "unfinished"),
    ),
    **dict.fromkeys(("running", "is_running", "unfinished"), ("unfinished", None)),
}
"""Columns of yes and no, with what yes and no mean; None where no says nothing. A column success is a score, and none of them."""

_YES, _NO = frozenset({"true", "yes", "y", "1", "1.0", "t"}), frozenset({"false", "no", "n", "0", "0.0", "f"})


def status_of(text: str | None) -> str | None:
    """How a run ended, one of STATUSES, by a text that its place or a person uses; None where it says nothing of it.

    >>> status_of("FINISHED"), status_of("CANCELLED by 1234"), status_of("failed: NaN at step 400"), status_of("baseline")
    ('finished', 'killed', 'diverged', None)
    """
    symbol = _SYMBOLS.get((text or "").strip())
    words = [symbol] if symbol else re.findall(r"[a-z]+", (text or "").lower())
    # A status stands among the first words of a text about how a run ended: OUT_OF_MEMORY, not finished.
    early = {"_".join(words[first:last]) for first in range(3) for last in range(first + 1, first + 4)}
    if not early & set(_STATUS_OF):
        return None
    said = {_STATUS_OF[word] for word in {*words, *early} if word in _STATUS_OF}
    found = next(status for status in _WORDS if status in said)
    return "unfinished" if found == "finished" and set(words) & _NEGATIONS else found


def status_column(names: Iterable[str]) -> str | None:
    """The column that says how runs ended; None without one."""
    plain = {re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_"): name for name in names}
    return next((plain[wanted] for wanted in (*_COLUMNS, *_FLAGS) if wanted in plain), None)


def statuses_in(frame: pl.DataFrame) -> tuple[str, dict[object, str | None]] | None:
    """The column that says how runs ended, and what each of its values means; None where no column does.

    Only words that trackers and people use for it count. A column of other words says nothing about the rows.
    """
    plain = {re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_"): name for name in frame.columns}
    for wanted in _COLUMNS:
        if wanted in plain and "exit" in wanted and frame[plain[wanted]].dtype.is_integer():
            codes = frame[plain[wanted]].drop_nulls().unique().to_list()
            return plain[wanted], {code: "finished" if code == 0 else "failed" for code in codes}
        if wanted in plain and frame[plain[wanted]].dtype == pl.String:
            values = frame[plain[wanted]].drop_nulls().unique().to_list()
            known: dict[object, str | None] = {text: status_of(text) for text in values}
            if any(known.values()):
                return plain[wanted], known
    for wanted, meaning in _FLAGS.items():
        if wanted in plain and (known := _flags(frame[plain[wanted]], meaning)):
            return plain[wanted], known
    return None


def _flags(series: pl.Series, meaning: tuple[str, str | None]) -> dict[object, str | None]:
    """What the values of a column of yes and no mean; empty where it holds anything else."""
    values = series.drop_nulls().unique().to_list()
    texts = {value: str(value).strip().lower() for value in values}
    if not values or not all(text in _YES | _NO for text in texts.values()):
        return {}
    return {value: meaning[0] if text in _YES else meaning[1] for value, text in texts.items()}


def flag_status(name: str, value: object) -> str | None:
    """How a run ended by an entry of its settings: a status in words, or yes and no under a name that says what yes means."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    if plain in _FLAGS:
        text = str(value).strip().lower()
        return _FLAGS[plain][0] if text in _YES else _FLAGS[plain][1] if text in _NO else None
    return status_of(str(value))


def without_unfinished(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """A table without the rows of runs that did not come to their end, and a sentence about them; empty without any."""
    said = statuses_in(frame)
    if said is None:
        return frame, ""
    column, known = said
    out = [value for value, status in known.items() if status not in {None, "finished"}]
    unknown = [value for value, status in known.items() if status is None and str(value).strip()]
    shown = listed([repr(value) for value in unknown], 4) if unknown else ""
    kept_words = (
        f"{column} also holds {shown}, which says nothing of how a run ended; such rows stay" if unknown else ""
    )
    if not out:
        return frame, kept_words
    left = frame.filter(pl.col(column).is_in(out))
    kept = frame.filter(~pl.col(column).is_in(out) | pl.col(column).is_null())
    names = [str(known[value]) for value in left[column].to_list()]
    if "run" in frame.columns:
        pairs = dict.fromkeys(zip(left["run"].to_list(), names, strict=True))
        who = listed([f"{run!r} ({status})" for run, status in pairs], 5)
    else:
        who = listed([f"{counted(names.count(status), 'row')} {status}" for status in dict.fromkeys(names)])
    by = "" if column in {"status", "state"} else f" by the column {column}"
    return (
        kept,
        f"{left.height} of {frame.height} rows left out, of runs that did not finish{by}: {who}; --unfinished keeps them{'; ' if unknown else ''}{kept_words}",
    )
