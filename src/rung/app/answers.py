"""Answers to the app's questions, worked out in worker processes by the same functions as the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from rung.app.questions import MAPPED, QUESTIONS, at_its_field, command_of
from rung.app.workspace import Workspace
from rung.errors import AppError, RungError
from rung.files import write_text
from rung.fitting import Fit, LawChoice, as_fit, choose_law, select
from rung.fitting import fit as fit_law
from rung.forecasting import forecast
from rung.laws import column_of
from rung.report import (
    Asked,
    Block,
    Definitions,
    Findings,
    MarkedFinding,
    Paragraph,
    Scene,
    Section,
    TableBlock,
    coefficients_section,
    data_and_law,
    explorer_of,
    farther,
    findings_section,
    make_report,
    points_of,
    read_section,
    report_text,
    result_section,
)
from rung.results import Result, Table
from rung.runs import RowChoice, Runs, plausibility, read_runs, select_rows
from rung.units import format_count, parse_number

_PREVIEW = 12
"""Rows of a table that are shown."""

_MOST_EXPORTED = 50_000
"""Rows up to which a table can be downloaded as it was read."""

Given = Mapping[str, str]
"""What was asked, by field."""


def answer_to(question: str, given: Given, workspace: Workspace) -> dict[str, Any]:
    """The answer to a question as plain values: sentences, sections and files, findings in the page's words.

    Raises:
        RungError: It cannot be answered.
    """
    found = {"sentences": [], "sections": [], "files": {}, **_ANSWERS[question](given, workspace)}
    asked = QUESTIONS.get(question)
    if asked is not None:
        for section in found["sections"]:
            for block in section["blocks"]:
                for one in block.get("findings", []):
                    one["finding"]["text"] = at_its_field(asked, one["finding"]["text"], {})[1]
    return found


def fit_key(given: Given, workspace: Workspace) -> str:
    """The name under which the fit to a table is kept."""
    used = {
        name: text
        for name, text in given.items()
        if name.startswith("map-") or name in {"law", "target", "objective", "level", *_ROW_FIELDS}
    }
    return workspace.key("fit", workspace.stamp(given.get("table", "")), sorted(used.items()))


_ROW_FIELDS = {"where", "drop_tokens", "best_of", "last", "drop_duplicates", "drop_nonfinite", "unfinished"}


def _table(given: Given, workspace: Workspace, *, name: str = "table") -> Runs:
    """The table, with the columns and rows that were chosen."""
    path = workspace.path_of(given.get(name, ""))
    mapping = {key.removeprefix("map-"): text for key, text in given.items() if key.startswith("map-")}
    if path.is_dir():
        from rung.ladder import table as table_of
        from rung.ladder.execution import folders_of

        runs = read_runs(table_of(folders_of(path), lambda _: None), mapping)
    else:
        runs = read_runs(str(path), mapping, unfinished="unfinished" in given)
    choice = RowChoice(
        where=given.get("where"),
        drop_duplicates="drop_duplicates" in given,
        last="last" in given,
        drop_tokens=_number(given, "drop_tokens"),
        best_of=[column_of(part.strip()) for part in given.get("best_of", "").split(",") if part.strip()],
    )
    return select_rows(runs, choice, given.get("target", "loss"))


def _chosen(given: Given, workspace: Workspace) -> LawChoice:
    return choose_law(
        given.get("law", "chinchilla"),
        _table(given, workspace),
        target=given.get("target"),
        objective=given.get("objective"),
        leave_out=["gaps"] if "drop_nonfinite" in given else [],
    )


def _fit(given: Given, workspace: Workspace) -> tuple[Fit, Runs]:
    """The fit to a table, read where it is kept."""
    chosen = _chosen(given, workspace)
    kept = workspace.fits / f"{fit_key(given, workspace)}.json"
    if kept.is_file():
        return as_fit(kept), chosen.runs
    found = fit_law(
        chosen.runs, chosen.law, target=chosen.target, objective=chosen.objective, level=_number(given, "level", 0.9)
    )
    write_text(kept, found.to_json())
    return found, chosen.runs


def _number(given: Given, name: str, default: Any = None) -> Any:
    return parse_number(given[name]) if given.get(name) else default


def _read(given: Given, workspace: Workspace) -> dict[str, Any]:
    runs = _table(given, workspace)
    canonical = [(f"{label}", runs.mapping.get(column, "")) for column, label in MAPPED.items() if runs.has(column)]
    missing = [label for column, label in MAPPED.items() if not runs.has(column)]
    frame = runs.distinct
    shown = [name for name in runs.columns if name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.select(shown).head(_PREVIEW).iter_rows()]
    found = [MarkedFinding(one, {}) for one in plausibility(runs, given.get("target", "loss"))]
    blocks: list[Block] = [Definitions([(label, f"from {source}") for label, source in canonical])]
    if missing:
        blocks.append(Paragraph(f"Not found: {', '.join(missing)}."))
    blocks += [Paragraph(note) for note in runs.notes]
    sections = [
        Section("recognised", "What was recognised", blocks),
        Section(
            "findings",
            "Findings",
            [Findings(found)] if found else [Paragraph("Nothing in the table looks implausible.")],
        ),
        Section("rows", f"First {min(len(runs), _PREVIEW)} of {len(runs)} rows", [TableBlock(Table(shown, rows))]),
    ]
    return {
        "sentences": [f"{runs.source}: {len(runs)} rows, {len(shown)} columns."],
        "sections": [_plain(section) for section in sections],
        "columns": runs.file_columns,
        "mapping": dict(runs.mapping),
        "files": _exported(runs),
    }


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:60]


def _exported(runs: Runs) -> dict[str, str]:
    if len(runs) > _MOST_EXPORTED:
        return {}
    flat = [
        name for name in runs.distinct.columns if not name.startswith("#") and not runs.distinct[name].dtype.is_nested()
    ]
    return {"runs.csv": runs.distinct.select(flat).write_csv()}


def _fitted(given: Given, workspace: Workspace) -> dict[str, Any]:
    fit, runs = _fit(given, workspace)
    scene = Scene(fit=fit, runs=runs)
    target = _quietly(lambda: forecast(fit, **dict[str, Any](farther(fit))))
    explorer = explorer_of(fit, target)
    sections = [data_and_law(fit, runs, scene)]
    if explorer is not None:
        sections.insert(0, Section("target", "Move the target", [explorer]))
    sections += [
        coefficients_section(fit),
        findings_section([fit], points_of(fit, runs, None)),
        read_section(fit, runs),
    ]
    return {
        "sentences": [fit.headline()],
        "sections": [_plain(section) for section in sections],
        "files": {"fit.json": fit.to_json(), **_exported(runs)},
        "forecasts": {
            "variables": [column_of(name) for name in fit.law.variables],
            "groups": {group: list(levels) for group, levels in fit.groups.items()},
            "largest": {
                column_of(name): f"up to {format_count(fit.ranges[name][1])} ran"
                for name in fit.law.variables
                if name in fit.ranges
            },
        },
    }


def _quietly(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except RungError:
        return None


def _selected(given: Given, workspace: Workspace) -> dict[str, Any]:
    runs = _table(given, workspace)
    found = select(
        runs,
        along=given.get("along"),
        cuts=int(_number(given, "cuts", 6)),
        target=given.get("target"),
        level=_number(given, "level", 0.9),
    )
    return _of(found, Scene(), "Which law")


def _backtested(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.fitting.backtest import backtest

    chosen = _chosen(given, workspace)
    found = backtest(
        chosen.runs,
        chosen.law,
        along=given.get("along"),
        cuts=int(_number(given, "cuts", 6)),
        objective=chosen.objective,
        target=chosen.target,
        level=_number(given, "level", 0.9),
    )
    return _of(found, Scene(runs=chosen.runs), "How wrong it would have been")


def _allocated(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.planning.allocation import allocate
    from rung.planning.cost import cost

    flops, loss = _number(given, "flops"), _number(given, "loss")
    if (flops is None) == (loss is None):
        raise AppError("give a budget (--flops) or a loss to be reached (--loss): one of the two.", "flops")
    fit, runs = _fit(given, workspace)
    levels: dict[str, Any] = {group: known[0] for group, known in fit.groups.items()}
    found = allocate(
        fit,
        flops=flops,
        loss=loss,
        cost=given.get("cost", "6*N*D"),
        tokens_per_param=_number(given, "tokens_per_param"),
        unique_tokens=_number(given, "unique_tokens"),
        max_params=_number(given, "max_params"),
        **levels,
    )
    answer = _of(found, Scene(fit=fit, runs=runs), "Size and data")
    cluster = _cluster(given)
    if cluster is not None:
        params = found.choices["params"].value if "params" in found.choices else None
        answer["sections"] += _of(cost(found.budget, cluster, params=params), Scene(), "Its price")["sections"]
    return answer


def _cluster(given: Given) -> Any:
    from rung.planning.cost import Cluster, accelerator_named

    if not given.get("hardware"):
        if given.get("accelerators") or given.get("price"):
            raise AppError("how many and their price belong to a machine: choose one, --hardware.", "hardware")
        return None
    return Cluster(
        accelerator=accelerator_named(given["hardware"]),
        count=int(_number(given, "accelerators", 1)),
        utilisation=_number(given, "utilisation", 0.4),
        price=_number(given, "price"),
    )


def _planned(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.planning.experiments import next_runs

    chosen = _chosen(given, workspace)
    budget = _number(given, "flops")
    if budget is None:
        raise AppError("give a budget for all new runs together.", "flops")
    if not {"N", "D"} <= given.keys():
        raise AppError("name the run whose loss is to be known: N and D of the forecast.", "N")
    found = next_runs(
        chosen.runs,
        budget=budget,
        targets=[{"N": _number(given, "N"), "D": _number(given, "D")}],
        law=chosen.law,
        target=chosen.target,
        most=int(_number(given, "most", 100)),
    )
    answer = _of(found, Scene(runs=chosen.runs), "The next runs")
    answer["files"] = {"plan.csv": found.to_csv(), "plan.toml": found.to_ladder()}
    return answer


def _compared(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.worth import compare, compare_seeds, compare_several, one_scale

    target, level = given.get("target", "loss"), _number(given, "level", 0.9)
    runs = _table(given, workspace)
    if given.get("other"):
        tables = {"A": runs, "B": _table(given, workspace, name="other")}
        names = [name.strip() for name in given.get("names", "").split(",") if name.strip()]
        if len(names) == 2:
            tables = dict(zip(names, tables.values(), strict=True))
    elif given.get("by"):
        labels = runs.texts(given["by"])
        known = sorted({str(label) for label in labels})
        names = [name.strip() for name in given.get("names", "").split(",") if name.strip()] or known
        absent = [name for name in names if name not in known]
        if absent:
            raise AppError(f"{given['by']} has no {absent[0]!r}; it has {', '.join(known[:12])}.", "names")
        tables = {name: runs.take(labels == name) for name in names}
    else:
        raise AppError("name the column that distinguishes the recipes (--by), or a second table.", "by")
    if len(tables) < 2:
        raise AppError("there is one recipe only, and two are needed.", "by")
    first, *others = tables

    def one(name: str, at: float) -> Any:
        pair = [tables[first], tables[name]]
        if one_scale(pair) and not given.get("along"):
            return compare_seeds(*pair, names=(first, name), target=target, level=at)
        return compare(*pair, names=(first, name), along=given.get("along"), target=target, level=at)

    found = one(others[0], level) if len(others) == 1 else compare_several(others, one, level)
    return _of(found, Scene(), "What it is worth")


def _tuned(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.planning.tuning import tune

    if not {"N", "D"} <= given.keys():
        raise AppError("name the run to be trained: N and D.", "N")
    run = {"params": _number(given, "N"), "tokens": _number(given, "D")}
    runs = _table(given, workspace)
    try:
        found, swept, why = tune(runs, **run), [runs], ""
    except RungError as error:
        found, swept, why = tune(None, **run), [], error.text
    answer = _of(found, Scene(runs=swept[0] if swept else None), "Learning rate and batch")
    if why:
        answer["sentences"].append(f"Published rules alone; the table is no sweep that could score them: {why}")
    return answer


def _priced(given: Given, workspace: Workspace) -> dict[str, Any]:  # noqa: ARG001  # the same for every question
    from rung.planning.cost import cost

    cluster = _cluster(given)
    if cluster is None:
        raise AppError("choose a machine.", "hardware")
    size, flops = (_number(given, "N"), _number(given, "D")), _number(given, "flops")
    if flops is None and None in size:
        raise AppError("say what is trained: N and D, or its compute.", "N")
    return _of(cost(flops or 6 * size[0] * size[1], cluster, params=size[0]), Scene(), "The price")


def _reported(given: Given, workspace: Workspace) -> dict[str, Any]:
    fit, runs = _fit(given, workspace)
    inputs = {name: _number(given, name) for name in ("N", "D") if given.get(name)}
    asked = Asked(inputs=inputs, flops=_number(given, "flops"), command=command_of(QUESTIONS["report"], given))
    made = make_report(fit, runs, asked)
    return {
        "sentences": list(made.answers),
        "sections": [_plain(section) for section in made.sections],
        "files": {"report.html": report_text(made), "fit.json": fit.to_json(), **_exported(runs)},
    }


def _of(result: Result, scene: Scene, title: str) -> dict[str, Any]:
    """The answer that a result is."""
    sections = [result_section("result", title, result, "", scene)]
    if result.findings():
        sections.append(findings_section([result]))
    return {"sentences": [result.headline()], "sections": [_plain(section) for section in sections], "files": {}}


def _plain(section: Section) -> dict[str, Any]:
    """A section as plain values."""
    blocks = []
    for block in section.blocks:
        plain = asdict(block)
        if isinstance(block, Findings):
            plain["findings"] = [
                {"finding": one.finding.to_dict(), "points": dict(one.points)} for one in block.findings
            ]
        blocks.append(plain)
    return {"anchor": section.anchor, "title": section.title, "blocks": blocks}


def _imported(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.runs.sources import import_runs

    kind, _, place = given["store"].partition(":")
    if not place:
        raise AppError(f"{given['store']}: write KIND:FOLDER, such as tensorboard:logs.")
    if place.startswith(("http://", "https://")) or kind == "mlflow":
        raise AppError(
            f"{given['store']}: stores on a network are opened where the app is started: rung app {given['store']}."
        )
    found = import_runs(f"{kind}:{workspace.path_of(place)}")
    return keep_imported(found, kind, workspace)


def keep_imported(found: Any, kind: str, workspace: Workspace) -> dict[str, Any]:
    """Keep an imported table, and tell where its columns come from."""
    frame: pl.DataFrame = found.frame
    name = workspace.keep_table(f"{kind}.csv", frame.write_csv().encode())
    findings = [MarkedFinding(one, {}) for one in found.warnings]
    sections = [
        Section("columns", "Where the columns come from", [Definitions(list(found.mapping.items()))]),
        Section("findings", "Findings", [Findings(findings)] if findings else []),
    ]
    return {"table": name, "sections": [_plain(one) for one in sections if one.blocks]}


def _checked(given: Given, workspace: Workspace) -> dict[str, Any]:  # noqa: ARG001  # the same for every question
    from rung.papers import reproduce

    return reproduce(given["slug"]).to_dict()


_ANSWERS: dict[str, Callable[[Given, Workspace], dict[str, Any]]] = {
    "table": _read,
    "fit": _fitted,
    "select": _selected,
    "backtest": _backtested,
    "allocate": _allocated,
    "next": _planned,
    "compare": _compared,
    "tune": _tuned,
    "report": _reported,
    "cost": _priced,
    "import": _imported,
    "check": _checked,
}
"""What answers each question."""
