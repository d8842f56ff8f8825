"""Fit: estimating a law's coefficients, how sure they are, and what speaks against them."""

from rung.fit.backtest import Backtest, backtest
from rung.fit.burn_in import drop_start
from rung.fit.curve import LearningCurve, learning_curve
from rung.fit.cuts import scale_levels
from rung.fit.derived import power_terms
from rung.fit.design import column_of, columns_used, few_design, make_design, measured_at
from rung.fit.discrepancy import Discrepancy
from rung.fit.fit import fit
from rung.fit.intervals import Fitted, LawEnds, fitted, interval_of, law_ends, reopen
from rung.fit.misfit import Misfit, misfit_around
from rung.fit.modes import MISFIT_SHARE, Modes, bounded, find_modes, variance_of
from rung.fit.objective import OBJECTIVES, Objective, objective_named
from rung.fit.profile import Profiler
from rung.fit.pull import Combinations, Quantities
from rung.fit.result import Estimate, Fit, coefficient_names
from rung.fit.search import Problem, make_problem
from rung.fit.select import Ranked, Selection, name_of, select
from rung.fit.stored import holds_selection, read_fit, read_selection
from rung.fit.student import student_quantile
from rung.fit.weighing import weighted_median

__all__ = [
    "MISFIT_SHARE",
    "OBJECTIVES",
    "Backtest",
    "Combinations",
    "Discrepancy",
    "Estimate",
    "Fit",
    "Fitted",
    "LawEnds",
    "LearningCurve",
    "Misfit",
    "Modes",
    "Objective",
    "Problem",
    "Profiler",
    "Quantities",
    "Ranked",
    "Selection",
    "backtest",
    "bounded",
    "coefficient_names",
    "column_of",
    "columns_used",
    "drop_start",
    "few_design",
    "find_modes",
    "fit",
    "fitted",
    "holds_selection",
    "interval_of",
    "law_ends",
    "learning_curve",
    "make_design",
    "make_problem",
    "measured_at",
    "misfit_around",
    "name_of",
    "objective_named",
    "power_terms",
    "read_fit",
    "read_selection",
    "reopen",
    "scale_levels",
    "select",
    "student_quantile",
    "variance_of",
    "weighted_median",
]
