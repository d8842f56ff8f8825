"""Worth: what a change of recipe is worth, in effective size, data and compute."""

from rung.worth.compare import compare
from rung.worth.comparison import Comparison
from rung.worth.density import density
from rung.worth.effective import Density
from rung.worth.merge_size import experts_needed
from rung.worth.score_shift import treatment_lift
from rung.worth.trend import Trend, density_trend

__all__ = ["Comparison", "Density", "Trend", "compare", "density", "density_trend", "experts_needed", "treatment_lift"]
