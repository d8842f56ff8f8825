"""Levels of a group that have too few runs for coefficients of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.findings import Finding
from rung.fitting.diagnose.identifiability import listed_some
from rung.fitting.estimate.problem import Problem

_FEW_SPARE = 3
"""Runs of a group's level beyond its own coefficients up to which their intervals are called rough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLevel:
    """One level of a grouping column, and what its own coefficients stand on.

    Attributes:
        name: The level, as column=level.
        runs: How many runs it has.
        places: Places of its own coefficients.
    """

    name: str
    runs: int
    indices: tuple[int, ...]

    @property
    def saturated(self) -> bool:
        """Whether its coefficients meet its runs whether they are true or not."""
        return self.runs <= len(self.indices)

    @property
    def sparse(self) -> bool:
        return not self.saturated and self.runs <= len(self.indices) + _FEW_SPARE


def group_levels(problem: Problem) -> list[GroupLevel]:
    """Every level of every grouping column that has coefficients of its own."""
    design = problem.design
    numbers = design.parameters(problem.law)
    found = []
    for group, levels in design.level_names.items():
        counts = design.runs_at(group)
        # The numbers of one coefficient stand together, one per level in order.
        firsts = [index for index, c in enumerate(numbers) if c.group == group][:: len(levels)]
        found += [
            GroupLevel(name=f"{group}={level}", runs=int(counts[at]), indices=tuple(first + at for first in firsts))
            for at, level in enumerate(levels)
            if firsts
        ]
    return found


def group_findings(levels: Sequence[GroupLevel]) -> list[Finding]:
    """Levels of a group with too few runs for coefficients of their own."""
    found = []
    saturated = [level.name for level in levels if level.saturated]
    if saturated:
        found.append(
            Finding(
                "undetermined",
                f"{listed_some(saturated)} {'has' if len(saturated) == 1 else 'have'} no more runs than coefficients of "
                f"{'its' if len(saturated) == 1 else 'their'} own, which meet them whether they are true or not: no interval is given "
                "there. Add runs, or share coefficients between groups.",
            )
        )
    sparse = [f"{level.name} ({level.runs})" for level in levels if level.sparse]
    if sparse:
        found.append(
            Finding(
                "few_runs_in_group",
                f"{listed_some(sparse)} {'has' if len(sparse) == 1 else 'have'} few runs beyond the coefficients of "
                f"{'its' if len(sparse) == 1 else 'their'} own: intervals there are rough, and likely too narrow. Add runs.",
            )
        )
    return found
