"""MLflow's file store: a folder for each experiment and run, with a file for each parameter and metric.

Newer versions of MLflow refuse to open such folders, so they are read here.
"""

from __future__ import annotations

import re
from pathlib import Path

from rung.findings import Finding
from rung.runs.sources.needs import no_experiment
from rung.runs.sources.tracked_run import INFINITY, Found, Metric, TrackedRun

_STATUSES = {"1": "running", "2": "running", "3": "finished", "4": "failed", "5": "killed"}
"""How a run ended, by the number in its meta.yaml."""


def is_store(folder: Path) -> bool:
    """Whether a folder holds experiments of MLflow."""
    return folder.is_dir() and any(folder.glob("*/meta.yaml"))


def read_folder(folder: Path, experiment: str) -> Found:
    """The runs in a file store.

    Raises:
        RunsError: There is no such experiment.
    """
    experiments = {}
    for meta in sorted(folder.glob("*/meta.yaml")):
        experiments[_meta(meta).get("name", meta.parent.name)] = meta.parent
    if experiment and experiment not in experiments:
        raise no_experiment(str(folder), experiment, list(experiments))
    chosen = [experiments[experiment]] if experiment else list(experiments.values())
    runs = [
        _run(meta)
        for place in chosen
        for meta in sorted(place.glob("*/meta.yaml"))
        if (meta.parent / "metrics").is_dir() and _meta(meta).get("lifecycle_stage") != "deleted"
    ]
    return Found(runs=runs)


def _meta(file: Path) -> dict[str, str]:
    """The entries of a meta.yaml, which are plain lines NAME: VALUE."""
    found = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        key, colon, value = line.partition(": ")
        if colon and not key.startswith((" ", "-")):
            found[key] = value.strip().strip("'\"")
    return found


def _run(meta: Path) -> TrackedRun:
    about = _meta(meta)
    folder = meta.parent
    config = {
        file.relative_to(folder / "params").as_posix(): file.read_text(encoding="utf-8", errors="replace").strip()
        for file in sorted((folder / "params").rglob("*"))
        if file.is_file()
    }
    logged, notes = {}, []
    name = about.get("run_name") or _tag(folder, "mlflow.runName") or folder.name
    for file in sorted((folder / "metrics").rglob("*")):
        if file.is_file():
            metric, unread = _metric(file)
            if len(metric):
                logged[file.relative_to(folder / "metrics").as_posix()] = metric
            if unread:
                notes.append(
                    Finding("damaged", f"run {name!r}: {unread} lines of {file} are no values, and are left out.")
                )
    status = about.get("status", "")
    return TrackedRun(
        name=name,
        identity=folder.name[:8],
        config=config,
        logged=logged,
        status="damaged" if notes else _STATUSES.get(status, status.lower() or None),
        notes=tuple(notes),
    )


def _tag(folder: Path, name: str) -> str:
    file = folder / "tags" / name
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""


def _metric(file: Path) -> tuple[Metric, int]:
    """The lines TIMESTAMP VALUE STEP of a metric, and how many lines are none."""
    points, unread = [], 0
    for index, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines()):
        match = re.fullmatch(r"(\d+) (\S+)(?: (-?\d+))?(?: .*)?", line.strip())
        try:
            value = finite_or_infinite(float(match[2])) if match else None
        except ValueError:
            value = None
        if match is None or value is None:
            unread += bool(line.strip())
            continue
        points.append((int(match[1]), index, float(match[3] or 0), value))
    points.sort()
    return Metric.of(((step, value) for *_, step, value in points), (float(at) for at, *_ in points)), unread


def finite_or_infinite(value: float) -> float:
    """A stored value; the largest number stands for infinity."""
    if abs(value) >= INFINITY:
        return float("inf") if value > 0 else float("-inf")
    return value
