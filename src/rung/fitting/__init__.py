"""Fitting: a law's coefficients from a table of runs, how sure they are, and what speaks against them.

The functions `fit` and `select` stand on four rooms, each with a door of its own: `estimate` finds the optimum,
`uncertainty` says how well it is known, `backtest` how wrong the law would have been about larger scales, and `diagnose`
what looks wrong.
"""

from rung.fitting.estimate.objective import Objective
from rung.fitting.file import holds_selection, read_fit
from rung.fitting.fit import fit
from rung.fitting.learning_curve import learning_curve
from rung.fitting.refit import Fitted, LawBounds, fitted, law_bounds, reopen
from rung.fitting.result import Fit
from rung.fitting.selection import Ranked, Selection, name_of, select
from rung.fitting.selection_file import read_selection

__all__ = [
    "Fit",
    "Fitted",
    "LawBounds",
    "Objective",
    "Ranked",
    "Selection",
    "fit",
    "fitted",
    "holds_selection",
    "law_bounds",
    "learning_curve",
    "name_of",
    "read_fit",
    "read_selection",
    "reopen",
    "select",
]
