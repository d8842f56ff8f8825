"""Allocation: parameters and tokens for a budget or a target loss."""

from rung.planning.allocation.allocate import allocate
from rung.planning.allocation.approaches import compare_approaches
from rung.planning.allocation.approaches_result import Approaches
from rung.planning.allocation.budgets import BudgetFrontier, allocate_budgets
from rung.planning.allocation.profiles import PARABOLA, profile_rows
from rung.planning.allocation.result import Allocation

__all__ = [
    "PARABOLA",
    "Allocation",
    "Approaches",
    "BudgetFrontier",
    "allocate",
    "allocate_budgets",
    "compare_approaches",
    "profile_rows",
]
