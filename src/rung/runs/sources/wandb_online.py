"""Runs of a project on a W&B server, read through W&B's own client."""

from __future__ import annotations

import os
from typing import Any

from rung.errors import RunsError
from rung.messages import first_line
from rung.progress import reported
from rung.runs.sources.configuration import flat, logged_number
from rung.runs.sources.needs import needs
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from rung.runs.sources.wandb_offline import counts_rows
from rung.runs.status import status_of

_TIMEOUT = 15
"""Seconds until a server that does not answer is given up."""


def read_online(address: str) -> Found:
    """The runs of ENTITY/PROJECT, each with its whole history.

    Raises:
        RunsError: wandb is not installed, there is no key, the server does not answer, or there is no such project.
    """
    try:
        import wandb
    except ModuleNotFoundError:
        raise needs("wandb", "wandb") from None
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        api = wandb.Api(timeout=_TIMEOUT)
        known = list(api.runs(address, per_page=100, lazy=False))
        runs = [_run(run) for run in reported(known, "runs")]
    except Exception as error:  # noqa: BLE001  # the client raises exceptions of many packages, and a user needs one sentence
        raise RunsError(
            f"wandb:{address}: the project cannot be read: {first_line(error)[:300]}. A folder of that name does not exist here either; "
            "the server is that of WANDB_BASE_URL, and the key that of `wandb login` or WANDB_API_KEY."
        ) from None
    return Found(runs=runs)


def _run(run: Any) -> TrackedRun:
    columns: dict[str, list[tuple[float, float, float]]] = {}
    numbers: list[float] = []
    for clock, row in enumerate(run.scan_history()):
        step = logged_number(row.get("_step", clock))
        at = float(clock) if step is None else step
        numbers.append(at)
        for name, value in row.items():
            number = None if name.startswith("_") else logged_number(value)
            if number is not None:
                columns.setdefault(name, []).append((at, number, float(clock)))
    config = {name: value for name, value in dict(run.config).items() if not name.startswith("_")}
    return TrackedRun(
        name=run.name or run.id,
        identity=run.id,
        config=flat(config),
        logged=Metric.of_rows(columns),
        status=status_of(run.state),
        row_steps=counts_rows(numbers),
    )
