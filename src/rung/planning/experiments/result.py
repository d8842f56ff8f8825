"""A plan of runs as a value, a table and a ladder file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.findings import Finding
from rung.units import format_count

HEAD = """
# What the runs are: change it to your own, or plan with --like LADDER.toml. rung ladder families lists what there is.
[family]
name = "gpt"
head_width = 8
aspect = 16.0

[corpus]
name = "python"       # the source of Python's standard library; your text: name = "text", path = "FOLDER"
"""
"""What a ladder file says beside its runs, where nobody said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run to make.

    Attributes:
        inputs: Its variables, by column.
        cost: What it costs.
        relative_se_after: The mean relative standard error of the targets once it and those before it are made.
    """

    inputs: Mapping[str, float]
    cost: float
    relative_se_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetForecast:
    """The forecast of one target, now and after the plan.

    Attributes:
        name: In words.
        value: Its present estimate.
        before: Its present interval.
        after: The interval expected once the plan is made.
    """

    name: str
    value: float
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRuns:
    """A plan of runs.

    Attributes:
        runs: The runs, most useful first.
        spent: What they cost together.
        budget: What might be spent.
        cost: The cost formula.
        power: The power of the cost that served best.
        targets: What becomes sharper, and by how much.
        level: Coverage that intervals aim at.
        candidates: How many runs could be chosen among.
        prior: The law of the book that stands in for runs; None where runs were made.
        warnings: What a user should know.
    """

    runs: tuple[PlannedRun, ...]
    spent: float
    budget: float
    cost: str
    power: float
    targets: tuple[TargetForecast, ...]
    level: float
    candidates: int
    prior: str | None
    warnings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "runs": [{**one.inputs, "cost": one.cost, "relative_se_after": one.relative_se_after} for one in self.runs],
            "spent": self.spent,
            "budget": self.budget,
            "cost": self.cost,
            "power": self.power,
            "targets": [
                {"name": one.name, "value": one.value, "before": list(one.before), "after": list(one.after)}
                for one in self.targets
            ],
            "level": self.level,
            "candidates": self.candidates,
            "prior": self.prior,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }

    def to_csv(self) -> str:
        """The runs as CSV."""
        columns = [*self.runs[0].inputs, "cost"]
        rows = [",".join(f"{value:.6g}" for value in (*one.inputs.values(), one.cost)) for one in self.runs]
        return "\n".join([",".join(columns), *rows]) + "\n"

    def to_ladder(self, head: str = HEAD) -> str:
        """The runs as a ladder file: a [[rung]] each, below what the file says of family, corpus and recipe."""
        lines = [
            f"# {len(self.runs)} runs for {format_count(self.budget)} by {self.cost}, most useful first.",
            "",
            head.strip(),
        ]
        for seed, one in enumerate(self.runs):
            named = (("steps" if name == "step" else name, value) for name, value in one.inputs.items())
            # A seed for each: two runs whose sizes are built alike are a repetition, and no copy.
            lines += ["", "[[rung]]", *(f"{name} = {value:.6g}" for name, value in named), f"seed = {seed}"]
        return "\n".join(lines) + "\n"
