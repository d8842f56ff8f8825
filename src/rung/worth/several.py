"""Several recipes, each against one control, with an allowance for their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from rung.errors import WorthError
from rung.findings import Finding
from rung.results import Result, Summary, Table
from rung.units import format_interval, format_value
from rung.worth.comparison import Comparison
from rung.worth.pinned import PinnedComparison
from rung.worth.seeds import SeedComparison

AnyComparison = Comparison | PinnedComparison | SeedComparison


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SeveralComparisons(Result):
    """Recipes that were compared with one control.

    Attributes:
        comparisons: The comparison of each recipe. Intervals have a coverage of 1 - (1 - level) / m for m recipes
            (Bonferroni), p-values are Holm's, so that all of them together err as seldom as one alone would.
        level: The joint coverage.
        warnings: The findings of all, each text once.
    """

    comparisons: tuple[AnyComparison, ...]
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """Which recipes are better than the control."""
        better = [one.treated for one in self.comparisons if one.better == one.treated]
        control = self.comparisons[0].control
        return f"better than {control}: {', '.join(better)}" if better else f"none is shown to be better than {control}"

    def describe(self) -> Summary:
        """A row for each recipe."""
        seeds = isinstance(self.comparisons[0], SeedComparison)
        header = ["recipe", "difference" if seeds else "multiplier", f"joint {100 * self.level:g} % interval", "better"]
        rows = []
        for one in self.comparisons:
            value, low, high = _figures(one)
            shown = f"{value:+.4g}" if seeds else f"{format_value(value, 3)}x"
            rows.append(
                [one.treated, shown, format_interval(low, high, lambda x: format_value(x, 3)), one.better or "-"]
            )
            if isinstance(one, SeedComparison):
                rows[-1].append(f"{one.p_value:.3g}")
        return Summary([Table([*header, *(["p (Holm)"] if seeds else [])], rows), self.headline()])

    def to_frame(self) -> pl.DataFrame:
        """One row per recipe."""
        figures = [_figures(one) for one in self.comparisons]
        return pl.DataFrame(
            {
                "recipe": [one.treated for one in self.comparisons],
                "value": [value for value, *_ in figures],
                "low": [low for _, low, _ in figures],
                "high": [high for *_, high in figures],
                "better": [one.better for one in self.comparisons],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparisons as plain values."""
        return {
            "comparisons": [one.to_dict() for one in self.comparisons],
            "level": self.level,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def compare_several(
    compared: Sequence[str], one: Callable[[str, float], AnyComparison], level: float = 0.9
) -> SeveralComparisons:
    """Compare several recipes with one control.

    Args:
        compared: The recipes.
        one: The comparison of one of them, at a level.
        level: Coverage of all intervals together.

    Raises:
        WorthError: There are fewer than two recipes.
    """
    if len(compared) < 2:
        raise WorthError("several comparisons need two recipes or more beside the control.")
    each = 1 - (1 - level) / len(compared)
    found = [one(name, each) for name in compared]
    seeds = [item for item in found if isinstance(item, SeedComparison)]
    if len(seeds) == len(found):
        adjusted = holm([item.p_value for item in seeds])
        found = [replace(item, p_value=p, comparisons=len(found)) for item, p in zip(seeds, adjusted, strict=True)]
    findings = dict.fromkeys(finding for item in found for finding in item.warnings)
    return SeveralComparisons(comparisons=tuple(found), level=level, warnings=tuple(findings))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: in ascending order max over j <= i of min((m - j) p_j, 1). Source: Holm 1979."""
    order = np.argsort(p_values)
    count = len(p_values)
    adjusted = np.empty(count)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min((count - rank) * p_values[int(index)], 1.0))
        adjusted[index] = highest
    return adjusted.tolist()


def _figures(one: AnyComparison) -> tuple[float, float | None, float | None]:
    """The figure of a comparison with its bounds: a difference, or the multiplier of compute or of the only scale."""
    match one:
        case SeedComparison():
            bounds = (one.low, one.high) if np.isfinite(one.low) else (None, None)
            return one.difference, *bounds
        case PinnedComparison():
            return one.multiplier, *(one.interval or (None, None))
        case _:
            last = one.constant[-1]
            return last.value, last.low, last.high
