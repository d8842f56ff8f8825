"""`rung skill predict`: the scores of models not trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rung.cli.options import LAW, QUESTION, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.table_options import TableOptions, read_selected, tables_and_inputs

if TYPE_CHECKING:
    from rung.results import Result
    from rung.runs import Runs
    from rung.skill import Task


def predict(
    runs: Annotated[str, Parameter(name="RUNS")],
    /,
    *inputs: Annotated[str, Parameter(name="N=… D=…")],
    task: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=False)] = (),
    tasks: Annotated[str | None, Parameter(group=QUESTION)] = None,
    plans: Annotated[str | None, Parameter(group=QUESTION)] = None,
    family: Annotated[str | None, Parameter(group=QUESTION)] = None,
    skills: Annotated[int | None, Parameter(group=QUESTION)] = None,
    law: Annotated[tuple[str, ...], Parameter(group=LAW, negative="", consume_multiple=False)] = (),
    rows: TableOptions = TableOptions(),  # noqa: B008  # frozen
    level: Level = 0.9,
    seed: Seed = 0,
    output: Output = (),
    figure: Figure = (),
    json: Json = False,
) -> None:
    """Forecast scores of tasks: scale to loss to score and scale to score directly, weighted by how wrong each was; and which tasks can be predicted at all.

    Parameters
    ----------
    runs
        A table of runs, one row per run or per checkpoint, with params, tokens and the columns of the tasks.
    inputs
        The model not trained: N=7B D=140B.
    task
        A task: NAME=SCORE:LOSS@CHANCE, such as arc=arc_acc:arc_bpb@0.25; the loss on it and NAME may be left out. Repeatable.
    tasks
        A table of tasks instead: name, score, loss, chance and, where it is not 1, ceiling.
    plans
        A table of models not trained instead, with params and tokens.
    family
        The column of families of models: scores by latent skills that all tasks share, asked about by family=NAME beside N and D.
    skills
        How many skills with --family; by default 1 to 3, whichever is most evident.
    law
        A law of the loss on a task in N and D; chinchilla and skaling by default. Repeatable.
    """
    from rung.skill import family_plan_of, family_plans_in, named_tasks, plan_of, plans_in, tasks_in

    kinds = require_kinds(output, {".json": "the forecasts", ".csv": "one row each"}) | figure_kinds(figure)
    files, given = tables_and_inputs(inputs)
    table = read_selected([runs, *files], rows, "loss")
    wanted = tasks_in(tasks) if tasks else named_tasks(task, table)
    options: dict[str, Any] = {"law": law, "skills": skills, "level": level, "seed": seed}
    found: Result
    if family is None:
        found = _of_runs(table, wanted, plans_in(plans) if plans else [plan_of(given)], **options)
    else:
        asked = family_plans_in(plans, family) if plans else [family_plan_of(given)] if given else []
        found = _of_families(table, wanted, asked, family, **options)
    write_result(found, kinds)
    show(found, json=json)


def _of_runs(
    table: Runs, tasks: Sequence[Task], asked: Sequence[Any], *, law: Sequence[str], skills: int | None, **options: Any
) -> Result:
    """By the loss of runs of one recipe."""
    from rung.errors import SkillError
    from rung.skill import predict_scores

    if skills is not None:
        raise SkillError("--skills: skills are what families share. Name their column: --family COLUMN.")
    if law:
        options["laws"] = law
    return predict_scores(table, tasks, asked, **options)


def _of_families(
    table: Runs, tasks: Sequence[Task], asked: Sequence[Any], family: str, *, law: Sequence[str], **options: Any
) -> Result:
    """By the skills of models of several families."""
    from rung.errors import SkillError
    from rung.skill import predict_families

    if law:
        raise SkillError(f"--law {law[0]} is a law of a loss, and with --family skills are read from scores alone.")
    return predict_families(table, tasks, asked, family=family, **options)
