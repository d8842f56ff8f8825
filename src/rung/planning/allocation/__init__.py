"""Allocation: parameters and tokens for a budget or a target loss."""

from rung.planning.allocation.allocate import allocate
from rung.planning.allocation.approaches import compare_approaches
from rung.planning.allocation.result import Allocation

__all__ = ["Allocation", "allocate", "compare_approaches"]
