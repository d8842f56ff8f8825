"""Answers to the app's questions, worked out in worker processes by the same functions as the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rung.app import decisions
from rung.app.fields import MAPPED
from rung.app.given import Given, fit_of, law_of, levels_of, number_of, table_of
from rung.app.plain import answer_of, plain
from rung.app.questions import QUESTIONS, Question, at_its_field, command_of
from rung.app.workspace import Workspace
from rung.errors import RungError
from rung.files import neutral_csv
from rung.fitting import select
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
)
from rung.results import Table
from rung.runs import Runs, plausibility
from rung.units import format_count

_PREVIEW = 12
"""Rows of a table that are shown."""

_MOST_EXPORTED = 50_000
"""Rows up to which a table can be downloaded as it was read."""


def answer_to(question: str, given: Given, workspace: Workspace) -> dict[str, Any]:
    """The answer to a question as plain values: sentences, sections and files, findings in the page's words.

    Raises:
        RungError: It cannot be answered.
    """
    found = {"sentences": [], "sections": [], "files": {}, **_ANSWERS[question](given, workspace)}
    asked = QUESTIONS.get(question)
    if asked is not None:
        found["sentences"] = [_in_words(asked, text) for text in found["sentences"]]
        for section in found["sections"]:
            for block in section["blocks"]:
                _say(asked, block)
    return found


def _say(asked: Question, block: dict[str, Any]) -> None:
    """Bring the sentences of a block into the words of the page."""
    if block["kind"] == "paragraph":
        block["text"] = _in_words(asked, block["text"])
    elif block["kind"] == "definitions":
        block["pairs"] = [(name, _in_words(asked, text)) for name, text in block["pairs"]]
    for one in block.get("findings", []):
        one["finding"]["text"] = _in_words(asked, one["finding"]["text"])


def _in_words(asked: Question, text: str) -> str:
    return at_its_field(asked, text, {})[1]


def _read(given: Given, workspace: Workspace) -> dict[str, Any]:
    runs = table_of(given, workspace)
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
        "sections": [plain(section) for section in sections],
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
    return {"runs.csv": neutral_csv(runs.distinct.select(flat))}


def _fitted(given: Given, workspace: Workspace) -> dict[str, Any]:
    fit, runs = fit_of(given, workspace)
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
        "sections": [plain(section) for section in sections],
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
    runs = table_of(given, workspace)
    found = select(
        runs,
        along=given.get("along"),
        cuts=int(number_of(given, "cuts", 6)),
        target=given.get("target"),
        level=number_of(given, "level", 0.9),
    )
    return answer_of(found, Scene(), "Which law")


def _backtested(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.fitting.backtest import backtest

    chosen = law_of(given, workspace)
    found = backtest(
        chosen.runs,
        chosen.law,
        along=given.get("along"),
        cuts=int(number_of(given, "cuts", 6)),
        objective=chosen.objective,
        target=chosen.target,
        level=number_of(given, "level", 0.9),
    )
    return answer_of(found, Scene(runs=chosen.runs), "How wrong it would have been")


def _reported(given: Given, workspace: Workspace) -> dict[str, Any]:
    fit, runs = fit_of(given, workspace)
    inputs = {name: number_of(given, name) for name in ("N", "D") if given.get(name)}
    inputs |= levels_of(given, fit)
    if inputs and not {"N", "D"} & inputs.keys():
        inputs = {**farther(fit), **inputs}
    asked = Asked(inputs=inputs, flops=number_of(given, "flops"), command=command_of(QUESTIONS["report"], given))
    made = make_report(fit, runs, asked)
    return {
        "sentences": list(made.answers),
        "sections": [plain(section) for section in made.sections],
        "files": {"report.html": report_text(made), "fit.json": fit.to_json(), **_exported(runs)},
    }


def _imported(given: Given, workspace: Workspace) -> dict[str, Any]:
    from rung.app.importing import import_table

    kind, _, place = given["store"].partition(":")
    return import_table(given["store"], f"{kind}:{workspace.path_of(place)}", workspace)


def _checked(given: Given, workspace: Workspace) -> dict[str, Any]:  # noqa: ARG001  # the same for every question
    from rung.papers import reproduce

    return reproduce(given["slug"]).to_dict()


_ANSWERS: dict[str, Callable[[Given, Workspace], dict[str, Any]]] = {
    "table": _read,
    "fit": _fitted,
    "select": _selected,
    "backtest": _backtested,
    "allocate": decisions.allocated,
    "next": decisions.planned,
    "compare": decisions.compared,
    "tune": decisions.tuned,
    "report": _reported,
    "cost": decisions.priced,
    "import": _imported,
    "check": _checked,
}
"""What answers each question."""
