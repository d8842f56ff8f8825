"""Ladder: training rungs for real. Families, corpora, recipes, the ladder file, run folders, launchers."""

from rung.ladder.file import Ladder, head_of, ladder_of, read_ladder
from rung.ladder.folder import RunFolder, run_folders
from rung.ladder.launch import LAUNCHERS, Launch
from rung.ladder.rungs import Rung
from rung.ladder.runner import Standing, carry_out_all, folders_of, prepare, standings
from rung.ladder.table import table

__all__ = [
    "LAUNCHERS",
    "Ladder",
    "Launch",
    "RunFolder",
    "Rung",
    "Standing",
    "carry_out_all",
    "folders_of",
    "head_of",
    "ladder_of",
    "prepare",
    "read_ladder",
    "run_folders",
    "standings",
    "table",
]
