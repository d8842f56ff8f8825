"""Forecast scores: what `predict_scores` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.findings import Finding
from rung.messages import counted
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.score_law import ScoreLaw
from rung.skill.signal import Signal
from rung.skill.task_table import Task
from rung.units import format_count, format_interval, format_value


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanScore:
    """The score of one model not trained.

    Attributes:
        value: The forecast score.
        law_interval: Where the law may lie.
        run_interval: Where the score of a new run may lie.
        by_route: What each route says.
        loss: The forecast loss on the task; None without a column of it.
        factor: How far beyond the runs it is, in compute.
    """

    value: float
    law_interval: tuple[float, float]
    run_interval: tuple[float, float]
    by_route: tuple[tuple[str, float], ...]
    loss: float | None
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskForecast:
    """The scores of one task.

    Attributes:
        task: The task.
        signal: What the runs show of it, and whether it can be predicted.
        routes: Each route: its name, its weight, and its error about the largest runs (None where that could not be measured).
        score_law: The logistic from loss to score; None without a column of the loss.
        ends: The ends of the runs.
        points: The points of the curve from loss to score.
        plans: The score of each plan.
        findings: Findings about the task.
    """

    task: Task
    signal: Signal
    routes: tuple[tuple[str, float, float | None], ...]
    score_law: ScoreLaw | None
    ends: pl.DataFrame
    points: pl.DataFrame
    plans: tuple[PlanScore, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ScoreForecasts(Result):
    """Scores of tasks for models not trained.

    Attributes:
        tasks: Each task.
        plans: N, D and C of each plan.
        runs: Number of runs.
        level: Coverage of the intervals.
        warnings: Findings that speak against the forecasts.
    """

    tasks: tuple[TaskForecast, ...]
    plans: tuple[dict[str, float], ...]
    runs: int
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """How many tasks can be predicted; of one task and plan, its score."""
        able = sum(one.signal.predictable for one in self.tasks)
        if len(self.tasks) == len(self.plans) == 1:
            (one,), (task,) = self.tasks[0].plans, self.tasks
            told = f"{task.task.name} {format_value(one.value, 4)} ({format_interval(*one.run_interval)})"
            return told if task.signal.predictable else f"{told}, which cannot be predicted from these runs"
        return f"{able} of {counted(len(self.tasks), 'task')} can be predicted from {counted(self.runs, 'run')}"

    def describe(self) -> Summary:
        """First which tasks can be predicted, then the score of every plan."""
        first = Table(
            ["task", "chance", "smallest", "largest", "noise", "signal/noise", "predictable"],
            [
                [
                    one.task.name,
                    f"{one.task.chance:.3g}",
                    f"{one.signal.low:.3f}",
                    f"{one.signal.high:.3f}",
                    f"{one.signal.noise:.2g}",
                    f"{one.signal.ratio:.1f}",
                    "yes" if one.signal.predictable else "no: " + one.signal.reason,
                ]
                for one in self.tasks
            ],
        )
        blocks: list[str | Table] = [first]
        for index, plan in enumerate(self.plans):
            blocks.append(
                f"N = {format_count(plan['N'])}, D = {format_count(plan['D'])}, {self.tasks[0].plans[index].factor:.3g}x the largest run in compute"
            )
            blocks.append(
                Table(
                    ["task", "score", f"{100 * self.level:g} % new run", "law alone", "routes from", "loss"],
                    [
                        [
                            one.task.name,
                            f"{one.plans[index].value:.3f}",
                            format_interval(*one.plans[index].run_interval, lambda end: f"{end:.3f}"),
                            format_interval(*one.plans[index].law_interval, lambda end: f"{end:.3f}"),
                            _reach([score for _, score in one.plans[index].by_route]),
                            format_value(one.plans[index].loss, 4) if one.plans[index].loss is not None else "-",
                        ]
                        for one in self.tasks
                    ],
                )
            )
        names = list(dict.fromkeys(name for one in self.tasks for name, _, _ in one.routes))
        rows = [[one.task.name, *(_weighted(one, name) for name in names)] for one in self.tasks]
        blocks.append(Table(["weight of each route (its error about the largest runs)", *names], rows))
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row per task and plan."""
        rows = []
        for one in self.tasks:
            for plan, score in zip(self.plans, one.plans, strict=True):
                rows.append(
                    {
                        "task": one.task.name,
                        "params": plan["N"],
                        "tokens": plan["D"],
                        "flops": plan["C"],
                        "score": score.value,
                        "run_low": score.run_interval[0],
                        "run_high": score.run_interval[1],
                        "law_low": score.law_interval[0],
                        "law_high": score.law_interval[1],
                        "loss": score.loss,
                        "predictable": one.signal.predictable,
                    }
                )
        return pl.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The forecasts as plain values."""
        return {
            "runs": self.runs,
            "level": self.level,
            "plans": list(self.plans),
            "tasks": [
                {
                    **plain_fields(one.task),
                    "signal": plain_fields(one.signal),
                    "routes": [{"name": name, "weight": weight, "error": error} for name, weight, error in one.routes],
                    "scores": [{**plain_fields(score), "by_route": dict(score.by_route)} for score in one.plans],
                }
                for one in self.tasks
            ],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def _reach(scores: list[float]) -> str:
    known = [score for score in scores if np.isfinite(score)]
    return f"{min(known):.3f} to {max(known):.3f}" if known else "-"


def _weighted(one: TaskForecast, route: str) -> str:
    found = next(((weight, error) for name, weight, error in one.routes if name == route), None)
    if found is None:
        return "-"
    weight, error = found
    return f"{weight:.0%}" + (f" ({error:.3f})" if error is not None else "")
