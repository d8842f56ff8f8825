"""Progress of a ladder on a terminal: a bar for every run at work, with the time that is left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rung.ladder.training import RunFolder

_EVERY_S = 0.5


@contextmanager
def progress(folders: Sequence[RunFolder]) -> Iterator[None]:
    """Bars on standard error while the block runs; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with Bars(folders, Console(stderr=True)).shown() as bars:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_EVERY_S):
                bars.look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


class Bars:
    """A bar for all runs by their FLOPs, and one for each that is at work."""

    def __init__(self, folders: Sequence[RunFolder], console: Console) -> None:
        flops = [_flops(folder) for folder in folders]
        self.folders = folders
        self.shares = [one / (sum(flops) or 1.0) for one in flops]
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.whole = self.bars.add_task(f"{len(folders)} runs", total=1.0, loss="")
        self.tasks: dict[str, TaskID] = {}

    @contextmanager
    def shown(self) -> Iterator[Bars]:
        """The bars on the console while the block runs."""
        with self.bars:
            yield self

    def look(self) -> None:
        """Bring the bars to where the runs' folders say that they are."""
        from rung.ladder.execution import run_statuses

        done = 0.0
        for share, status in zip(self.shares, run_statuses(self.folders), strict=True):
            done += share * (1.0 if status.status == "done" else status.step / max(status.steps, 1))
            if status.status == "running":
                if status.run not in self.tasks:
                    self.tasks[status.run] = self.bars.add_task(status.run, total=status.steps, loss="")
                text = "" if status.loss is None else f"loss {status.loss:.4f}"
                self.bars.update(self.tasks[status.run], completed=status.step, loss=text)
            elif status.run in self.tasks:
                self.bars.remove_task(self.tasks.pop(status.run))
        self.bars.update(self.whole, completed=done)


def _flops(folder: RunFolder) -> float:
    """The FLOPs of a run; 0 of one whose files are damaged."""
    from rung.errors import LadderError

    try:
        return folder.rung().flops_exact
    except LadderError:
        return 0.0
