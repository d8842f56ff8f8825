"""Papers: the claims of each one, checked with the rest of the package.

The module of a paper is short, because it uses the fits, forecasts and plans of the package. `reproduce` checks one
paper, `catalogue` lists all of them.
"""

from rung.papers.catalogue import Paper, catalogue, checked_paper, reproduce

__all__ = ["Paper", "catalogue", "checked_paper", "reproduce"]
