"""The server: the app on an address of this machine, and what is printed when it starts."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from rung.app.guard import LOOPBACK, Guard
from rung.app.jobs import Jobs
from rung.app.ladders import Ladders
from rung.app.pages import Pages
from rung.app.reading_pages import ReadingPages
from rung.app.view import page
from rung.app.workspace import Workspace
from rung.errors import AppError
from rung.report import TEMPLATES

PORT = 8417
"""The port where it is free; otherwise the next free one."""

_TRIED = 50
"""Ports that are tried."""

_SHARED = ("report.css", "report.js")
"""Style and script that the pages share with reports."""


def make_app(workspace: Workspace, *, token: str = "", port: int | None = None, workers: int | None = None) -> Any:
    """The app, for any ASGI server.

    Args:
        workspace: What it may read, and where it keeps its own files.
        token: What strangers must know; empty on the own machine alone.
        port: The port that it answers on, which addresses of its pages must name; None for any.
        workers: Worker processes.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    jobs = Jobs(workspace, workers)
    content = {name: (TEMPLATES / name).read_bytes() for name in _SHARED}
    folder = files("rung.app") / "static"
    content |= {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in content:
            return page("missing.html", status=404, what="There is no such file.")
        kind = kinds.get(name.rpartition(".")[2], "text/plain")
        return Response(content[name], media_type=kind, headers={"cache-control": "no-cache"})

    async def missing(request: Request, error: Exception) -> Response:  # noqa: ARG001  # both are passed
        return page("missing.html", status=getattr(error, "status_code", 404), what="There is no such page.")

    async def broken(request: Request, error: Exception) -> Response:  # noqa: ARG001  # both are passed
        return page("missing.html", status=500, what=f"{type(error).__name__}: this is a fault of Rung itself.")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:  # noqa: ARG001  # passed
        jobs.warm()
        try:
            yield
        finally:
            jobs.close()

    parts = (Pages(workspace, jobs), Ladders(workspace), ReadingPages(workspace, jobs))
    routes = [*(route for part in parts for route in part.routes()), Route("/static/{name}", static)]
    handlers: Any = {404: missing, 405: missing, 500: broken}
    # Pages of long ladders and the drawing library are mostly text; a stream of events is left as it is.
    packed = [Middleware(GZipMiddleware, minimum_size=2000)]
    app = Starlette(routes=routes, middleware=packed, exception_handlers=handlers, lifespan=lifespan)
    return Guard(app, token=token, port=port)


def serve(
    workspace: Workspace,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    path: str = "/",
    opened: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve until interrupted.

    Args:
        workspace: What the app may read, and where it keeps its own files.
        host: The address to listen on; any but loopback asks for a token.
        port: The port; by default the first free one from PORT.
        path: The page that is opened.
        opened: Is called with the address of that page once it answers; it may print or open it.

    Raises:
        AppError: The address cannot be listened on.
    """
    import uvicorn

    listening = _socket(host, port)
    port = listening.getsockname()[1]
    token = "" if host in LOOPBACK else secrets.token_urlsafe(24)
    named = socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104  # compared, not listened on
    shown = f"[{named}]" if ":" in named else named
    address = f"http://{shown}:{port}{path}"
    if token:
        address += ("&" if "?" in path else "?") + f"token={token}"
    app = make_app(workspace, token=token, port=None if token else port)
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="on", timeout_graceful_shutdown=1, server_header=False
    )
    server = uvicorn.Server(config)
    startup = server.startup

    async def started(sockets: Any = None) -> None:
        await startup(sockets)
        opened(address)

    server.startup = started  # type: ignore[method-assign]  # uvicorn has no other hook for the moment when it answers
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


def _socket(host: str, port: int | None) -> socket.socket:
    tried = [port] if port is not None else [*range(PORT, PORT + _TRIED), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    why = ""
    for number in tried:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, number))
        except OSError as error:
            made.close()
            why = error.strerror or str(error)
            if error.errno not in {98, 48, 13}:  # taken, on Linux and on macOS; not allowed
                break
        else:
            return made
    raise AppError(f"{host}:{tried[0]} cannot be listened on: {why}. Choose another with --port or --host.")


def open_in_browser(address: str) -> None:
    """Open a page in the person's browser, without waiting for it."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def default_folders(sources: list[str]) -> list[Path]:
    """The folders that may be read: those of what was named, or else the current one."""
    named = [Path(one) for one in sources]
    return [one if one.is_dir() else one.parent for one in named] or [Path.cwd()]
