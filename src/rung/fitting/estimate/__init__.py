"""Estimate: the objective, the rows that it is summed over, and the search for its minimum."""

from rung.fitting.estimate.design import coefficient_names, columns_used, design_of_any_size, measured_at
from rung.fitting.estimate.initial_points import balanced_starts, projected_starts
from rung.fitting.estimate.levenberg_marquardt import Solutions, SolverOptions, solve
from rung.fitting.estimate.loss import RowLoss, Space
from rung.fitting.estimate.objective import Objective, objective_named
from rung.fitting.estimate.penalty import AugmentedSpace, Combinations, PenalisedLoss, Quantities
from rung.fitting.estimate.problem import Problem, make_problem
from rung.fitting.estimate.specification import FitSpecification

__all__ = [
    "AugmentedSpace",
    "Combinations",
    "FitSpecification",
    "Objective",
    "PenalisedLoss",
    "Problem",
    "Quantities",
    "RowLoss",
    "Solutions",
    "SolverOptions",
    "Space",
    "balanced_starts",
    "coefficient_names",
    "columns_used",
    "design_of_any_size",
    "make_problem",
    "measured_at",
    "objective_named",
    "projected_starts",
    "solve",
]
