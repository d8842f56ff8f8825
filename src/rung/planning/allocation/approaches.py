"""Hoffmann's three approaches to the best size, side by side, and how far a parabola misses on the table's own grid.

Source: Hoffmann et al. 2022, arXiv:2203.15556, section 3. A parabola through losses at equal compute has its bottom
beside that of the law wherever the two exponents differ, or the sizes are not centred on the best one: see
arXiv:2603.22339.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.arrays import Array
from rung.errors import PlanError
from rung.findings import Finding
from rung.fitting import Fit
from rung.fitting.backtest import scale_levels
from rung.fitting.uncertainty import student_quantile
from rung.forecasting import Interval
from rung.planning.allocation.allocate import best_sizes
from rung.results import Result, Summary, Table
from rung.runs import Runs
from rung.units import flops_6nd, format_count, format_interval, format_percent

_LEAST_SIZES = 5
"""Sizes at equal compute without which no parabola is laid through them."""

_LEAST_PROFILES = 3
_BINS_PER_DECADE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Runs of equal compute.

    Attributes:
        flops: Their compute.
        sizes: How many distinct sizes.
        lowest: The size of the lowest loss.
        centre: The bottom of the parabola in log N; None where it opens downwards.
        inside: Whether that lies among the sizes.
        bias: The centre over the law's own best size there, less one, on noise-free losses of the fitted law at the
            same sizes; None where that parabola opens downwards.
    """

    flops: float
    sizes: int
    lowest: float
    centre: float | None
    inside: bool
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One way to the best size.

    Attributes:
        name: What it does.
        exponent: How the best size grows with compute.
        interval: Its interval; (None, None) where it has none.
        params: The best size at the compute asked about.
        bias: What the approach gives for that size on noise-free losses of the fitted law at the table's own points,
            over the law's own best, less one; None where it cannot be told.
    """

    name: str
    exponent: float
    interval: Interval
    params: float
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Approaches(Result):
    """The approaches on one table.

    Attributes:
        flops: The compute asked about.
        approaches: Each.
        profiles: The runs of equal compute that the first two rest on.
        binned: Whether those are bins of a quarter of a decade, because few runs have equal compute.
        level: Coverage of the intervals.
        warnings: Findings that speak against the fit of the surface.
    """

    flops: float
    approaches: tuple[Approach, ...]
    profiles: tuple[Profile, ...]
    binned: bool
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The best size by each approach."""
        sizes = ", ".join(f"{format_count(one.params)} by {one.name}" for one in self.approaches)
        return f"N at {format_count(self.flops)} FLOPs: {sizes}"

    def describe(self) -> Summary:
        """The approaches side by side, and the runs of equal compute that two of them rest on."""

        def three(number: float) -> str:
            return f"{number:.3f}"

        head = [
            "approach",
            "N grows as C^",
            f"{100 * self.level:g} % interval",
            f"N at {format_count(self.flops)} FLOPs",
            "bias there",
        ]
        rows = [
            [
                one.name,
                three(one.exponent),
                format_interval(*one.interval, three),
                format_count(one.params),
                format_percent(one.bias, signed=True),
            ]
            for one in self.approaches
        ]
        profiles = [
            [
                format_count(one.flops),
                str(one.sizes),
                format_count(one.lowest),
                "opens downwards" if one.centre is None else format_count(one.centre),
                "yes" if one.inside else "no",
                format_percent(one.bias, signed=True),
            ]
            for one in self.profiles
        ]
        inside = sum(one.inside for one in self.profiles)
        return Summary(
            [
                Table(head, rows),
                "bias: what the approach gives on the fitted law's own noise-free losses at these points, less the law's best size",
                Table(["flops", "sizes", "lowest loss at", "parabola's bottom", "inside", "its bias"], profiles),
                f"{inside} of {len(self.profiles)} parabolas have their bottom among their sizes"
                + ("; the others are left out" if inside < len(self.profiles) else "")
                + ("; compute is in bins of a quarter of a decade" if self.binned else ""),
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per approach."""
        return pl.DataFrame(
            [
                {"approach": one.name, "exponent": one.exponent, "params": one.params, "bias": one.bias}
                for one in self.approaches
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The approaches as plain values."""
        return {
            "flops": self.flops,
            "approaches": [
                {name: getattr(one, name) for name in Approach.__dataclass_fields__} for one in self.approaches
            ],
            "profiles": [{name: getattr(one, name) for name in Profile.__dataclass_fields__} for one in self.profiles],
            "binned": self.binned,
        }


def compare_approaches(runs: Runs, fit: Fit, flops: float) -> Approaches:
    """Lowest losses, parabolas and the surface on one table.

    Args:
        runs: The rows that the fit was made on, with params and tokens.
        fit: A law in N and D fitted to them.
        flops: Compute at which the best size is told.

    Raises:
        PlanError: The table has too few sizes at equal compute.
    """
    params, tokens = runs.numbers("params"), runs.numbers("tokens")
    loss = runs.numbers(fit.target)
    compute = runs.numbers("flops") if runs.has("flops") else flops_6nd(params, tokens)
    levels, binned = _levels(compute, params)
    step = 1.001
    exact, below, above = best_sizes(fit, flops * np.array([1, 1 / step, step]))
    clean = fit.law.value(fit.values, {"N": params, "D": compute / (6 * params)})
    at = np.log(flops)
    middles = np.array([np.exp(np.mean(np.log(compute[rows]))) for rows in levels])
    found = [
        _profile(np.log(params[rows]), loss[rows], clean[rows], float(middle), float(size))
        for rows, middle, size in zip(levels, middles, best_sizes(fit, middles), strict=True)
    ]
    measured = _lines(levels, compute, params, loss)
    planted = _lines(levels, compute, params, np.asarray(clean))
    names = ("lowest loss at each compute", "parabola at each compute")
    approaches = [
        Approach(
            name=name,
            exponent=line.slope,
            interval=line.interval(fit.level),
            params=float(np.exp(line.at(at))),
            bias=None if ideal is None else float(np.exp(ideal.at(at)) / exact - 1),
        )
        for name, line, ideal in zip(names, measured, planted, strict=True)
        if line is not None
    ]
    derived = fit.derived.get("params_exponent")
    approaches.append(
        Approach(
            name="surface over all runs",
            exponent=float(np.log(above / below) / (2 * np.log(step))),
            interval=(derived.low, derived.high) if derived else (None, None),
            params=float(exact),
            bias=0.0,
        )
    )
    return Approaches(
        flops=flops,
        approaches=tuple(approaches),
        profiles=tuple(found),
        binned=binned,
        level=fit.level,
        warnings=fit.warnings,
    )


def parabola_bias(alpha: float, beta: float, log_sizes: Array) -> float:
    """The logarithm of a parabola's bottom over the best size, to leading order in the width of a centred grid.

    Along equal compute the law is alpha- and beta-exponential in x = log N, so that its third derivative over its
    second is beta - alpha at the best size, and a parabola by least squares puts the cube into its slope.

    Args:
        alpha: Exponent of N.
        beta: Exponent of D.
        log_sizes: Logarithms of the sizes, symmetric about the best one (n,).
    """
    x = log_sizes - np.mean(log_sizes)
    return float((alpha - beta) / 6 * np.sum(x**4) / np.sum(x**2))


def parabola_bottom(log_sizes: Array, loss: Array) -> float | None:
    """Where a parabola through losses at equal compute is lowest; None where it opens downwards."""
    middle = np.mean(log_sizes)
    bend, tilt, _ = np.polyfit(log_sizes - middle, loss, 2)
    return float(middle - tilt / (2 * bend)) if bend > 0 else None


def _levels(compute: Array, params: Array) -> tuple[list[NDArray[np.intp]], bool]:
    """Rows of equal compute, each with enough sizes; bins where too few are equal."""
    ends = scale_levels(compute)
    equal = np.searchsorted(ends, compute)
    bins = np.round(np.log10(compute) * _BINS_PER_DECADE).astype(int)
    for indices, binned in ((equal, False), (bins, True)):
        groups = [np.flatnonzero(indices == index) for index in np.unique(indices)]
        kept = [rows for rows in groups if len(np.unique(params[rows])) >= _LEAST_SIZES]
        if len(kept) >= _LEAST_PROFILES:
            return kept, binned
    raise PlanError(
        f"fewer than {_LEAST_PROFILES} computes have {_LEAST_SIZES} sizes or more, so lowest losses and parabolas say nothing. "
        "Allocate from a fit instead: rung fit RUNS -o fit.json, then rung allocate fit.json."
    )


def _profile(log_sizes: Array, loss: Array, clean: Array, flops: float, best: float) -> Profile:
    centre, ideal = parabola_bottom(log_sizes, loss), parabola_bottom(log_sizes, clean)
    return Profile(
        flops=flops,
        sizes=len(np.unique(log_sizes)),
        lowest=float(np.exp(log_sizes[np.argmin(loss)])),
        centre=None if centre is None else float(np.exp(centre)),
        inside=centre is not None and bool(log_sizes.min() < centre < log_sizes.max()),
        bias=None if ideal is None else float(np.exp(ideal) / best - 1),
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """log N in log C by least squares."""

    slope: float
    height: float
    error: float
    degrees: int

    def at(self, log_compute: float) -> float:
        return self.height + self.slope * log_compute

    def interval(self, level: float) -> Interval:
        if self.degrees < 1:
            return (None, None)
        half = student_quantile((1 + level) / 2, self.degrees) * self.error
        return (self.slope - half, self.slope + half)


def _lines(
    levels: Sequence[NDArray[np.intp]], compute: Array, params: Array, loss: Array
) -> tuple[_Line | None, _Line | None]:
    """The first two approaches: lines through lowest losses, and through bottoms that lie among the sizes."""
    lowest, centres = [], []
    for rows in levels:
        x, height = np.log(params[rows]), float(np.mean(np.log(compute[rows])))
        best = rows[int(np.argmin(loss[rows]))]
        lowest.append((float(np.log(compute[best])), float(np.log(params[best]))))
        bottom = parabola_bottom(x, loss[rows])
        if bottom is not None and x.min() < bottom < x.max():
            centres.append((height, bottom))
    return _line(lowest), _line(centres)


def _line(points: Sequence[tuple[float, float]]) -> _Line | None:
    if len(points) < 2:
        return None
    x, y = np.array(points).T
    slope, height = np.polyfit(x, y, 1)
    degrees = len(points) - 2
    error = 0.0
    if degrees:
        residual = y - height - slope * x
        error = float(np.sqrt(residual @ residual / degrees / np.sum((x - x.mean()) ** 2)))
    return _Line(float(slope), float(height), error, degrees)
