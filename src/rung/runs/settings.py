"""What was set for a run, apart from what was measured of it: which rows repeat each other, and which are one sweep.

A table does not say which of its columns are settings. Names say it where they are known; otherwise a column whose values
repeat is a setting, and a column of numbers that nearly all differ was measured.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.arrays import Array
from rung.messages import counted, listed
from rung.runs.columns import ALIASES, plain

_SET = frozenset(
    {
        *(
            "lr",
            "rate",
            "batch",
            "decay",
            "wd",
            "warmup",
            "beta",
            "beta1",
            "beta2",
            "eps",
            "momentum",
            "dropout",
            "clip",
        ),
        *("optimizer", "schedule", "scheduler", "cooldown", "epochs", "width", "depth", "layers", "heads", "vocab"),
        *("context", "mix", "mixture", "corpus", "dataset", "data", "recipe", "init", "precision", "ema", "z"),
        *("params", "tokens", "experts", "model", "architecture", "arch", "family", "group"),
    }
)
"""Words in the name of a column that holds a setting."""

_MEASURED = frozenset(
    {
        *(
            "loss",
            "losses",
            "ppl",
            "perplexity",
            "bpb",
            "bits",
            "nll",
            "ce",
            "entropy",
            "acc",
            "accuracy",
            "score",
            "em",
        ),
        *("error", "err", "stderr", "se", "ci", "lower", "upper", "lower95", "upper95", "metric", "auc", "bleu", "f1"),
        *("time", "seconds", "hours", "runtime", "elapsed"),
        *("date", "created", "started", "ended", "memory", "throughput", "mfu", "hfu", "norm", "grad", "smoothed"),
        *("flops", "flop", "compute", "energy", "cost", "price", "hash", "commit", "diverged"),
        *("subset", "excluded", "included", "flagged", "outlier", "kept", "duplicate"),
    }
)
"""Words in the name of a column that was measured, recorded, marked afterwards, or follows from the settings."""

_SPLITS = frozenset({"val", "valid", "validation", "eval", "test", "train"})
"""Words that say on which part of the data something was measured, unless the name is that of a setting: train_dataset."""

_IDENTITY = frozenset(
    {
        *("run", "run_name", "run_id", "name", "id", "uid", "uuid", "index", "row", "trial", "job", "job_id", "url"),
        *("seed", "random_seed", "data_seed", "replicate", "repeat", "status", "state", "notes", "note", "comment"),
        *("host", "hostname", "user", "path", "checkpoint", "tags", "hyper_id", "step", "steps", "total_steps"),
        *(
            "train_steps",
            "current_steps",
            "current_step",
            "global_step",
            "epoch",
            "current_epoch",
            "sweep",
            "model_name",
        ),
    }
)
"""Columns that tell runs apart without setting anything, and counters that follow from tokens and batch."""

_FEW = 0.5
"""Distinct values over rows up to which a column of an unknown name is a setting."""


def settings(frame: pl.DataFrame) -> list[str]:
    """The columns that hold what was set for a run: neither its name and seed, nor what was measured of it."""
    return [series.name for series in frame if _is_setting(series)]


def _is_setting(series: pl.Series) -> bool:
    name = plain(series.name)
    words = set(re.split(r"[_\d]+", name)) | set(name.split("_"))
    if name in _IDENTITY or words & _MEASURED or series.dtype.is_nested():
        return False
    if words & _SET:
        return True
    return not words & _SPLITS and series.n_unique() <= _FEW * len(series)


def configurations(frame: pl.DataFrame, columns: Collection[str]) -> NDArray[np.intp]:
    """Index of each row's configuration (n,): rows of one differ in their seed, their name and what was measured alone.

    Args:
        frame: The table.
        columns: Columns that count as settings whatever their name says, such as those of a law.
    """
    return _codes(frame, dict.fromkeys([*(name for name in columns if name in frame.columns), *settings(frame)]))


def swept(frame: pl.DataFrame, columns: Collection[str]) -> dict[str, int]:
    """Settings beside some columns that differ where all of those agree, with the number of such cells, most first.

    Of two that always differ together, such as tokens and sequences of a batch, the canonical or the first one counts.
    """
    fixed = [name for name in columns if name in frame.columns]
    cells = _codes(frame, fixed)
    found: dict[str, int] = {}
    seen: set[bytes] = set()
    for name in sorted(settings(frame), key=lambda name: name not in ALIASES):
        if name in fixed or name.startswith(tuple(f"{one}_" for one in fixed)):
            # params_non_embedding beside params counts what the law has already.
            continue
        finer = _codes(frame, [*fixed, name])
        values = np.unique(np.column_stack([cells, finer]), axis=0)[:, 0]
        parts = np.unique(finer, return_index=True, return_inverse=True)
        several = int(np.sum(np.bincount(values) > 1))
        partition = np.asarray(parts[1])[parts[2].ravel()].tobytes()
        if several and partition not in seen:
            found[name] = several
            seen.add(partition)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """The rows that agree in all settings but those that are swept.

    Attributes:
        rows: Their numbers in the table.
        best: Those with the settings of the lowest mean target.
        edges: Swept columns of three or more values whose best one is the smallest or the largest.
    """

    rows: NDArray[np.intp]
    best: NDArray[np.intp]
    edges: tuple[str, ...]


def best_rows(frame: pl.DataFrame, columns: Sequence[str], target: Array) -> tuple[NDArray[np.bool_], str]:
    """For each configuration that differs in some settings alone, the rows with the best values of these settings.

    The best values are those with the lowest mean target, over seeds where there are several; all their seeds are kept.

    Args:
        frame: The table.
        columns: The swept settings, such as lr and batch_tokens.
        target: The values whose lowest mean counts (n,).

    Returns:
        Which rows are kept (n,), and a sentence about them.
    """
    base, swept_codes = _codes(frame, _held(frame, columns)), _codes(frame, columns)
    cells = [_cell(frame, np.flatnonzero(base == cell), swept_codes, columns, target) for cell in range(base.max() + 1)]
    kept = np.zeros(frame.height, dtype=bool)
    kept[np.concatenate([cell.best for cell in cells])] = True
    several = sum(len(cell.best) < len(cell.rows) for cell in cells)
    note = (
        f"{int(kept.sum())} of {frame.height} rows kept by --best-of {','.join(columns)}: the best of "
        f"{counted(len(cells), 'configuration')}, of which {several} had a choice"
    )
    edges = {name: sum(name in cell.edges for cell in cells) for name in columns}
    at_edge = [f"{count} at the edge of {name}" for name, count in edges.items() if count]
    if at_edge:
        note += f"; {listed(at_edge)}, where the best value may lie beyond the sweep"
    return kept, note


def _held(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """The settings that all rows of a configuration share: all but the swept ones and those that follow from them.

    A column follows where it differs between rows of one size and number of tokens, but not between rows that agree in
    the swept columns too: sequences per batch beside tokens per batch, or a final learning rate beside the peak.
    """
    sizes: list[str] = [name for name in ("params", "tokens") if name in frame.columns and name not in columns]
    at_size, at_point = _codes(frame, sizes), _codes(frame, [*sizes, *columns])
    held: list[str] = list(sizes)
    for name in settings(frame):
        if name in {*sizes, *columns}:
            continue
        varies, free = (
            len(np.unique(_codes(frame, [*fixed, name]))) > len(np.unique(codes))
            for fixed, codes in ((sizes, at_size), ([*sizes, *columns], at_point))
        )
        if free or not varies:
            held.append(name)
    return held


def _cell(
    frame: pl.DataFrame, rows: NDArray[np.intp], codes: NDArray[np.intp], columns: Sequence[str], values: Array
) -> _Cell:
    here = np.unique(codes[rows])
    means = np.array([np.mean(values[rows[codes[rows] == code]]) for code in here])
    means = np.where(np.isfinite(means), means, np.inf)
    best = rows[codes[rows] == here[int(np.argmin(means))]]
    edges = []
    for name in columns:
        series = frame[name]
        if series.dtype.is_numeric():
            numbers = series.cast(pl.Float64).to_numpy()
            tried = np.unique(numbers[rows])
            if len(tried) > 2 and numbers[best[0]] in (tried[0], tried[-1]):
                edges.append(name)
    return _Cell(rows=rows, best=best, edges=tuple(edges))


def _codes(frame: pl.DataFrame, columns: Collection[str]) -> NDArray[np.intp]:
    """Index of each row's combination of values (n,); a missing value is a value of its own."""
    if not columns:
        return np.zeros(frame.height, dtype=np.intp)
    ranks = frame.select(pl.struct([pl.col(name) for name in columns]).rank("dense").alias("code"))
    return ranks["code"].to_numpy().astype(np.intp) - 1
