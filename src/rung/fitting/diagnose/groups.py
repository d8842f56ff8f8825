"""Levels of a group with too few runs for coefficients of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.findings import Finding
from rung.fitting.estimate.problem import Problem
from rung.messages import listed, plural_of

_FEW_SPARE = 3
"""Most runs of a level beyond its own coefficients with which their intervals are called rough."""

_MOST_NAMED = 6
"""Most levels that a finding lists; of more, it names the first ones and counts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLevel:
    """One level of a group, with its runs and its own coefficients.

    Attributes:
        name: The level, as column=level.
        runs: Number of its runs.
        indices: Indices of its own coefficients.
    """

    name: str
    runs: int
    indices: tuple[int, ...]

    @property
    def saturated(self) -> bool:
        """Whether it has as many coefficients as runs, so that they fit its runs whether they are true or not."""
        return self.runs <= len(self.indices)

    @property
    def sparse(self) -> bool:
        """Whether it has few runs beyond its coefficients."""
        return not self.saturated and self.runs <= len(self.indices) + _FEW_SPARE


def group_levels(problem: Problem) -> list[GroupLevel]:
    """Every level of every group that has coefficients of its own."""
    design = problem.design
    parameters = design.parameters(problem.law)
    found = []
    for group, levels in design.level_names.items():
        counts = design.runs_at(group)
        # The unconstrained parameters of one coefficient are consecutive, one per level in order.
        firsts = [index for index, c in enumerate(parameters) if c.group == group][:: len(levels)]
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
        count = len(saturated)
        found.append(
            Finding(
                "undetermined",
                f"{listed(saturated, _MOST_NAMED)} {plural_of(count, 'has', 'have')} no more runs than coefficients "
                f"of {plural_of(count, 'its', 'their')} own, which fit those runs whether they are true or not, so no "
                "interval is given for them. Add runs there, or share coefficients between groups.",
            )
        )
    sparse = [f"{level.name} ({level.runs})" for level in levels if level.sparse]
    if sparse:
        count = len(sparse)
        found.append(
            Finding(
                "few_runs_in_group",
                f"{listed(sparse, _MOST_NAMED)} {plural_of(count, 'has', 'have')} few runs beyond the coefficients of "
                f"{plural_of(count, 'its', 'their')} own, so their intervals are rough, and likely too narrow. Add "
                "runs there.",
            )
        )
    return found
