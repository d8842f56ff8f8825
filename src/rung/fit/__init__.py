"""Fit: estimating a law's coefficients, how sure they are, and what speaks against them."""

from rung.fit.design import column_of, columns_used, measured_at
from rung.fit.fit import fit
from rung.fit.objective import OBJECTIVES, Objective
from rung.fit.result import Estimate, Fit, read_fit

__all__ = [
    "OBJECTIVES",
    "Estimate",
    "Fit",
    "Objective",
    "column_of",
    "columns_used",
    "fit",
    "measured_at",
    "read_fit",
]
