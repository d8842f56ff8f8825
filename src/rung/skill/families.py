"""Scores of models of a family, from its own smaller models and all other families: latent skills, and their check on larger models held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array, Indices, Mask
from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, did_you_mean, listed, require_level
from rung.progress import reported
from rung.runs import Runs, as_runs
from rung.skill.family_forecast import FamilyCheck, FamilyForecasts, FamilyPlan, FamilyScore, FamilyTask
from rung.skill.latent import LatentSkills, fit_skills
from rung.skill.latent_effects import Measured
from rung.skill.run_ends import ends_of_runs, left_out
from rung.skill.task_table import Task, require_scores
from rung.units import flops_6nd, format_count

_DRAWS = 400
_MOST_SKILLS = 3
_MOST_HELD = 30
"""Families that are held out in turn, at most."""

_FEWEST_MODELS = 6
_FAR, _FAR_IN_ONE = 100, 30
"""How far beyond the models a plan lies that is warned of: in compute, and in size or tokens alone, above or below."""

_SAME_SIZE = 0.1
"""Deviation of a logarithm below which sizes count as the same."""


@dataclass(frozen=True, slots=True, eq=False)
class _Models:
    """Models as the fit needs them: sizes, families by number, and the means and deviations that standardise the sizes."""

    source: str
    sizes: Array
    families: tuple[str, ...]
    measured: Measured
    centre: Array
    spread: Array
    ceiling: Array

    def features(self, sizes: Array) -> Array:
        return (np.log(sizes) - self.centre) / self.spread


def predict_families(
    models: Any,
    tasks: Sequence[Task],
    plans: Sequence[Mapping[str, Any]],
    *,
    family: str,
    skills: int | None = None,
    check: bool = True,
    level: float = 0.9,
    seed: int = 0,
) -> FamilyForecasts:
    """Forecast scores of models of known families by latent skills.

    Args:
        models: A table of models: params, tokens where known, the family, and the columns of the tasks; scores may be missing.
        tasks: The tasks: columns with chance and ceiling.
        plans: N, D and family of each model asked about; a family without a model in the table gets that of families at large.
        family: The column of families.
        skills: How many skills; of 1 to 3 the most evident by default.
        check: Whether the larger models of each family are held out in turn, which says how wrong such forecasts are.
        level: Coverage of the intervals.
        seed: Seed of the draws.

    Raises:
        SkillError: A column is missing, scores lie outside their ends, or there are too few models or families.
    """
    require_level(level, SkillError)
    table, findings = ends_of_runs(as_runs(models))
    read, dropped = _read(table, tasks, family)
    asked = [_plan(one, read) for one in plans]
    numbers = _numbers(skills, read)
    fitted = fit_skills(read.measured, numbers)
    scores = _scores(read, fitted, asked, level, seed)
    checks = _checked(read, fitted.number, level, seed) if check else None
    loadings, leads = fitted.rotated()
    counts = np.bincount(read.measured.family, minlength=len(read.families))
    return FamilyForecasts(
        tasks=tuple(
            FamilyTask(
                task=task,
                models=int(np.isfinite(read.measured.scores[:, index]).sum()),
                noise=float(fitted.scales.noise[index] * task.ceiling),
                loadings=tuple(loadings[index].tolist()),
                plans=tuple(scores[index]),
                check=checks[index] if checks else None,
            )
            for index, task in enumerate(tasks)
        ),
        plans=tuple(asked),
        families=tuple(zip(read.families, counts.tolist(), map(tuple, leads.tolist()), strict=True)),
        models=len(read.sizes),
        points=_points(read, tasks),
        level=level,
        warnings=(*findings, *dropped, *_findings(asked, read, family)),
    )


def _read(table: Runs, tasks: Sequence[Task], family: str) -> tuple[_Models, list[Finding]]:
    """The models with size, family and a score, and which rows were left out."""
    if not tasks:
        raise SkillError("name the tasks: --task SCORE@CHANCE, a column of scores each.")
    with_loss = next((one for one in tasks if one.loss), None)
    if with_loss:
        raise SkillError(f"--task {with_loss.name}: skills of families are read from scores alone. Leave out :{with_loss.loss}.")  # fmt: skip
    for column in (family, *(one.score for one in tasks)):
        if not table.has(column):
            raise SkillError(f"{table.source} has no column {column!r}.{did_you_mean(column, table.columns)} It has {listed(table.columns, most=8)}.")  # fmt: skip
    clocks = [name for name in ("params", "tokens") if table.has(name)]
    if "params" not in clocks:
        raise SkillError(f"{table.source} has no column params. Name the sizes of the models: --map N=COLUMN.")
    sizes = np.column_stack([table.numbers(name) for name in clocks])
    scores = np.column_stack([table.numbers(one.score) for one in tasks])
    names = table.frame[family].cast(pl.String).to_list()
    kept = np.all(np.isfinite(sizes) & (sizes > 0), axis=1) & np.isfinite(scores).any(axis=1)
    kept &= np.array([bool(one and one.strip()) for one in names])
    found = left_out(table, listed([*clocks, family, "a score"]), kept)
    sizes, scores = sizes[kept], scores[kept]
    names = [one.strip() for one, keep in zip(names, kept, strict=True) if keep and one]
    if len(sizes) < _FEWEST_MODELS or len(np.unique(sizes[:, 0])) < 2:
        raise SkillError(f"{table.source}: {counted(len(sizes), 'model')} of {counted(len(np.unique(sizes[:, :1])), 'size')} with a score; skills need {_FEWEST_MODELS} models of two sizes or more.")  # fmt: skip
    for task, column in zip(tasks, scores.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) < 3:
            raise SkillError(f"{table.source}: {task.name} has {counted(len(known), 'score')}; a task needs three.")
        require_scores(known, task, table.source)
    families = tuple(dict.fromkeys(names))
    if len(families) < 2:
        raise SkillError(f"{table.source}: column {family!r} holds one family, {families[0]!r}. Leave out --family.")
    logs, ceiling = np.log(sizes), np.array([one.ceiling for one in tasks])
    # Sizes that hardly vary tell no slope: one step of theirs counts as a factor of e.
    spread = np.where(logs.std(axis=0) > _SAME_SIZE, logs.std(axis=0), 1.0)
    read = _Models(
        source=table.source,
        sizes=sizes,
        families=families,
        measured=Measured(
            features=(logs - logs.mean(axis=0)) / spread,
            scores=scores / ceiling,
            family=np.array([families.index(one) for one in names]),
            chance=np.array([one.chance for one in tasks]) / ceiling,
        ),
        centre=logs.mean(axis=0),
        spread=spread,
        ceiling=ceiling,
    )
    return read, found


def _points(read: _Models, tasks: Sequence[Task]) -> pl.DataFrame:
    """The models that are fitted, for a figure."""
    columns: dict[str, Any] = {
        "family": [read.families[number] for number in read.measured.family],
        "params": read.sizes[:, 0],
    }
    if read.sizes.shape[1] == 2:
        columns["flops"] = flops_6nd(read.sizes[:, 0], read.sizes[:, 1])
    return pl.DataFrame(
        columns | {task.name: read.measured.scores[:, index] * task.ceiling for index, task in enumerate(tasks)}
    )


def _plan(plan: Mapping[str, Any], read: _Models) -> FamilyPlan:
    """A plan with what the table's features need."""
    name = plan.get("family")
    if not name:
        raise SkillError(f"a model of a family is asked about by its family too: N=70B D=2T family={read.families[0]}.")
    n, d = plan.get("N"), plan.get("D")
    needed = {"N": n, "D": d} if read.sizes.shape[1] == 2 else {"N": n}
    for size, value in needed.items():
        if value is None or not value > 0:
            raise SkillError(f"a model needs {listed(list(needed))}, such as N=70B D=2T family={name}; {size} is {'missing' if value is None else value}.")  # fmt: skip
    if d is not None and len(needed) == 1:
        raise SkillError(f"D={d:g}: {read.source} has no column tokens, so skills are over size alone. Leave out D.")
    sizes = np.array(list(needed.values()), float)
    factor = float(np.prod(sizes) / np.prod(read.sizes, axis=1).max())
    flops = float(flops_6nd(sizes[0], sizes[1])) if len(sizes) == 2 else None
    return FamilyPlan(
        params=float(sizes[0]),
        tokens=float(sizes[1]) if len(sizes) == 2 else None,
        flops=flops,
        family=str(name),
        factor=factor,
    )


def _numbers(skills: int | None, read: _Models) -> Sequence[int]:
    models, benchmarks = read.measured.scores.shape
    most = min(benchmarks, models - 1)
    if skills is None:
        return range(1, min(_MOST_SKILLS, most) + 1)
    if not 1 <= skills <= most:
        raise SkillError(f"--skills {skills}: {counted(benchmarks, 'task')} of {models} models have 1 to {most} skills.")  # fmt: skip
    return [skills]


def _scores(
    read: _Models, fitted: LatentSkills, asked: Sequence[FamilyPlan], level: float, seed: int
) -> list[list[FamilyScore]]:
    """Per task the score of every plan."""
    if not asked:
        return [[] for _ in read.measured.chance]
    sizes = np.array([[one.params] if one.tokens is None else [one.params, one.tokens] for one in asked])
    family = np.array([read.families.index(one.family) if one.family in read.families else -1 for one in asked])
    features = read.features(sizes)
    value = fitted.scores(features, family) * read.ceiling
    law, run = (bounds * read.ceiling for bounds in _intervals(fitted, features, family, level, seed))
    return [
        [
            FamilyScore(
                value=float(value[plan, task]),
                law_interval=(float(law[0][plan, task]), float(law[1][plan, task])),
                run_interval=(float(run[0][plan, task]), float(run[1][plan, task])),
            )
            for plan in range(len(asked))
        ]
        for task in range(value.shape[1])
    ]


def _intervals(fitted: LatentSkills, features: Array, family: Indices, level: float, seed: int) -> tuple[Array, Array]:
    """Bounds (2, m, J) of the law and of a new model."""
    rng = np.random.default_rng(seed)
    drawn = fitted.draws(features, family, _DRAWS, rng)
    noisy = np.clip(drawn + fitted.scales.noise * rng.standard_normal(drawn.shape), 0.0, 1.0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    law, run = (np.quantile(one, tails, axis=0) for one in (drawn, noisy))
    return law, np.stack([np.minimum(law[0], run[0]), np.maximum(law[1], run[1])])


def _checked(read: _Models, skills: int, level: float, seed: int) -> list[FamilyCheck] | None:
    """How wrong forecasts of a family's larger models are from its smallest alone, per task; None where no family has two sizes."""
    size = read.sizes[:, 0]
    family = read.measured.family
    smallest = np.full(len(read.families), np.inf)
    np.minimum.at(smallest, family, size)
    larger = size > smallest[family]
    held_families = np.unique(family[larger])
    if len(held_families) > _MOST_HELD:
        held_families = np.random.default_rng(seed).choice(held_families, _MOST_HELD, replace=False)
    gaps, alone, inside = [], [], []
    for number in reported(held_families.tolist(), "holding out families"):
        held = larger & (family == number)
        if (~held).sum() < _FEWEST_MODELS:
            continue
        kept = _rows(read.measured, ~held)
        fitted = fit_skills(kept, [skills])
        pooled = fit_skills(replace(kept, family=np.zeros_like(kept.family)), [skills])
        features, truth = read.measured.features[held], read.measured.scores[held]
        names = family[held]
        gaps.append(np.abs(fitted.scores(features, names) - truth))
        alone.append(np.abs(pooled.scores(features, np.zeros_like(names)) - truth))
        low, high = _intervals(fitted, features, names, level, seed)[1]
        inside.append(np.where(np.isfinite(truth), (low <= truth) & (truth <= high), np.nan))
    if not gaps:
        return None
    stacked = [np.vstack(gaps) * read.ceiling, np.vstack(alone) * read.ceiling, np.vstack(inside)]
    found = []
    for task in range(len(read.measured.chance)):
        known = np.isfinite(stacked[0][:, task])
        means = [float(one[known, task].mean()) if known.any() else float("nan") for one in stacked]
        found.append(FamilyCheck(models=int(known.sum()), families=len(gaps), error=means[0], error_alone=means[1], inside=means[2]))  # fmt: skip
    return found


def _rows(measured: Measured, kept: Mask) -> Measured:
    """The models of these rows, with the numbers of their families as they are."""
    return replace(
        measured, features=measured.features[kept], scores=measured.scores[kept], family=measured.family[kept]
    )


def _findings(asked: Sequence[FamilyPlan], read: _Models, family: str) -> list[Finding]:
    found = []
    unknown = list(dict.fromkeys(one.family for one in asked if one.family not in read.families))
    for name in unknown:
        text = f"{read.source} has no model of family {name!r} (column {family}), so its scores are those of families at large.{did_you_mean(name, read.families)}"
        found.append(Finding("unknown_family", text))
    far = max((one.factor for one in asked), default=0.0)
    what = "compute" if read.sizes.shape[1] == 2 else "size"
    if far > _FAR:
        text = f"the largest model asked about lies {far:.3g}x beyond those of {read.source} in {what}; larger models of a family were held out up to about 30x."
        found.append(Finding("far_scores", text))
    for at, name in enumerate(("N", "D")[: read.sizes.shape[1]]):
        values = np.array([one.params if name == "N" else one.tokens for one in asked], float)
        low, high = float(read.sizes[:, at].min()), float(read.sizes[:, at].max())
        beyond = np.maximum(values / high, low / values)
        if len(values) and beyond.max() > _FAR_IN_ONE:
            worst = float(values[np.argmax(beyond)])
            text = f"{name} = {format_count(worst)} lies {beyond.max():.3g}x outside the models of {read.source} ({format_count(low)} to {format_count(high)})."
            found.append(Finding("far_scores", text))
    return found
