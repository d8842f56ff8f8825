"""Along which scale two recipes can be compared: over N and D, or along one of them or C where the allocations agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rung.arrays import Array
from rung.errors import WorthError
from rung.fitting.backtest import scale_levels
from rung.laws import SYMBOLS
from rung.runs import Runs, loss_of
from rung.units import flops_6nd, format_value

COLUMNS = {"N": "params", "D": "tokens", "C": "flops"}
"""The column of each scale."""

FEWEST = 4
"""Fewest scales of each recipe along one variable; of both together, for a law of N and D."""

_FEWEST_OF_ONE = 3
"""Fewest values of N, and of D, that each recipe has for a law of both."""

_TOGETHER = 0.98
"""Correlation of log N and log D above which the two count as one scale."""

_SAME_SCALE = 0.02
"""Difference in the logarithm up to which sizes, tokens and compute count as one."""

_SAME_ALLOCATION = float(np.log(1.25))
"""Difference of log(D / N) at one scale from which two recipes are allocated differently: a quarter more data at one
size changes the loss as much as the gains that recipes are compared for."""


def choose_axes(tables: Sequence[Runs], names: tuple[str, str], along: str | None) -> tuple[list[str], str]:
    """Columns of the law's variables, and the symbol of the scale.

    Args:
        tables: The runs of both recipes.
        names: What the recipes are called in messages.
        along: Symbol or column that the user asks for; None for the default.

    Raises:
        WorthError: There is no scale that both vary, or along the scale the recipes split compute differently into N and
            D, so that the comparison would measure the split.
    """
    if along is not None:
        column = SYMBOLS.get(along, along)
        symbol = next((symbol for symbol, name in COLUMNS.items() if name == column), None)
        if symbol is None:
            raise WorthError(f"--along {along}: the scale must be N, D or C.")
        _require_one_allocation(tables, names, symbol)
        return [column], symbol
    if _is_surface(tables):
        return ["params", "tokens"], "C"
    for symbol in _ordered(tables):
        if all(_levels(runs, COLUMNS[symbol]) >= FEWEST for runs in tables):
            _require_one_allocation(tables, names, symbol)
            return [COLUMNS[symbol]], symbol
    if all(runs.has("params") for runs in tables):
        return ["params"], "N"
    raise WorthError(
        "neither flops, params nor tokens vary in both tables: there is no scale to compare along. Add runs at other scales."
    )


def one_scale(tables: Sequence[Runs]) -> bool:
    """Whether all runs have one size, number of tokens and compute, as far as the tables state them."""
    for column in ("params", "tokens", "flops"):
        if any(runs.has(column) for runs in tables):
            if not all(runs.has(column) for runs in tables):
                return False
            values = np.concatenate([numbers(runs, column) for runs in tables])
            if np.ptp(np.log(values)) > _SAME_SCALE:
                return False
    return True


def require_one_unit(tables: Sequence[Runs], names: tuple[str, str], target: str) -> None:
    """Refuse to compare a loss per token with one per byte, by the names of the columns they were read from.

    Raises:
        WorthError: The names state different units.
    """
    units = [loss_of(runs.mapping.get(target, target)) for runs in tables]
    if units[0] != units[1]:
        shown = [runs.mapping.get(target, target) for runs in tables]
        raise WorthError(
            f"{names[0]} gives {target} by {shown[0]} (per {units[0]}) and {names[1]} by {shown[1]} (per {units[1]}): a loss per "
            f"{units[0]} is no loss per {units[1]}. Map columns of one unit: --map {target}=COLUMN."
        )


def knows(runs: Runs, column: str) -> bool:
    """Whether a table has a scale, as a column or by the two others: C = 6 N D."""
    others = {"params", "tokens", "flops"} - {column}
    return runs.has(column) or (column in {"tokens", "flops"} and all(map(runs.has, others)))


def numbers(runs: Runs, column: str) -> Array:
    """Values of a scale, which must be positive in every row; flops are also known as 6 N D, and tokens as C / 6 N.

    Raises:
        WorthError: A row has no positive value.
    """
    if column == "flops" and not runs.has("flops"):
        return np.asarray(flops_6nd(numbers(runs, "params"), numbers(runs, "tokens")))
    if column == "tokens" and not runs.has("tokens"):
        for_one: Array = flops_6nd(numbers(runs, "params"), np.ones(1))
        return np.asarray(numbers(runs, "flops") / for_one)
    values = runs.numbers(column, "the scale")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise WorthError(
            f"{runs.row_name(int(bad[0]))}: {column} is {runs.shown(column, int(bad[0]))}, and a scale must be a positive number. "
            "Remove such rows: --where."
        )
    return values


def _is_surface(tables: Sequence[Runs]) -> bool:
    """Whether the runs determine a law of N and D with factors of each recipe's own."""
    for column in ("params", "tokens"):
        if not all(knows(runs, column) and _levels(runs, column) >= _FEWEST_OF_ONE for runs in tables):
            return False
        if len(scale_levels(np.concatenate([numbers(runs, column) for runs in tables]))) < FEWEST:
            return False
    return not any(map(_is_one_path, tables))


def _ordered(tables: Sequence[Runs]) -> tuple[str, ...]:
    """The scales in the order in which they are tried: at one number of tokens the scale is the size."""
    for column, symbol in (("tokens", "N"), ("params", "D")):
        if all(knows(runs, column) for runs in tables):
            values = np.concatenate([numbers(runs, column) for runs in tables])
            if np.ptp(np.log(values)) < _SAME_ALLOCATION:
                return (symbol,)
    return ("C", "N", "D")


def _levels(runs: Runs, column: str) -> int:
    return len(scale_levels(numbers(runs, column))) if knows(runs, column) else 0


def _is_one_path(runs: Runs) -> bool:
    x, y = (np.log(numbers(runs, name)) for name in ("params", "tokens"))
    return bool(abs(np.corrcoef(x, y)[0, 1]) > _TOGETHER)


def _require_one_allocation(tables: Sequence[Runs], names: tuple[str, str], symbol: str) -> None:
    """Refuse a comparison along one scale where the recipes differ in tokens per parameter at that scale.

    At each scale of one recipe, the other's log(D / N) is interpolated; beyond its range the nearest one counts.
    """
    if not all(knows(runs, name) for runs in tables for name in ("params", "tokens")):
        return
    paths = [_path(runs, COLUMNS[symbol]) for runs in tables]
    gaps = [
        np.interp(paths[0][0], *paths[1]) - paths[0][1],
        paths[1][1] - np.interp(paths[1][0], *paths[0]),
    ]
    gap = np.concatenate(gaps)
    if np.max(np.abs(gap)) < _SAME_ALLOCATION:
        return
    ratios = [np.exp(path[1]) for path in paths]
    shown = [
        format_value(float(np.median(ratio)), 3)
        if np.ptp(np.log(ratio)) < _SAME_ALLOCATION
        else f"{format_value(float(ratio.min()), 3)} to {format_value(float(ratio.max()), 3)}"
        for ratio in ratios
    ]
    raise WorthError(
        f"{names[0]} trains on {shown[0]} tokens per parameter and {names[1]} on {shown[1]}: along {symbol} the multiplier "
        "would measure the allocation as much as the recipe. Compare runs of the same allocation (--where), or give each "
        f"recipe runs of {_FEWEST_OF_ONE} sizes with {_FEWEST_OF_ONE} numbers of tokens each, for a law of both."
    )


def _path(runs: Runs, column: str) -> tuple[Array, Array]:
    """The mean of log(D / N) at each distinct log scale, in order."""
    x = np.log(numbers(runs, column))
    ratio = np.log(numbers(runs, "tokens")) - np.log(numbers(runs, "params"))
    order = np.argsort(x)
    x, ratio = x[order], ratio[order]
    starts = [0, *(index for index, (low, high) in enumerate(pairwise(x), start=1) if high - low > 0.02), len(x)]
    parts = [slice(first, last) for first, last in pairwise(starts)]
    return np.array([x[part].mean() for part in parts]), np.array([ratio[part].mean() for part in parts])
