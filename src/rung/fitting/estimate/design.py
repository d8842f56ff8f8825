"""What the solver uses of a table: arrays, groups and clusters, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array, Indices
from rung.errors import FitError
from rung.fitting.estimate.objective import Objective
from rung.laws import Coefficient, Law, Tape, Workspace, column_of, compile_tape, workspace
from rung.messages import plural_of
from rung.runs import Runs, require_usable

NO_EFFECT = 300.0
"""Absolute value of an unconstrained parameter whose coefficient is at a bound of its range, to rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A law's arrays over the n rows of a table of runs.

    Attributes:
        columns: Values of each variable (n,).
        target: The target, on its own scale (n,).
        weights: Weight of each row in the objective (n,).
        groups: For each group, the index of each row's level (n,).
        levels: For each group, the number of its levels.
        level_names: For each group, the names of its levels.
        run: Index of the run that each row belongs to, from 0 (n,).
        row: Number of each row in its file, from 1 (n,).
        source: The table's name, for messages.
        size: K, the number of unconstrained parameters of the law on this table.
    """

    columns: Mapping[str, Array]
    target: Array
    weights: Array
    groups: Mapping[str, NDArray[np.intp]]
    levels: Mapping[str, int]
    level_names: Mapping[str, tuple[str, ...]]
    run: NDArray[np.intp]
    row: NDArray[np.int64]
    source: str
    size: int

    @property
    def rows(self) -> int:
        return len(self.target)

    def width(self, coefficient: Coefficient) -> int:
        """How many unconstrained parameters a coefficient has: one, or one for each level of its group."""
        return self.levels[coefficient.group] if coefficient.group else 1

    def parameters(self, law: Law) -> list[Coefficient]:
        """The coefficient of each unconstrained parameter (K)."""
        return [coefficient for coefficient in law.free for _ in range(self.width(coefficient))]

    def values(self, law: Law, unconstrained_BK: Array) -> Array:
        """Values of the coefficients from unconstrained parameters (B, K)."""
        columns = [c.to_value(unconstrained_BK[:, index]) for index, c in enumerate(self.parameters(law))]
        return np.stack(columns, axis=1)

    def unconstrained(self, law: Law, values: Iterable[float]) -> Array:
        """Unconstrained parameters of coefficients (K,); +-NO_EFFECT for a coefficient at a bound of its range."""
        with np.errstate(all="ignore"):
            unconstrained = [
                float(c.to_unconstrained(value)) for c, value in zip(self.parameters(law), values, strict=True)
            ]
        return np.asarray(np.nan_to_num(unconstrained, posinf=NO_EFFECT, neginf=-NO_EFFECT))

    @property
    def runs(self) -> int:
        return int(self.run.max()) + 1

    @property
    def strata(self) -> NDArray[np.intp]:
        """For each run, the index of the combination of group levels in its first row (runs,)."""
        first = np.unique(self.run, return_index=True)[1]
        stacked = np.stack([np.zeros_like(first), *(codes[first] for codes in self.groups.values())], axis=1)
        return np.unique(stacked, axis=0, return_inverse=True)[1].ravel().astype(np.intp)

    def runs_at(self, group: str) -> NDArray[np.intp]:
        """The number of runs at each level of a group (levels,)."""
        pairs = np.unique(np.stack([self.groups[group], self.run], axis=1), axis=0)
        return np.bincount(pairs[:, 0], minlength=self.levels[group])

    def take(self, rows: NDArray[np.intp]) -> Design:
        """The design of some of the rows."""
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            target=self.target[rows],
            weights=self.weights[rows],
            groups={name: codes[rows] for name, codes in self.groups.items()},
            run=self.run[rows],
            row=self.row[rows],
        )

    def at(self, columns: Mapping[str, Array], groups: Mapping[str, NDArray[np.intp]]) -> Design:
        """The design at other points: for the law's values there, not for fitting."""
        count = len(next(iter(columns.values())))
        zeros = np.zeros(count)
        indices = np.arange(count)
        return replace(
            self,
            columns=columns,
            groups=groups,
            target=zeros,
            weights=zeros,
            run=indices,
            row=indices.astype(np.int64),
        )

    def tape(self, law: Law, residual: str) -> Tape:
        positive = {name: bool(np.all(column > 0)) for name, column in self.columns.items()}
        return compile_tape(law.computed, law.coefficients, positive=positive, levels=self.levels, residual=residual)

    def workspace(self, law: Law, residual: str, jobs: int) -> Workspace:
        return workspace(self.tape(law, residual), self.columns, self.groups, self.rows, jobs)


def columns_used(law: Law, target: str, weights: str | None = None) -> list[str]:
    """The columns of the table that fitting a law to a target reads."""
    variables = dict.fromkeys(map(column_of, law.variables))
    return [*variables, *law.groups, target, *([weights] if weights else [])]


def make_design(
    runs: Runs, law: Law, objective: Objective, *, target: str = "loss", weights: str | None = None
) -> Design:
    """The design of a law over a table, with at least as many rows as coefficients.

    Raises:
        RunsError: A column is missing, or has a row that cannot be used.
        FitError: A row has no value on the objective's scale, or there are too few rows.
    """
    design = design_of_any_size(runs, law, objective, target=target, weights=weights)
    if design.rows < design.size:
        raise FitError(
            f"{design.size} coefficients cannot be fitted to {design.rows} {plural_of(design.rows, 'run', 'rows')} "
            f"({'; '.join([runs.source, *runs.notes])}). Add runs, or fix some: --fix {law.free[0].name}=VALUE."
        )
    return design


def design_of_any_size(
    runs: Runs, law: Law, objective: Objective, *, target: str = "loss", weights: str | None = None
) -> Design:
    """As `make_design`, but also with fewer rows than coefficients."""
    variables, values = measured_at(runs, law, objective, target)
    row_weights = _numbers(runs, weights, "--weights") if weights else np.ones(len(values))
    if np.any(row_weights < 0) or not np.any(row_weights > 0):
        raise FitError(f"{runs.source}: weights in {weights!r} must be zero or more, and not all zero.")
    groups, names = _groups(runs, law.groups)
    levels = {group: len(found) for group, found in names.items()}
    size = sum(levels[c.group] if c.group else 1 for c in law.free)
    if not law.free:
        raise FitError(f"every coefficient of {law.formula!r} is fixed; leave one free.")
    require_usable(runs, columns_used(law, target, weights))
    return Design(
        columns=variables,
        target=values,
        weights=row_weights,
        groups=groups,
        levels=levels,
        level_names=names,
        run=runs.run_index(),
        row=runs.row_numbers(),
        source=runs.source,
        size=size,
    )


def measured_at(runs: Runs, law: Law, objective: Objective, target: str) -> tuple[dict[str, Array], Array]:
    """The law's variables and the target, after a check that every row can be used.

    Raises:
        RunsError: A column is missing.
        FitError: A row has no finite number, or none on the objective's scale.
    """
    variables = {name: _numbers(runs, column_of(name), f"{name!r} in the formula") for name in law.variables}
    values = _numbers(runs, target, "the target")
    _check_target(runs, values, objective, target)
    return variables, values


def _numbers(runs: Runs, column: str, what: str) -> Array:
    values = runs.numbers(column, what)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        others = f", and {len(bad) - 1} more {plural_of(len(bad) - 1, 'row')}" if len(bad) > 1 else ""
        raise FitError(
            f"{runs.row_name(int(bad[0]))}: {column} is {runs.shown(column, int(bad[0]))}{others}. "
            "Remove the rows or pass --drop-nonfinite; no row is dropped silently."
        )
    return values


def _check_target(runs: Runs, values: Array, objective: Objective, target: str) -> None:
    if objective.residual == "log":
        bad = np.flatnonzero(values <= 0)
        requirement, condition = "positive for residuals of the logarithm", f"{target} > 0"
    elif objective.residual == "logit":
        bad = np.flatnonzero((values <= 0) | (values >= 1))
        requirement, condition = "inside (0, 1) for logit residuals", f"{target} > 0 and {target} < 1"
    else:
        return
    if len(bad):
        raise FitError(
            f"{runs.row_name(int(bad[0]))}: {target} is {values[bad[0]]:g}, and must be {requirement} "
            f"({len(bad)} such {plural_of(len(bad), 'row')}). Pass --objective squares, or remove them: "
            f'--where "{condition}".'
        )


def _groups(runs: Runs, wanted: Sequence[str]) -> tuple[dict[str, NDArray[np.intp]], dict[str, tuple[str, ...]]]:
    codes: dict[str, Indices] = {}
    names: dict[str, tuple[str, ...]] = {}
    for group in wanted:
        levels, inverse = np.unique(runs.texts(group), return_inverse=True)
        codes[group] = inverse.astype(np.intp)
        names[group] = tuple(str(level) for level in levels)
    return codes, names


def coefficient_names(law: Law, levels: Mapping[str, Sequence[str]]) -> list[str]:
    """The name of each estimated number: a coefficient, or A[level] for one level of a group."""
    return [
        f"{coefficient.name}[{level}]" if coefficient.group else coefficient.name
        for coefficient in law.free
        for level in (levels[coefficient.group] if coefficient.group else ("",))
    ]
