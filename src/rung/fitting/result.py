"""A fit as a value, and as a file that a person can read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rung.arrays import Array, Indices
from rung.errors import FitError
from rung.files import digest_of, write_text
from rung.findings import Finding
from rung.fitting.backtest.backtest import Backtest
from rung.fitting.backtest.discrepancy import Discrepancy
from rung.fitting.estimate.design import Design
from rung.fitting.estimate.objective import Objective
from rung.fitting.uncertainty.estimate import Estimate
from rung.laws import Law, column_of
from rung.messages import counted
from rung.results import Result, Summary, Table
from rung.runs import as_runs
from rung.units import format_count, format_error, format_interval, format_value

SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Fit(Result):
    """A law fitted to a table of runs, with the whole story of the fit.

    Attributes:
        law: The law.
        coefficients: Each free coefficient, those of groups as A[level].
        objective: What was minimised.
        objective_value: Its value, summed over rows.
        starts_tried: How many starts the search ran.
        starts_agreed: How many of them reached the optimum.
        status: "explains_nothing", "converged", "few_starts_agree", "not_converged", "undetermined", "saturated" or "exact".
        level: Coverage of the intervals.
        interval: How intervals were found: "profile", "sandwich" or "bootstrap".
        rows: Rows fitted.
        runs: Runs that they belong to.
        source: The table's name.
        notes: What was left out of the table, and by what.
        target: The column fitted.
        mapping: Each column used, and what it was read from.
        derived: Quantities that follow from the coefficients, such as params_exponent; nan where those are undetermined.
        warnings: Findings that speak against the fit.
        ranges: Smallest and largest value of each variable among the rows fitted.
        groups: Levels of each grouping column.
        draws: Coefficients of each resample (B, K), in the order of `coefficients`.
        noise: Quantiles of a new run's deviation from the law, on the residual's scale.
        scale: Scale of Student's loss at the optimum; 1 for other losses.
        backtest: How wrong the law would have been about the larger scales; None where the table has too few.
        discrepancy: Model discrepancy beyond the runs; None where intervals are to be statistical.
        priors: Coefficients that had a prior: its mean and standard error.
        prior_noise: Noise of the objective that priors were weighted against; 0 without any.
        table: The rows fitted, from which intervals of forecasts are made; None for a long table.
        data_digest: Fingerprint of the columns used.
        seed: Seed of starts and resamples.
        version: Version of Rung.
    """

    law: Law
    coefficients: Mapping[str, Estimate]
    objective: Objective
    objective_value: float
    starts_tried: int
    starts_agreed: int
    status: str
    level: float
    interval: str
    rows: int
    runs: int
    source: str
    notes: tuple[str, ...]
    target: str
    mapping: Mapping[str, str]
    derived: Mapping[str, Estimate]
    warnings: tuple[Finding, ...]
    ranges: Mapping[str, tuple[float, float]]
    groups: Mapping[str, tuple[str, ...]]
    draws: Array
    noise: Array
    scale: float
    backtest: Backtest | None
    discrepancy: Discrepancy | None
    priors: Mapping[str, tuple[float, float]]
    prior_noise: float
    table: Design | None
    data_digest: str
    seed: int
    version: str

    @property
    def residuals(self) -> Array:
        """Measured minus fitted target of every row, on the residual's scale (n,).

        Raises:
            FitError: The fit keeps no rows, because its table is long.
        """
        if self.table is None:
            raise FitError(f"the fit keeps no rows of {self.rows:,}, so it has no residuals. Fit a part of the table.")
        measured = self.objective.transform(self.table.target)
        unconstrained = self.table.unconstrained(self.law, self.values.values())
        fitted = self.table.workspace(self.law, self.objective.residual, 1).evaluate(unconstrained[None, :])[0][0]
        return np.asarray(measured - fitted)

    def predict(self, runs: Any) -> Array:
        """The law at the rows of a table of runs (n,), in the unit of the target; nan where it has no value.

        Args:
            runs: A table with the law's variables and groups, or anything that `read_runs` takes.

        Raises:
            RunsError: A column is missing.
            FitError: A row has a level of a group that the fit does not have.
        """
        table = as_runs(runs)
        columns = {name: table.numbers(column_of(name), f"{name!r} in the formula") for name in self.law.variables}
        texts = {group: table.texts(group) for group in self.groups}
        predicted = np.empty(len(table))
        for levels, rows in level_combinations(texts, len(table)):
            estimate, _ = self.vectors(levels)
            with np.errstate(all="ignore"):
                predicted[rows] = self.law.value(estimate, {name: column[rows] for name, column in columns.items()})
        return np.where(np.isfinite(predicted), predicted, np.nan)

    def to_frame(self) -> pl.DataFrame:
        """The coefficients and what follows from them, one row each: name, value, low, high, std_error."""
        rows = {**self.coefficients, **self.derived}
        fields = ("value", "low", "high", "std_error")
        return pl.DataFrame(
            {
                "name": list(rows),
                **{
                    field: pl.Series([getattr(one, field) for one in rows.values()], dtype=pl.Float64)
                    for field in fields
                },
            }
        )

    def headline(self) -> str:
        """Law, coefficients and status."""
        values = ", ".join(f"{name}={format_value(value, 4)}" for name, value in list(self.values.items())[:8])
        more = f" and {len(self.values) - 8} more" if len(self.values) > 8 else ""
        return f"{self.law.name}: {values}{more}; {counted(self.rows, 'row')}, {self.status}"

    def describe(self) -> Summary:
        """What was read, how the optimum was found, the coefficients and the backtest."""
        runs = "" if self.rows == self.runs else f" of {counted(self.runs, 'run')}"
        delta = f" (delta {self.objective.delta:g})" if self.objective.delta else ""
        ranges = (f"{name} {format_count(low)} to {format_count(high)}" for name, (low, high) in self.ranges.items())
        head = [
            f"law        {self.law.name}: {self.law.text}",
            f"read       {self.source}: {', '.join(f'{name} = {column}' for name, column in self.mapping.items())}",
            f"fitted     {'; '.join([counted(self.rows, 'row') + runs, *self.notes])}",
            f"objective  {self.objective.name}{delta}: {self.objective_value:.7g}; {self.starts_agreed} of {self.starts_tried} starts "
            f"agree; {self.status}",
            f"range      {', '.join(ranges)}",
        ]
        rows = [
            [name, format_value(e.value), format_interval(e.low, e.high), format_error(e.std_error, e.low, e.high)]
            for name, e in (*self.coefficients.items(), *self.derived.items())
        ]
        table = Table(["coefficient", "value", f"{100 * self.level:g} % interval", "std. error"], rows)
        last = [] if self.backtest is None else [self.backtest.headline()]
        return Summary(["\n".join(head), table, *last])

    @property
    def values(self) -> dict[str, float]:
        """The coefficients' values by name."""
        return {name: estimate.value for name, estimate in self.coefficients.items()}

    def vectors(self, levels: Mapping[str, str]) -> tuple[dict[str, float], dict[str, Array]]:
        """Coefficients of the law for one level of each group: the estimate, and the draws (B,).

        Raises:
            FitError: A level is missing or unknown.
        """
        estimate: dict[str, float] = {}
        draws: dict[str, Array] = {}
        indices = {name: index for index, name in enumerate(self.coefficients)}
        for coefficient in self.law.free:
            name = coefficient.name
            if coefficient.group:
                known = self.groups[coefficient.group]
                level = levels.get(coefficient.group)
                if level not in known:
                    raise FitError(
                        f"the law has its own {name} for each {coefficient.group}; give one of them: "
                        f"{coefficient.group}={'|'.join(known[:8])}."
                    )
                name = f"{name}[{level}]"
            estimate[coefficient.name] = self.coefficients[name].value
            draws[coefficient.name] = self.draws[:, indices[name]]
        return estimate, draws

    def to_json(self) -> str:
        """The fit as one JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain values with a digest of them; numbers that are not finite are null."""
        content = self._content()
        return {**content, "digest": digest_of(content)}

    def _content(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA,
            "law": {
                "name": self.law.name,
                "formula": self.law.formula,
                "text": self.law.text,
                "variables": list(self.law.variables),
            },
            "coefficients": {name: _estimate(e) for name, e in self.coefficients.items()},
            "objective": {
                "name": self.objective.name,
                "delta": self.objective.delta,
                "value": self.objective_value,
            },
            "starts": {"tried": self.starts_tried, "agreed": self.starts_agreed},
            "status": self.status,
            "rows": self.rows,
            "runs": self.runs,
            "source": self.source,
            "notes": list(self.notes),
            "target": self.target,
            "mapping": dict(self.mapping),
            "derived": {name: _estimate(e) for name, e in self.derived.items()},
            "warnings": [finding.to_dict() for finding in self.warnings],
            "data_digest": self.data_digest,
            "seed": self.seed,
            "version": self.version,
            "level": self.level,
            "interval": self.interval,
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "groups": {name: list(levels) for name, levels in self.groups.items()},
            "student_scale": self.scale,
            "backtest": self.backtest.to_dict() if self.backtest else None,
            "discrepancy": self.discrepancy.to_dict() if self.discrepancy else None,
            "priors": {name: list(pair) for name, pair in self.priors.items()},
            "prior_noise": self.prior_noise,
            "noise": self.noise.tolist(),
            "table": _table(self.table) if self.table else None,
            "draws": [[_finite(value) for value in row] for row in self.draws.tolist()],
        }

    def write(self, path: str | Path) -> None:
        """Write the fit as JSON, beside the old file and then in its place."""
        write_text(path, self.to_json())


def level_combinations(texts: Mapping[str, NDArray[np.str_]], rows: int) -> Iterator[tuple[dict[str, str], Indices]]:
    """Each combination of group levels in a table, and its rows.

    Args:
        texts: The level of each row (n,), for each group; none for a law without groups.
        rows: How many rows the table has.
    """
    if not texts:
        yield {}, np.arange(rows)
        return
    stacked = np.stack(list(texts.values()), axis=1)
    combinations, inverse = np.unique(stacked, axis=0, return_inverse=True)
    for index, combination in enumerate(combinations):
        levels = {group: str(level) for group, level in zip(texts, combination, strict=True)}
        yield levels, np.flatnonzero(inverse.ravel() == index)


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: _finite(getattr(estimate, name)) for name in ("value", "low", "high", "std_error")}


def _table(design: Design) -> dict[str, Any]:
    return {
        "source": design.source,
        "columns": {name: column.tolist() for name, column in design.columns.items()},
        "groups": {name: codes.tolist() for name, codes in design.groups.items()},
        "target": design.target.tolist(),
        "weights": design.weights.tolist(),
        "run": design.run.tolist(),
        "row": design.row.tolist(),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
