"""Runs from W&B: offline files, exported CSV files, or a project on its server."""

from __future__ import annotations

import re
from pathlib import Path

from rung.errors import RunsError
from rung.runs.sources.tracked_run import Found
from rung.runs.sources.wandb_export import read_export
from rung.runs.sources.wandb_offline import read_offline
from rung.runs.sources.wandb_online import read_online

_PROJECT = re.compile(r"(?!\.)[\w.-]+/[\w.-]+(?<!\.csv)(?<!\.wandb)")


def read_wandb(address: str) -> Found:
    """The runs of a folder of offline runs, of a file, or of an online project ENTITY/PROJECT.

    Raises:
        RunsError: There is nothing of the kind, or it cannot be read.
    """
    path = Path(address)
    if path.is_file() and path.suffix == ".csv":
        return Found(runs=read_export(path))
    if path.is_dir() or path.suffix == ".wandb":
        return read_offline(address)
    if not path.exists() and _PROJECT.fullmatch(address):
        return read_online(address)
    raise RunsError(
        f"wandb:{address}: there is no such file or folder. Give a folder of offline runs (run-*.wandb), an exported .csv, or ENTITY/PROJECT on the server."
    )
