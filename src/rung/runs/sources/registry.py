"""All sources that runs are imported from, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rung.errors import RunsError
from rung.messages import did_you_mean
from rung.runs.sources.logs import read_harness, read_metrics_csv, read_trainer
from rung.runs.sources.tracked import assemble
from rung.runs.sources.tracked_run import ColumnOverrides, Imported, TrackedRun
from rung.runs.sources.trackers import read_mlflow, read_tensorboard, read_wandb

SOURCES: dict[str, Callable[[str], Iterable[TrackedRun]]] = {
    "mlflow": read_mlflow,
    "wandb": read_wandb,
    "tensorboard": read_tensorboard,
    "trainer": read_trainer,
    "lm-eval": read_harness,
    "csv": read_metrics_csv,
}
"""The reader of each source, by the word before the colon."""


def import_runs(source: str, *, experiment: str = "", overrides: ColumnOverrides = ColumnOverrides()) -> Imported:  # noqa: B008  # frozen
    """Import the table of runs from a source.

    Args:
        source: Kind and address as KIND:PLACE, such as mlflow:http://127.0.0.1:5000 or tensorboard:runs.
        experiment: The experiment of an MLflow source.
        overrides: Names of the loss, N and D, where the rules do not find them.

    Raises:
        RunsError: The kind is unknown, or the source holds nothing usable.
    """
    kind, colon, address = source.partition(":")
    if not colon or kind not in SOURCES:
        hint = did_you_mean(kind, [f"{name}:" for name in SOURCES])
        raise RunsError(f"{source!r} is not a source; write KIND:PLACE, with a kind among {', '.join(SOURCES)}.{hint}")
    if experiment and kind != "mlflow":
        raise RunsError(f"--experiment is for mlflow; {kind}: has no experiments.")
    runs = read_mlflow(address, experiment) if kind == "mlflow" else SOURCES[kind](address)
    return assemble(runs, source, overrides)
