"""All sources that runs are imported from, by name."""

from __future__ import annotations

from collections.abc import Callable

from rung.errors import RunsError
from rung.messages import did_you_mean
from rung.runs.sources.assemble import assemble
from rung.runs.sources.harness import read_harness
from rung.runs.sources.metrics_table import read_metrics_csv, read_metrics_jsonl
from rung.runs.sources.mlflow import read_mlflow
from rung.runs.sources.tensorboard import read_tensorboard
from rung.runs.sources.text_logs import read_logs
from rung.runs.sources.tracked_run import ColumnOverrides, Found, Imported
from rung.runs.sources.trainer import read_trainer
from rung.runs.sources.wandb import read_wandb

SOURCES: dict[str, Callable[[str], Found]] = {
    "mlflow": read_mlflow,
    "wandb": read_wandb,
    "tensorboard": read_tensorboard,
    "trainer": read_trainer,
    "lm-eval": read_harness,
    "csv": read_metrics_csv,
    "jsonl": read_metrics_jsonl,
    "log": read_logs,
}
"""The reader of each source, by the word before the colon."""


def import_runs(source: str, *, experiment: str = "", overrides: ColumnOverrides = ColumnOverrides()) -> Imported:  # noqa: B008  # frozen
    """Import the table of runs from a source.

    Args:
        source: Kind and address as KIND:PLACE, such as mlflow:http://127.0.0.1:5000 or tensorboard:runs.
        experiment: The experiment of an MLflow source.
        overrides: Names of the loss, N, D, the step and the batch, where the rules do not find them.

    Raises:
        RunsError: The kind is unknown, or the source holds nothing usable.
    """
    kind, colon, address = source.partition(":")
    if not colon or kind not in SOURCES:
        hint = did_you_mean(kind, [f"{name}:" for name in SOURCES])
        raise RunsError(f"{source!r} is not a source; write KIND:PLACE, with a kind among {', '.join(SOURCES)}.{hint}")
    if experiment and kind != "mlflow":
        raise RunsError(f"--experiment is for mlflow; {kind}: has no experiments.")
    if not address and kind != "mlflow":
        raise RunsError(f"{source!r} names no place. Write {kind}:FOLDER or {kind}:FILE.")
    wanted = {overrides.loss, overrides.tokens, overrides.step}
    found = read_mlflow(address, experiment, wanted) if kind == "mlflow" else SOURCES[kind](address)
    return assemble(found, source, overrides)
