"""Where other people's runs are: trackers, trainers' logs, evaluation results."""

from rung.runs.sources.registry import import_runs
from rung.runs.sources.tracked_run import ColumnOverrides

__all__ = ["ColumnOverrides", "import_runs"]
