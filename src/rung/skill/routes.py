"""The ways from scale to the score of a task.

    two steps   scale -> loss on the task by a law, loss -> score by a logistic (`score_law`)
    one step    chance + (ceiling - chance) exp(-(A / N^alpha + B / D^beta)): the negative logarithm of the score above chance is a
                power law of scale; A / C^alpha where N and D do not vary apart

Source: Bhagia et al. 2024, arXiv:2412.04403, for two steps; Krajewski et al. 2025, arXiv:2512.08894, for one, which states it in compute.
Differs: the power law has a term for N and one for D, so that ladders of several tokens per parameter can be used.

Shapes: `B` draws, `m` plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import FitError, RunsError
from rung.fitting import Fit, fit
from rung.forecasting import Draws, draws_at
from rung.skill.score_law import ScoreLaw, fit_score_law
from rung.skill.task_table import Task, TaskTable

LOSS_LAWS = ("chinchilla", "skaling")
"""Laws of the loss on a task in N and D."""

COMPUTE_LAW = "E + A / C^alpha"
"""The law where N and D do not vary apart."""

_APART = 0.15
"""Least deviation of log10(tokens / params) about its line in log10(params) for N and D to vary apart."""


Plan = Mapping[str, float]
"""N, D and C of a model."""


class Route(Protocol):
    """A way from scale to score, fitted."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def value(self, plan: Plan) -> float:
        """The score of a plan."""
        ...

    def draws(self, plans: Sequence[Plan], rng: np.random.Generator) -> list[Draws]:
        """Draws of the score of each plan."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSteps:
    """Scale to loss, loss to score.

    Attributes:
        name: What it is called.
        loss: The law of the loss on the task.
        score: The logistic from loss to score.
        noise: Standard deviation of a run's score about the logistic at its own loss.
    """

    name: str
    loss: Fit
    score: ScoreLaw
    noise: float

    def value(self, plan: Plan) -> float:
        """The score at the forecast loss."""
        return float(self.score(self.loss_of(plan)))

    def loss_of(self, plan: Plan) -> float:
        """The forecast loss."""
        return _value(self.loss, plan)

    def draws(self, plans: Sequence[Plan], rng: np.random.Generator) -> list[Draws]:
        """Draws of the loss, each through a draw of the logistic."""
        found = []
        for loss in draws_at(self.loss, **_given(self.loss, plans)):
            noise = self.noise * rng.standard_normal(len(loss.run))
            found.append(Draws(self.score.drawn(loss.law), self.score.drawn(loss.run) + noise))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class OneStep:
    """Scale to score directly.

    Attributes:
        name: What it is called.
        law: The fitted law of the score.
    """

    name: str
    law: Fit

    def value(self, plan: Plan) -> float:
        """The score of the law."""
        return _value(self.law, plan)

    def draws(self, plans: Sequence[Plan], rng: np.random.Generator) -> list[Draws]:
        """Draws of the law and of a new run."""
        del rng
        return draws_at(self.law, **_given(self.law, plans))


def _value(fit: Fit, plan: Plan) -> float:
    estimate, _ = fit.vectors({})
    with np.errstate(all="ignore"):
        return float(np.atleast_1d(fit.law.value(estimate, _given(fit, [plan])))[0])


def _given(fit: Fit, plans: Sequence[Plan]) -> dict[str, Array]:
    return {name: np.array([plan[name] for plan in plans]) for name in fit.law.variables}


def apart(ends: pl.DataFrame) -> bool:
    """Whether parameters and tokens vary apart, so that both have a coefficient of their own."""
    size, ratio = (np.log10(ends[one].to_numpy()) for one in ("params", "tokens"))
    ratio = ratio - size
    if len(np.unique(size.round(3))) < 2:
        return False
    line = np.polyval(np.polyfit(size, ratio, 1), size)
    return bool(np.std(ratio - line) > _APART)


def routes_of(
    table: TaskTable, laws: Sequence[str], *, level: float, seed: int, quick: bool = False
) -> tuple[list[Route], list[str]]:
    """Every route that can be fitted to a task, and why others cannot.

    Args:
        table: The task.
        laws: Laws of the loss.
        level: Coverage of the intervals.
        seed: Seed of starts and resamples.
        quick: Whether values alone are needed.
    """
    effort = "quick" if quick else "full"
    common = {"level": level, "seed": seed, "effort": effort, "draws": 0}
    found: list[Route] = []
    failed: list[str] = []
    both = apart(table.ends)
    if table.task.loss:
        score = _score_law(table, seed, 0 if quick else 100)
        noise = _about(table, score)
        for law in laws if both else [COMPUTE_LAW]:
            try:
                loss = fit(table.ends.rename({"task_loss": "loss"}), law, target="loss", **common)  # type: ignore[arg-type]
            except (FitError, RunsError) as error:
                failed.append(f"two steps by {law}: {error.text}")
                continue
            found.append(TwoSteps(name=f"two steps, {law}", loss=loss, score=score, noise=noise))
    try:
        runs = table.ends.drop("task_loss", strict=False)
        law = direct_law(table.task, both=both)
        found.append(OneStep(name="one step", law=fit(runs, law, target="score", objective="squares", **common)))  # type: ignore[arg-type]
    except (FitError, RunsError) as error:
        failed.append(f"one step: {error.text}")
    return found, failed


def direct_law(task: Task, *, both: bool) -> str:
    """The law of one step as a formula."""
    terms = "A / N^alpha + B / D^beta" if both else "A / C^alpha"
    return f"{task.chance!r} + {task.ceiling - task.chance!r} * exp(-({terms}))"


def _score_law(table: TaskTable, seed: int, draws: int) -> ScoreLaw:
    points = table.points
    return fit_score_law(
        points["task_loss"].to_numpy(),
        points["score"].to_numpy(),
        points["number"].to_numpy().astype(np.intp),
        ends=(table.task.chance, table.task.ceiling),
        draws=draws,
        seed=seed,
    )


def _about(table: TaskTable, score: ScoreLaw) -> float:
    """Standard deviation of the ends of runs about the logistic; three of its coefficients were found from them."""
    gaps: Array = score(table.ends["task_loss"].to_numpy()) - table.ends["score"].to_numpy()
    return float(np.sqrt((gaps**2).sum() / max(len(gaps) - 3, 1)))
