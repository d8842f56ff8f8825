"""Tasks in a table of runs: which columns hold their scores and losses, and what a run reaches at its end.

What a run reaches is the mean of its last checkpoints: the last five, as long as they lie in the last tenth of its tokens. The
scatter of these about a straight line is the noise of one checkpoint. For the curve from loss to score, checkpoints are averaged
in blocks of the same length, from a tenth of the run on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.messages import did_you_mean, listed
from rung.runs import Runs

LAST = 5
"""Checkpoints at the end of a run that are averaged, at most."""

_TAIL, _SKIPPED = 0.1, 0.1
_FEWEST_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task.

    Attributes:
        name: What it is called.
        score: The column of its scores, between chance and ceiling.
        loss: The column of the loss on it, such as bits per byte of the right answer; None where there is none.
        chance: The score by chance.
        ceiling: The highest score there is.
    """

    name: str
    score: str
    loss: str | None = None
    chance: float = 0.0
    ceiling: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Task:
        """A task as people write it: SCORE, or SCORE:LOSS, then @CHANCE or @CHANCE..CEILING, and NAME= before all.

        >>> Task.parse("arc=arc_acc:arc_bpb@0.25")
        Task(name='arc', score='arc_acc', loss='arc_bpb', chance=0.25, ceiling=1.0)

        Raises:
            SkillError: The text is none of these.
        """
        name, equals, rest = text.partition("=")
        columns, at, ends = (rest if equals else text).partition("@")
        score, _, loss = columns.partition(":")
        low, dots, high = ends.partition("..")
        try:
            chance, ceiling = float(low) if at else 0.0, float(high) if dots else 1.0
        except ValueError:
            raise SkillError(
                f"--task {text}: write NAME=SCORE:LOSS@CHANCE, such as arc=arc_acc:arc_bpb@0.25."
            ) from None
        if chance < 0:
            raise SkillError(f"--task {text}: chance {chance:g} is negative.")
        if not score or not chance < ceiling:
            raise SkillError(
                f"--task {text}: "
                + (f"chance {chance:g} does not lie below {ceiling:g}." if score else "no column of scores is named.")
            )
        return cls(
            name=name if equals else score, score=score, loss=loss.strip() or None, chance=chance, ceiling=ceiling
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskTable:
    """A task in a table of runs.

    Attributes:
        task: The task.
        ends: One row per run: run, params, tokens, flops, score, task_loss where there is one.
        points: Blocks of checkpoints, for the curve from loss to score: run as a number, score, task_loss; of the ends where runs have no checkpoints.
        noise: Standard deviation of one checkpoint's score; None without checkpoints.
        averaged: How many checkpoints an end is the mean of, at most.
        lost: Runs without any usable score, loss, params and tokens, which are left out.
    """

    task: Task
    ends: pl.DataFrame
    points: pl.DataFrame
    noise: float | None
    averaged: int
    lost: tuple[str, ...] = ()

    @property
    def end_noise(self) -> float:
        """Standard deviation of a run's end by its checkpoints; 0 where it is unknown."""
        return 0.0 if self.noise is None else self.noise / np.sqrt(max(self.averaged, 1))


def task_table(runs: Runs, task: Task) -> TaskTable:
    """The ends of all runs on a task, and the points of its curve from loss to score.

    Raises:
        SkillError: A column is missing, a score lies outside chance and ceiling by far, or there are fewer than two sizes.
    """
    for column in (task.score, task.loss):
        if column is not None and not runs.has(column):
            raise SkillError(
                f"{runs.source} has no column {column!r}.{did_you_mean(column, runs.columns)} It has {listed(runs.columns, most=8)}."
            )
    frame, lost = _frame(runs, task)
    require_scores(frame["score"].to_numpy(), task, runs.source)
    names = frame["run"].unique(maintain_order=True)
    loss = ["task_loss"] if task.loss else []
    ends, points, scatter, averaged = [], [], [], 1
    for number, name in enumerate(names):
        rows = frame.filter(pl.col("run") == name).sort("tokens")
        last = rows.filter(pl.col("tokens") >= (1 - _TAIL) * rows["tokens"][-1]).tail(LAST)
        averaged = max(averaged, last.height)
        ends.append(
            rows.tail(1).select("run", "params", "tokens", "flops").with_columns(
                *(pl.lit(last[column].mean()).alias(column) for column in ("score", *loss))
            )
        )  # fmt: skip
        if last.height >= 3:
            scatter.append(_scatter(last["score"].to_numpy()))
        blocks = rows.filter(pl.col("tokens") > _SKIPPED * rows["tokens"][-1]).with_row_index("at")
        size = max(last.height, 1)
        # Blocks are counted from the end, so that the last one is the end itself.
        blocks = blocks.with_columns(block=(blocks.height - 1 - pl.col("at").cast(pl.Int64)) // size)
        points.append(
            blocks.group_by("block")
            .agg(pl.col("score", *loss).mean(), pl.len())
            .filter(pl.col("len") == size)
            .with_columns(number=pl.lit(number))
            .drop("len")
        )
    found = pl.concat(ends)
    if found["params"].n_unique() < 2 and found["flops"].n_unique() < 3:
        raise SkillError(
            f"{task.name} was scored at one size alone ({runs.source}). A forecast over size needs runs of two sizes or more."
        )
    if found.height < _FEWEST_RUNS:
        raise SkillError(
            f"{task.name}: {runs.source} has {found.height} runs with a score; a forecast needs {_FEWEST_RUNS} or more."
        )
    noise = float(np.sqrt(np.mean(scatter))) if scatter else None
    return TaskTable(task=task, ends=found, points=pl.concat(points), noise=noise, averaged=averaged, lost=lost)


def _frame(runs: Runs, task: Task) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows with all that is needed, and the runs that have none."""
    columns: dict[str, pl.Expr | Array] = {"params": runs.numbers("params"), "tokens": runs.numbers("tokens")}
    columns["flops"] = runs.numbers("flops") if runs.has("flops") else 6 * columns["params"] * columns["tokens"]
    columns["score"] = runs.numbers(task.score)
    if task.loss:
        columns["task_loss"] = runs.numbers(task.loss)
    frame = pl.DataFrame(columns)
    names = runs.texts("run") if runs.has("run") else np.arange(frame.height).astype(str)
    frame = frame.with_columns(run=pl.Series(names))
    usable = pl.all_horizontal(pl.col(pl.Float64).is_finite())
    every = dict.fromkeys(frame["run"].to_list())
    frame = frame.filter(usable)
    kept = set(frame["run"].to_list())
    if not frame.height:
        raise SkillError(f"no run has a score of {task.name} with params and tokens ({runs.source}).")
    for column in ("params", "tokens", "flops"):
        least = float(frame[column].to_numpy().min())
        if least <= 0:
            raise SkillError(f"{runs.source}: {column} goes down to {least:g}; it must be positive.")
    return frame, tuple(name for name in every if name not in kept)


def require_scores(scores: Array, task: Task, source: str) -> None:
    """Scores lie between chance and ceiling.

    Raises:
        SkillError: They lie above the ceiling, such as those in percent, below 0, or all below chance.
    """
    low, high = float(scores.min()), float(scores.max())
    span = task.ceiling - task.chance
    if high > task.ceiling + 1e-9:
        percent = high <= 100 * task.ceiling and high > 2 * task.ceiling
        raise SkillError(
            f"{source}: {task.score} goes up to {high:g}, above the ceiling {task.ceiling:g}. "
            + (
                f"If it is in percent: --map '{task.score}={task.score}/100'."
                if percent
                else f"Name the ceiling: --task {task.score}@{task.chance:g}..{high:g}."
            )
        )
    if low < 0 <= task.chance:
        raise SkillError(f"{source}: {task.score} goes down to {low:g}; a score is not negative.")
    if high < task.chance - 0.1 * span:
        raise SkillError(
            f"{source}: all scores of {task.name} lie below chance, {task.chance:g}: the highest is {high:g}. Check --task {task.score}@CHANCE."
        )


def _scatter(values: Array) -> float:
    """Variance about a straight line."""
    at = np.arange(len(values))
    fitted = np.polyval(np.polyfit(at, values, 1), at)
    return float(((values - fitted) ** 2).sum() / (len(values) - 2))
