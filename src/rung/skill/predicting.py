"""The score of models not trained: every route from scale to score, weighted by how wrong each was about the largest runs.

    w_r = 1 / (e_r^2 + s^2), normalised

with e_r the root mean square error of route r about the runs of the largest compute when it is fitted to the others, and s the noise
of a run's score. The interval is that of a mixture of the routes' draws by these weights, so that routes that disagree widen it.

Source: the routes are those of `routes`; weights in inverse proportion to a squared error are Bates and Granger's (1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import RungError, SkillError
from rung.findings import Finding
from rung.forecasting import Draws
from rung.messages import counted, require_level
from rung.progress import reported
from rung.runs import Runs, as_runs
from rung.skill.routes import LOSS_LAWS, Plan, Route, TwoSteps, apart, routes_of
from rung.skill.score_forecast import PlanScore, ScoreForecasts, TaskForecast
from rung.skill.signal import Signal, signal_of
from rung.skill.task_table import Task, TaskTable, task_table
from rung.units import flops_6nd, format_count

_HELD_OUT = 0.25
"""Share of the runs, those of the largest compute, that the routes are scored on."""

_DRAWS = 4000
"""Draws of the mixture."""

_FEWEST = 5
"""Fewest runs that are left to fit when the largest are held out."""


def predict_scores(
    runs: Any,
    tasks: Sequence[Task],
    plans: Sequence[Plan],
    *,
    laws: Sequence[str] = LOSS_LAWS,
    level: float = 0.9,
    seed: int = 0,
) -> ScoreForecasts:
    """Forecast the scores of tasks for models not trained.

    Args:
        runs: A table of runs, one row per run or per checkpoint with run: params, tokens, and the columns of the tasks.
        tasks: The tasks.
        plans: Parameters N and tokens D of each model.
        laws: Laws of the loss on a task.
        level: Coverage of the intervals.
        seed: Seed of starts and resamples.

    Raises:
        SkillError: A column is missing, scores lie outside their ends, or no route can be fitted.
    """
    require_level(level, SkillError)
    table = as_runs(runs)
    points = [_point(one) for one in plans]
    found = [
        _forecast(task_table(table, task), points, laws, level, seed) for task in reported(list(tasks), "fitting tasks")
    ]
    return ScoreForecasts(
        tasks=tuple(found),
        plans=tuple(points),
        runs=_count(table),
        level=level,
        warnings=tuple(finding for one in found for finding in one.findings),
    )


def _count(table: Runs) -> int:
    return len(set(table.texts("run"))) if table.has("run") else table.frame.height


def _point(plan: Plan) -> dict[str, float]:
    """N, D and C of a plan.

    Raises:
        SkillError: N or D is missing or no positive number.
    """
    for name in ("N", "D"):
        if not plan.get(name, 0) > 0:
            raise SkillError(f"a plan needs N and D, such as N=7B D=140B; {name} is {plan.get(name, 'missing')}.")
    return {**plan, "C": plan.get("C", float(flops_6nd(plan["N"], plan["D"])))}


def _forecast(table: TaskTable, plans: Sequence[Plan], laws: Sequence[str], level: float, seed: int) -> TaskForecast:
    signal = signal_of(table)
    routes, failed = routes_of(table, laws, level=level, seed=seed)
    if not routes:
        raise SkillError(f"no law can be fitted to {table.task.name}: {'; '.join(failed)}")
    errors = held_out_errors(table, laws, seed)
    noise = max(table.end_noise, 0.002)
    weights = np.array([1 / (errors.get(route.name, max(errors.values(), default=0.0)) ** 2 + noise**2) for route in routes])  # fmt: skip
    weights = weights / weights.sum()
    scores = _scores(plans, routes, weights, table, level, seed)
    loss_routes = [route for route in routes if isinstance(route, TwoSteps)]
    return TaskForecast(
        task=table.task,
        signal=signal,
        routes=tuple(
            (route.name, float(weight), errors.get(route.name)) for route, weight in zip(routes, weights, strict=True)
        ),
        score_law=loss_routes[0].score if loss_routes else None,
        ends=table.ends,
        points=table.points,
        plans=tuple(scores),
        findings=tuple(_findings(table, signal, failed, plans)),
    )


def held_out_errors(table: TaskTable, laws: Sequence[str], seed: int) -> dict[str, float]:
    """Root mean square error of each route about the runs of the largest compute; empty where too few runs are left."""
    ends = table.ends.with_row_index("at").sort("flops")
    held = ends.tail(max(int(np.ceil(_HELD_OUT * ends.height)), 1))
    kept = ends.head(ends.height - held.height)["at"].to_numpy()
    if len(kept) < _FEWEST:
        return {}
    smaller = replace(
        table, ends=table.ends[kept.tolist()], points=table.points.filter(pl.col("number").is_in(kept.tolist()))
    )
    try:
        routes, _ = routes_of(smaller, laws, level=0.9, seed=seed, quick=True)
    except RungError:
        return {}
    errors = {}
    for route in routes:
        gaps = np.array([route.value(_of_row(row)) - row["score"] for row in held.iter_rows(named=True)])
        # A law that has no value there is as wrong as a score can be.
        span = table.task.ceiling
        errors[route.name] = float(np.sqrt(np.mean(np.where(np.isfinite(gaps), np.clip(gaps, -span, span), span) ** 2)))
    return errors


def _of_row(row: dict[str, float]) -> dict[str, float]:
    return {"N": row["params"], "D": row["tokens"], "C": row["flops"]}


def _scores(
    plans: Sequence[Plan], routes: Sequence[Route], weights: Array, table: TaskTable, level: float, seed: int
) -> list[PlanScore]:
    """The mixture of all routes at each plan."""
    rng = np.random.default_rng(seed)
    drawn: list[tuple[float, list[Draws]]] = []
    for weight, route in zip(weights, routes, strict=True):
        # A route whose fit has no interval still counts in the value.
        with suppress(RungError):
            drawn.append((weight, route.draws(plans, rng)))
    found = []
    for index, plan in enumerate(plans):
        values = np.array([route.value(plan) for route in routes])
        usable = np.isfinite(values)
        value = float(np.average(values[usable], weights=weights[usable])) if usable.any() else float("nan")
        bounds = [
            _bounds([(weight, getattr(draws[index], part)) for weight, draws in drawn], table, level, rng)
            for part in ("law", "run")
        ]
        losses = [route.loss_of(plan) for route in routes if isinstance(route, TwoSteps)]
        found.append(
            PlanScore(
                value=float(np.clip(value, 0.0, table.task.ceiling)),
                law_interval=bounds[0],
                run_interval=(min(bounds[0][0], bounds[1][0]), max(bounds[0][1], bounds[1][1])),
                by_route=tuple((route.name, float(one)) for route, one in zip(routes, values, strict=True)),
                loss=float(np.mean(losses)) if losses else None,
                factor=plan["C"] / float(table.ends["flops"].max()),  # type: ignore[arg-type]
            )
        )
    return found


def _bounds(
    drawn: Sequence[tuple[float, Array]], table: TaskTable, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Bounds of a mixture of draws; a score lies between 0 and the ceiling, whatever an open interval says."""
    parts = []
    for weight, draws in drawn:
        known = np.clip(draws[~np.isnan(draws)], 0.0, table.task.ceiling)
        if len(known):
            parts.append(rng.choice(known, max(round(weight * _DRAWS), 1)))
    if not parts:
        return float("nan"), float("nan")
    low, high = np.quantile(np.concatenate(parts), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _findings(table: TaskTable, signal: Signal, failed: Sequence[str], plans: Sequence[Plan]) -> list[Finding]:
    name = table.task.name
    found = [Finding("no_route", f"{name}: {reason}") for reason in failed]
    sizes = table.ends["params"].n_unique()
    if not apart(table.ends):
        of = f"all runs have N = {format_count(float(table.ends['params'][0]))}" if sizes == 1 else "N and D of the runs grow together"  # fmt: skip
        found.append(Finding("compute_alone", f"{name}: {of}, so its laws are of compute alone, and a plan with another share of N and D is forecast by its compute."))  # fmt: skip
    if table.lost:
        text = f"{name}: {counted(len(table.lost), 'run')} without a usable score, loss, params and tokens are left out, {table.lost[0]!r} for one."
        found.append(Finding("left_out_rows", text))
    if not signal.predictable:
        found.append(Finding("unpredictable_task", f"{name} cannot be predicted from these runs: {signal.reason}."))
    far = max((plan["C"] / float(table.ends["flops"].max()) for plan in plans), default=0.0)  # type: ignore[arg-type]
    if far > 100:
        found.append(
            Finding(
                "far_scores",
                f"{name}: the largest plan lies {far:.3g}x beyond the runs in compute; scores were measured up to about 30x.",
            )
        )
    return found
