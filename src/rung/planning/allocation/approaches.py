"""Hoffmann's three approaches to the best size, side by side, and the bias of a parabola on the table's own grid.

Source: Hoffmann et al. 2022, arXiv:2203.15556, section 3. The bottom of a parabola through losses at equal compute
differs from that of the law wherever the two exponents differ, or the sizes are not centred on the best one: see
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
"""Fewest distinct sizes at equal compute through which a parabola is fitted."""

_LEAST_PROFILES = 3
"""Fewest IsoFLOP profiles from which the first two approaches are computed."""

_BINS_PER_DECADE = 4
"""Bins of compute in a decade, where too few runs have equal compute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An IsoFLOP profile: runs of equal compute and different sizes.

    Attributes:
        flops: Their compute [FLOP].
        sizes: Number of distinct sizes.
        lowest: The size with the lowest loss.
        centre: The size at the bottom of the parabola in log N; None where it opens downwards.
        inside: Whether that size lies between the smallest and the largest.
        bias: The bottom of the parabola through noise-free losses of the fitted law at the same sizes, over the law's
            own best size, less one; None where that parabola opens downwards.
    """

    flops: float
    sizes: int
    lowest: float
    centre: float | None
    inside: bool
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One estimate of the best size.

    Attributes:
        name: Its name.
        exponent: The exponent a of compute in the best size, N = c C^a.
        interval: Confidence interval of the exponent; (None, None) where there is none.
        params: The best size at the compute asked about.
        bias: What the approach gives for that size on noise-free losses of the fitted law at the table's own points,
            over the law's own best size, less one; None where it cannot be computed.
    """

    name: str
    exponent: float
    interval: Interval
    params: float
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Approaches(Result):
    """The three approaches on one table.

    Attributes:
        flops: The compute asked about [FLOP].
        approaches: The estimate by each approach.
        profiles: The IsoFLOP profiles that the first two use.
        binned: Whether the profiles are bins of a quarter of a decade, because few runs have equal compute.
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
        """The approaches side by side, and the IsoFLOP profiles that two of them use."""

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
    """The best size and its exponent by lowest losses, by parabolas and by the fitted surface, on one table.

    Args:
        runs: The rows of the fit, with params and tokens.
        fit: A law in N and D, fitted to them.
        flops: Compute at which the best sizes are compared [FLOP].

    Raises:
        PlanError: Too few computes have enough sizes.
    """
    params, tokens = runs.numbers("params"), runs.numbers("tokens")
    loss = runs.numbers(fit.target)
    compute = runs.numbers("flops") if runs.has("flops") else flops_6nd(params, tokens)
    levels, binned = _levels(compute, params)
    # The surface's exponent d log N / d log C is a central difference over this factor of compute to either side.
    step = 1.001
    exact, below, above = best_sizes(fit, flops * np.array([1, 1 / step, step]))
    noise_free = fit.law.value(fit.values, {"N": params, "D": compute / (6 * params)})
    log_flops = np.log(flops)
    middles = np.array([np.exp(np.mean(np.log(compute[rows]))) for rows in levels])
    found = [
        _profile(np.log(params[rows]), loss[rows], noise_free[rows], float(middle), float(size))
        for rows, middle, size in zip(levels, middles, best_sizes(fit, middles), strict=True)
    ]
    measured = _lines(levels, compute, params, loss)
    expected = _lines(levels, compute, params, np.asarray(noise_free))
    names = ("lowest loss at each compute", "parabola at each compute")
    approaches = [
        Approach(
            name=name,
            exponent=line.slope,
            interval=line.interval(fit.level),
            params=float(np.exp(line.at(log_flops))),
            bias=None if ideal is None else float(np.exp(ideal.at(log_flops)) / exact - 1),
        )
        for name, line, ideal in zip(names, measured, expected, strict=True)
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
    """The bias of a parabola: log of its bottom over the best size, to leading order in the width of a centred grid.

    Along equal compute the law is a sum of exponentials in x = log N,

        f(x) = E + a exp(-alpha x) + b exp(beta x),   f'''(0) / f''(0) = beta - alpha

    with x = 0 at the best size, where f'(0) = 0. Least squares on a symmetric grid fits the cubic term f'''(0) x^3 / 6
    by a line of slope f'''(0) / 6 sum(x^4) / sum(x^2), and the parabola's bottom is at minus that slope over f''(0):

        bias = (alpha - beta) / 6 * sum(x^4) / sum(x^2).

    Args:
        alpha: Exponent of N.
        beta: Exponent of D.
        log_sizes: Logarithms of the sizes, symmetric about the best one (n,).
    """
    x = log_sizes - np.mean(log_sizes)
    return float((alpha - beta) / 6 * np.sum(x**4) / np.sum(x**2))


def parabola_bottom(log_sizes: Array, loss: Array) -> float | None:
    """The log size at which a parabola through losses at equal compute is lowest; None where it opens downwards."""
    middle = np.mean(log_sizes)
    # a x^2 + b x + c is lowest at -b / (2 a).
    a, b, _ = np.polyfit(log_sizes - middle, loss, 2)
    return float(middle - b / (2 * a)) if a > 0 else None


def _levels(compute: Array, params: Array) -> tuple[list[NDArray[np.intp]], bool]:
    """Rows of equal compute, each with enough sizes, and whether they are bins, because too few are equal."""
    largest = scale_levels(compute)
    equal = np.searchsorted(largest, compute)
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


def _profile(log_sizes: Array, loss: Array, noise_free: Array, flops: float, best: float) -> Profile:
    """One profile: its parabola, and the bias of the parabola through noise-free losses against the law's best size."""
    centre, ideal = parabola_bottom(log_sizes, loss), parabola_bottom(log_sizes, noise_free)
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
    """The line log N = intercept + slope log C by least squares.

    Attributes:
        slope: Its slope, the exponent of compute.
        intercept: Its value at log C = 0.
        error: Standard error of the slope.
        degrees: Degrees of freedom of the residual.
    """

    slope: float
    intercept: float
    error: float
    degrees: int

    def at(self, log_compute: float) -> float:
        return self.intercept + self.slope * log_compute

    def interval(self, level: float) -> Interval:
        """Confidence interval of the slope by Student's t; (None, None) without degrees of freedom."""
        if self.degrees < 1:
            return (None, None)
        half = student_quantile((1 + level) / 2, self.degrees) * self.error
        return (self.slope - half, self.slope + half)


def _lines(
    levels: Sequence[NDArray[np.intp]], compute: Array, params: Array, loss: Array
) -> tuple[_Line | None, _Line | None]:
    """The first two approaches: lines through the lowest losses, and through the bottoms that lie among the sizes."""
    lowest, centres = [], []
    for rows in levels:
        x, log_compute = np.log(params[rows]), float(np.mean(np.log(compute[rows])))
        best = rows[int(np.argmin(loss[rows]))]
        lowest.append((float(np.log(compute[best])), float(np.log(params[best]))))
        bottom = parabola_bottom(x, loss[rows])
        if bottom is not None and x.min() < bottom < x.max():
            centres.append((log_compute, bottom))
    return _line(lowest), _line(centres)


def _line(points: Sequence[tuple[float, float]]) -> _Line | None:
    """Least squares through points (log C, log N); None for fewer than two.

    The squared standard error of the slope is sum(residual^2) / (n - 2) / sum((x - mean(x))^2).
    """
    if len(points) < 2:
        return None
    x, y = np.array(points).T
    slope, intercept = np.polyfit(x, y, 1)
    degrees = len(points) - 2
    error = 0.0
    if degrees:
        residual = y - intercept - slope * x
        error = float(np.sqrt(residual @ residual / degrees / np.sum((x - x.mean()) ** 2)))
    return _Line(float(slope), float(intercept), error, degrees)
