"""Ladders in the app: their curves, the forecast of each end, the queue, failures; starting, stopping, resuming."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from rung.app.pages import form_of
from rung.app.view import page
from rung.app.workspace import Workspace
from rung.errors import AppError, RungError

_TICK_S = 1.0
"""How often a ladder's folder is looked at [s]."""

_TAIL = 4000
"""Characters of the last output of a ladder that are shown."""


class Ladders:
    """The handlers of ladders, and those that were started here."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._started: dict[Path, subprocess.Popen[bytes]] = {}

    def routes(self) -> list[Route]:
        """Every address, and what answers it."""
        return [
            Route("/ladder", self.show),
            Route("/ladder/data", self.data),
            Route("/ladder/events", self.events),
            Route("/ladder/start", self.start, methods=["POST"]),
            Route("/ladder/stop", self.stop, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """A ladder's page."""
        name = request.query_params.get("folder", "")
        error = request.query_params.get("error", "")[:500]
        try:
            state = await run_in_threadpool(self._state, self.workspace.path_of(name))
        except RungError as refused:
            return page("ladder.html", status=422, name=name, state=None, error=refused.text)
        return page("ladder.html", name=name, state=state, error=error)

    async def data(self, request: Request) -> Response:
        """The curves as they are now."""
        try:
            path = self.workspace.path_of(request.query_params.get("folder", ""))
            return JSONResponse(await run_in_threadpool(self._state, path))
        except RungError as error:
            return JSONResponse({"error": error.text}, 422)

    async def events(self, request: Request) -> Response:
        """Says when a ladder's files have changed, as server-sent events."""
        try:
            path = self.workspace.path_of(request.query_params.get("folder", ""))
        except RungError as error:
            return JSONResponse({"error": error.text}, 422)

        async def stream() -> AsyncIterator[str]:
            last = None
            while True:
                now = await run_in_threadpool(self._version, path)
                yield f"data: {json.dumps(now)}\n\n" if now != last else ": still\n\n"
                last = now
                await asyncio.sleep(_TICK_S)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def start(self, request: Request) -> Response:
        """Start a ladder file, or resume what a folder holds."""
        name = (await form_of(request)).get("folder", "")
        try:
            path = self.workspace.path_of(name)
            await run_in_threadpool(self._start, path)
        except RungError as error:
            return _back(name, error.text)
        return _back(name)

    async def stop(self, request: Request) -> Response:
        """Stop a ladder that was started here: each run keeps its last checkpoint."""
        name = (await form_of(request)).get("folder", "")
        try:
            path = self.workspace.path_of(name)
            if not self._runs(path):
                raise AppError(f"{name} was not started by this app: stop it where it was started.")
            self._started[path].send_signal(signal.SIGINT)
        except RungError as error:
            return _back(name, error.text)
        return _back(name)

    def _runs(self, path: Path) -> bool:
        started = self._started.get(path)
        return started is not None and started.poll() is None

    def _log(self, path: Path) -> Path:
        folder = self.workspace.state / "ladders"
        folder.mkdir(exist_ok=True)
        return folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.log"

    def _start(self, path: Path) -> None:
        from importlib.util import find_spec

        if find_spec("torch") is None:
            raise AppError('training needs torch, which is not installed: pip install "rung[train]".')
        if self._runs(path):
            raise AppError("this ladder is at work already.")
        verb = "run" if path.is_file() else "resume"
        with self._log(path).open("wb") as log:
            # A session of its own: an interrupt on the server's terminal does not stop a training.
            self._started[path] = subprocess.Popen(  # noqa: S603  # our own command on a path that was checked
                [sys.executable, "-m", "rung.cli", "ladder", verb, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=path.parent,
            )

    def _state(self, path: Path) -> dict[str, Any]:
        """What is known of a ladder: its runs, planned ones too, and how its last start went."""
        from rung.ladder import learning_curves, read_ladder
        from rung.ladder.execution import folders_of

        version = self._version(path)  # before the files are read, so that a change in between is fetched
        planned: list[dict[str, Any]] = []
        runs: list[dict[str, Any]] = []
        headline = "no run has been started"
        if path.is_file():
            ladder = read_ladder(path)
            planned = [{"run": rung.name, "params": rung.params, "whole": rung.tokens} for rung in ladder.rungs]
        try:
            curves = learning_curves(folders_of(path))
            runs, headline = [one.to_dict() for one in curves.curves], curves.headline()
        except RungError:
            if not planned:
                raise
        begun = {one["run"] for one in runs}
        waiting = [one for one in planned if one["run"] not in begun]
        return {
            "version": version,
            "headline": headline,
            "runs": runs,
            "waiting": waiting,
            "here": self._runs(path),
            "log": self._output(path),
            "table": self._table_name(path, runs),
        }

    def _table_name(self, path: Path, runs: list[dict[str, Any]]) -> str:
        if not runs:
            return ""
        from rung.ladder.execution import folders_of

        folder = path if path.is_dir() else folders_of(path)[0].path.parent.resolve()
        try:
            return self.workspace.name_of(folder)
        except RungError:
            return ""

    def _output(self, path: Path) -> str:
        with suppress(OSError):
            return self._log(path).read_text(encoding="utf-8", errors="replace")[-_TAIL:]
        return ""

    def _version(self, path: Path) -> str:
        """What changes when a run goes on, starts or ends."""
        from rung.ladder.execution import folders_of

        parts: list[str] = [str(self._runs(path))]
        with suppress(RungError, OSError):
            for folder in folders_of(path):
                for file in (folder.metrics_path, folder.path / "state.json"):
                    with suppress(OSError):
                        parts.append(str(file.stat().st_mtime_ns))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def _back(name: str, error: str = "") -> Response:
    sent = {"folder": name, **({"error": error} if error else {})}
    return RedirectResponse(f"/ladder?{urlencode(sent)}", 303)
