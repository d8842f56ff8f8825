"""Tuning: learning rate and batch, by published rules and by a user's own sweeps."""

from rung.planning.tuning.fitted_rules import fit_procedure, fit_surface, held_out_regrets
from rung.planning.tuning.published_rules import published_rules
from rung.planning.tuning.result import Tuning
from rung.planning.tuning.sweeps import Grid, read_sweeps, regrets
from rung.planning.tuning.tune import tune

__all__ = [
    "Grid",
    "Tuning",
    "fit_procedure",
    "fit_surface",
    "held_out_regrets",
    "published_rules",
    "read_sweeps",
    "regrets",
    "tune",
]
