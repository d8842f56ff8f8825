"""Plausibility checks: what looks wrong in a table is named with its remedy, and never corrected by a guess."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import RunsError
from rung.findings import Finding
from rung.laws import name_text
from rung.messages import plural_of
from rung.runs.columns import COUNTS, plain
from rung.runs.table import ROW, Runs
from rung.runs.target_checks import of_target
from rung.units import flops_6nd, format_count

_CONSTANT_IN_RUN = ("params", "lr", "batch_tokens", "seed", "family", "width", "depth")
"""Columns that have a single value within a run."""

_FEWEST, _MOST = 1e-2, 1e6
"""Plausible range of tokens per parameter in the median row; outside it, units are doubted."""

_DRIFT, _RANK_CORRELATION = 1.25, 0.7
"""Largest over smallest ratio of flops to 6 N D among sizes, and rank correlation of that ratio with size, from which
conventions count as mixed."""

_DECAYED = 2.0
"""Largest over smallest learning rate along a run, above which its schedule counts as decayed."""

_LOOKED_AT = 20_000
"""Rows at which a check looks that needs no more of them: with a million rows, all checks take as long as reading."""

_SHARE_OF_SCHEDULE = ("fraction_of_schedule", "schedule_fraction")
"""Columns that hold how much of its schedule a run has completed, as a fraction."""

_MID_RUN = (
    "{source}: {why}, so rows before the end of a run are not finished runs of that length: their loss is higher than "
    "that of a run that ends at the same tokens. Keep the last row of each run: --last."
)
"""Message on rows from the middle of a run."""

_UNIT_WORDS = {
    "b": "1e9",
    "bn": "1e9",
    "billion": "1e9",
    "billions": "1e9",
    "m": "1e6",
    "million": "1e6",
    "millions": "1e6",
}
"""Units that a word in a column's name states."""


def plausibility(runs: Runs, target: str = "loss") -> tuple[Finding, ...]:
    """Findings on what is implausible in a table: units, conventions, and checkpoint rows without a name of their run."""
    found = [
        *of_target(runs, target),
        *_counts(runs),
        *_compute(runs),
        *_checkpoints(runs),
        *_decayed(runs),
    ]
    return tuple(Finding(code, text) for code, text in found)


def require_usable(runs: Runs, columns: list[str]) -> None:
    """Raise an error for rows that no law can use.

    Raises:
        RunsError: A count is zero or negative, or two rows describe the same run.
    """
    for column in columns:
        if column in COUNTS:
            values = runs.numbers(column)
            bad = np.flatnonzero(values <= 0)
            if len(bad):
                raise RunsError(
                    f"{runs.row_name(int(bad[0]))}: {column} is {values[bad[0]]:g}, and a count must be positive "
                    f'({len(bad)} such {plural_of(len(bad), "row")}). Leave them out: --where "{column} > 0".'
                )
    identity = runs.identity()
    repeated = runs.frame.select(pl.struct(identity).is_duplicated()).to_series().arg_true()
    if len(repeated):
        first = int(repeated[0])
        same = runs.frame.select(identity)
        second = next(int(index) for index in repeated[1:] if same.row(int(index)) == same.row(first))
        what = " and ".join(identity) if runs.has("run") else "every column"
        # Columns that are constant within a run distinguish runs; tokens and flops grow along a run.
        differing = [name for name in _CONSTANT_IN_RUN if runs.has(name) and name not in identity]
        differing = [name for name in differing if runs.frame[name][first] != runs.frame[name][second]]
        if differing and runs.has("run"):
            parts = [runs.mapping.get(name, name) for name in ("run", *differing)]
            raise RunsError(
                f"{runs.row_name(second)} has the same {what} as row {runs.frame[ROW][first]} but different {' and '.join(differing)}: "
                f"{parts[0]} alone does not identify a run here. Name the runs: --map run={','.join(parts)}."
            )
        distinguishing = _distinguishing_columns(runs, first, second, identity)
        if distinguishing:
            parts = [runs.mapping.get(name, name) for name in ("run", *distinguishing)]
            raise RunsError(
                f"{runs.row_name(second)} has the same {what} as row {runs.frame[ROW][first]} but a different {' and '.join(distinguishing)}: "
                f"{parts[0]} alone does not identify a run here. Name the runs: --map run={','.join(parts)}."
            )
        raise RunsError(
            f"{runs.row_name(second)} repeats row {runs.frame[ROW][first]} ({what} the same; {len(repeated)} rows "
            "are repeated). Remove the repeats or pass --drop-duplicates."
        )


def _distinguishing_columns(runs: Runs, first: int, second: int, identity: list[str]) -> list[str]:
    """Columns that may distinguish the runs of two rows: they differ there, and have few values over the table."""
    if not runs.has("run"):
        return []
    frame = runs.frame
    among = [name for name in runs.file_columns if name not in {*identity, "loss", ROW}]
    few = [name for name in among if 1 < frame[name].n_unique() <= max(len(runs) // 20, 2)]
    return [name for name in few if frame[name][first] != frame[name][second]][:2]


def _single_counts(runs: Runs) -> bool:
    """Whether flops confirm that parameters and tokens are single counts: they are within a factor of 100 of 6 N D."""
    if not all(runs.has(name) for name in ("params", "tokens", "flops")):
        return False
    params, tokens, flops = (runs.numbers(name) for name in ("params", "tokens", "flops"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = flops / flops_6nd(params, tokens)
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    return bool(len(ratio)) and bool(np.all((ratio > 0.01) & (ratio < 100)))


def _counts(runs: Runs) -> list[tuple[str, str]]:
    found = []
    for column, name, usual in (("tokens", "D", "1e9"), ("params", "N", "1e6")):
        if runs.has(column):
            largest = _largest(runs.numbers(column))
            if 0 < largest < 1e4 and not _single_counts(runs):
                source = runs.mapping.get(column, column)
                words = plain(source).split("_")
                named = next((size for word, size in _UNIT_WORDS.items() if word in words), None)
                unit, other = named or usual, "" if named else f", or *{'1e9' if usual == '1e6' else '1e6'}"
                written = name_text(source) if source in runs.columns else f"({source})"
                found.append(
                    (
                        "implausible_units",
                        f"{runs.source}: the largest {column} is {largest:g}; is {source} in millions or billions? "
                        f"Rung counts single {'tokens' if column == 'tokens' else 'parameters'}: --map '{name}={written}*{unit}'{other}.",
                    )
                )
    return found or _tokens_for_params(runs)


def _largest(values: Array) -> float:
    """The largest finite value; 0 where there is none above it."""
    with np.errstate(all="ignore"):
        largest = float(np.fmax.reduce(values, initial=0.0))
    if np.isfinite(largest):
        return largest
    finite = values[np.isfinite(values)]
    return float(finite.max(initial=0.0))


def _some(runs: Runs, columns: list[str]) -> Runs:
    """Columns of a table, or of a large one evenly spaced rows of them: enough for a median."""
    return replace(runs, frame=runs.frame.select(ROW, *columns).gather_every(max(1, len(runs) // _LOOKED_AT)))


def _ends(frame: pl.DataFrame) -> pl.DataFrame:
    """A table, or of a large one its start and its end: enough to see how its runs are scheduled."""
    if frame.height <= _LOOKED_AT:
        return frame
    return pl.concat([frame.head(_LOOKED_AT // 2), frame.tail(_LOOKED_AT // 2)])


def _tokens_for_params(runs: Runs) -> list[tuple[str, str]]:
    if not (runs.has("tokens") and runs.has("params")):
        return []
    with np.errstate(all="ignore"):
        some = _some(runs, ["params", "tokens"])
        ratio = some.numbers("tokens") / some.numbers("params")
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    middle = float(np.median(ratio)) if len(ratio) else 1.0
    if _FEWEST < middle < _MOST:
        return []
    return [
        (
            "implausible_units",
            f"{runs.source}: the median row has {middle:.2g} tokens per parameter. Are both single counts? Otherwise convert them: "
            "--map 'D=tokens*1e6'.",
        )
    ]


def _compute(runs: Runs) -> list[tuple[str, str]]:
    if not all(map(runs.has, ("params", "tokens", "flops"))):
        return []
    with np.errstate(all="ignore"):
        ratio = runs.numbers("flops") / flops_6nd(runs.numbers("params"), runs.numbers("tokens"))
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    if not len(ratio):
        return []
    if 0.0101 < float(np.median(ratio)) < 99:
        return _conventions(runs)
    return [
        (
            "implausible_flops",
            f"{runs.source}: flops is {format_count(float(np.median(ratio)))} times 6 x params x tokens in the median row. "
            "Check the units of all three.",
        )
    ]


def _conventions(runs: Runs) -> list[tuple[str, str]]:
    """A finding where N and flops follow different conventions: the ratio of flops to 6 N D then drifts with size."""
    size = runs.numbers("params")
    with np.errstate(all="ignore"):
        ratio = runs.numbers("flops") / flops_6nd(size, runs.numbers("tokens"))
    usable = np.isfinite(ratio) & (ratio > 0) & (size > 0)
    sizes = np.unique(size[usable])
    if len(sizes) < 4:
        return []
    middle = np.array([np.median(ratio[usable & (size == one)]) for one in sizes])
    rank_correlation = np.corrcoef(np.argsort(np.argsort(middle)), np.arange(len(middle)))[0, 1]
    if middle.max() / middle.min() < _DRIFT or abs(rank_correlation) < _RANK_CORRELATION:
        return []
    first, last = middle[0], middle[-1]
    return [
        (
            "mixed_conventions",
            f"{runs.source}: flops is {first:.2f} times 6 x params x tokens at the smallest size and {last:.2f} at the largest: params and "
            "flops follow different conventions (embeddings, the last layer, attention). Exponents depend on the convention: decide which N "
            "is meant, and map it.",
        )
    ]


def _decayed(runs: Runs) -> list[tuple[str, str]]:
    """A finding where rows lie in the middle of a decayed schedule: they are not finished runs of that length."""
    if runs.has("run") and runs.has("lr"):
        rates = _ends(runs.frame).select(pl.col("lr").cast(pl.Float64, strict=False), "run").drop_nulls()
        decayed = rates.group_by("run").agg(pl.col("lr").max() / pl.col("lr").min() > _DECAYED, pl.len().alias("rows"))
        if decayed.filter(pl.col("lr") & (pl.col("rows") > 1)).height > 0:
            return [("mid_run_rows", _MID_RUN.format(source=runs.source, why="lr falls along its runs"))]
    share = next((name for name in _SHARE_OF_SCHEDULE if runs.has(name)), None)
    if share is not None and np.nanmin(runs.numbers(share)) < 0.98:
        return [("mid_run_rows", _MID_RUN.format(source=runs.source, why=f"{share} is below 1 in some rows"))]
    return []


def _checkpoints(runs: Runs) -> list[tuple[str, str]]:
    if runs.has("run") or not (runs.has("params") and runs.has("step")) or len(runs) < 20:
        return []
    # Where no column names runs, size, recipe and texts that several rows share distinguish them.
    frame = runs.frame
    texts = [name for name in runs.columns if frame[name].dtype == pl.String and frame[name].n_unique() < len(runs)]
    recipe = [name for name in ("params", "lr", "batch_tokens", "seed") if runs.has(name)]
    kinds = frame.select(pl.struct([*recipe, *texts]).n_unique()).item()
    if frame["step"].n_unique() <= 3 or len(runs) < 8 * kinds:
        return []
    return [
        (
            "unnamed_runs",
            f"{runs.source}: {len(runs)} rows with a column step, of {kinds} kinds by {' and '.join([*recipe, *texts])}, look "
            "like checkpoints of a few runs, and are treated as independent. Name the run of each row: --map run=COLUMN.",
        )
    ]
