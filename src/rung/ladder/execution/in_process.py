"""The launcher of this process, which executes one run after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rung.ladder.execution.launcher import Job, execute, interrupts
from rung.ladder.training.run_folder import RunFolder


class Here:
    """Executes runs in this process, one after another."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        with interrupts() as stop:
            while queue and not stop():
                folder = queue.popleft()
                execute(folder.path, self.job, stop)
                if not stop():
                    yield folder
        if stop():
            raise KeyboardInterrupt
