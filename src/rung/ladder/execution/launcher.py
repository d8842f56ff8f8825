"""Launchers: where runs are executed.

A launcher takes run folders from a queue, and yields each one when its worker has ended, whether or not its run is
done.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Protocol

from rung.errors import LadderError
from rung.ladder.execution.options import LAUNCHERS, Launch
from rung.ladder.track import Track
from rung.ladder.training.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every worker of a ladder needs beside its run; plain values, so it can be sent to any worker.

    Attributes:
        launch: Device, threads, and intervals of logs and checkpoints.
        keep: Folder where prepared corpora are kept.
        any_code: Whether to continue runs that other code started.
        tracker: Where the runs are logged in addition to their folders.
    """

    launch: Launch
    keep: Path
    any_code: bool = False
    tracker: Track = field(default_factory=Track)


class Launcher(Protocol):
    """Executes runs somewhere."""

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        """Take runs from the queue until it is empty, and yield each one when its worker has ended.

        The status of the folder says how it ended. The caller may put a run whose worker was lost back into the queue.
        """
        ...


def make_launcher(job: Job) -> Launcher:
    """The launcher of a job.

    Raises:
        LadderError: A package that the launcher needs is not installed.
    """
    module, _, name = LAUNCHERS[job.launch.launcher].partition(":")
    made: Launcher = getattr(import_module(module), name)(job)
    return made


def execute(path: Path, job: Job, stop: Callable[[], bool]) -> None:
    """Train the run of a folder in this process; the folder records its status, or why it could not be started."""
    from rung.ladder.training.tracking import make_tracker
    from rung.ladder.training.worker import Work, work_on

    def say(text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)  # noqa: T201  # a worker has no other output

    work = Work(
        launch=job.launch,
        keep=job.keep,
        any_code=job.any_code,
        stop=stop,
        say=say,
        track=lambda folder: make_tracker(job.tracker, folder, say),
    )
    folder = RunFolder(path)
    folder.startup_error()  # removes one that an earlier worker left and no launcher read
    try:
        work_on(folder, work)
    except LadderError as error:
        folder.record_startup_error(error.text)


class Stop:
    """Whether a stop is requested: the first interrupt requests it, and a second one does not wait.

    Attributes:
        asked: Whether it is requested.
        noticed: Whether the work was told, and so is writing its checkpoint.
    """

    def __init__(self) -> None:
        self.asked = self.noticed = False

    def __call__(self) -> bool:
        self.noticed = self.noticed or self.asked
        return self.asked


@contextmanager
def interrupts() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a request to stop after the current step.

    A step that goes on for longer than GRACE_S after it, or a second signal, ends the process: the run resumes from its
    last checkpoint. A thread watches for that, since Python handles a signal only between two calls into torch. A step that
    ends in time may take as long as it needs for its checkpoint.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_watch, args=(reading, stop), daemon=True).start()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        stop.asked = True
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in before:
        signal.signal(number, ask)
    old = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        # The end of the pipe ends the watch.
        os.close(writing)


GRACE_S = 10.0
"""Time that a step is given to end after a signal [s]."""


def _watch(reading: int, stop: Stop) -> None:
    """End the process if its step does not end within the time of grace after a signal."""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while number := pipe.read(1):
            if number[0] not in {signal.SIGINT, signal.SIGTERM}:
                continue
            readable, _, _ = select.select([pipe], [], [], GRACE_S)
            if not readable and not stop.noticed:
                text = f"warning: the step did not end within {GRACE_S:g} s of the signal, so the process ends; the run resumes from its last checkpoint.\n"
                os.write(2, text.encode())
                os._exit(128 + number[0])


def on_cluster(job: Job) -> Job:
    """A job with a fixed number of threads: those requested from the cluster, not the cores of a node."""
    return replace(job, launch=replace(job.launch, threads=max(1, job.launch.threads)))


def not_installed(launcher: str, package: str) -> LadderError:
    """The error for a launcher whose package is not installed."""
    return LadderError(
        f'launcher = "{launcher}" needs {package}, which is not installed: pip install "rung[{launcher}]".'
    )
