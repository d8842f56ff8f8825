"""Progress of long commands on a terminal: shown only once work takes more than a moment."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_S = 1.0
"""Time for which nothing is shown: short work needs no bar [s]."""


class Waiting:
    """Bars on standard error for work and its parts, with the time that is left."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._work: list[list[Any]] = []
        self._bars: Progress | None = None

    def begin(self, what: str, total: int) -> None:
        """Work of `total` parts begins."""
        self._work.append([what, total, 0, None])
        self._show()

    def advance(self) -> None:
        """A part of the latest work is done."""
        work = self._work[-1]
        work[2] += 1
        self._show()
        if self._bars is not None and work[3] is not None:
            self._bars.update(work[3], completed=work[2])

    def end(self) -> None:
        """The latest work has ended."""
        *_, task = self._work.pop()
        if self._bars is None:
            return
        if task is not None:
            self._bars.remove_task(task)
        if not self._work:
            self._bars.stop()
            self._bars = None

    def _show(self) -> None:
        """Show bars of all work that goes on, once it has taken a moment."""
        if self._bars is None:
            if time.monotonic() - self._begun < PATIENCE_S:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=Console(file=sys.stderr), transient=True)
            self._bars.start()
        for work in self._work:
            if work[3] is None:
                work[3] = self._bars.add_task(work[0], total=work[1], completed=work[2])
