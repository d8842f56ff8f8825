"""What a user asks about tasks: the tasks and the models not trained, as they are written on a command line or in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.errors import RungError, SkillError
from rung.messages import listed
from rung.runs import Runs, read_runs, read_table
from rung.skill.task_table import Task
from rung.units import parse_number

_TASK_COLUMNS = {
    "name": ("name", "task", "eval_task"),
    "score": ("score", "metric_column", "score_column"),
    "loss": ("loss", "loss_column"),
    "chance": ("chance", "random_baseline"),
    "ceiling": ("ceiling",),
}


def named_tasks(texts: Sequence[str], runs: Runs) -> list[Task]:
    """The tasks that a user named.

    Raises:
        SkillError: None is named, or a name is given twice.
    """
    if not texts:
        raise SkillError(
            f"name the tasks: --task NAME=SCORE:LOSS@CHANCE, with columns of {runs.source} ({listed(runs.columns, most=8)})."
        )
    return _once([Task.parse(text) for text in texts])


def tasks_in(source: Any) -> list[Task]:
    """The tasks of a table: name, score, and where known loss, chance and ceiling.

    Raises:
        SkillError: A column is missing, or chance is no number below the ceiling.
    """
    read, place = read_table(source)
    columns = {
        meaning: next((name for name in names if name in read.frame.columns), None)
        for meaning, names in _TASK_COLUMNS.items()
    }
    if columns["score"] is None:
        raise SkillError(f"{place}: no column score names the columns of scores; it has {listed(read.frame.columns)}.")
    found = []
    for number, row in enumerate(read.frame.iter_rows(named=True), 1):
        values = {meaning: row[name] if name else None for meaning, name in columns.items()}
        try:
            chance, ceiling = float(values["chance"] or 0.0), float(values["ceiling"] or 1.0)
        except ValueError:
            raise SkillError(f"{place}, row {number}: chance and ceiling must be numbers.") from None
        if not 0 <= chance < ceiling:
            percent = " If chance is in percent, divide it by 100." if 1 < chance <= 100 else ""
            raise SkillError(
                f"{place}, row {number}: chance {chance:g} does not lie between 0 and {ceiling:g}.{percent}"
            )
        score = str(values["score"])
        loss = str(values["loss"]) if values["loss"] else None
        found.append(Task(name=str(values["name"] or score), score=score, loss=loss, chance=chance, ceiling=ceiling))
    return _once(found)


def _once(tasks: list[Task]) -> list[Task]:
    names = [one.name for one in tasks]
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice:
        raise SkillError(f"the task {twice} is named twice. Give each a name of its own: NAME=SCORE:LOSS@CHANCE.")
    return tasks


def plan_of(texts: Sequence[str]) -> dict[str, float]:
    """A model not trained, from N=7B and D=140B.

    Raises:
        SkillError: A text is no NAME=VALUE, or its value no number.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in {"N", "D", "C"}:
            raise SkillError(
                f"{text}: a model not trained has N and D (and C where it is not 6 N D), such as N=7B D=140B."
            )
        try:
            found[name] = parse_number(value)
        except (RungError, ValueError):
            raise SkillError(f"{text}: {value!r} is no number.") from None
    return found


def family_plan_of(texts: Sequence[str]) -> dict[str, Any]:
    """A model of a family, from N=70B, D=2T and family=llama-2.

    Raises:
        SkillError: A text is no NAME=VALUE, or a size no number.
    """
    names = [text for text in texts if text.startswith("family=")]
    if len(names) > 1:
        raise SkillError(f"{' '.join(names)}: ask about one family at a time, or give a table: --plans FILE.")
    sizes = plan_of([text for text in texts if text not in names])
    if "C" in sizes:
        raise SkillError(f"C={sizes['C']:g}: skills of families follow N and D.")
    return {**sizes, "family": names[0].partition("=")[2].strip() if names else None}


def family_plans_in(source: Any, family: str) -> list[Mapping[str, Any]]:
    """Models of families, from a table with params, tokens where known, and this column of families.

    Raises:
        SkillError: The table lacks the column of families.
        RunsError: It cannot be read, or lacks params.
    """
    runs = read_runs(source)
    if not runs.has(family):
        raise SkillError(f"{runs.source} has no column {family!r} of families; it has {listed(runs.columns, most=8)}.")
    sizes = {name: runs.numbers(column).tolist() for name, column in (("N", "params"), ("D", "tokens")) if runs.has(column)}  # fmt: skip
    names = runs.texts(family).tolist()
    return [{**{size: values[row] for size, values in sizes.items()}, "family": name} for row, name in enumerate(names)]


def size_of(text: str) -> float:
    """The size that is asked about, from N=7B.

    Raises:
        SkillError: The text is no N=VALUE.
    """
    if not text.startswith("N="):
        raise SkillError(f"{text}: a size is asked about by N, such as N=7B.")
    return plan_of([text])["N"]


def plans_in(source: Any) -> list[Mapping[str, float]]:
    """Models not trained, from a table with params and tokens.

    Raises:
        RunsError: The table cannot be read, or lacks one of the two.
    """
    runs = read_runs(source)
    params, tokens = runs.numbers("params"), runs.numbers("tokens")
    flops = runs.numbers("flops") if runs.has("flops") else 6 * params * tokens
    return [{"N": n, "D": d, "C": c} for n, d, c in zip(params.tolist(), tokens.tolist(), flops.tolist(), strict=True)]


def scales_of(texts: Sequence[str], along: str | None) -> tuple[str, list[float]]:
    """The name of a scale and its values, from texts such as C=1e23 and C=1e24.

    Raises:
        SkillError: Texts name several scales, or a value is no positive number.
    """
    names = list(dict.fromkeys(text.partition("=")[0] for text in texts))
    if along is not None and any(name != along for name in names):
        raise SkillError(f"{texts[0]}: the scale is {along} (--along).")
    if len(names) > 1:
        raise SkillError(f"{' '.join(texts)}: ask along one scale.")
    values = []
    for text in texts:
        try:
            value = parse_number(text.partition("=")[2])
        except (RungError, ValueError):
            raise SkillError(f"{text}: {text.partition('=')[2]!r} is no number.") from None
        if not value > 0:
            raise SkillError(f"{text}: a scale is positive.")
        values.append(value)
    return along or (names[0] if names else "C"), values
