"""Worth: what a change of recipe buys, in effective size, data and compute."""

from rung.worth.compare import Comparison, Multiplier, compare
from rung.worth.density import Density, Effective, Trend, density, density_trend

__all__ = ["Comparison", "Density", "Effective", "Multiplier", "Trend", "compare", "density", "density_trend"]
