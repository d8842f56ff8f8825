"""A plan of runs as a value, a table and a ladder file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from rung.findings import Finding
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value

_LARGE = 1e4
"""Value from which a target is a size rather than a loss, and is shown with a suffix."""

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class NextRuns(Result):
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
        box: Which runs could be chosen by default, in words; None where the user said it.
        warnings: Findings that speak against the plan.
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
    box: str | None
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """How many runs, for how much, from which source."""
        source = f"from {self.prior} of the law book, without runs" if self.prior else "from the runs made"
        return (
            f"{len(self.runs)} of {self.candidates} affordable runs, {format_count(self.spent)} of {format_count(self.budget)} by "
            f"{self.cost}; {source}" + (f"; candidates: {self.box}" if self.box else "")
        )

    def describe(self) -> Summary:
        """The targets now and after the plan, and the runs."""

        def show(number: float) -> str:
            return format_count(number) if number > _LARGE else format_value(number)

        percent = f"{100 * self.level:g} %"
        targets = [
            [one.name, show(one.value), format_interval(*one.before, show), format_interval(*one.after, show)]
            for one in self.targets
        ]
        runs = [
            [
                *map(format_count, one.inputs.values()),
                format_count(one.cost),
                f"{100 * one.relative_se_after:.3g} %",
            ]
            for one in self.runs
        ]
        return Summary(
            [
                self.headline(),
                Table(["target", "now", f"{percent} interval now", "expected after the plan"], targets),
                Table([*self.runs[0].inputs, "cost", "error of the targets, then"], runs),
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per run, most useful first."""
        return pl.DataFrame(
            [{**one.inputs, "cost": one.cost, "relative_se_after": one.relative_se_after} for one in self.runs]
        )

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
            "box": self.box,
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
