"""Sources of tracked runs: trackers, trainers' logs, evaluation results."""

from rung.runs.sources.registry import import_runs
from rung.runs.sources.shape import weights_of
from rung.runs.sources.tracked_run import ColumnOverrides, Imported

__all__ = ["ColumnOverrides", "Imported", "import_runs", "weights_of"]
