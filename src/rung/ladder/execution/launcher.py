"""Launchers: where runs run. Each takes folders from a queue, and gives each back when its worker has ended, well or not."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Protocol

from rung.errors import LadderError
from rung.ladder.execution.options import LAUNCHERS, Launch
from rung.ladder.training.run_folder import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is told beside which run is its own; plain values, so that it can be sent anywhere.

    Attributes:
        launch: Device, threads, intervals.
        keep: Where corpora are kept.
        any_code: Whether to go on with what other code began.
        tracker: To which tracker, at which address, under which experiment; "" for none.
    """

    launch: Launch
    keep: Path
    any_code: bool = False
    tracker: tuple[str, str, str] = ("", "", "")


class Launcher(Protocol):
    """Carries runs out somewhere."""

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        """Take runs from the queue until it is empty; each comes back when its worker has ended.

        The folder's status says how. The one who asks may put a run back whose worker was lost.
        """
        ...


def make_launcher(job: Job) -> Launcher:
    """The launcher that a ladder names.

    Raises:
        LadderError: The package that it needs is not installed.
    """
    module, _, name = LAUNCHERS[job.launch.launcher].partition(":")
    made: Launcher = getattr(import_module(module), name)(job)
    return made


def execute(path: Path, job: Job, stop: Callable[[], bool]) -> None:
    """Work on the run of a folder in this process; its folder says what became of it, or why it could not be begun."""
    from rung.ladder.training.tracking import make_tracker
    from rung.ladder.training.worker import Work, work_on

    def say(text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)  # noqa: T201  # a worker's only voice

    work = Work(
        launch=job.launch,
        keep=job.keep,
        any_code=job.any_code,
        stop=stop,
        say=say,
        track=lambda folder: make_tracker(job.tracker, folder, say),
    )
    folder = RunFolder(path)
    folder.refusal()  # what an earlier worker left, and nobody read
    try:
        work_on(folder, work)
    except LadderError as error:
        folder.refuse(error.text)


class Stop:
    """Whether somebody asked to stop: the first interrupt asks, a second one does not wait."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def interrupts() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a wish to stop at the next step."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        stop.asked = True
        signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def on_cluster(job: Job) -> Job:
    """A job whose threads are those that the cluster is asked for, and not the cores that a node has."""
    return replace(job, launch=replace(job.launch, threads=max(1, job.launch.threads)))


def not_installed(launcher: str, package: str) -> LadderError:
    """The error for a launcher whose package is not there."""
    return LadderError(
        f'launcher = "{launcher}" needs {package}, which is not installed: pip install "rung[{launcher}]".'
    )
