"""The runs of two recipes as ladders along one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import WorthError
from rung.findings import Finding
from rung.fitting.backtest import scale_levels
from rung.messages import counted, listed, plural_of
from rung.runs import Runs, swept
from rung.units import flops_6nd, format_count
from rung.worth.axes import FEWEST, choose_axes, numbers, require_one_unit
from rung.worth.multipliers import SIDES

_LEAST_MIXED = 2
"""Fewest scales at which runs of one recipe differ in a setting from which it is named."""

_SCALES = {"params", "tokens", "flops", "unique_tokens"}
"""Columns that say how large a run is: what the comparison is over."""

_MOST_NAMED = 3
"""Most settings that are named."""

_NARROWEST = 4.0
"""Smallest factor that the scales of each recipe must span."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladders:
    """The runs of two recipes.

    Attributes:
        control: Rows of the control, with scales, target, recipe and run.
        treated: Rows of the treated recipe, with the same columns.
        axes: Columns of the law's variables: params and tokens, or one scale.
        along: Symbol of the scale.
        target: The column that is compared.
        mixed: Of each recipe, the settings that differ where its scale agrees, with the number of such scales.
    """

    control: pl.DataFrame
    treated: pl.DataFrame
    axes: tuple[str, ...]
    along: str
    target: str
    mixed: tuple[Mapping[str, int], Mapping[str, int]]

    @property
    def both(self) -> pl.DataFrame:
        """All rows, those of the control first."""
        return pl.concat([self.control, self.treated])

    @property
    def word(self) -> str:
        """The scale in words."""
        return (
            "compute" if len(self.axes) == 2 else {"params": "size", "tokens": "data", "flops": "compute"}[self.axes[0]]
        )


def read_ladders(control: Runs, treated: Runs, names: tuple[str, str], along: str | None, target: str) -> Ladders:
    """Read both tables as ladders along one scale.

    Args:
        control: Runs of the control recipe.
        treated: Runs of the treated recipe.
        names: What the recipes are called in messages.
        along: Symbol or column of the scale; by default N and D where both vary freely, else the first of C, N and D
            that varies.
        target: The column that is compared.

    Raises:
        WorthError: A table has too few scales, its target rises with scale, or the tables count params differently or
            share runs.
        RunsError: A column is missing.
    """
    if target in _SCALES:
        raise WorthError(f"{target} says how large a run is; what is compared is a loss: --target loss.")
    for runs in (control, treated):
        runs.numbers(target, "the target")
    require_one_unit((control, treated), names, target)
    _require_apart(control, treated, names, target)
    axes, scale = choose_axes((control, treated), names, along)
    ladders = [
        _ladder(runs, axes, target, name, side)
        for runs, name, side in zip((control, treated), names, SIDES, strict=True)
    ]
    for ladder, name in zip(ladders, names, strict=True):
        _require_ladder(ladder, scale, name)
    return Ladders(
        control=ladders[0],
        treated=ladders[1],
        axes=tuple(axes),
        along=scale,
        target=target,
        mixed=(_mixed(control, axes, target), _mixed(treated, axes, target)),
    )


def _mixed(runs: Runs, axes: Sequence[str], target: str) -> Mapping[str, int]:
    """The settings of one recipe that differ between runs of one scale, with the number of such scales."""
    found = swept(runs.distinct.drop(target, strict=False), [*axes, *(("flops",) if len(axes) == 2 else ())])
    return {name: count for name, count in found.items() if count >= _LEAST_MIXED and name not in _SCALES}


def _require_apart(control: Runs, treated: Runs, names: tuple[str, str], target: str) -> None:
    """Raise an error for tables that count params by different conventions, or that share runs."""
    conventions = [runs.mapping.get("params", "params") for runs in (control, treated)]
    if control.has("params") and treated.has("params") and conventions[0] != conventions[1]:
        kinds = {name for name in conventions if "embed" in name or "active" in name or "total" in name}
        if kinds:
            raise WorthError(
                f"{names[0]} counts params as {conventions[0]} and {names[1]} as {conventions[1]}: two conventions of N. Map the same "
                "one in both tables: --map N=COLUMN."
            )
    shared = [
        name for name in ("run", "params", "tokens", "flops", "step", target) if control.has(name) and treated.has(name)
    ]
    rows = [set(runs.frame.select(shared).rows()) for runs in (control, treated)]
    both = rows[0] & rows[1]
    if both:
        row = ", ".join(f"{name} {value}" for name, value in zip(shared, next(iter(both)), strict=True))
        raise WorthError(
            f"{counted(len(both), 'run')} {plural_of(len(both), 'is', 'are')} in both {names[0]} and {names[1]} ({row}): a run has one "
            "recipe. Remove the shared runs from one table."
        )


def _ladder(runs: Runs, axes: Sequence[str], target: str, name: str, side: str) -> pl.DataFrame:
    labels = runs.texts("run") if runs.has("run") else np.arange(len(runs)).astype(str)
    columns = {column: numbers(runs, column) for column in axes}
    values = runs.numbers(target, "the target")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise WorthError(
            f"{runs.row_name(int(bad[0]))}: {target} is {runs.shown(target, int(bad[0]))}, and must be finite. Remove such rows: "
            "--drop-nonfinite."
        )
    scale = np.log(numbers(runs, axes[0]) if len(axes) == 1 else numbers(runs, "flops"))
    if np.ptp(scale) > 0 and np.corrcoef(scale, values)[0, 1] > 0:
        raise WorthError(
            f"{target} of {name} rises with scale, but the compared column must be better when lower. Compare an error instead, such "
            f"as --map 'error=1-{target}' --target error."
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
    if levels < FEWEST or span < _NARROWEST:
        raise WorthError(
            f"{name} has {counted(levels, 'scale')} of {scale} that span {span:.3g}x: too few. At least {FEWEST} scales over "
            f"{_NARROWEST:g}x are needed to distinguish a gain from noise; add runs."
        )


def scale_of(table: pl.DataFrame, axes: Sequence[str]) -> Array:
    """The scale of each row (n,)."""
    if len(axes) == 2:
        return np.asarray(flops_6nd(table["params"].to_numpy(), table["tokens"].to_numpy()))
    return np.asarray(table[axes[0]].to_numpy())


def ladder_findings(ladders: Ladders, names: tuple[str, str]) -> tuple[Finding, ...]:
    """Findings on recipes that are mixtures, and on scales of two recipes that do not meet."""
    return (*_mixed_findings(ladders, names), *_scale_findings(ladders, names))


def _mixed_findings(ladders: Ladders, names: tuple[str, str]) -> tuple[Finding, ...]:
    found = []
    for name, mixed in zip(names, ladders.mixed, strict=True):
        if not mixed:
            continue
        shown = listed([f"{setting} (at {counted(count, 'scale')})" for setting, count in mixed.items()], _MOST_NAMED)
        first = next(iter(mixed))
        found.append(
            Finding(
                "mixed_recipe",
                f"{name} is a mixture: its runs of one scale differ in {shown}, and it is compared as if they were repeats. Select one "
                f'value (--where "{first} = ..."), keep the best of a sweep (--best-of {first}), or compare by it (--by {first}).',
            )
        )
    return tuple(found)


def _scale_findings(ladders: Ladders, names: tuple[str, str]) -> tuple[Finding, ...]:
    """Findings on scales of two recipes that do not overlap, or whose largest differ by more than a factor of two."""
    one, other = (scale_of(ladder, ladders.axes) for ladder in (ladders.control, ladders.treated))
    if other.min() > one.max() or one.min() > other.max():
        text = (
            f"the scales of {names[0]} and {names[1]} do not overlap ({format_count(one.min())} to {format_count(one.max())}, and "
            f"{format_count(other.min())} to {format_count(other.max())}): the comparison is all extrapolation. Check that both tables "
            "use the same units."
        )
    elif not 0.5 <= other.max() / one.max() <= 2:
        text = (
            f"the largest run of {names[1]} has {other.max() / one.max():.3g} times the scale of that of {names[0]}: beyond the smaller of "
            "the two, the comparison relies on an extrapolated law."
        )
    else:
        return ()
    return (Finding("scales_differ", text),)
