"""One law fitted many times: to each level of a column, or to each of several targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import FitError, RungError
from rung.files import write_text
from rung.findings import Finding
from rung.fitting.fit import fit
from rung.fitting.result import SCHEMA, Fit
from rung.laws import Law
from rung.messages import counted
from rung.progress import reported
from rung.results import Result, Summary, Table
from rung.runs import Runs, as_runs
from rung.units import format_value

TARGET = "target"
"""What several fits differ in where they are of several targets."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Fits(Result):
    """Fits of one law.

    Attributes:
        by: The column whose levels they are of, or "target".
        fits: The fit of each level or target.
        failed: Why others could not be fitted.
    """

    by: str
    fits: Mapping[str, Fit]
    failed: Mapping[str, str]

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of all, each behind the name of its fit."""
        return tuple(
            Finding(finding.code, f"{name}: {finding.text}")
            for name, one in self.fits.items()
            for finding in one.warnings
        )

    def headline(self) -> str:
        """How many there are."""
        failed = f"; {len(self.failed)} could not be fitted" if self.failed else ""
        what = "targets" if self.by == TARGET else f"levels of {self.by}"
        return f"{len(self.fits)} {what}{failed}"

    def describe(self) -> Summary:
        """A row for each fit, with the standard errors of its coefficients."""
        names = list(dict.fromkeys(name for one in self.fits.values() for name in one.coefficients))
        rows = []
        for name, one in self.fits.items():
            cells = [_with_error(one, coefficient) for coefficient in names]
            rows.append([name, str(one.rows), *cells, one.status])
        law = next(iter(self.fits.values())).law
        blocks: list[str | Table] = [
            f"law        {law.name}: {law.text}",
            Table([self.by, "rows", *(f"{name} +- std. error" for name in names), "status"], rows),
        ]
        if self.failed:
            blocks.append("\n".join(f"{name}: not fitted: {why}" for name, why in self.failed.items()))
        return Summary([*blocks, self.headline()])

    def to_frame(self) -> pl.DataFrame:
        """The coefficients and what follows from them: a row for each, with the name of its fit in the first column."""
        parts = [
            one.to_frame().insert_column(0, pl.Series(self.by, [name] * len(one.to_frame())))
            for name, one in self.fits.items()
        ]
        return pl.concat(parts)

    def to_dict(self) -> dict[str, Any]:
        """The fits as plain values."""
        return {
            "schema_version": SCHEMA,
            "by": self.by,
            "fits": {name: one.to_dict() for name, one in self.fits.items()},
            "failed": dict(self.failed),
        }

    def write(self, path: str | Path) -> None:
        """Write the fits as JSON, beside the old file and then in its place."""
        import json

        write_text(path, json.dumps(self.to_dict(), allow_nan=False) + "\n")


def fit_each(
    runs: Any,
    law: str | Law = "chinchilla",
    *,
    by: str | None = None,
    targets: Sequence[str] = (),
    **options: Any,
) -> Fits:
    """Fit one law to each level of a column, or to each of several targets.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        law: The law, as for `fit`.
        by: A column; its levels are fitted one by one.
        targets: Columns that the law predicts, one fit each. Give either these or `by`.
        **options: The other options of `fit`; effort="quick" suits many small tables.

    Raises:
        RunsError: The table cannot be read or used.
        FitError: Both or neither of `by` and `targets` are given, or nothing could be fitted.
    """
    if (by is None) == (not targets):
        raise FitError("several fits are of the levels of a column, or of several targets: give one of the two.")
    table = as_runs(runs)
    for target in targets:
        table.numbers(target, "the target")
    jobs: dict[str, tuple[Runs, dict[str, Any]]] = {
        target: (table, {**options, "target": target}) for target in targets
    }
    if by is not None:
        levels = table.texts(by)
        jobs = {str(level): (table.take(levels == level), options) for level in np.unique(levels)}
    fits: dict[str, Fit] = {}
    failed: dict[str, str] = {}
    for name in reported(list(jobs), "fits"):
        part, chosen = jobs[name]
        try:
            fits[name] = fit(part, law, **chosen)
        except RungError as error:
            failed[name] = error.text
    if not fits:
        name, why = next(iter(failed.items()))
        raise FitError(f"none of {counted(len(failed), 'fit')} could be made; {name}: {why}")
    return Fits(by=by or TARGET, fits=fits, failed=failed)


def _with_error(one: Fit, coefficient: str) -> str:
    estimate = one.coefficients.get(coefficient)
    if estimate is None:
        return "-"
    error = "" if estimate.std_error is None else f" +- {format_value(estimate.std_error, 2)}"
    return format_value(estimate.value) + error
