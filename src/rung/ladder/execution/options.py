"""Where and how runs are executed: the [launch] table of a ladder file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rung.errors import LadderError
from rung.messages import did_you_mean

LAUNCHERS: dict[str, str] = {
    "here": "rung.ladder.execution.in_process:Here",
    "local": "rung.ladder.execution.local:Local",
    "slurm": "rung.ladder.execution.slurm:Slurm",
    "ray": "rung.ladder.execution.ray:Ray",
}
"""The class of each launcher, imported when it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where and how runs are executed.

    Nothing here changes the numbers of a run, except `device` and `threads`, which change the rounding. The default
    numbers are assumptions, not tuned.

    Attributes:
        launcher: here, local, slurm or ray.
        workers: Runs at the same time [count].
        threads: Threads of one run on the CPU; by default the number of cores over workers [count].
        device: auto, cpu, cuda, or cuda:N.
        checkpoint_s: Time between checkpoints [s].
        log_steps: Steps between two logged training losses [count].
        retries: How often a run whose worker was lost is resumed [count].
        options: Further options of the launcher under its own names, such as a partition.
    """

    launcher: str = "here"
    workers: int = 1
    threads: int = 0
    device: str = "auto"
    checkpoint_s: float = 60.0
    log_steps: int = 10
    retries: int = 3
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise LadderError(
                f"launcher = {self.launcher!r} is not known; it is one of {', '.join(LAUNCHERS)}.{did_you_mean(self.launcher, LAUNCHERS)}"
            )
        if self.workers < 1 or self.log_steps < 1:
            raise LadderError("workers and log_steps must be at least 1.")
        if self.threads < 0 or self.retries < 0 or not self.checkpoint_s >= 0:
            raise LadderError("threads, retries and checkpoint_s must not be negative.")
