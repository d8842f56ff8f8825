"""Ladder: training rungs for real.

A ladder file names a family, a corpus, a recipe and the rungs. `architectures` holds the families with their networks,
`corpora` the data, `training` the trainer and the run folder, `execution` where runs are executed.
"""

from rung.ladder.ladder_file import head_of, ladder_of, read_ladder
from rung.ladder.rung import Rung
from rung.ladder.runs_table import table

__all__ = ["Rung", "head_of", "ladder_of", "read_ladder", "table"]
