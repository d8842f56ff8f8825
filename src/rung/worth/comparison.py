"""Two recipes compared, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.findings import Finding
from rung.messages import counted
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value

CONSTANT, EXPONENT, FLOOR, EITHER, UNDETERMINED = (
    "constant gain",
    "change of exponent",
    "change of floor",
    "changes with scale, by exponent or floor",
    "undetermined",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """How many times as much the control would need: above 1 the treated recipe is better.

    Attributes:
        of: "size", "data" or "compute".
        at: The scale at which it holds; None for a constant one.
        value: The estimate; nan where the control reaches that loss at no scale.
        low: Lower end of its interval; None where it is open.
        high: Upper end.
    """

    of: str
    at: float | None
    value: float
    low: float | None
    high: float | None

    @property
    def above(self) -> bool | None:
        """Whether it lies above 1: True, False, or None where the interval holds both."""
        if self.low is not None and self.low > 1:
            return True
        return False if self.high is not None and self.high < 1 else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Comparison(Result):
    """Two recipes over scale.

    Attributes:
        control: The recipe that is the measure.
        treated: The recipe that is measured.
        formula: The law of a constant gain.
        along: The scale: N, D or C.
        constant: The multipliers of a constant gain.
        by_scale: The multiplier along the scale, with a floor of each recipe's own where the verdict says so, else with
            exponents of its own.
        growth: The last of those over the first.
        verdict: CONSTANT, EXPONENT, FLOOR, EITHER or UNDETERMINED.
        better: Which recipe is better at the largest scale; None where that is undetermined.
        exponents: The treated recipe's exponents over the control's, by name.
        floor: The treated recipe's floor over the control's; None without one.
        runs: Number of runs of the control and of the treated recipe.
        shared: Scales that both recipes ran.
        lower: At how many of them the treated recipe has the lower mean loss.
        correlation: Correlation of the residuals of matched runs; None with too few.
        paired: Whether matched runs were taken as pairs.
        level: Coverage that intervals aim at.
        warnings: Findings that speak against the comparison.
    """

    control: str
    treated: str
    formula: str
    along: str
    constant: tuple[Multiplier, ...]
    by_scale: tuple[Multiplier, ...]
    growth: Multiplier
    verdict: str
    better: str | None
    exponents: tuple[tuple[str, Multiplier], ...]
    floor: Multiplier | None
    runs: tuple[int, int]
    shared: int
    lower: int
    correlation: float | None
    paired: bool
    level: float
    warnings: tuple[Finding, ...]

    @property
    def dominant(self) -> str | None:
        """The recipe that is better on every axis: each multiplier, each scale of the runs, each matched run; None where none is."""
        sides = {one.above for one in (*self.constant, *self.by_scale)}
        if len(sides) != 1 or None in sides or self.verdict not in {CONSTANT, UNDETERMINED}:
            return None
        treated = sides.pop() is True
        if self.shared and self.lower != (self.shared if treated else 0):
            return None
        return self.treated if treated else self.control

    def headline(self) -> str:
        """The verdict."""
        if self.dominant:
            side = f"{self.dominant} is better {'on every axis' if len(self.constant) > 1 else 'at every scale'}"
        elif self.better:
            side = f"{self.better} is better at the largest scale"
        else:
            side = "which is better at the largest scale is undetermined"
        lasts = (
            "whether the gain changes with scale is undetermined: the runs allow both"
            if self.verdict == UNDETERMINED
            else self.verdict
        )
        return f"{lasts}; {side}"

    def describe(self) -> Summary:
        """The multipliers, constant and along scale, the verdict, and what it rests on."""
        percent = f"{100 * self.level:g} % interval"
        lines = [
            f"compared   {counted(self.runs[0], 'run')} of {self.control}, {counted(self.runs[1], 'run')} of {self.treated}",
            f"verdict    {self.headline()}",
        ]
        lines += [
            f"{name:<10} {self.treated} over {self.control}: {_three(one.value)} ({format_interval(one.low, one.high, _three)})"
            for name, one in (*self.exponents, *([("floor", self.floor)] if self.floor else []))
        ]
        if self.shared:
            lines.append(self._matched())
        return Summary(
            [
                f"{self.treated} measured by {self.control}: how many times as much {self.control} would need for the same loss",
                Table(["if the gain is constant", "", percent], [self._row(one) for one in self.constant]),
                Table(["if it may change with scale", "", percent], [self._row(one) for one in self.by_scale]),
                "\n".join([*lines, f"law        {self.formula}, along {self.along}"]),
            ]
        )

    def _row(self, one: Multiplier) -> list[str]:
        name = one.of if one.at is None else f"{one.of} at {self.along} = {format_count(one.at)}"
        return [name, _times(one.value), format_interval(one.low, one.high, _times)]

    def _matched(self) -> str:
        paired = (
            f"; residuals of matched runs correlate by {self.correlation:+.2f}, so they were {'' if self.paired else 'not '}taken as "
            "pairs"
            if self.correlation is not None
            else ""
        )
        return f"matched    {self.treated} has the lower loss at {self.lower} of {self.shared} scales that both ran{paired}"

    def to_frame(self) -> pl.DataFrame:
        """One row per multiplier."""
        rows = (*self.constant, *self.by_scale)
        return pl.DataFrame(
            {name: [getattr(one, name) for one in rows] for name in ("of", "at", "value", "low", "high")}
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""

        def plain(one: Multiplier) -> dict[str, Any]:
            value = one.value if np.isfinite(one.value) else None
            return {"of": one.of, "at": one.at, "value": value, "low": one.low, "high": one.high}

        return {
            "control": self.control,
            "treated": self.treated,
            "formula": self.formula,
            "along": self.along,
            "constant": [plain(one) for one in self.constant],
            "by_scale": [plain(one) for one in self.by_scale],
            "growth": plain(self.growth),
            "verdict": self.verdict,
            "better": self.better,
            "dominant": self.dominant,
            "exponents": {name: plain(one) for name, one in self.exponents},
            "floor": plain(self.floor) if self.floor else None,
            "runs": list(self.runs),
            "shared": self.shared,
            "lower": self.lower,
            "correlation": self.correlation,
            "paired": self.paired,
            "level": self.level,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def _three(number: float) -> str:
    return format_value(number, 3)


def _times(number: float) -> str:
    return f"{_three(number)}x" if np.isfinite(number) else "at no scale"
