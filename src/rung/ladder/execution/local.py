"""The launcher of local workers: processes that share the cores or GPUs of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path

from rung.errors import LadderError, ReportError
from rung.ladder.execution.launcher import Job, execute, interrupts
from rung.ladder.training.run_folder import RunFolder
from rung.messages import first_line

_STARTS = 4
"""Attempts to start a worker."""

_LOOK_S = 0.5
"""Time between two looks at whether the launcher is still alive [s]."""


class Local:
    """A process for each run, `workers` at once, forked from a process that has already imported torch."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rung.ladder.execution.ignore_interrupts", "rung.ladder.training.worker"])

    def _started(self, folder: RunFolder, slot: int) -> BaseProcess:
        """A worker of a run; the process that forks workers may have been killed, and is then started again."""
        for left in range(_STARTS - 1, -1, -1):
            process: BaseProcess = self.context.Process(target=_work, args=(folder.path, self.job, slot))
            try:
                _start_fork_server()
                process.start()
            except (EOFError, ConnectionError, BrokenPipeError, OSError) as error:
                if not left:
                    raise LadderError(
                        f"no worker can be started for {folder.path.name}: {first_line(error)}."
                    ) from None
                time.sleep(_LOOK_S)
            else:
                return process
        raise AssertionError("a start either succeeds or raises")

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        running: dict[BaseProcess, tuple[int, RunFolder]] = {}
        slots = list(range(self.job.launch.workers))
        try:
            while queue or running:
                while queue and slots:
                    folder, slot = queue.popleft(), slots.pop(0)
                    process = self._started(folder, slot)
                    running[process] = (slot, folder)
                ended = wait([process.sentinel for process in running])
                for process in [process for process in running if process.sentinel in ended]:
                    process.join()
                    slot, folder = running.pop(process)
                    slots.append(slot)
                    yield folder
        except BaseException:
            # An interrupt in a terminal reaches the workers too; any other end of this process must stop them here.
            for process in running:
                if process.is_alive():
                    process.terminate()
            for process in running:
                process.join()
            raise


def _start_fork_server() -> None:
    """The process that forks workers, born with interrupts blocked: it ignores them as soon as it runs code of its own."""
    # The tracker is started first: it blocks interrupts for itself, and unblocks them when it runs.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(path: Path, job: Job, slot: int) -> None:
    """A worker: executes one run, then the process ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if job.launch.device == "auto":
        # Each worker uses one GPU; the slots share out the GPUs.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = [str(index) for index in range(_gpus())] if visible is None else visible.split(",")
        if any(devices):
            os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    with interrupts() as stop:
        try:
            execute(path, job, Orphaned(stop))
        except ReportError as error:
            print(f"ReportError: {error.text}", file=sys.stderr, flush=True)  # noqa: T201  # a worker logs to standard error
            sys.exit(1)
        except OSError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201  # a worker has no other output
            sys.exit(1)


class Orphaned:
    """Whether to stop: because a stop is requested, or because the launcher has ended (checked twice a second)."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self.asked = asked
        self.looked = time.monotonic()
        self.orphaned = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self.looked > _LOOK_S:
            self.looked = now
            parent = multiprocessing.parent_process()
            self.orphaned = parent is not None and not parent.is_alive()
        return self.orphaned or self.asked()


def _gpus() -> int:
    """Number of GPUs of this machine, counted without initialising them [count]."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
