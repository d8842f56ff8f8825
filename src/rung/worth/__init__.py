"""Worth: what a change of recipe is worth, in effective size, data and compute."""

from rung.worth.axes import one_scale
from rung.worth.compare import compare
from rung.worth.comparison import Comparison
from rung.worth.densities import Densities, densities
from rung.worth.density import density
from rung.worth.effect import Effect, Effects
from rung.worth.effective import Density
from rung.worth.effects import effects
from rung.worth.merge_size import experts_needed
from rung.worth.pinned import PinnedComparison, compare_pinned
from rung.worth.score_shift import treatment_lift
from rung.worth.seeds import SeedComparison, compare_seeds, detectable_difference, standard_error
from rung.worth.several import AnyComparison, SeveralComparisons, compare_several, holm
from rung.worth.trend import Trend, density_trend

__all__ = [
    "AnyComparison",
    "Comparison",
    "Densities",
    "Density",
    "Effect",
    "Effects",
    "PinnedComparison",
    "SeedComparison",
    "SeveralComparisons",
    "Trend",
    "compare",
    "compare_pinned",
    "compare_seeds",
    "compare_several",
    "densities",
    "density",
    "density_trend",
    "detectable_difference",
    "effects",
    "experts_needed",
    "holm",
    "one_scale",
    "standard_error",
    "treatment_lift",
]
