"""Laws ranked by how they extrapolate, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.files import digest_of, write_text
from rung.fitting.backtest.backtest import shown_scale
from rung.fitting.backtest.discrepancy import Discrepancy
from rung.fitting.backtest.stacking import FoldErrors, weights_at
from rung.fitting.result import SCHEMA, Fit
from rung.laws import Law
from rung.messages import counted, plural_of
from rung.results import Result, Summary, Table
from rung.units import format_percent

NEAR, FAR = float(np.log(2.0)), float(np.log(100.0))
"""Distances beyond the largest run, in the logarithm of scale, for which weights are shown."""

_UNKNOWN = 1e6
"""Standard error from which a difference is unknown: laws that were scored at one cut in common, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One law of a selection.

    Attributes:
        fit: The law fitted to all rows.
        weight: Its weight in the combined forecast at twice the largest scale of the runs; see `Selection.weights`.
        error: Its error over the cuts of the backtest, by what each can tell; nan where too few cuts could score it.
        difference: Its error less that of the best, over the same cuts.
        difference_error: Standard error of that.
        tied: Whether the backtest cannot tell it from the best.
        aicc: Akaike's criterion for few rows, less that of the lowest.
        folds: How it did at each cut; empty without a backtest, and in files of version 0.1.
    """

    fit: Fit
    weight: float
    error: float
    difference: float
    difference_error: float
    tied: bool
    aicc: float
    folds: FoldErrors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Selection(Result):
    """Laws ranked by how they extrapolate, best first.

    Attributes:
        along: What the backtest cut along; None where there was none.
        column: The column of the file that compute was read from; empty for 6 N D, and for other scales.
        cuts: How many cuts it had.
        laws: The laws.
        chosen: The simplest of the laws that are tied with the best.
        failed: Laws that could not be fitted, and why.
        noise: Standard deviation of a new run about the combined law, on the residual's scale.
        discrepancy: Model discrepancy of the combined law beyond the runs.
    """

    along: str | None
    cuts: int
    laws: tuple[Ranked, ...]
    chosen: str
    failed: Mapping[str, str]
    noise: float
    discrepancy: Discrepancy | None
    column: str = ""

    def weights(self, distance: float) -> Array:
        """Weights of the laws for a question whose scale is exp(distance) times the largest of the runs (K,)."""
        folds, names = [ranked.folds for ranked in self.laws], [ranked.fit.law.name for ranked in self.laws]
        if any(folds):
            return weights_at(folds, names, distance)
        near = np.array([ranked.weight for ranked in self.laws])
        if self.cuts:
            # A file of version 0.1 keeps weights, and not what they follow from.
            return near
        far = near * weights_at(folds, names, distance) / weights_at(folds, names, NEAR)
        return np.asarray(far / far.sum())

    @property
    def best(self) -> Fit:
        """The fit of the chosen law."""
        return next(ranked.fit for ranked in self.laws if name_of(ranked.fit.law) == self.chosen)

    @property
    def scale(self) -> str:
        """What the backtest cut along, in words."""
        return shown_scale(self.along or "", self.column)

    def headline(self) -> str:
        """What the backtest says of the laws."""
        tied = [ranked for ranked in self.laws if ranked.tied]
        if not self.cuts and not all(np.isfinite(ranked.aicc) for ranked in self.laws):
            return (
                "too few scales for a backtest, and too few rows for AICc: nothing here judges the laws; "
                "their weights are those of published studies"
            )
        if not self.cuts:
            return "too few scales for a backtest: ranked by AICc alone, which says nothing about larger scales"
        over = f"over {counted(self.cuts, 'cut')} along {self.scale}"
        unscored = sum(bool(np.isnan(ranked.error)) for ranked in self.laws)
        rest = (
            f"; {counted(unscored, 'law')} could not be scored there and {plural_of(unscored, 'counts', 'count')} as much as the average"
            if unscored
            else ""
        )
        if len(tied) > 1:
            return f"{len(tied)} laws are tied {over}; the simplest is {self.chosen}{rest}"
        if len(self.laws) - unscored == 1:
            return f"{self.chosen} alone could be scored {over}{rest}"
        return f"{self.chosen} extrapolates best {over}{rest}"

    def describe(self) -> Summary:
        """Every law, best first."""
        far = self.weights(FAR)
        rows = [
            [
                name_of(ranked.fit.law),
                str(len(ranked.fit.coefficients)),
                "not scored" if self.cuts and np.isnan(ranked.error) else format_percent(_known(ranked.error)),
                f"{format_percent(ranked.difference, signed=True)} +- {format_percent(ranked.difference_error)}"
                if index and ranked.difference_error < _UNKNOWN
                else "-",
                ("yes" if ranked.tied else "no") if not self.cuts or np.isfinite(ranked.error) else "-",
                f"{ranked.weight:.2f}",
                *([f"{far[index]:.2f}"] if self.cuts else []),
                f"{ranked.aicc:.1f}" if np.isfinite(ranked.aicc) else "-",
            ]
            for index, ranked in enumerate(self.laws)
        ]
        header = ["law", "coefficients", "error", "against the best", "tied", "weight"]
        header += ["at 100x", "AICc"] if self.cuts else ["AICc"]
        return Summary([Table(header, rows), self.headline()])

    def to_frame(self) -> pl.DataFrame:
        """One row per law."""
        names = ("weight", "error", "difference", "difference_error", "tied", "aicc")
        laws = [name_of(ranked.fit.law) for ranked in self.laws]
        return pl.DataFrame({"law": laws, **{name: [getattr(one, name) for one in self.laws] for name in names}})

    def write(self, path: str | Path) -> None:
        """Write the selection as JSON, whole or not at all."""
        write_text(path, json.dumps(self.to_dict(), allow_nan=False) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """The selection as plain values."""

        def finite(number: float) -> float | None:
            return float(number) if np.isfinite(number) else None

        content = {
            "schema_version": SCHEMA,
            "along": self.along,
            "column": self.column,
            "cuts": self.cuts,
            "chosen": self.chosen,
            "laws": [
                {
                    "name": name_of(ranked.fit.law),
                    "formula": ranked.fit.law.formula,
                    "weight": ranked.weight,
                    "error": finite(ranked.error),
                    "difference": finite(ranked.difference),
                    "difference_error": finite(ranked.difference_error),
                    "tied": ranked.tied,
                    "aicc": finite(ranked.aicc),
                    "folds": {str(index): asdict(fold) for index, fold in ranked.folds.items()},
                    "fit": ranked.fit.to_dict(),
                }
                for ranked in self.laws
            ],
            "failed": dict(self.failed),
            "noise": self.noise,
            "discrepancy": self.discrepancy.to_dict() if self.discrepancy else None,
        }
        return {**content, "digest": digest_of(content)}


def _known(number: float) -> float | None:
    return number if np.isfinite(number) else None


def name_of(law: Law) -> str:
    """What a law is called in a ranking: its name in the book, or its formula."""
    return law.name if law.name != "custom" else law.formula
