"""Where runs run: what a ladder file says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rung.errors import LadderError

LAUNCHERS: dict[str, str] = {
    "here": "rung.ladder.execution.in_process:Here",
    "local": "rung.ladder.execution.local:Local",
    "slurm": "rung.ladder.execution.slurm:Slurm",
    "ray": "rung.ladder.execution.ray:Ray",
}
"""Each launcher's class, imported when it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where and how runs run; nothing here changes their numbers, but for `device` and `threads`, by rounding.

    Attributes:
        launcher: here, local, slurm or ray.
        workers: Runs at once.
        threads: Threads of one run on the CPU; cores over workers by default.
        device: auto, cpu, cuda, or cuda:N.
        checkpoint_s: Seconds between checkpoints.
        log_steps: Steps between logged training losses.
        retries: How often a run whose worker was lost is taken up again.
        options: What else the launcher is told, such as a partition, in its own words.
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
            from rung.ladder.toml_schema import nearest

            raise LadderError(
                f"launcher = {self.launcher!r} is not known; it is one of {', '.join(LAUNCHERS)}.{nearest(self.launcher, LAUNCHERS)}"
            )
        if self.workers < 1 or self.log_steps < 1:
            raise LadderError("workers and log_steps must be at least 1.")
        if self.threads < 0 or self.retries < 0 or not self.checkpoint_s >= 0:
            raise LadderError("threads, retries and checkpoint_s must not be negative.")
