"""Runs from MLflow, W&B and TensorBoard."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rung.errors import RunsError
from rung.messages import first_line
from rung.runs.sources.column_rules import flat
from rung.runs.sources.tracked import csv_frame
from rung.runs.sources.tracked_run import TrackedRun


def read_mlflow(address: str, experiment: str = "") -> Iterator[TrackedRun]:
    """The runs of an experiment on an MLflow server or in a store; of all experiments where none is named.

    Raises:
        RunsError: mlflow is not installed, the server does not answer, or there is no such experiment.
    """
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError:
        raise _needs("mlflow", "mlflow") from None
    import os

    # By default the client retries for minutes, while a person waits.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    try:
        client = MlflowClient(tracking_uri=address or None)
        experiments = {one.name: one.experiment_id for one in client.search_experiments()}
        if experiment and experiment not in experiments:
            raise RunsError(
                f"mlflow:{address} has no experiment {experiment!r}; it has {', '.join(experiments) or 'none'}."
            )
        chosen = [experiments[experiment]] if experiment else list(experiments.values())
        page = client.search_runs(chosen)
        while True:
            for run in page:
                logged = {
                    name: [(float(one.step), one.value) for one in client.get_metric_history(run.info.run_id, name)]
                    for name in run.data.metrics
                }
                yield TrackedRun(name=run.info.run_name or run.info.run_id, config=dict(run.data.params), logged=logged)
            if not page.token:
                return
            page = client.search_runs(chosen, page_token=page.token)
    except MlflowException as error:
        text = first_line(error)
        raise RunsError(f"mlflow:{address} cannot be read: {text}") from None


def read_wandb(address: str) -> Iterator[TrackedRun]:
    """The runs in offline folders of W&B below a folder, or in a CSV file that W&B exported.

    Raises:
        RunsError: wandb is not installed, or there are no such runs.
    """
    path = Path(address)
    if path.is_file() and path.suffix == ".csv":
        yield from _exported(path)
        return
    files = sorted(path.rglob("run-*.wandb")) if path.is_dir() else [path] if path.suffix == ".wandb" else []
    if not files:
        raise RunsError(
            f"wandb:{address}: no run-*.wandb below it. Give a folder of offline runs, or an exported .csv."
        )
    # A run that was resumed has one file for each start, all with the same id.
    parts: dict[str, list[TrackedRun]] = {}
    for file in files:
        identity, part = _offline(file)
        parts.setdefault(identity, []).append(part)
    for same in parts.values():
        logged: dict[str, list[tuple[float, float]]] = {}
        config: dict[str, Any] = {}
        for part in same:
            config |= part.config
            for name, values in part.logged.items():
                logged.setdefault(name, []).extend(values)
        yield TrackedRun(name=same[-1].name, config=config, logged=logged)


def _offline(file: Path) -> tuple[str, TrackedRun]:
    """The id and the content of a run that W&B kept on this machine."""
    try:
        from wandb.proto import wandb_internal_pb2
    except ModuleNotFoundError:
        raise _needs("wandb", "wandb") from None
    name = identity = file.parent.name
    config: dict[str, Any] = {}
    logged: dict[str, list[tuple[float, float]]] = {}
    for data in _records(file):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # created on import
        record.ParseFromString(data)
        if record.HasField("run"):
            name = record.run.display_name or record.run.run_id or name
            identity = record.run.run_id or identity
            config |= _items(record.run.config.update)
        elif record.HasField("config"):
            config |= _items(record.config.update)
        elif record.HasField("history"):
            values = _items(record.history.item)
            step = float(values.get("_step", record.history.step.num))
            for key, value in values.items():
                if not key.startswith("_") and isinstance(value, int | float):
                    logged.setdefault(key, []).append((step, float(value)))
    return identity, TrackedRun(name=name, config=flat(config), logged=logged)


def _records(file: Path) -> Iterator[bytes]:
    """The records of a run's file: a header, then blocks of 32 KiB that hold parts of records.

    The file of an interrupted run ends in an incomplete record; all records before it are complete. The package writes
    this format (that of LevelDB's log) and offers no public reader of it.

    Raises:
        RunsError: The file does not start with the signature of W&B.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RunsError(f"{file} cannot be read: {error.strerror}.") from None
    if content[:4] != b":W&B":
        raise RunsError(f"{file} does not start with the signature of a W&B file.")
    block, header, full, first, last = 32_768, 7, 1, 2, 4
    at, parts = header, b""
    while True:
        left = block - at % block
        if left < header:
            at += left
            continue
        if at + header > len(content):
            return
        _, length, kind = struct.unpack_from("<IHB", content, at)
        data = content[at + header : at + header + length]
        if len(data) < length:
            return
        at += header + length
        parts = data if kind in {full, first} else parts + data
        if kind in {full, last}:
            yield parts


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _exported(path: Path) -> Iterator[TrackedRun]:
    """A CSV file as W&B exports it: a column for the step, and a column `RUN - METRIC` for each run."""
    import polars as pl

    frame = csv_frame(path)
    step = next((name for name in ("Step", "step", "_step", "global_step") if name in frame.columns), None)
    pairs = [name for name in frame.columns if " - " in name and not name.endswith(("__MIN", "__MAX"))]
    if step is None or not pairs:
        raise RunsError(
            f"{path}: not an export of W&B; it has the columns {', '.join(frame.columns[:8])}, and needs Step and RUN - METRIC."
        )
    logged: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in pairs:
        run, _, metric = name.rpartition(" - ")
        values = frame.select(
            pl.col(step).cast(pl.Float64, strict=False), pl.col(name).cast(pl.Float64, strict=False)
        ).drop_nulls()
        logged.setdefault(run, {})[metric] = [(at, value) for at, value in values.iter_rows()]
    for run, metrics in logged.items():
        yield TrackedRun(name=run, config={}, logged=metrics)


def read_tensorboard(address: str) -> Iterator[TrackedRun]:
    """The runs of event files below a folder: one for each folder that holds some. Settings come from texts in JSON.

    Raises:
        RunsError: tensorboard is not installed, or there are no event files.
    """
    root = Path(address)
    folders = sorted({file.parent for file in root.rglob("*tfevents*")}) if root.is_dir() else []
    if not folders:
        why = "no event files below it" if root.is_dir() else "there is no such folder"
        raise RunsError(f"tensorboard:{address}: {why}.")
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util.tensor_util import make_ndarray
    except ModuleNotFoundError:
        raise _needs("tensorboard", "tensorboard") from None
    for folder in folders:
        config: dict[str, Any] = {}
        logged: dict[str, list[tuple[float, float]]] = {}
        # Files in the order in which they were started: those of a restart come later.
        for file in sorted(folder.glob("*tfevents*")):
            for event in EventFileLoader(str(file)).Load():
                for value in event.summary.value:
                    kind = value.metadata.plugin_data.plugin_name
                    if kind == "scalars":
                        number = float(make_ndarray(value.tensor).item())
                        logged.setdefault(value.tag, []).append((float(event.step), number))
                    elif kind == "text":
                        config |= _settings(make_ndarray(value.tensor).item())
        name = folder.relative_to(root).as_posix()
        yield TrackedRun(name=root.name if name == "." else name, config=flat(config), logged=logged)


def _settings(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _needs(source: str, package: str) -> RunsError:
    return RunsError(f'{source}: needs {package}, which is not installed: pip install "rung[{source}]".')
