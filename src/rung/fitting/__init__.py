"""Fitting: a law's coefficients from a table of runs, how sure they are, and what speaks against them.

The functions `fit` and `select` stand on four rooms, each with a door of its own: `estimate` finds the optimum,
`uncertainty` says how well it is known, `backtest` how wrong the law would have been about larger scales, and `diagnose`
what looks wrong.
"""

from rung.fitting.estimate.objective import Objective
from rung.fitting.file import as_fit, read_fit
from rung.fitting.fit import fit
from rung.fitting.law_choice import LawChoice, choose_law
from rung.fitting.learning_curve import learning_curve
from rung.fitting.published import PUBLISHED, is_published, published_fit
from rung.fitting.ranking import Ranked, Selection, name_of
from rung.fitting.refit import Fitted, LawBounds, fitted, law_bounds, reopen
from rung.fitting.result import Fit, level_combinations
from rung.fitting.selection import select
from rung.fitting.selection_file import read_any, read_selection
from rung.fitting.several import Fits, fit_each

__all__ = [
    "PUBLISHED",
    "Fit",
    "Fits",
    "Fitted",
    "LawBounds",
    "LawChoice",
    "Objective",
    "Ranked",
    "Selection",
    "as_fit",
    "choose_law",
    "fit",
    "fit_each",
    "fitted",
    "is_published",
    "law_bounds",
    "learning_curve",
    "level_combinations",
    "name_of",
    "published_fit",
    "read_any",
    "read_fit",
    "read_selection",
    "reopen",
    "select",
]
