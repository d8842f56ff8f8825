"""Progress of a ladder on a terminal: a bar for every run at work, with the time that is left."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rung.ladder import RunFolder

_EVERY_S = 0.5


@contextmanager
def progress(folders: Sequence[RunFolder]) -> Iterator[None]:
    """Bars on standard error while the block runs; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    ended = threading.Event()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        whole = sum(folder.rung().flops_exact for folder in folders)
        shares = {folder.path: folder.rung().flops_exact / whole for folder in folders}
        total = bars.add_task(f"{len(folders)} runs", total=1.0, loss="")
        tasks: dict[str, int] = {}

        def watch() -> None:
            from rung.ladder import standings

            while not ended.wait(_EVERY_S):
                done = 0.0
                for folder, standing in zip(folders, standings(folders), strict=True):
                    done += shares[folder.path] * (1.0 if standing.status == "done" else standing.step / standing.steps)
                    if standing.status == "running":
                        task = tasks.setdefault(
                            standing.run, bars.add_task(standing.run, total=standing.steps, loss="")
                        )
                        told = "" if standing.loss is None else f"loss {standing.loss:.4f}"
                        bars.update(task, completed=standing.step, loss=told)  # type: ignore[arg-type]  # rich's own number
                    elif standing.run in tasks:
                        bars.remove_task(tasks.pop(standing.run))  # type: ignore[arg-type]  # the same
                bars.update(total, completed=done)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
