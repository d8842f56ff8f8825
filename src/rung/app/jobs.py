"""Questions that are answered in worker processes: looked up, shown while they run, cancelled, and kept."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool
from pebble.common.types import ProcessFuture

from rung.app.workspace import Workspace
from rung.errors import RungError
from rung.files import write_text
from rung.progress import listening

_KEPT = 500
"""Ended jobs that are remembered."""

_PROGRESS_EVERY_S = 0.15
"""How often a worker writes how far it is [s]."""


@dataclass(slots=True)
class Job:
    """A question at work.

    Attributes:
        key: Its name.
        future: What comes of it.
        begun: When it began [s, monotonic].
        cancelled: Whether a person gave it up.
        seen: Whether a page has shown its outcome; asked once more, it begins anew.
    """

    key: str
    future: ProcessFuture[Any]
    begun: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    seen: bool = False


class Jobs:
    """Worker processes, and the questions that they work on."""

    def __init__(self, workspace: Workspace, workers: int | None = None) -> None:
        self.workspace = workspace
        self._workers = workers or max(4, min(8, (os.cpu_count() or 2) + 2))
        self._pool = ProcessPool(self._workers, context=multiprocessing.get_context("spawn"), initializer=_quiet)
        self._jobs: dict[str, Job] = {}

    def warm(self) -> None:
        """Let the workers import what most questions need, so that the first person does not wait for it."""
        for _ in range(self._workers):
            self._pool.schedule(_warm)

    def close(self) -> None:
        """End all work."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble says no types here
        self._pool.join()

    def kept(self, key: str) -> dict[str, Any] | None:
        """The answer that is kept under a key; None where there is none, or where it is damaged."""
        with suppress(OSError, ValueError):
            found = json.loads((self.workspace.answers / f"{key}.json").read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else None
        return None

    def ask(self, key: str, question: str, given: Mapping[str, str]) -> Job:
        """Begin to answer a question, or find it at work, or find how it ended where no page has shown that yet."""
        job = self._jobs.get(key)
        if job is not None and not (job.future.done() and job.seen):
            return job
        (self.workspace.progress / key).unlink(missing_ok=True)
        self.workspace.prune()
        arguments = (question, dict(given), self.workspace, key)
        job = Job(key, self._pool.schedule(_answer, args=arguments))
        self._jobs[key] = job
        for old in list(self._jobs)[:-_KEPT]:
            if self._jobs[old].future.done():
                del self._jobs[old]
        return job

    def job(self, key: str) -> Job | None:
        """The job of a key."""
        return self._jobs.get(key)

    def cancel(self, key: str) -> bool:
        """Give a question up; whether it was at work."""
        job = self._jobs.get(key)
        if job is None or job.future.done():
            return False
        job.cancelled = True
        job.future.cancel()  # type: ignore[no-untyped-call]  # pebble says no types here
        return True

    async def wait(self, job: Job, seconds: float) -> bool:
        """Wait for a job; whether it has ended."""
        ended = asyncio.wrap_future(job.future)
        # What it ends with is looked at elsewhere; asyncio complains of errors that nobody looked at.
        ended.add_done_callback(lambda found: found.cancelled() or found.exception())
        await asyncio.wait([ended], timeout=seconds)
        return job.future.done()

    def outcome(self, job: Job) -> dict[str, Any]:
        """What came of a job that has ended: its answer, or {"error": ...}."""
        job.seen = True
        if job.cancelled or job.future.cancelled():
            return {"error": "This was cancelled. Ask again to start it anew.", "cancelled": True}
        error = job.future.exception()
        if isinstance(error, ProcessExpired):
            return {"error": "The worker process ended before it had an answer; perhaps memory ran out. Ask again."}
        if error is not None:
            return {"error": f"{type(error).__name__}: {error}. This is a fault of Rung itself."}
        answer: dict[str, Any] = job.future.result()
        return answer if "error" in answer else self.kept(job.key) or {"error": "The answer was removed. Ask again."}

    def progress(self, key: str) -> dict[str, Any]:
        """How far a job is: what is worked on, parts that are done, parts in all, and seconds since its start."""
        job = self._jobs.get(key)
        state: dict[str, Any] = {"what": "", "done": 0, "total": 0}
        with suppress(OSError, ValueError):
            state |= json.loads((self.workspace.progress / key).read_text(encoding="utf-8"))
        return state | {"seconds": round(time.monotonic() - job.begun, 1) if job else 0.0}


class _Written:
    """Writes how far work is into a file, of the outermost work alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._work: list[list[Any]] = []
        self._last = 0.0

    def begin(self, what: str, total: int) -> None:
        self._work.append([what, total, 0])
        self._write()

    def advance(self) -> None:
        self._work[-1][2] += 1
        self._write()

    def end(self) -> None:
        self._work.pop()

    def _write(self) -> None:
        now = time.monotonic()
        if now - self._last < _PROGRESS_EVERY_S:
            return
        self._last = now
        what, total, done = self._work[0]
        write_text(self._path, json.dumps({"what": what, "done": done, "total": total}))


def _quiet() -> None:
    """An interrupt on the terminal is for the server, which ends its workers itself."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _warm() -> None:

    import rung.app.answers  # noqa: F401


def _answer(question: str, given: dict[str, str], workspace: Workspace, key: str) -> dict[str, Any]:
    """Answer a question in a worker; what can be served is kept, an error is returned in words."""
    from rung.app.answers import answer_to

    progress = workspace.progress / key
    try:
        with listening(_Written(progress)):
            answer = answer_to(question, given, workspace)
    except RungError as error:
        return {"error": error.text, "field": getattr(error, "field", "")}
    finally:
        progress.unlink(missing_ok=True)
    # The file is the answer: what goes back to the server would stay in its memory.
    workspace.keep_answer(key, answer)
    return {}
