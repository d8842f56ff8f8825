"""What a figure shows: rows, the law's lines through them, and along which variable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.errors import ReportError
from rung.fitting import Fit
from rung.forecasting import HeldOut
from rung.laws import column_of
from rung.runs import Runs, as_runs
from rung.units import flops_6nd

if TYPE_CHECKING:
    from rung.arrays import Array

_CURVES, _CURVES_PER_PART = 7, 3
"""Lines of the law at most: where there is one part, and for each of several."""

_CURVE_POINTS = 80
_IN_PROPORTION = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of one combination of group levels.

    Attributes:
        name: The combination of levels; empty where the law has no groups.
        rows: Which rows (n,).
        levels: The level of each group.
    """

    name: str
    rows: NDArray[np.bool_]
    levels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureData:
    """What is drawn, over all rows, held-out ones last.

    Attributes:
        fit: The fit.
        variables: The law's variables (n,).
        parts: The rows by group levels.
        target: What was measured (n,).
        law: The law's value (n,).
        held: Which rows were held out (n,).
        held_out: Their forecasts.
        along: The variable along x; None where the law has too many for lines, so that measured values stand
            against the law's.
        colour: The variable in colour.
        compute_factor: C / (N D) where C follows from N and D in every row, else None.
    """

    fit: Fit
    variables: dict[str, Array]
    parts: tuple[Part, ...]
    target: Array
    law: Array
    held: NDArray[np.bool_]
    held_out: HeldOut | None
    along: str | None
    colour: str | None
    compute_factor: float | None

    @staticmethod
    def of(fit: Fit, runs: Runs, held_out: HeldOut | None) -> FigureData:
        points = held_out.points if held_out else ()
        variables = {
            name: np.append(runs.numbers(column_of(name)), [point.inputs[name] for point in points])
            for name in fit.law.variables
        }
        levels = {
            group: np.append(runs.texts(group), [point.levels[group] for point in points]) for group in fit.groups
        }
        target = np.append(runs.numbers(fit.target), [point.measured for point in points])
        parts = _parts(levels, len(target))
        factor = _compute_factor(variables)
        free = [name for name in variables if not (name == "C" and factor is not None)]

        def variety(name: str) -> tuple[int, float]:
            values = variables[name]
            ratio = np.ptp(np.log(values)) if np.all(values > 0) else 0.0
            return len(np.unique(values)), float(ratio)

        ordered = sorted(free, key=variety, reverse=True)
        lines = len(ordered) <= 2
        shades = ordered[1:] if lines else ordered
        return FigureData(
            fit=fit,
            variables=variables,
            parts=parts,
            target=target,
            law=_prediction(fit, variables, parts, len(target)),
            held=np.arange(len(target)) >= len(runs),
            held_out=held_out,
            along=ordered[0] if lines else None,
            colour=shades[0] if shades else None,
            compute_factor=factor,
        )

    @property
    def parts_title(self) -> str:
        """What the names of the parts are levels of."""
        return ", ".join(self.parts[0].levels)

    @property
    def x(self) -> Array:
        """Where each row stands along x (n,)."""
        return self.law if self.along is None else self.variables[self.along]

    def curves(self) -> Iterator[tuple[int, Array, Array, float]]:
        """Lines of the law: the part, x, the law's value, and the value in colour; none where there are no lines."""
        if self.along is None:
            return
        for index, part in enumerate(self.parts):
            estimate, _ = self.fit.vectors(part.levels)
            for shade, rows in self._shades(part.rows):
                x_values = self.variables[self.along][rows]
                spaced = np.geomspace if np.min(x_values) > 0 else np.linspace
                x = spaced(np.min(x_values), np.max(x_values), _CURVE_POINTS)
                here = {self.along: x}
                if self.colour is not None:
                    here[self.colour] = np.full(_CURVE_POINTS, shade)
                if self.compute_factor is not None:
                    here["C"] = self.compute_factor * here["N"] * here["D"]
                yield index, x, self.fit.law.value(estimate, here), shade

    def _shades(self, mask: NDArray[np.bool_]) -> Iterator[tuple[float, NDArray[np.bool_]]]:
        """Values of the coloured variable that get a line, and the rows near each."""
        if self.colour is None:
            yield np.nan, mask
            return
        values = self.variables[self.colour]
        distinct = np.unique(values[mask])
        most = _CURVES if len(self.parts) == 1 else _CURVES_PER_PART
        picked = distinct[np.unique(np.linspace(0, len(distinct) - 1, most).round().astype(int))]
        nearest = np.argmin(np.abs(_safe_log(values)[:, None] - _safe_log(picked)[None, :]), axis=1)
        for index, value in enumerate(picked):
            rows = mask & (nearest == index)
            # A single run at a value still has a line, over the range of all.
            if rows.any():
                yield float(value), rows if rows.sum() > 1 else mask


def _parts(levels: dict[str, NDArray[np.str_]], rows: int) -> tuple[Part, ...]:
    if not levels:
        return (Part(name="", rows=np.ones(rows, dtype=bool), levels={}),)
    stacked = np.stack(list(levels.values()), axis=1)
    found = []
    for combination in np.unique(stacked, axis=0):
        here = dict(zip(levels, map(str, combination), strict=True))
        found.append(Part(name=", ".join(here.values()), rows=(stacked == combination).all(axis=1), levels=here))
    return tuple(found)


def _prediction(fit: Fit, variables: dict[str, Array], parts: tuple[Part, ...], rows: int) -> Array:
    values = np.full(rows, np.nan)
    for part in parts:
        estimate, _ = fit.vectors(part.levels)
        here = {name: column[part.rows] for name, column in variables.items()}
        values[part.rows] = fit.law.value(estimate, here)
    return values


def _compute_factor(variables: dict[str, Array]) -> float | None:
    if not {"N", "D", "C"} <= set(variables):
        return None
    factor = variables["C"] / flops_6nd(variables["N"], variables["D"])
    return 6 * float(np.median(factor)) if np.ptp(factor) <= _IN_PROPORTION * np.median(factor) else None


def _safe_log(values: Array) -> Array:
    return np.asarray(np.log(values) if np.all(values > 0) else values)


def rows_of(fit: Fit, runs: Any) -> Runs:
    """The rows that a figure shows: those given, or those that the fit keeps.

    Raises:
        RunsError: A table cannot be read.
        ReportError: None is given, and the fit keeps none.
    """
    if runs is not None:
        return as_runs(runs)
    kept = kept_runs(fit)
    if kept is None:
        raise ReportError(f"the fit keeps no rows of {fit.rows:,}. Give the runs that it was fitted on.")
    return kept


def kept_runs(fit: Fit) -> Runs | None:
    """The rows that a fit keeps; None where it keeps none."""
    if fit.table is None:
        return None
    design = fit.table
    levels = {group: np.array(design.level_names[group])[codes] for group, codes in design.groups.items()}
    columns = {column_of(name): values for name, values in design.columns.items()}
    return as_runs(pl.DataFrame({**columns, **levels, fit.target: design.target, "run": design.run}))
