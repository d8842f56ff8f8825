"""This process, one run after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rung.ladder.folder import RunFolder
from rung.ladder.launchers import Job, carry_out, interrupts


class Here:
    """Runs in this process."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        with interrupts() as stop:
            while queue and not stop():
                folder = queue.popleft()
                carry_out(folder.path, self.job, stop)
                if not stop():
                    yield folder
        if stop():
            raise KeyboardInterrupt
