"""Small gains from few seeds: two recipes at one scale, or one recipe against a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import WorthError
from rung.findings import Finding
from rung.messages import counted, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.runs import Runs, as_runs
from rung.units import format_value
from rung.worth.axes import require_one_unit

POWER = 0.8
"""How often a gain as large as the minimum detectable effect is found."""

_SURE = 0.05
"""Two-sided p-value below which one recipe is called better."""

_MOST_SEEDS = 10_000
"""Most seeds that are counted up to for the observed gain."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SeedComparison(Result):
    """Runs that differ in their seeds alone, of two recipes or of one against a threshold.

    Attributes:
        control: The recipe that is the measure, or the threshold in words.
        treated: The recipe that is measured.
        target: What is compared; lower is better unless `higher`.
        higher: Whether higher is better.
        runs: Number of runs of the control (0 for a threshold) and of the treated recipe.
        means: Their means; the threshold in place of the control's.
        deviations: Standard deviations over seeds (n - 1); nan for a threshold or a single run.
        paired: Whether runs of one seed were taken as pairs.
        difference: Treated less control.
        low: Lower bound of its interval; nan with too few runs.
        high: Upper bound.
        p_value: One-sided p-value that the treated recipe is no better; adjusted where several were compared.
        comparisons: How many recipes were compared with the control together.
        detectable: The gain that so many runs find four times in five, at the same standard deviation.
        seeds_needed: Seeds of each recipe that would find the observed gain four times in five; None for none or too many.
        level: Coverage of the interval.
        warnings: Findings that speak against the comparison.
    """

    control: str
    treated: str
    target: str
    higher: bool
    runs: tuple[int, int]
    means: tuple[float, float]
    deviations: tuple[float, float]
    paired: bool
    difference: float
    low: float
    high: float
    p_value: float
    comparisons: int
    detectable: float
    seeds_needed: int | None
    level: float
    warnings: tuple[Finding, ...]

    @property
    def better(self) -> str | None:
        """Which is better; None where that is not shown: one-sided p under 0.025 on one side."""
        if not np.isfinite(self.p_value):
            return None
        if self.p_value < _SURE / 2:
            return self.treated
        return self.control if self.p_value > 1 - _SURE / 2 and self.comparisons == 1 else None

    def headline(self) -> str:
        """Which is better, with the p-value."""
        if not np.isfinite(self.p_value):
            return "one run each shows no difference: a second seed says how much runs differ by chance"
        told = f"{self.better} is better" if self.better else "no difference is shown"
        family = f", adjusted for {self.comparisons} comparisons (Holm)" if self.comparisons > 1 else ""
        return f"{told}: p = {self.p_value:.3g} that {self.treated} is no better{family}"

    def describe(self) -> Summary:
        """Both recipes, their difference, and what so few seeds can show."""
        rows = [
            [name, str(count) if count else "-", format_value(mean), _shown(deviation)]
            for name, count, mean, deviation in zip(
                (self.control, self.treated), self.runs, self.means, self.deviations, strict=True
            )
        ]
        lines = [
            f"difference {self.difference:+.4g} ({100 * self.level:g} %: {_shown(self.low)} to {_shown(self.high)})"
            + (", runs of one seed as pairs" if self.paired else ""),
            f"verdict    {self.headline()}",
        ]
        if np.isfinite(self.detectable):
            lines.append(f"detectable a gain of {self.detectable:.3g}, four times in five, with so many seeds")
        if self.seeds_needed is not None:
            lines.append(
                f"needed     {counted(self.seeds_needed, 'seed')} of each for a gain like the one seen, four times in five"
            )
        return Summary([Table(["recipe", "runs", f"mean {self.target}", "std over seeds"], rows), "\n".join(lines)])

    def to_frame(self) -> pl.DataFrame:
        """One row per recipe."""
        return pl.DataFrame(
            {
                "recipe": [self.control, self.treated],
                "runs": list(self.runs),
                "mean": list(self.means),
                "std": list(self.deviations),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        content = plain_fields(self)
        numbers = {name: _finite(value) for name, value in content.items() if isinstance(value, float)}
        pairs = {name: [_finite(value) for value in content[name]] for name in ("runs", "means", "deviations")}
        return {
            **content,
            **numbers,
            **pairs,
            "better": self.better,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def compare_seeds(
    control: Any,
    treated: Any,
    *,
    names: tuple[str, str] = ("A", "B"),
    target: str = "loss",
    higher: bool = False,
    level: float = 0.9,
) -> SeedComparison:
    """Compare runs that differ in their seeds alone.

    Two recipes are compared by Welch's t test, which allows them different deviations; where both have a column seed with
    two seeds or more in common, by the paired test over those. One recipe against a threshold is a one-sample t test.

    Args:
        control: Runs of the control recipe, or anything that `read_runs` takes; or a number, as a threshold.
        treated: Runs of the recipe that is measured, likewise.
        names: What the two are called.
        target: The column compared.
        higher: Whether higher is better.
        level: Coverage of the interval of the difference.

    Raises:
        WorthError: A table has no runs, or values that are not finite.
    """
    require_level(level, WorthError)
    second = as_runs(treated)
    sign = -1.0 if higher else 1.0
    ours = _values(second, target, names[1])
    if isinstance(control, int | float):
        base, theirs, paired = float(control), np.empty(0), None
    else:
        first = as_runs(control)
        require_one_unit((first, second), names, target)
        theirs = _values(first, target, names[0])
        base, paired = float(theirs.mean()), _paired(first, second, target)
    difference = float(ours.mean() - base if paired is None else np.mean(paired))
    error, degrees = standard_error(theirs, ours, paired)
    found = _tested(sign * difference, error, degrees, level)
    scale = {True: 1.0, False: 2.0}[paired is not None or not len(theirs)]
    return SeedComparison(
        control=names[0],
        treated=names[1],
        target=target,
        higher=higher,
        runs=(len(theirs), len(ours)),
        means=(base, float(ours.mean())),
        deviations=(_deviation(theirs), _deviation(ours)),
        paired=paired is not None,
        difference=difference,
        low=difference - found[1],
        high=difference + found[1],
        p_value=found[0],
        comparisons=1,
        detectable=detectable_difference(error, degrees),
        seeds_needed=_needed(-sign * difference, error, degrees, scale, min(len(ours), len(theirs) or len(ours))),
        level=level,
        warnings=(),
    )


def _values(runs: Runs, target: str, name: str) -> Array:
    values = runs.numbers(target, "the target")
    if not np.all(np.isfinite(values)):
        raise WorthError(f"{name} has rows without a finite {target}. Leave them out: --drop-nonfinite.")
    return values


def _paired(first: Runs, second: Runs, target: str) -> Array | None:
    """Differences of runs of one seed, where each recipe has two seeds or more, each once, and the same ones."""
    if not (first.has("seed") and second.has("seed")):
        return None
    seeds = [runs.numbers("seed") for runs in (first, second)]
    if any(len(np.unique(one)) < len(one) or not np.all(np.isfinite(one)) for one in seeds):
        return None
    if len(seeds[0]) < 2 or set(seeds[0]) != set(seeds[1]):
        return None
    ordered = [runs.numbers(target)[np.argsort(one)] for runs, one in zip((first, second), seeds, strict=True)]
    return np.asarray(ordered[1] - ordered[0])


def _deviation(values: Array) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def standard_error(theirs: Array, ours: Array, paired: Array | None = None) -> tuple[float, float]:
    """Standard error of a difference of means, or of the mean of paired differences, and its degrees of freedom; nan with too few.

    Source: Welch 1947 for two recipes, (v1 / n1 + v2 / n2)^2 / sum_i (v_i / n_i)^2 / (n_i - 1) degrees.
    """
    if paired is not None:
        return _deviation(paired) / np.sqrt(len(paired)), len(paired) - 1.0
    if not len(theirs):
        return _deviation(ours) / np.sqrt(len(ours)), len(ours) - 1.0
    known = [values for values in (theirs, ours) if len(values) > 1]
    if not known:
        return float("nan"), 0.0
    # One run alone has no deviation of its own: it takes that of the other recipe.
    pooled = float(np.mean([np.var(values, ddof=1) for values in known]))
    parts = [(np.var(values, ddof=1) if len(values) > 1 else pooled) / len(values) for values in (theirs, ours)]
    spread = [
        part**2 / (len(values) - 1) for part, values in zip(parts, (theirs, ours), strict=True) if len(values) > 1
    ]
    return float(np.sqrt(sum(parts))), float(sum(parts) ** 2 / sum(spread)) if sum(spread) else float(len(known[0]) - 1)


def _tested(difference: float, error: float, degrees: float, level: float) -> tuple[float, float]:
    """One-sided p-value of a difference below zero, and the half width of its interval."""
    if not (np.isfinite(error) and degrees > 0):
        return float("nan"), float("nan")
    if error == 0:
        return (0.0 if difference < 0 else 1.0), 0.0
    from scipy.stats import t

    return float(t.cdf(difference / error, degrees)), float(t.ppf((1 + level) / 2, degrees) * error)


def detectable_difference(error: float, degrees: float) -> float:
    """The gain d for which the test finds one with probability POWER: P(t' < -t_0.975) for t' noncentral at -d / error."""
    if not (np.isfinite(error) and degrees > 0 and error > 0):
        return float("nan")
    return error * _noncentrality(round(degrees, 1))


@cache
def _noncentrality(degrees: float) -> float:
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    cut = t.ppf(1 - _SURE / 2, degrees)
    return float(brentq(lambda shift: nct.sf(cut, degrees, shift) - POWER, 0.0, 5 * cut + 10.0))


def _needed(gain: float, error: float, degrees: float, recipes: float, seeds: int) -> int | None:
    """Seeds of each recipe with which the test finds a gain like this one with probability POWER."""
    if not (gain > 0 and np.isfinite(error) and error > 0 and degrees > 0):
        return None
    # The error of a difference falls with the root of the number of seeds.
    single = error * np.sqrt(seeds)
    count = 2
    while count <= _MOST_SEEDS:
        if gain >= single / np.sqrt(count) * _noncentrality(round(recipes * (count - 1.0), 1)):
            return count
        count = max(count + 1, int(count * 1.05))
    return None


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _shown(number: float) -> str:
    return f"{number:.4g}" if np.isfinite(number) else "-"
