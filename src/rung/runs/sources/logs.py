"""Runs from files that trainers write: trainer_state.json, results of the evaluation harness, CSV files of metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from rung.errors import RunsError
from rung.runs.sources.column_rules import flat
from rung.runs.sources.tracked import csv_frame
from rung.runs.sources.tracked_run import TrackedRun

_STEPS = ("_step", "step", "Step", "global_step", "iteration", "iter", "steps")
"""Names of a column that counts steps."""


def read_trainer(address: str) -> Iterator[TrackedRun]:
    """Runs of Hugging Face's Trainer: the last trainer_state.json of each run's folder.

    The settings come from that file, and from config.json and training_args.json beside it where they exist.

    Raises:
        RunsError: There is no such file, or it cannot be read.
    """
    root = Path(address)
    files = [root] if root.is_file() else sorted(root.rglob("trainer_state.json")) if root.is_dir() else []
    latest: dict[Path, tuple[int, Path]] = {}
    for file in files:
        step = int(_json(file).get("global_step", 0))
        run = file.parent.parent if file.parent.name.startswith("checkpoint-") else file.parent
        if step >= latest.get(run, (-1, file))[0]:
            latest[run] = (step, file)
    if not latest:
        raise RunsError(f"trainer:{address}: no trainer_state.json below it.")
    for run, (_, file) in latest.items():
        state = _json(file)
        config = {key: value for key, value in state.items() if not isinstance(value, list | dict)}
        beside = [folder / name for folder in (run, file.parent) for name in ("config.json", "training_args.json")]
        for found in beside:
            config |= flat(_json(found)) if found.exists() else {}
        yield TrackedRun(name=run.name or file.stem, config=config, logged=_history(state))


def _history(state: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    logged: dict[str, list[tuple[float, float]]] = {}
    for entry in state.get("log_history", []):
        for name, value in entry.items():
            if name not in {"step", "epoch"} and isinstance(value, int | float) and "step" in entry:
                logged.setdefault(name, []).append((float(entry["step"]), float(value)))
    return logged


def read_metrics_csv(address: str) -> Iterator[TrackedRun]:
    """Runs from CSV files of metrics, as the trainers of OLMo and levanter log them: one row per step, one column per metric.

    A column that names the run (run, run_name, name) separates several runs; otherwise a file is one run.

    Raises:
        RunsError: There is no such file, or a file has no column of steps.
    """
    root = Path(address)
    files = [root] if root.is_file() else sorted(root.rglob("*.csv")) if root.is_dir() else []
    if not files:
        raise RunsError(f"csv:{address}: there is no CSV file.")
    for file in files:
        frame = csv_frame(file)
        step = next((name for name in _STEPS if name in frame.columns), None)
        if step is None:
            raise RunsError(
                f"{file}: no column of steps ({', '.join(_STEPS)}); it has {', '.join(name[:40] for name in frame.columns[:12])}. "
                "Rename the one that counts steps."
            )
        by = next((name for name in ("run", "run_name", "name") if name in frame.columns), None)
        parts = frame.partition_by(by, as_dict=True, maintain_order=True) if by else {(file.stem,): frame}
        for (name,), part in parts.items():
            yield TrackedRun(name=str(name), config=_constant(part), logged=_columns(part, step))


def _constant(frame: pl.DataFrame) -> dict[str, Any]:
    """Columns with a single value in all rows: the configuration, where it is logged with the metrics."""
    return {
        name: frame[name].drop_nulls().unique().item()
        for name in frame.columns
        if frame[name].drop_nulls().n_unique() == 1
    }


def _columns(frame: pl.DataFrame, step: str) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    at = frame[step].cast(pl.Float64, strict=False)
    for name in frame.columns:
        if name == step or not frame[name].dtype.is_numeric():
            continue
        pairs = [
            (x, y) for x, y in zip(at, frame[name].cast(pl.Float64), strict=True) if x is not None and y is not None
        ]
        if pairs:
            found[name] = pairs
    return found


def read_harness(address: str) -> Iterator[TrackedRun]:
    """Scores of lm-evaluation-harness: the latest results file of each model, one metric for each task.

    Raises:
        RunsError: There is no such file, or it cannot be read.
    """
    root = Path(address)
    files = [root] if root.is_file() else sorted(root.rglob("results*.json")) if root.is_dir() else []
    latest: dict[str, dict[str, Any]] = {}
    for file in files:
        content = _json(file)
        if "results" in content:
            latest[str(content.get("model_name") or content.get("config", {}).get("model_args") or file.stem)] = content
    if not latest:
        raise RunsError(f"lm-eval:{address}: no results*.json of the harness below it.")
    for model, content in latest.items():
        logged = {}
        for task, scores in content["results"].items():
            for metric, value in scores.items():
                name, _, kind = metric.partition(",")
                if isinstance(value, int | float) and not name.endswith("_stderr"):
                    by = "" if kind in {"", "none"} else f"_{kind}"
                    logged[f"{name}{by}_{task}"] = [(0.0, float(value))]
        config = flat(content.get("config", {}))
        config = {**config, "params": config.get("model_num_parameters")}
        yield TrackedRun(name=model, config=config, logged=logged, scores=True)


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunsError(f"{file} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise RunsError(f"{file} holds {type(content).__name__}, not an object.")
    return content
