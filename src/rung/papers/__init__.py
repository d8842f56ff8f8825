"""Papers: what each one claims, checked with the parts of this house.

A paper's file is short, because the rooms do the work; `reproduce` runs one, `catalogue` lists all of them.
"""

from rung.papers.catalogue import Paper, catalogue, checked_paper, reproduce
from rung.papers.claims import Reproduction

__all__ = ["Paper", "Reproduction", "catalogue", "checked_paper", "reproduce"]
