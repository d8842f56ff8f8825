"""Treated models and their controls, read from a table of measured models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import WorthError
from rung.messages import did_you_mean, listed
from rung.runs import Runs

_OPTIONAL = ("tokens", "params_active", "params_nonzero", "bits", "flops", "treatment_flops")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The runs of one treatment at one size and number of tokens.

    Attributes:
        treatment: Its name.
        params: N [count].
        tokens: D; None where it is not stated [count].
        losses: The loss of each run by its seed.
        before: The name of its control; empty for the ladder itself.
        made_from: Whether it was made from its control, so that both share what chance gave that run.
        known: Further columns, as means over the runs: params_active, params_nonzero, bits, flops, treatment_flops.
    """

    treatment: str
    params: float
    tokens: float | None
    losses: Mapping[str, float]
    before: str
    made_from: bool
    known: Mapping[str, float]


def read_cells(
    runs: Runs, target: str, before: str | None, made_from: str | None
) -> tuple[list[Cell], dict[tuple[str, float, float | None], Cell]]:
    """The treated models of a table, and the controls among its rows by name, N and D.

    Args:
        runs: The table: params, the target, and where known treatment (else run), before, seed, tokens, ...
        target: The column that the ladder predicts.
        before: The control of every row that names none in the columns before and made_from.
        made_from: The control of such rows, from whose weights they were made.

    Raises:
        WorthError: A column is missing, a control is not among the rows, or no row is treated.
    """
    for column in ("params", target):
        if not runs.has(column):
            raise WorthError(f"{runs.source}: a table of treated models needs {column}. Map it: --map {column}=COLUMN.")
    label = next((name for name in ("treatment", "run", "model") if runs.has(name)), None)
    names = runs.texts(label).tolist() if label else [f"row {number}" for number in runs.row_numbers().tolist()]
    if before and made_from:
        raise WorthError("name one control: --before, or --made-from where the models were made from it.")
    sources = [given or made_from or "" for given in _texts(runs, "made_from")]
    apart = [given or before or "" for given in _texts(runs, "before")]
    controls = [source or other for source, other in zip(sources, apart, strict=True)]
    cells = _cells(runs, target, names, controls, sources)
    known = {(cell.treatment, cell.params, cell.tokens): cell for cell in cells}
    used = {cell.before for cell in cells} - {""}
    unknown = sorted(used - set(names))
    if unknown:
        raise WorthError(
            f"{runs.source}: the control {unknown[0]!r} is none of its rows.{did_you_mean(unknown[0], set(names))} They are "
            f"{listed(sorted(set(names)), 6)}."
        )
    _require_no_circle(cells, runs.source)
    treated = [cell for cell in cells if cell.before or cell.treatment not in used | {before, made_from}]
    if not treated:
        raise WorthError(f"{runs.source}: every row is a control, and none is treated.")
    return treated, known


def _require_no_circle(cells: Sequence[Cell], source: str) -> None:
    controls = {cell.treatment: cell.before for cell in cells if cell.before}
    for start in controls:
        at, seen = start, {start}
        while (at := controls.get(at, "")) and at not in seen:
            seen.add(at)
        if at == start:
            raise WorthError(f"{source}: {start} is, by way of others, its own control.")


def _cells(
    runs: Runs, target: str, names: Sequence[str], controls: Sequence[str], sources: Sequence[str]
) -> list[Cell]:
    params, losses = runs.numbers("params"), runs.numbers(target, "the target")
    seeds = _texts(runs, "seed")
    columns = {name: runs.numbers(name) for name in _OPTIONAL if runs.has(name)}
    _require_usable(runs, params, losses, target)
    rows: dict[tuple[str, float, float | None], list[int]] = {}
    for row, name in enumerate(names):
        tokens = _known(columns, "tokens", row)
        rows.setdefault((name, float(params[row]), tokens), []).append(row)
    found = []
    for (name, size, tokens), members in rows.items():
        own = {controls[row] for row in members}
        if len(own) > 1:
            raise WorthError(f"{runs.source}: {name} names several controls at one size: {listed(sorted(own), 4)}.")
        others = {
            column: float(np.mean(values[members]))
            for column, values in columns.items()
            if column != "tokens" and np.isfinite(values[members]).all()
        }
        own_seeds = [seeds[row] for row in members]
        # Rows without a seed, or with one that stands twice, are nobody's partner.
        paired = all(own_seeds) and len(set(own_seeds)) == len(members)
        by_seed = {seeds[row] if paired else f"row {row}": float(losses[row]) for row in members}
        control = own.pop()
        found.append(
            Cell(
                treatment=name,
                params=size,
                tokens=tokens,
                losses=by_seed,
                before="" if control == name else control,
                made_from=all(sources[row] for row in members),
                known=others,
            )
        )
    return found


def _texts(runs: Runs, column: str) -> list[str]:
    """A column as texts; empty where it is missing."""
    if not runs.has(column):
        return [""] * len(runs)
    return [str(one) for one in runs.frame[column].cast(pl.String).fill_null("").to_list()]


def _known(columns: Mapping[str, Array], name: str, row: int) -> float | None:
    value = float(columns[name][row]) if name in columns else np.nan
    return value if np.isfinite(value) else None


def _require_usable(runs: Runs, params: Array, losses: Array, target: str) -> None:
    further = {name: runs.numbers(name) for name in _OPTIONAL if runs.has(name)}
    for name, values in {"params": params, target: losses, **further}.items():
        needed = name in {"params", target}
        positive = values >= 0 if name == "treatment_flops" else values > 0
        bad = np.flatnonzero(~(np.isfinite(values) & positive) if needed else np.isfinite(values) & ~positive)
        if len(bad):
            row = int(bad[0])
            raise WorthError(f"{runs.row_name(row)}: {name} is {runs.shown(name, row)}, and must be a positive number.")
