"""Uncertainty: standard errors, profile intervals, the bootstrap, and the noise of a new run."""

from rung.fitting.uncertainty.derived import power_terms
from rung.fitting.uncertainty.distributions import f_sf, student_quantile
from rung.fitting.uncertainty.intervals import interval_of
from rung.fitting.uncertainty.profile import Predictions, Profiler

__all__ = ["Predictions", "Profiler", "f_sf", "interval_of", "power_terms", "student_quantile"]
