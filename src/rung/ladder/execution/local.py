"""Processes of this machine, which share its cores or GPUs out."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from rung.errors import ReportError
from rung.ladder.execution.launcher import Job, execute, interrupts
from rung.ladder.training.run_folder import RunFolder

_LOOK_S = 0.5


class Local:
    """A process for each run, `workers` at once, forked from one that has torch already."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rung.ladder.training.worker"])

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        running: dict[BaseProcess, tuple[int, RunFolder]] = {}
        slots = list(range(self.job.launch.workers))
        try:
            while queue or running:
                while queue and slots:
                    folder, slot = queue.popleft(), slots.pop(0)
                    process: BaseProcess = self.context.Process(target=_work, args=(folder.path, self.job, slot))
                    process.start()
                    running[process] = (slot, folder)
                ended = wait([process.sentinel for process in running])
                for process in [process for process in running if process.sentinel in ended]:
                    process.join()
                    slot, folder = running.pop(process)
                    slots.append(slot)
                    yield folder
        except BaseException:
            # An interrupt reaches workers of a terminal by itself; any other end of this process must not leave them behind.
            for process in running:
                if process.is_alive():
                    process.terminate()
            for process in running:
                process.join()
            raise


def _work(path: Path, job: Job, slot: int) -> None:
    """A worker: one run, and its end is the process's."""
    if job.launch.device == "auto":
        # Each worker sees one GPU of its own, where there are some.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = [str(place) for place in range(_gpus())] if visible is None else visible.split(",")
        if any(devices):
            os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    with interrupts() as stop:
        try:
            execute(path, job, Orphaned(stop))
        except ReportError as error:
            print(f"ReportError: {error.text}", file=sys.stderr, flush=True)  # noqa: T201  # a worker logs to standard error
            sys.exit(1)
        except OSError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201  # a worker's only voice
            sys.exit(1)


class Orphaned:
    """Whether to stop: because somebody asked, or because the launcher is gone, which is looked for twice a second."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self.asked = asked
        self.looked = time.monotonic()
        self.gone = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self.looked > _LOOK_S:
            self.looked = now
            parent = multiprocessing.parent_process()
            self.gone = parent is not None and not parent.is_alive()
        return self.gone or self.asked()


def _gpus() -> int:
    """GPUs of this machine, counted without waking one."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
