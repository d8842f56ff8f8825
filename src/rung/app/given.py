"""What was asked, read: the table with its columns and rows, the law, the fit, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.app.fields import ROWS
from rung.app.workspace import Workspace
from rung.errors import AppError, RungError
from rung.files import write_text
from rung.fitting import Fit, LawChoice, as_fit, choose_law
from rung.fitting import fit as fit_law
from rung.laws import column_of
from rung.runs import RowChoice, Runs, read_runs, select_rows
from rung.units import parse_number

Given = Mapping[str, str]
"""What was asked, by field."""


def fit_key(given: Given, workspace: Workspace) -> str:
    """The name under which the fit to a table is kept."""
    used = {
        name: text
        for name, text in given.items()
        if name.startswith("map-") or name in {"law", "target", "objective", "level", *_ROW_FIELDS}
    }
    return workspace.key("fit", workspace.stamp(given.get("table", "")), sorted(used.items()))


_ROW_FIELDS = {one.name for one in ROWS}


def table_of(given: Given, workspace: Workspace, *, name: str = "table") -> Runs:
    """The table, with the columns and rows that were chosen."""
    path = workspace.path_of(given.get(name, ""))
    mapping = {key.removeprefix("map-"): text for key, text in given.items() if key.startswith("map-")}
    unfinished = "unfinished" in given
    if path.is_dir():
        from rung.ladder import read_ladder_runs

        runs = read_ladder_runs(path, mapping, unfinished=unfinished)
    else:
        try:
            runs = read_runs(str(path), mapping, unfinished=unfinished, wide=given.get("wide", ""))
        except RungError as error:
            # Where the app keeps its files is of no use on a page.
            raise type(error)(error.text.replace(str(path), path.name)) from None
    choice = RowChoice(
        where=given.get("where"),
        drop_duplicates="drop_duplicates" in given,
        last="last" in given,
        drop_tokens=number_of(given, "drop_tokens"),
        best_of=[column_of(part.strip()) for part in given.get("best_of", "").split(",") if part.strip()],
    )
    return select_rows(runs, choice, given.get("target", "loss"))


def law_of(given: Given, workspace: Workspace) -> LawChoice:
    """The law, and the rows that it can use."""
    return choose_law(
        given.get("law", "chinchilla"),
        table_of(given, workspace),
        target=given.get("target"),
        objective=given.get("objective"),
        leave_out=["gaps"] if "drop_nonfinite" in given else [],
    )


def fit_of(given: Given, workspace: Workspace) -> tuple[Fit, Runs]:
    """The fit to a table, read where it is kept."""
    chosen = law_of(given, workspace)
    kept = workspace.fits / f"{fit_key(given, workspace)}.json"
    if kept.is_file():
        return as_fit(kept), chosen.runs
    found = fit_law(
        chosen.runs, chosen.law, target=chosen.target, objective=chosen.objective, level=number_of(given, "level", 0.9)
    )
    write_text(kept, found.to_json())
    return found, chosen.runs


def number_of(given: Given, name: str, default: Any = None) -> Any:
    """A number as a person wrote it; the default where the field is empty."""
    return parse_number(given[name]) if given.get(name) else default


def levels_of(given: Given, fit: Fit) -> dict[str, Any]:
    """The level of each group of a law that was chosen.

    Raises:
        AppError: One was not, or is none of the column's values.
    """
    found: dict[str, Any] = {}
    for group, known in fit.groups.items():
        level = given.get(f"level-{group}", "")
        if level not in known:
            raise AppError(f"give {group} one of its values: {', '.join(known[:12])}.", f"level-{group}")
        found[group] = level
    return found
