"""Tables that are imported from trackers' stores: read, kept, and shown with where their columns come from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rung.app.plain import plain
from rung.app.workspace import Workspace
from rung.errors import AppError
from rung.report import Definitions, Findings, MarkedFinding, Section
from rung.runs.sources import import_runs


def import_key(store: str, workspace: Workspace) -> str:
    """The name under which an import from a store of the workspace's folders is kept.

    Raises:
        AppError: The store is none, lies on a network, or outside the folders.
    """
    kind, _, place = store.partition(":")
    if not place:
        raise AppError(f"{store or 'nothing'}: write KIND:FOLDER, such as tensorboard:logs.")
    if place.startswith(("http://", "https://")) or kind == "mlflow":
        raise AppError(f"{store}: stores on a network are opened where the app is started: rung app {store}.")
    return workspace.key("import", store, workspace.stamp(place))


def import_table(store: str, address: str, workspace: Workspace) -> dict[str, Any]:
    """Import runs, keep their table, and tell where its columns come from.

    Args:
        store: What the person calls it.
        address: Kind and place as `import_runs` takes them.
        workspace: Where the table is kept.

    Raises:
        RunsError: The store holds nothing usable.
    """
    found = import_runs(address)
    kind, _, place = store.partition(":")
    content = io.BytesIO()
    # Parquet keeps types and names as they are; a download is made safe for spreadsheets where it is made.
    found.frame.write_parquet(content)
    name = workspace.keep_table(f"{kind}-{Path(place).stem or kind}.parquet", content.getvalue())
    sections = [Section("columns", "Where the columns come from", [Definitions(list(found.mapping.items()))])]
    if found.warnings:
        sections.append(Section("warnings", "Findings", [Findings([MarkedFinding(one, {}) for one in found.warnings])]))
    return {"table": name, "sections": [plain(one) for one in sections]}


def imported_page(table: str, key: str) -> str:
    """The address of the page of an imported table."""
    return f"/table?{urlencode({'table': table, 'imported': key})}"


def open_store(store: str, workspace: Workspace) -> str:
    """Import from any store, on a network too, as the person who starts the app may; the address of its page.

    Raises:
        RunsError: The store holds nothing usable.
    """
    key = workspace.key("import", store)
    answer = import_table(store, store, workspace)
    workspace.keep_answer(key, answer)
    return imported_page(answer["table"], key)
