"""`rung app`: local pages in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from cyclopts import Parameter

from rung.cli.output import say
from rung.errors import AppError

if TYPE_CHECKING:
    from rung.app import Workspace

_NEEDED = ("starlette", "uvicorn", "pebble")


def app_(
    source: Annotated[str | None, Parameter(name="TABLE|LADDER|STORE|FOLDER")] = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    state: str | None = None,
    browser: bool = True,
) -> None:
    """Open the questions of the command line as pages in the browser: tables, fits, forecasts, plans, ladders, papers.

    Nothing leaves this machine, and no other machine can ask, unless --host says otherwise.

    Parameters
    ----------
    source
        What to open: a table, a ladder file or its folder of runs, a tracker's store such as tensorboard:logs or mlflow:http://127.0.0.1:5000, or a folder whose tables are offered. The pages may read its folder and no other; the current one by default.
    host
        The address to listen on; 127.0.0.1 by default. With any but this machine's own, the printed address holds a token that visitors need.
    port
        The port; by default the first free one from 8417.
    state
        The folder where dropped tables, fits and the list of papers are kept; by default that of program states of the user.
    browser
        Open the page in the browser.
    """
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise AppError(f'the app needs {missing[0]}, which is not installed: pip install "rung[app]".')
    from rung.app import Workspace, default_folders, open_in_browser, open_store, serve

    store = source is not None and ":" in source and not Path(source).exists()
    if source is not None and not store and not Path(source).exists():
        raise AppError(f"{source}: there is no such file or folder. Name a table, a ladder, a store, or a folder.")
    workspace = Workspace.of(default_folders([source] if source and not store else []), state)
    path = "/"
    if store:
        say(f"reading {source} ...")
        path = open_store(str(source), workspace)
    elif source is not None:
        path = _page_of(Path(source).resolve(), workspace)

    def opened(address: str) -> None:
        say(address, "Ctrl-C ends it.")
        if browser:
            open_in_browser(address)

    serve(workspace, host=host, port=port, path=path, opened=opened)


def _page_of(path: Path, workspace: Workspace) -> str:
    """The page that shows a file or a folder."""
    if path.is_dir() and not any(path.glob("*/rung.json")):
        return "/"
    name = workspace.name_of(path)
    if path.is_dir() or path.suffix == ".toml":
        return f"/ladder?{urlencode({'folder': name})}"
    return f"/table?{urlencode({'table': name})}"
