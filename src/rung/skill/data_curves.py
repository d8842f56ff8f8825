"""Learning curves: error against data, the size that data need, and whether an improvement shifts a curve or changes its exponent.

    error of the best size   eps(m) = alpha m^-beta + gamma in the power-law region
    size of the best         s(m) = a m^b, by least squares on logarithms over m where the best size lies inside the sizes tried
    two recipes              exponents stay where the interval of beta_1 - beta_2 contains zero; then alpha_1 / alpha_2 is the shift

Source: Hestness et al. 2017, arXiv:1712.00409, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.findings import Finding
from rung.fitting import Fit, learning_curve
from rung.messages import did_you_mean
from rung.results import Result, Summary, Table
from rung.runs import Runs, as_runs
from rung.skill.run_ends import left_out
from rung.units import format_count, format_interval, format_value

_FEWEST = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataCurve:
    """The learning curve of one recipe.

    Attributes:
        recipe: The recipe; empty where there is one alone.
        samples: Sizes of the data (n,).
        error: The error of the best size at each (n,).
        size: The best size at each (n,); None without sizes.
        fit: The power law with a floor, fitted in the region.
        region: The smallest and the largest amount of data in the power-law region.
        floor: Whether the data show a floor.
        size_law: a, b and the interval of b; None where fewer than three best sizes lie inside those tried.
        needed: Data that reach the target error, between measured amounts where the measured errors reach it, otherwise by the law; None
            where it is not asked, or lies at or below the floor.
    """

    recipe: str
    samples: Array
    error: Array
    size: Array | None
    fit: Fit
    region: tuple[float, float]
    floor: bool
    size_law: tuple[float, float, float, float] | None
    needed: float | None

    def __call__(self, samples: Array) -> Array:
        """The error that the power law gives at amounts of data, of their shape."""
        alpha, beta, gamma = _power_law(self.fit)
        return np.asarray(alpha * np.asarray(samples, dtype=float) ** -beta + gamma)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DataCurves(Result):
    """Learning curves of one recipe or several.

    Attributes:
        curves: Each recipe.
        target: The target error; None where it is not asked.
        samples: The column of the amount of data.
        column: The column of the error.
        warnings: Findings.
    """

    curves: tuple[DataCurve, ...]
    target: float | None
    samples: str
    column: str
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The exponent of each recipe, and whether they agree."""
        told = ", ".join(f"{one.recipe + ' ' if one.recipe else ''}beta {format_value(_of(one, 'beta')[0], 3)}" for one in self.curves)  # fmt: skip
        return told + (f"; {self.shift()}" if len(self.curves) > 1 else "")

    def shift(self) -> str:
        """Whether recipes shift the curve or change its exponent, of the first against each other."""
        first = self.curves[0]
        said = []
        for other in self.curves[1:]:
            one, two = (_of(curve, "beta") for curve in (first, other))
            gap = two[0] - one[0]
            widths = np.array([_half(low, high) for _, low, high in (one, two)])
            if abs(gap) > float(np.sqrt((widths**2).sum())):
                said.append(f"{other.recipe} changes the exponent by {gap:+.3f}")
            else:
                last = min(first.samples[-1], other.samples[-1])
                ratio = np.interp(np.log(last), np.log(other.samples), other.error) / np.interp(
                    np.log(last), np.log(first.samples), first.error
                )
                said.append(
                    f"{other.recipe} shifts the error to {ratio:.2f} of that of {first.recipe} at m = {format_count(last)}; no change of exponent is shown"
                )
        return "; ".join(said)  # fmt: skip

    def describe(self) -> Summary:
        """Region, coefficients, size law and data needed."""
        rows = [
            [
                one.recipe or self.column,
                f"{format_count(one.region[0])} to {format_count(one.region[1])}",
                *(_shown(_of(one, name)) for name in ("beta", "gamma")),
                "yes" if one.floor else "not shown",
                "-" if one.size_law is None else "{1:.2f} ({2:.2f} to {3:.2f})".format(*one.size_law),
                "-" if one.needed is None else format_count(one.needed),
            ]
            for one in self.curves
        ]
        header = ["curve", "power-law region", "beta", "floor gamma", "floor", "size exponent b", "data for the target"]
        blocks: list[str | Table] = [Table(header, rows)]
        if len(self.curves) > 1:
            blocks.append(f"verdict  {self.shift()}")
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row per recipe and size of the data."""
        return pl.concat(
            pl.DataFrame({"recipe": [one.recipe] * len(one.samples), "samples": one.samples, "error": one.error, "params": one.size if one.size is not None else [None] * len(one.samples), "in_region": one.samples >= one.region[0]})
            for one in self.curves
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The curves as plain values."""
        return {
            "column": self.column,
            "target": self.target,
            "curves": [
                {
                    "recipe": one.recipe,
                    "region": list(one.region),
                    **{name: list(_of(one, name)) for name in ("alpha", "beta", "gamma")},
                    "floor": one.floor,
                    "size_law": None if one.size_law is None else list(one.size_law),
                    "needed": one.needed,
                }
                for one in self.curves
            ],
            "verdict": self.shift() if len(self.curves) > 1 else None,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def data_curves(
    runs: Any,
    *,
    samples: str = "tokens",
    target: str = "loss",
    by: str | None = None,
    reach: float | None = None,
    seed: int = 0,
) -> DataCurves:
    """Learning curves of a table of runs: the best size at each amount of data.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        samples: The column of the amount of data.
        target: The column of the error, positive.
        by: The column of the recipe.
        reach: A target error.
        seed: Seed of the starts.

    Raises:
        SkillError: A column is missing, or there are too few amounts of data.
        FitError: The errors cannot be fitted.
    """
    if reach is not None and not reach > 0:
        raise SkillError(f"--reach {reach:g}: a target error is positive.")
    table = as_runs(runs)
    for name in (samples, target, *([by] if by else [])):
        if not table.has(name):
            raise SkillError(f"{table.source} has no column {name!r}.{did_you_mean(name, table.columns)}")
    recipes = table.texts(by) if by else np.full(table.frame.height, "")
    known = np.isfinite(table.numbers(samples)) & np.isfinite(table.numbers(target))
    found = [
        _curve(table, str(recipe), recipes == recipe, samples, target, reach, seed)
        for recipe in dict.fromkeys(recipes.tolist())
    ]
    return DataCurves(
        curves=tuple(found),
        target=reach,
        samples=samples,
        column=target,
        warnings=(*left_out(table, f"{samples} and {target}", known), *_of_fits(found)),
    )


def _of_fits(curves: Sequence[DataCurve]) -> list[Finding]:
    """What speaks against each fit, with the recipe that it is about where there are several."""
    return [
        replace(finding, text=f"{one.recipe}: {finding.text}") if len(curves) > 1 else finding
        for one in curves
        for finding in one.fit.warnings
    ]


def _curve(table: Runs, recipe: str, rows: Any, samples: str, target: str, reach: float | None, seed: int) -> DataCurve:
    m, error = table.numbers(samples)[rows], table.numbers(target)[rows]
    params = table.numbers("params")[rows] if table.has("params") else None
    known = np.isfinite(m) & np.isfinite(error)
    if known.any() and min(float(m[known].min()), float(error[known].min())) <= 0:
        raise SkillError(
            f"{samples} and {target} must be positive for a power law; the smallest are {m[known].min():g} and {error[known].min():g}."
        )
    amounts = np.unique(m[known])
    if len(amounts) < _FEWEST:
        raise SkillError(
            f"{recipe + ': ' if recipe else ''}a learning curve needs {_FEWEST} amounts of data or more; {samples} has {len(amounts)}."
        )
    best = [int(np.flatnonzero(known & (m == one))[np.argmin(error[known & (m == one)])]) for one in amounts]
    curve = learning_curve(amounts, error[best], seed=seed)
    law = None if params is None else _size_law(m, params, best)
    needed = None
    if reach is not None:
        needed = _reached(amounts, error[best], reach) or _by_law(curve.fit, reach)
    return DataCurve(
        recipe=recipe,
        samples=amounts,
        error=error[best],
        size=None if params is None else params[best],
        fit=curve.fit,
        region=(curve.first, curve.last),
        floor=curve.floor,
        size_law=law,
        needed=needed,
    )


def _reached(amounts: Array, error: Array, reach: float) -> float | None:
    """The data at which measured errors reach a target for the first time, between two amounts; None where they do not."""
    below = np.flatnonzero(error <= reach)
    if not len(below):
        return None
    at = int(below[0])
    if at == 0:
        return float(amounts[0])
    x, y = np.log(amounts[at - 1 : at + 1]), np.log(error[at - 1 : at + 1])
    return float(np.exp(np.interp(np.log(reach), y[::-1], x[::-1])))


def _power_law(fit: Fit) -> tuple[float, float, float]:
    """alpha, beta and gamma."""
    alpha, beta, gamma = (float(fit.values.get(name, 0.0)) for name in ("alpha", "beta", "gamma"))
    return alpha, beta, gamma


def _by_law(fit: Fit, reach: float) -> float | None:
    alpha, beta, gamma = _power_law(fit)
    return float(((reach - gamma) / alpha) ** (-1 / beta)) if reach > gamma else None


def _size_law(m: Array, params: Array, best: list[int]) -> tuple[float, float, float, float] | None:
    """A and b of s(m) = a m^b with the 90 % interval of b, from amounts whose best size is neither the smallest nor the largest tried."""
    from scipy.stats import t

    inside = []
    for row in best:
        tried = params[m == m[row]]
        if tried.min() < params[row] < tried.max():
            inside.append(row)
    if len({m[row] for row in inside}) < 3:
        return None
    x, y = np.log(m[inside]), np.log(params[inside])
    slope, level = np.polyfit(x, y, 1)
    gaps = y - level - slope * x
    error = np.sqrt((gaps**2).sum() / max(len(x) - 2, 1) / ((x - x.mean()) ** 2).sum())
    half = float(t.ppf(0.95, max(len(x) - 2, 1)) * error)
    return float(np.exp(level)), float(slope), float(slope - half), float(slope + half)


def _of(one: DataCurve, name: str) -> tuple[float, float | None, float | None]:
    found = one.fit.coefficients.get(name)
    return (0.0, None, None) if found is None else (found.value, found.low, found.high)


def _half(low: float | None, high: float | None) -> float:
    return float("inf") if low is None or high is None else (high - low) / 2


def _shown(value: tuple[float, float | None, float | None]) -> str:
    return f"{format_value(value[0], 3)} ({format_interval(value[1], value[2], _three)})"


def _three(value: float) -> str:
    return format_value(value, 3)
