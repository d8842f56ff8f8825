"""Runs: the table of training runs, and how it is read, named, checked and selected from."""

from rung.runs.checks import plausibility, require_usable
from rung.runs.columns import ALIASES
from rung.runs.loss_units import loss_of
from rung.runs.read import as_runs, read_runs, read_table
from rung.runs.selecting import RowChoice, select_rows
from rung.runs.settings import configurations, swept
from rung.runs.several import read_several
from rung.runs.table import Runs

__all__ = [
    "ALIASES",
    "RowChoice",
    "Runs",
    "as_runs",
    "configurations",
    "loss_of",
    "plausibility",
    "read_runs",
    "read_several",
    "read_table",
    "require_usable",
    "select_rows",
    "swept",
]
