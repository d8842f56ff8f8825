"""Recipes compared under a pinned law: the multiplier of each matched scale, and what their scatter says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import WorthError
from rung.findings import Finding
from rung.fitting.uncertainty import student_quantile
from rung.laws import SYMBOLS
from rung.messages import counted, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.runs import as_runs
from rung.units import format_count, format_interval, format_value
from rung.worth.axes import COLUMNS, numbers, require_one_unit
from rung.worth.matched_runs import matched


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PinnedComparison(Result):
    """Two recipes at matched scales, under one law whose floor and exponent are given.

    Attributes:
        control: The recipe that is the measure.
        treated: The recipe that is measured.
        along: The scale: N, D or C.
        floor: The pinned floor E.
        exponent: The pinned exponent.
        scales: The matched scales (S,).
        multipliers: How many times as much the control would need at each (S,).
        multiplier: Their geometric mean.
        interval: Its interval from their scatter, Student's t with S - 1 degrees of freedom; None with one scale.
        trend: Change of the logarithm of the multiplier with that of scale, and its interval; None with two scales or fewer.
        level: Coverage of the intervals.
        warnings: Findings that speak against the comparison.
    """

    control: str
    treated: str
    along: str
    floor: float
    exponent: float
    scales: Array
    multipliers: Array
    multiplier: float
    interval: tuple[float, float] | None
    trend: tuple[float, float, float] | None
    level: float
    warnings: tuple[Finding, ...]

    @property
    def better(self) -> str | None:
        """Which recipe is better; None where the interval holds both, or there is none."""
        if self.interval is None:
            return None
        if self.interval[0] > 1:
            return self.treated
        return self.control if self.interval[1] < 1 else None

    def headline(self) -> str:
        """The multiplier with its interval and scales."""
        reach = f"{self.along} = {format_count(self.scales[0])}" + (
            f" to {format_count(self.scales[-1])}" if len(self.scales) > 1 else ""
        )
        interval = "no interval from one scale" if self.interval is None else format_interval(*self.interval, _times)
        told = f"{self.better} is better" if self.better else "which is better is not shown"
        return f"{_times(self.multiplier)} ({100 * self.level:g} %: {interval}) at {reach}; {told}"

    def describe(self) -> Summary:
        """The multiplier of each scale, their mean and whether they change with scale."""
        rows = [
            [f"{self.along} = {format_count(scale)}", _times(value)]
            for scale, value in zip(self.scales, self.multipliers, strict=True)
        ]
        lines = [f"verdict    {self.headline()}"]
        if self.trend is not None:
            value, low, high = self.trend
            change = "grows" if low > 0 else "shrinks" if high < 0 else "is not shown to change"
            lines.append(
                f"with scale the gain {change}: {10**value:.3g}x for each factor of 10 ({10**low:.3g}x to {10**high:.3g}x)"
            )
        symbol = self.along
        lines.append(
            f"law        {format_value(self.floor)} + A[recipe] / {symbol}^{self.exponent:g}, floor and exponent as given"
        )
        return Summary(
            [
                f"{self.treated} measured by {self.control}: how many times as much {self.control} would need for the same loss",
                Table(["scale", "multiplier"], rows),
                "\n".join(lines),
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per scale."""
        return pl.DataFrame({"scale": self.scales, "multiplier": self.multipliers})

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        content = plain_fields(self)
        arrays = {name: getattr(self, name).tolist() for name in ("scales", "multipliers")}
        return {**content, **arrays, "better": self.better, "warnings": [one.to_dict() for one in self.warnings]}


def compare_pinned(
    control: Any,
    treated: Any,
    pins: Mapping[str, float],
    *,
    names: tuple[str, str] = ("A", "B"),
    along: str = "C",
    target: str = "loss",
    level: float = 0.9,
) -> PinnedComparison:
    """Compare two recipes under L = E + A / x^alpha with E and alpha given, at the scales that both ran.

        m = ((L_control - E) / (L_treated - E))^(1 / alpha)

    The interval is that of the mean of log m over scales: it holds how far the pinned law misses, and the noise of runs.

    Args:
        control: Runs of the control recipe, or anything that `read_runs` takes.
        treated: Runs of the recipe that is measured, likewise.
        pins: "E" and "alpha".
        names: What the recipes are called.
        along: The scale: N, D or C.
        target: The column compared; lower is better.
        level: Coverage of the intervals.

    Raises:
        WorthError: A pin is missing or not positive, no scale was run by both, or a loss lies at or below the floor.
    """
    require_level(level, WorthError)
    scales, logs, runs = _matched_gains(control, treated, pins, names, along, target)
    count = len(logs)
    interval = None
    if count > 1:
        half = student_quantile((1 + level) / 2, count - 1) * np.std(logs, ddof=1) / np.sqrt(count)
        interval = (float(np.exp(logs.mean() - half)), float(np.exp(logs.mean() + half)))
    return PinnedComparison(
        control=names[0],
        treated=names[1],
        along=along,
        floor=pins["E"],
        exponent=pins["alpha"],
        scales=scales,
        multipliers=np.exp(logs),
        multiplier=float(np.exp(logs.mean())),
        interval=interval,
        trend=_trend(np.log10(scales), logs / np.log(10.0), level) if count > 2 else None,
        level=level,
        warnings=_findings(names, runs, count),
    )


def _matched_gains(
    control: Any, treated: Any, pins: Mapping[str, float], names: tuple[str, str], along: str, target: str
) -> tuple[Array, Array, list[int]]:
    """The matched scales in order (S,), logarithms of the multipliers there (S,), and the number of runs of each recipe."""
    unknown = set(pins) - {"E", "alpha"}
    if unknown or set(pins) != {"E", "alpha"} or not (pins["alpha"] > 0 and pins["E"] >= 0):
        raise WorthError("--pin takes the floor and the exponent of E + A / x^alpha: --pin E=1.6,alpha=0.0941.")
    column = COLUMNS.get(along) or SYMBOLS.get(along, along)
    tables = [as_runs(one) for one in (control, treated)]
    require_one_unit(tables, names, target)
    x = [numbers(runs, column)[:, None] for runs in tables]
    losses = [runs.numbers(target, "the target") for runs in tables]
    for name, values in zip(names, losses, strict=True):
        if not np.all(values > pins["E"]):
            raise WorthError(f"{name} has a {target} at or below the pinned floor of {pins['E']:g}, or none.")
    matches = matched(*x)
    if not matches:
        raise WorthError(
            f"no scale was run by both {names[0]} and {names[1]}, and pinned laws are compared scale by scale."
        )
    scales = np.array([float(np.exp(np.mean(np.log(x[0][one.first])))) for one in matches])
    logs = np.array(
        [
            np.log((losses[0][one.first].mean() - pins["E"]) / (losses[1][one.second].mean() - pins["E"]))
            / pins["alpha"]
            for one in matches
        ]
    )
    order = np.argsort(scales)
    scales, logs = scales[order], logs[order]
    return scales, logs, [len(runs) for runs in tables]


def _trend(x: Array, y: Array, level: float) -> tuple[float, float, float]:
    """Slope of log10 m in log10 scale with its interval, Student's t with S - 2 degrees of freedom."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    left = y - y.mean() - slope * centred
    error = float(np.sqrt(left @ left / (len(x) - 2) / (centred @ centred)))
    half = student_quantile((1 + level) / 2, len(x) - 2) * error
    return slope, slope - half, slope + half


def _findings(names: tuple[str, str], runs: list[int], count: int) -> tuple[Finding, ...]:
    if max(runs) > count:
        return ()
    return (
        Finding(
            "single_runs",
            f"{names[0]} and {names[1]} have one run at each of {counted(count, 'scale')}: the scatter between scales is all that is known "
            "of chance. Repeat a scale with another seed.",
        ),
    )


def _times(number: float) -> str:
    return f"{format_value(number, 3)}x"
