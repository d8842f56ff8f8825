"""The corpora: the data that runs learn from."""

from rung.ladder.corpora.facts import POOLS
from rung.ladder.corpora.registry import CORPORA

__all__ = ["CORPORA", "POOLS"]
