"""The best allocation for each of several budgets: the compute-optimal frontier as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from rung.errors import PlanError
from rung.findings import Finding
from rung.fitting import Fit, as_fit
from rung.messages import counted
from rung.planning.allocation.allocate import allocate
from rung.planning.allocation.result import Allocation
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BudgetFrontier(Result):
    """What to train at each of several budgets.

    Attributes:
        allocations: The best allocation of each budget, in their order.
        failed: Budgets without one, and why.
        warnings: The findings of all, each kind once, of the largest budget that has it.
    """

    allocations: tuple[Allocation, ...]
    failed: tuple[tuple[float, str], ...]
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The budgets, and what their ends train."""
        first, last = self.allocations[0], self.allocations[-1]
        return f"{counted(len(self.allocations), 'budget')} from {first.headline()} to {last.headline()}"

    def describe(self) -> Summary:
        """A row for each budget."""
        first = self.allocations[0]
        percent = f"{100 * first.level:g} %"
        header = ["cost"]
        for name in first.choices:
            header += [name, percent]
        header += ["D / N"] if first.tokens_per_param is not None else []
        header += [first.target, f"{percent} of a new run", "beyond the runs"]
        rows = []
        for one in self.allocations:
            row = [format_count(one.budget)]
            for choice in one.choices.values():
                row += [format_count(choice.value), format_interval(*choice.interval, format_count)]
            row += [format_value(one.tokens_per_param, 3)] if one.tokens_per_param is not None else []
            factor = one.extrapolation_factor
            rows.append(
                [
                    *row,
                    format_value(one.loss),
                    format_interval(*one.run_interval),
                    f"{format_value(factor, 3)}x" if factor > 1 else "inside",
                ]
            )
        failed = [f"{format_count(budget)}: {why}" for budget, why in self.failed]
        return Summary([Table(header, rows), *failed])

    def to_frame(self) -> pl.DataFrame:
        """One row per budget."""
        rows = []
        for one in self.allocations:
            row: dict[str, float | None] = {"cost": one.budget}
            for name, choice in one.choices.items():
                low, high = choice.interval
                row |= {name: choice.value, f"{name}_low": low, f"{name}_high": high}
                row |= {f"{name}_flat_low": choice.flat[0], f"{name}_flat_high": choice.flat[1]}
            row |= {one.target: one.loss, "run_low": one.run_interval[0], "run_high": one.run_interval[1]}
            rows.append({**row, "extrapolation_factor": one.extrapolation_factor})
        return pl.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The frontier as plain values."""
        return {
            "allocations": [one.to_dict() for one in self.allocations],
            "failed": [{"budget": budget, "why": why} for budget, why in self.failed],
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def allocate_budgets(fit: Fit | str | Path, budgets: Sequence[float], **options: Any) -> BudgetFrontier:
    """The best allocation for each of several budgets.

    Args:
        fit: The fitted law, its file, or the name of a law of the book with constants.
        budgets: The budgets, in the unit of the cost formula.
        **options: As for `allocate`, but for `flops` and `loss`.

    Raises:
        PlanError: No budget has an allocation.
    """
    source = as_fit(fit)
    found, failed = [], []
    for budget in budgets:
        try:
            found.append(allocate(source, flops=float(budget), **options))
        except PlanError as error:
            failed.append((float(budget), error.text))
    if not found:
        raise PlanError(failed[0][1] if failed else "give at least one budget.")
    by_code = {finding.code: finding for one in found for finding in one.warnings}
    return BudgetFrontier(allocations=tuple(found), failed=tuple(failed), warnings=tuple(by_code.values()))
