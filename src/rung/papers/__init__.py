"""Papers: what each one claims, checked with the parts of this house.

A paper's file is short, because the rooms do the work; `reproduce` runs one, `catalogue` lists all of them.
"""

from rung.papers.catalogue import Paper, catalogue, checked_paper, reproduce
from rung.papers.claims import Claim, Reproduction
from rung.papers.tables import Tables

__all__ = ["Claim", "Paper", "Reproduction", "Tables", "catalogue", "checked_paper", "reproduce"]
