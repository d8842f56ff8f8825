"""Answers about what to do: size and data, the next runs, recipes, learning rate and batch, the price."""

from __future__ import annotations

from typing import Any

from rung.app.given import Given, fit_of, law_of, levels_of, number_of, table_of
from rung.app.plain import answer_of
from rung.app.workspace import Workspace
from rung.errors import AppError, RungError
from rung.report import Scene
from rung.runs import Runs


def allocated(given: Given, workspace: Workspace) -> dict[str, Any]:
    """Size and data for a budget or a loss, and their price."""
    from rung.planning.allocation import allocate
    from rung.planning.cost import cost

    flops, loss = number_of(given, "flops"), number_of(given, "loss")
    if (flops is None) == (loss is None):
        raise AppError("give a budget (--flops) or a loss to be reached (--loss): one of the two.", "flops")
    fit, runs = fit_of(given, workspace)
    found = allocate(
        fit,
        flops=flops,
        loss=loss,
        cost=given.get("cost", "6*N*D"),
        tokens_per_param=number_of(given, "tokens_per_param"),
        unique_tokens=number_of(given, "unique_tokens"),
        max_params=number_of(given, "max_params"),
        **levels_of(given, fit),
    )
    answer = answer_of(found, Scene(fit=fit, runs=runs), "Size and data")
    cluster = _cluster(given)
    if cluster is not None:
        params = found.choices["params"].value if "params" in found.choices else None
        answer["sections"] += answer_of(cost(found.budget, cluster, params=params), Scene(), "Its price")["sections"]
    return answer


def _cluster(given: Given) -> Any:
    from rung.planning.cost import Cluster, accelerator_named

    if not given.get("hardware"):
        if given.get("accelerators") or given.get("price"):
            raise AppError("how many and their price belong to a machine: choose one, --hardware.", "hardware")
        return None
    return Cluster(
        accelerator=accelerator_named(given["hardware"]),
        count=int(number_of(given, "accelerators", 1)),
        utilisation=number_of(given, "utilisation", 0.4),
        price=number_of(given, "price"),
    )


def planned(given: Given, workspace: Workspace) -> dict[str, Any]:
    """The runs to make next."""
    from rung.planning.experiments import next_runs

    chosen = law_of(given, workspace)
    budget = number_of(given, "flops")
    if budget is None:
        raise AppError("give a budget for all new runs together.", "flops")
    if not {"N", "D"} <= given.keys():
        raise AppError("name the run whose loss is to be known: N and D of the forecast.", "N")
    found = next_runs(
        chosen.runs,
        budget=budget,
        targets=[{"N": number_of(given, "N"), "D": number_of(given, "D")}],
        law=chosen.law,
        target=chosen.target,
        most=int(number_of(given, "most", 100)),
    )
    answer = answer_of(found, Scene(runs=chosen.runs), "The next runs")
    answer["files"] = {"plan.csv": found.to_csv(), "plan.toml": found.to_ladder()}
    return answer


def compared(given: Given, workspace: Workspace) -> dict[str, Any]:
    """What a recipe is worth."""
    from rung.worth import compare, compare_seeds, compare_several, one_scale

    target, level = given.get("target", "loss"), number_of(given, "level", 0.9)
    tables = _recipes(given, workspace, target)
    first, *others = tables

    def one(name: str, at: float) -> Any:
        pair = [tables[first], tables[name]]
        if one_scale(pair) and not given.get("along"):
            return compare_seeds(*pair, names=(first, name), target=target, level=at)
        return compare(*pair, names=(first, name), along=given.get("along"), target=target, level=at)

    found = one(others[0], level) if len(others) == 1 else compare_several(others, one, level)
    return answer_of(found, Scene(), "What it is worth")


def _recipes(given: Given, workspace: Workspace, target: str) -> dict[str, Runs]:
    """The runs of each recipe by its name, the control first.

    Raises:
        AppError: They are not said, or are fewer than two.
    """
    runs = table_of(given, workspace)
    _require_column(runs, target, "target")
    names = [name.strip() for name in given.get("names", "").split(",") if name.strip()]
    if given.get("other"):
        pair = names if len(names) == 2 else ["A", "B"]
        return dict(zip(pair, (runs, table_of(given, workspace, name="other")), strict=True))
    if not given.get("by"):
        raise AppError("name the column that distinguishes the recipes (--by), or a second table.", "by")
    _require_column(runs, given["by"], "by")
    labels = runs.texts(given["by"])
    known = sorted({str(label) for label in labels})
    absent = [name for name in names if name not in known]
    if absent:
        raise AppError(f"{given['by']} has no {absent[0]!r}; it has {', '.join(known[:12])}.", "names")
    if len(names or known) < 2:
        raise AppError("there is one recipe only, and two are needed.", "by")
    return {name: runs.take(labels == name) for name in names or known}


def _require_column(runs: Runs, name: str, field: str) -> None:
    if not runs.has(name):
        raise AppError(f"the table has no column {name!r}; it has {', '.join(runs.file_columns[:20])}.", field)


def tuned(given: Given, workspace: Workspace) -> dict[str, Any]:
    """Learning rate and batch."""
    from rung.planning.tuning import tune

    if not {"N", "D"} <= given.keys():
        raise AppError("name the run to be trained: N and D.", "N")
    run = {"params": number_of(given, "N"), "tokens": number_of(given, "D")}
    runs = table_of(given, workspace)
    try:
        found, swept, why = tune(runs, **run), [runs], ""
    except RungError as error:
        found, swept, why = tune(None, **run), [], error.text
    answer = answer_of(found, Scene(runs=swept[0] if swept else None), "Learning rate and batch")
    if why:
        answer["command"] = f"rung tune N={given['N']} D={given['D']}"
        answer["sentences"].append(f"Published rules alone; the table is no sweep that could score them: {why}")
    return answer


def priced(given: Given, workspace: Workspace) -> dict[str, Any]:  # noqa: ARG001  # the same for every question
    """What a training takes."""
    from rung.planning.cost import cost

    cluster = _cluster(given)
    if cluster is None:
        raise AppError("choose a machine.", "hardware")
    size, flops = (number_of(given, "N"), number_of(given, "D")), number_of(given, "flops")
    if flops is not None and size[1] is not None:
        raise AppError("give what is trained, N and D, or its compute, not both.", "flops")
    if flops is None and None in size:
        raise AppError("say what is trained: N and D, or its compute.", "N")
    return answer_of(cost(flops or 6 * size[0] * size[1], cluster, params=size[0]), Scene(), "The price")
