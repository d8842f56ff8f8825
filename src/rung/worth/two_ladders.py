"""Tables of runs as ladders of two recipes along one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import WorthError
from rung.findings import Finding
from rung.fitting.backtest import scale_levels
from rung.laws import SYMBOLS
from rung.runs import Runs
from rung.units import flops_6nd, format_count
from rung.worth.multipliers import SIDES

_FEWEST, _NARROWEST = 4, 4.0
"""Scales of each recipe, and the factor that they span, without which nothing is compared."""

_TOGETHER = 0.98
"""Correlation of log N and log D from which the two count as one path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladders:
    """The runs of two recipes.

    Attributes:
        control: The control's rows: scales, target, recipe, run.
        treated: The treated recipe's rows.
        axes: The columns of the law: params and tokens, or one scale.
        along: The symbol of the scale.
        target: The column compared.
    """

    control: pl.DataFrame
    treated: pl.DataFrame
    axes: tuple[str, ...]
    along: str
    target: str

    @property
    def both(self) -> pl.DataFrame:
        """All rows, the control's first."""
        return pl.concat([self.control, self.treated])

    @property
    def word(self) -> str:
        """What the scale is in words."""
        return (
            "compute" if len(self.axes) == 2 else {"params": "size", "tokens": "data", "flops": "compute"}[self.axes[0]]
        )


def read_ladders(control: Runs, treated: Runs, names: tuple[str, str], along: str | None, target: str) -> Ladders:
    """Both tables along one scale.

    Raises:
        WorthError: A ladder is too poor, the tables count params otherwise, share runs, or rise with scale.
        RunsError: A column is missing.
    """
    for runs in (control, treated):
        runs.numbers(target, "the target")
    _require_apart(control, treated, names, target)
    axes, scale = _axes((control, treated), along)
    ladders = [
        _ladder(runs, axes, target, name, side)
        for runs, name, side in zip((control, treated), names, SIDES, strict=True)
    ]
    for ladder, name in zip(ladders, names, strict=True):
        _require_ladder(ladder, scale, name)
    return Ladders(control=ladders[0], treated=ladders[1], axes=tuple(axes), along=scale, target=target)


def _require_apart(control: Runs, treated: Runs, names: tuple[str, str], target: str) -> None:
    """Refuse tables that count params by different conventions, or that share runs."""
    counted = [runs.mapping.get("params", "params") for runs in (control, treated)]
    if control.has("params") and treated.has("params") and counted[0] != counted[1]:
        kinds = {name for name in counted if "embed" in name or "active" in name or "total" in name}
        if kinds:
            raise WorthError(
                f"{names[0]} counts params as {counted[0]} and {names[1]} as {counted[1]}: two conventions of N. Map the same "
                "one in both: --map N=COLUMN."
            )
    shared = [
        name for name in ("run", "params", "tokens", "flops", "step", target) if control.has(name) and treated.has(name)
    ]
    rows = [set(runs.frame.select(shared).rows()) for runs in (control, treated)]
    both = rows[0] & rows[1]
    if both:
        row = ", ".join(f"{name} {value}" for name, value in zip(shared, next(iter(both)), strict=True))
        raise WorthError(
            f"{len(both)} run{'s stand' if len(both) > 1 else ' stands'} in both {names[0]} and {names[1]} ({row}): a run has one "
            "recipe. Take them out of one."
        )


def _axes(tables: Sequence[Runs], along: str | None) -> tuple[list[str], str]:
    """The columns of the law, and the symbol of the scale."""
    columns = {"N": "params", "D": "tokens", "C": "flops"}

    def varies(name: str) -> bool:
        return all(_known(runs, name) and len(scale_levels(_numbers(runs, name))) >= _FEWEST for runs in tables)

    if along is not None:
        column = SYMBOLS.get(along, along)
        symbol = next((symbol for symbol, name in columns.items() if name == column), None)
        if symbol is None:
            raise WorthError(f"--along {along}: a scale is N, D or C.")
        return [column], symbol
    if varies("params") and varies("tokens") and not any(map(_one_path, tables)):
        return ["params", "tokens"], "C"
    for symbol in ("C", "N", "D"):
        if varies(columns[symbol]):
            return [columns[symbol]], symbol
    if all(runs.has("params") for runs in tables):
        return ["params"], "N"
    raise WorthError("neither flops, params nor tokens vary in both tables: there is no scale to compare along.")


def _known(runs: Runs, column: str) -> bool:
    """Whether a table has a scale: flops also as 6 N D."""
    return runs.has(column) or (column == "flops" and runs.has("params") and runs.has("tokens"))


def _numbers(runs: Runs, column: str) -> Array:
    """A scale, positive in every row."""
    if column == "flops" and not runs.has("flops"):
        return np.asarray(flops_6nd(_numbers(runs, "params"), _numbers(runs, "tokens")))
    values = runs.numbers(column, "the scale")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise WorthError(
            f"{runs.row_name(int(bad[0]))}: {column} is {runs.shown(column, int(bad[0]))}, and a scale is a positive number. Leave "
            "such rows out: --where."
        )
    return values


def _one_path(runs: Runs) -> bool:
    x, y = (np.log(_numbers(runs, name)) for name in ("params", "tokens"))
    return bool(abs(np.corrcoef(x, y)[0, 1]) > _TOGETHER)


def _ladder(runs: Runs, axes: Sequence[str], target: str, name: str, side: str) -> pl.DataFrame:
    labels = runs.texts("run") if runs.has("run") else np.arange(len(runs)).astype(str)
    columns = {column: _numbers(runs, column) for column in axes}
    values = runs.numbers(target, "the target")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise WorthError(
            f"{runs.row_name(int(bad[0]))}: {target} is {runs.shown(target, int(bad[0]))}. Leave such rows out: --drop-nonfinite."
        )
    scale = np.log(_numbers(runs, axes[0]) if len(axes) == 1 else _numbers(runs, "flops"))
    if np.ptp(scale) > 0 and np.corrcoef(scale, values)[0, 1] > 0:
        raise WorthError(
            f"{target} of {name} rises with scale: what is compared is better when lower. Take an error instead, such as --map "
            f"'error=1-{target}' --target error."
        )
    return pl.DataFrame(
        {
            **columns,
            target: values,
            "recipe": [side] * len(runs),
            "run": [f"{side} {label}" for label in labels],
        }
    )


def _require_ladder(ladder: pl.DataFrame, scale: str, name: str) -> None:
    values = scale_of(ladder, [column for column in ladder.columns if column in {"params", "tokens", "flops"}])
    levels = len(scale_levels(values))
    span = float(values.max() / values.min())
    if levels < _FEWEST or span < _NARROWEST:
        raise WorthError(
            f"{name} has {levels} scale{'s' if levels > 1 else ''} of {scale} that span {span:.3g}x: too poor a ladder. At least {_FEWEST} "
            f"scales over {_NARROWEST:g}x are needed to tell a gain from its noise; add runs."
        )


def scale_of(table: pl.DataFrame, axes: Sequence[str]) -> Array:
    """The scale of each row (n,)."""
    if len(axes) == 2:
        return np.asarray(flops_6nd(table["params"].to_numpy(), table["tokens"].to_numpy()))
    return np.asarray(table[axes[0]].to_numpy())


def scale_findings(ladders: Ladders, names: tuple[str, str]) -> tuple[Finding, ...]:
    """Scales of two recipes that do not meet, or end far apart."""
    one, other = (scale_of(ladder, ladders.axes) for ladder in (ladders.control, ladders.treated))
    if other.min() > one.max() or one.min() > other.max():
        text = (
            f"the scales of {names[0]} and {names[1]} do not overlap ({format_count(one.min())} to {format_count(one.max())}, and "
            f"{format_count(other.min())} to {format_count(other.max())}): the comparison is all extrapolation. Are their units the same?"
        )
    elif not 0.5 <= other.max() / one.max() <= 2:
        text = (
            f"the largest run of {names[1]} has {other.max() / one.max():.3g} times the scale of that of {names[0]}: beyond the smaller one "
            "the comparison rests on an extrapolated law."
        )
    else:
        return ()
    return (Finding("scales_differ", text),)
