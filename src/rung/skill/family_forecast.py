"""Forecast scores of families: what `predict_families` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.findings import Finding
from rung.messages import counted
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.task_table import Task
from rung.units import format_count, format_interval

_SHOWN = 12
"""Families that are printed, those of most models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPlan:
    """A model that is asked about.

    Attributes:
        params: N.
        tokens: D; None where the table has none.
        flops: 6 N D; None without D.
        family: Its family.
        factor: How far beyond the models of the table it lies, in N D (in N without D).
    """

    params: float
    tokens: float | None
    flops: float | None
    family: str
    factor: float

    def told(self) -> str:
        """The plan in words."""
        sizes = f"N = {format_count(self.params)}" + (f", D = {format_count(self.tokens)}" if self.tokens else "")
        return f"{self.family}, {sizes}, {self.factor:.3g}x the largest model in {'compute' if self.tokens else 'size'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyScore:
    """A forecast score.

    Attributes:
        value: The forecast.
        law_interval: Where the score of the law may lie.
        run_interval: Where the score of a new model may lie.
    """

    value: float
    law_interval: tuple[float, float]
    run_interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyCheck:
    """The larger models of each family held out in turn, all but those of its smallest size.

    Attributes:
        models: How many were forecast.
        families: Of how many families.
        error: Mean absolute error.
        error_alone: That of size alone, as if all models were of one family.
        inside: The share inside the interval of a new model.
    """

    models: int
    families: int
    error: float
    error_alone: float
    inside: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FamilyTask:
    """A task.

    Attributes:
        task: The task.
        models: Models with a score.
        noise: Standard deviation of a score about the law.
        loadings: How much it follows each skill, on the scale of the logit.
        plans: The score of each plan.
        check: The check on models held out; None where it was not asked or no family has two sizes.
    """

    task: Task
    models: int
    noise: float
    loadings: tuple[float, ...]
    plans: tuple[FamilyScore, ...]
    check: FamilyCheck | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class FamilyForecasts(Result):
    """Scores of models of families.

    Attributes:
        tasks: Each task.
        plans: Each model that was asked about.
        families: Each family: its name, how many models, and its lead or lag in each skill beyond size, in deviations of that skill.
        models: How many models were fitted.
        points: One row per model: family, params, flops where tokens are known, and the scores by the names of the tasks.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    tasks: tuple[FamilyTask, ...]
    plans: tuple[FamilyPlan, ...]
    families: tuple[tuple[str, int, tuple[float, ...]], ...]
    models: int
    points: pl.DataFrame
    level: float
    warnings: tuple[Finding, ...]

    @property
    def skills(self) -> int:
        """How many skills there are."""
        return len(self.tasks[0].loadings)

    def headline(self) -> str:
        """The score of one task and model; of several, how wrong the held-out ones were."""
        if len(self.tasks) == len(self.plans) == 1:
            (one,) = self.tasks[0].plans
            return f"{self.tasks[0].task.name} {one.value:.3f} ({format_interval(*one.run_interval, _three)})"
        checks = [(one.check, one.task.ceiling) for one in self.tasks if one.check and np.isfinite(one.check.error)]
        of = f"{counted(self.skills, 'skill')} of {counted(len(self.families), 'family', 'families')} and {counted(self.models, 'model')}"
        if not checks:
            return of
        error, alone = (
            100 * np.mean([getattr(one, name) / ceiling for one, ceiling in checks])
            for name in ("error", "error_alone")
        )
        return f"{of}: larger models held out are missed by {error:.1f} points ({alone:.1f} by size alone)"

    def describe(self) -> Summary:
        """The score of every plan, the check, the skills and the families."""
        blocks: list[str | Table] = []
        percent = f"{100 * self.level:g} %"
        for index, plan in enumerate(self.plans):
            rows = [
                [
                    one.task.name,
                    _three(one.plans[index].value),
                    format_interval(*one.plans[index].run_interval, _three),
                    format_interval(*one.plans[index].law_interval, _three),
                ]
                for one in self.tasks
            ]
            blocks += [plan.told(), Table(["task", "score", f"{percent} new model", "law alone"], rows)]
        names = [f"skill {number + 1}" for number in range(self.skills)]
        rows = [
            [
                one.task.name,
                str(one.models),
                _three(one.noise),
                *(f"{loading:+.2f}" for loading in one.loadings),
                *(_check_cells(one.check) if one.check else ["-", "-", "-"]),
            ]
            for one in self.tasks
        ]
        blocks.append(Table(["task", "models", "noise", *names, "held out: error", "by size alone", "inside"], rows))
        ordered = sorted(self.families, key=lambda one: -one[1])[:_SHOWN]
        cells = [[name, str(count), *(f"{lead:+.2f}" for lead in leads)] for name, count, leads in ordered]
        blocks.append(Table(["family", "models", *names], cells))
        if len(self.families) > _SHOWN:
            blocks.append(f"and {len(self.families) - _SHOWN} more families: -o families.json")
        blocks.append(f"verdict  {self.headline()}")
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row per task and plan."""
        rows = [
            {
                "task": one.task.name,
                "family": plan.family,
                "params": plan.params,
                "tokens": plan.tokens,
                "flops": plan.flops,
                "score": score.value,
                "run_low": score.run_interval[0],
                "run_high": score.run_interval[1],
                "law_low": score.law_interval[0],
                "law_high": score.law_interval[1],
            }
            for one in self.tasks
            for plan, score in zip(self.plans, one.plans, strict=True)
        ]
        return pl.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The forecasts as plain values."""
        return {
            "models": self.models,
            "level": self.level,
            "plans": [plain_fields(one) for one in self.plans],
            "tasks": [
                {
                    **plain_fields(one.task),
                    "models": one.models,
                    "noise": one.noise,
                    "loadings": list(one.loadings),
                    "scores": [plain_fields(score) for score in one.plans],
                    "check": plain_fields(one.check) if one.check else None,
                }
                for one in self.tasks
            ],
            "families": [
                {"family": name, "models": count, "skills": list(leads)} for name, count, leads in self.families
            ],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def _three(value: float) -> str:
    return f"{value:.3f}"


def _check_cells(check: FamilyCheck) -> list[str]:
    if not check.models:
        return ["-", "-", "-"]
    return [f"{check.error:.3f}", f"{check.error_alone:.3f}", f"{check.inside:.2f} of {check.models}"]
