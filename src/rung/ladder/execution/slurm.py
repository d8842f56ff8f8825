"""The launcher for a SLURM cluster, through submitit: an array with a job for each run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.ladder.execution.launcher import Job, execute, not_installed, on_cluster
from rung.ladder.training.run_folder import RunFolder
from rung.messages import first_line

_POLL_S = 2.0
"""Time between two looks at the queue, unless `poll_s` in [launch.options] says otherwise [s]."""


@dataclass(frozen=True, slots=True)
class Task:
    """A run as submitit sends it; a job that is preempted or out of time is submitted again and resumes its run."""

    job: Job

    def __call__(self, path: Path) -> None:
        execute(path, self.job, lambda: False)

    def checkpoint(self, path: Path) -> Any:
        """What submitit submits again when the job is about to be ended."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, path)


class Slurm:
    """Jobs of a SLURM cluster whose nodes share this folder, `workers` at once.

    [launch.options] are submitit's parameters: timeout_min, slurm_partition, gpus_per_node, mem_gb and the like.
    """

    def __init__(self, job: Job) -> None:
        try:
            import submitit
        except ModuleNotFoundError:
            raise not_installed("slurm", "submitit") from None
        options = dict(job.launch.options)
        self.job = on_cluster(job)
        self.poll_s = float(options.pop("poll_s", _POLL_S))
        try:
            self.executor = submitit.AutoExecutor(
                folder=job.keep.parent / ".slurm" / "%j", cluster=options.pop("cluster", "slurm")
            )
            self.executor.update_parameters(
                slurm_array_parallelism=job.launch.workers, **{"cpus_per_task": self.job.launch.threads, **options}
            )
        except (NameError, ValueError, TypeError, RuntimeError) as error:
            text = first_line(error)
            raise LadderError(
                f'launcher = "slurm": {text}. Is sbatch on this machine, and are [launch.options] submitit\'s parameters?'
            ) from None

    def _submitted(self, folders: Sequence[RunFolder]) -> list[Any]:
        try:
            jobs: list[Any] = self.executor.map_array(Task(self.job), [folder.path.resolve() for folder in folders])
        except (RuntimeError, OSError) as error:
            text = first_line(error)
            raise LadderError(f'launcher = "slurm": the jobs were not accepted: {text}') from None
        return jobs

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        running: list[tuple[Any, RunFolder]] = []
        try:
            while queue or running:
                if queue:
                    folders = [queue.popleft() for _ in range(len(queue))]
                    running += zip(self._submitted(folders), folders, strict=True)
                queued = _queued()
                ended = [(job, folder) for job, folder in running if _ended(job, queued)]
                running = [pair for pair in running if pair not in ended]
                for job, folder in ended:
                    if (message := _last_output(job)) is not None:
                        print(f"warning: {folder.path.name}: {message}", file=sys.stderr, flush=True)  # noqa: T201
                    yield folder
                if running and not ended:
                    time.sleep(self.poll_s)
        except KeyboardInterrupt:
            for job, _ in running:
                job.cancel()
            raise


def _last_output(job: Any) -> str | None:
    """The last line that a lost job wrote, as a message; None for a job that left its result."""
    if job.paths.result_pickle.exists():
        return None
    lines = [line for line in (job.stderr() or "").strip().splitlines() if line.strip()]
    return (
        f"its job {job.job_id} was lost; its last output: {lines[-1]}" if lines else f"its job {job.job_id} was lost."
    )


def _queued() -> frozenset[str] | None:
    """The jobs that SLURM still has, pending or running; None if SLURM does not answer.

    submitit learns of a lost job from the accounting database, which not every cluster has.
    """
    command = ["squeue", "--noheader", "--array", "--format=%i"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  # no input
    except (OSError, subprocess.TimeoutExpired):
        return None
    return frozenset(done.stdout.split()) if done.returncode == 0 else None


def _ended(job: Any, queued: frozenset[str] | None) -> bool:
    """Whether a job has left a result, or has left the queue without one."""
    if job.paths.result_pickle.exists():
        return True
    return bool(job.done()) if queued is None else job.job_id not in queued
