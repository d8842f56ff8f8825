"""`rung skill predict`: the scores of models not trained."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rung.cli.options import LAW, QUESTION, Figure, Json, Level, Output, Seed
from rung.cli.output import figure_kinds, require_kinds, show, write_result
from rung.cli.table_options import TableOptions, read_selected, tables_and_inputs


def predict(
    runs: Annotated[str, Parameter(name="RUNS")],
    /,
    *inputs: Annotated[str, Parameter(name="N=… D=…")],
    task: Annotated[tuple[str, ...], Parameter(group=QUESTION, negative="", consume_multiple=False)] = (),
    tasks: Annotated[str | None, Parameter(group=QUESTION)] = None,
    plans: Annotated[str | None, Parameter(group=QUESTION)] = None,
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
    law
        A law of the loss on a task in N and D; chinchilla and skaling by default. Repeatable.
    """
    from rung.skill import named_tasks, plan_of, plans_in, predict_scores, tasks_in

    kinds = require_kinds(output, {".json": "the forecasts", ".csv": "one row each"}) | figure_kinds(figure)
    files, given = tables_and_inputs(inputs)
    table = read_selected([runs, *files], rows, "loss")
    found = predict_scores(
        table,
        tasks_in(tasks) if tasks else named_tasks(task, table),
        plans_in(plans) if plans else [plan_of(given)],
        level=level,
        seed=seed,
        **({"laws": law} if law else {}),
    )
    write_result(found, kinds)
    show(found, json=json)
