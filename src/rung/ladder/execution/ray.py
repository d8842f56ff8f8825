"""The launcher for a Ray cluster: a task for each run."""

from __future__ import annotations

import socket
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rung.errors import LadderError
from rung.ladder.execution.launcher import Job, execute, not_installed, on_cluster
from rung.ladder.training.run_folder import RunFolder
from rung.messages import first_line

ANSWER_S = 15.0
"""Time that a cluster is given to answer [s]."""


class Ray:
    """Tasks of a Ray cluster whose nodes share this folder.

    [launch.options]: address (of the cluster; by default a cluster is started on this machine), and num_cpus, num_gpus
    or resources of one run.
    """

    def __init__(self, job: Job) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            raise not_installed("ray", "ray") from None
        self.job, self.ray = on_cluster(job), ray
        options: dict[str, Any] = {"num_cpus": self.job.launch.threads, **job.launch.options}
        address = options.pop("address", None)
        if not ray.is_initialized():
            _require_answer(address)
            try:
                ray.init(address=address, log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                text = first_line(error)
                raise LadderError(f'launcher = "ray": no cluster at address = {address!r}: {text}') from None
        # Ray itself does not retry: the caller of `launch` gets a lost run back and counts the retries.
        try:
            self.task = ray.remote(max_retries=0, **options)(_work)
        except (ValueError, TypeError) as error:
            text = first_line(error)
            raise LadderError(
                f'launcher = "ray": {text}. [launch.options] are address and options of a Ray task.'
            ) from None

    def launch(self, queue: deque[RunFolder]) -> Iterator[RunFolder]:
        running: dict[Any, RunFolder] = {}
        try:
            while queue or running:
                while queue and len(running) < self.job.launch.workers:
                    folder = queue.popleft()
                    running[self.task.remote(folder.path.resolve(), self.job)] = folder
                for ended in self.ray.wait(list(running), num_returns=1)[0]:
                    folder = running.pop(ended)
                    try:
                        self.ray.get(ended)
                    except self.ray.exceptions.RayError as error:
                        text = str(error).strip().splitlines()[-1]
                        print(f"warning: {folder.path.name}: its task was lost: {text}", file=sys.stderr, flush=True)  # noqa: T201
                    yield folder
        except KeyboardInterrupt:
            for task in running:
                self.ray.cancel(task, force=False)
            raise


def _require_answer(address: Any) -> None:
    """Check that something answers at an address HOST:PORT, before the client waits for minutes.

    Raises:
        LadderError: Nothing answers within ANSWER_S seconds.
    """
    text = str(address or "").removeprefix("ray://")
    host, _, port = text.rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise LadderError(
            f'launcher = "ray": nothing answers at address = {address!r} ({error.strerror or error}).'
        ) from None


def _work(path: Path, job: Job) -> None:
    execute(path, job, lambda: False)
