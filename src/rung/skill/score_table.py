"""Scores by item: one table or several, of anything from a leaderboard's sample logs to seeds of a recipe.

A unit is what two models have in common: an item, or a seed. Each model's scores on one task are a `Scores`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.messages import did_you_mean, listed
from rung.runs import read_table
from rung.skill.choices import LIKELIHOOD_SCORES, keeps_likelihoods, likelihood_score

UNITS = ("item", "doc_id", "item_id", "example_id", "question_id", "id", "seed", "name")
"""Columns that name the unit, in the order in which they are looked for."""

SCORES = ("score", "correct", "acc", "acc_norm", "exact_match", "em", "f1", "pass@1", "accuracy", "is_correct", "loss")
"""Columns that hold a score."""

CLUSTERS = ("cluster", "group", "passage", "document", "topic")
"""Columns that name a group of items that share something."""

_REPEATS = ("sample", "repeat", "attempt", "trial", "seed", "run")
"""Columns that tell apart several scores of one item."""

_SAMPLES = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d{2}-\d{2}T")
"""Name of a file of samples that LM Evaluation Harness writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreColumns:
    """Which columns mean what; None where they are recognised by their names."""

    unit: str | None = None
    score: str | None = None
    cluster: str | None = None
    task: str | None = None
    model: str | None = None
    filter: str | None = None
    """The filter of a harness's log whose scores count, such as strict-match; not a column."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """The scores of one model on one task.

    Attributes:
        model: The model.
        task: The task; empty where there is one alone.
        units: The items or seeds.
        values: Their scores (n,).
        clusters: The group of each item; None where none is named.
        cluster: The column of the groups; empty without one.
        unit: What the units are called: the column.
        score: The column of the scores.
        repeats: How many scores each item has on average.
    """

    model: str
    task: str
    units: tuple[str, ...]
    values: Array
    clusters: tuple[str, ...] | None = None
    cluster: str = ""
    unit: str = "item"
    score: str = "score"
    repeats: float = 1.0
    at: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", {name: row for row, name in enumerate(self.units)})

    @property
    def binary(self) -> bool:
        """Whether every score is 0 or 1."""
        return bool(np.isin(self.values, (0.0, 1.0)).all())


def read_scores(sources: Sequence[Any], columns: ScoreColumns | None = None) -> list[Scores]:
    """Scores by model and task.

    Args:
        sources: One table of several models in a column, or one table for each model: paths or frames.
        columns: Which columns mean what.

    Raises:
        SkillError: A column is missing or ambiguous, a score is not a number, or an item has several scores that nothing tells apart.
        RunsError: A file cannot be read.
    """
    columns = columns or ScoreColumns()
    found: list[Scores] = []
    for source, name in zip(sources, _names(sources), strict=True):
        read, place = read_table(source)
        frame = _filtered(read.frame, columns.filter, place)
        if columns.score in LIKELIHOOD_SCORES and columns.score not in frame.columns:
            frame = frame.with_columns(likelihood_score(frame, columns.score, place))
        found += _of_table(frame, name, place, columns)
    twice = _twice([(one.model, one.task) for one in found])
    if twice:
        raise SkillError(
            f"two tables hold scores of {twice[0]}{f' on {twice[1]}' if twice[1] else ''}. Give each model once."
        )
    return found


def _filtered(frame: pl.DataFrame, chosen: str | None, place: str) -> pl.DataFrame:
    """The rows of one filter of a harness's log, which scores an answer by several."""
    if "filter" not in frame.columns:
        if chosen is not None:
            raise SkillError(f"--filter {chosen}: {place} has no column filter.")
        return frame
    there = frame["filter"].cast(pl.String).unique(maintain_order=True).drop_nulls().to_list()
    if chosen is None:
        if len(there) > 1:
            raise SkillError(
                f"{place} scores each answer by several filters: {listed(there)}. Choose one: --filter {there[0]}."
            )
        return frame
    if chosen not in there:
        raise SkillError(f"--filter {chosen}: {place} has {listed(there)}.")
    return frame.filter(pl.col("filter").cast(pl.String) == chosen)


def _names(sources: Sequence[Any]) -> list[str]:
    """What the tables are called: their files without ending, with as much of the folder as tells them apart."""
    if not all(isinstance(one, str | Path) for one in sources):
        return [
            Path(one).stem if isinstance(one, str | Path) else f"model {index + 1}" for index, one in enumerate(sources)
        ]
    parts = [[*Path(one).resolve().parts[:-1], Path(one).name.split(".")[0]] for one in sources]
    # Logs of a harness have one name in the folders of all models, so the task alone tells nothing.
    depth = next(
        (
            depth
            for depth in range(1, max(map(len, parts)) + 1)
            if len({tuple(one[-depth:]) for one in parts}) == len(parts)
        ),
        1,
    )
    if depth > 1 and len({one[-1] for one in parts}) == 1:
        return ["/".join(one[-depth:-1]) for one in parts]
    return ["/".join(one[-depth:]) for one in parts]


def _twice(names: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    return next((name for index, name in enumerate(names) if name in names[:index]), None)


def _of_table(frame: pl.DataFrame, name: str, place: str, columns: ScoreColumns) -> list[Scores]:
    score = _column(frame, columns.score, SCORES, "--score", place)
    if score is None:
        raise SkillError(
            f"{place}: no column of scores; it has {listed(frame.columns, most=8)}. Name it: --score COLUMN."
        )
    model = _column(frame, columns.model, ("model", "model_name"), "--model", place)
    task = _column(frame, columns.task, ("task", "benchmark"), "--task", place)
    unit = _column(frame, columns.unit, [one for one in UNITS if one != score], "--unit", place)
    if unit is None:
        raise SkillError(
            f"{place}: no column names the item or the seed; it has {listed(frame.columns, most=8)}. Name it: --unit COLUMN."
        )
    cluster = _column(frame, columns.cluster, CLUSTERS, "--cluster", place)
    for column in (model, task):
        if column and frame[column].null_count():
            raise SkillError(f"{place}, row {frame[column].is_null().to_list().index(True) + 1}: {column} is missing.")
    named = _SAMPLES.match(place)
    frame = frame.with_columns(
        __score=_numbers(frame, score, place),
        __unit=_texts(frame, unit, place),
        __model=pl.col(model).cast(pl.String) if model else pl.lit(name),
        __task=pl.col(task).cast(pl.String) if task else pl.lit(named["task"] if named else ""),
    )
    found = []
    for (model_name, task_name), rows in frame.group_by("__model", "__task", maintain_order=True):
        found.append(_one(rows, str(model_name), str(task_name), (unit, score, cluster), place))
    return found


def _one(rows: pl.DataFrame, model: str, task: str, named: tuple[str, str, str | None], place: str) -> Scores:
    unit, score, cluster = named
    repeats = 1.0
    if rows["__unit"].n_unique() < rows.height:
        apart = [one for one in _REPEATS if one in rows.columns and one != unit]
        if not apart or rows.select("__unit", *apart).is_duplicated().any():
            double = rows.filter(pl.col("__unit").is_duplicated())["__unit"][0]
            whose = f" of {model}" if model else ""
            raise SkillError(
                f"{place}: {unit} {double!r}{whose} has several scores, and no column sample, repeat or attempt tells them apart. Keep one of each."
            )
        repeats = rows.height / rows["__unit"].n_unique()
        keep = [pl.col(cluster).first()] if cluster else []
        rows = rows.group_by("__unit", maintain_order=True).agg(pl.col("__score").mean(), *keep)
    return Scores(
        model=model,
        task=task,
        units=tuple(rows["__unit"]),
        values=rows["__score"].to_numpy().astype(float),
        clusters=tuple(map(str, rows[cluster])) if cluster else None,
        cluster=cluster or "",
        unit=unit,
        score=score,
        repeats=repeats,
    )


def _column(frame: pl.DataFrame, given: str | None, known: Sequence[str], option: str, place: str) -> str | None:
    """The column that an option names, or the only one of those that are recognised."""
    if given is not None:
        if given not in frame.columns:
            raise SkillError(
                f"{option} {given}: {place} has no such column; it has {listed(frame.columns, most=8)}.{did_you_mean(given, frame.columns)}"
            )
        return given
    there = [name for name in known if name in frame.columns]
    if len(there) > 1 and option == "--score":
        more = f" Its likelihoods give {listed(LIKELIHOOD_SCORES)} too." if keeps_likelihoods(frame) else ""
        raise SkillError(f"{place} has several scores: {listed(there)}. Choose one: --score {there[0]}.{more}")
    return there[0] if there else None


def _numbers(frame: pl.DataFrame, column: str, place: str) -> pl.Series:
    values = frame[column]
    if values.dtype.is_nested():
        raise SkillError(f"{place}: column {column!r} holds lists or objects, and no numbers.")
    found = values.cast(pl.Float64, strict=False) if values.dtype != pl.Boolean else values.cast(pl.Float64)
    bad = ~found.is_finite().fill_null(value=False)
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        raise SkillError(
            f"{place}, row {row + 1}: {column} is {values[row]!r}, which is no number. Write 1 and 0 for right and wrong; leave out of every model what none has scored."
        )
    return found


def _texts(frame: pl.DataFrame, column: str, place: str) -> pl.Series:
    values = frame[column]
    if values.null_count():
        raise SkillError(f"{place}, row {values.is_null().to_list().index(True) + 1}: {column} is missing.")
    if values.dtype.is_float() and bool((values == values.floor()).all()):
        values = values.cast(pl.Int64)
    return values.cast(pl.String)
