"""Worth: what a change of recipe buys, in effective size, data and compute."""

from rung.worth.compare import compare
from rung.worth.comparison import Comparison, Multiplier
from rung.worth.density import Density, Effective, Trend, density, density_trend
from rung.worth.experts import experts_needed
from rung.worth.lift import Lift, treatment_lift

__all__ = [
    "Comparison",
    "Density",
    "Effective",
    "Lift",
    "Multiplier",
    "Trend",
    "compare",
    "density",
    "density_trend",
    "experts_needed",
    "treatment_lift",
]
