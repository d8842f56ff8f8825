"""Pass rates over size: what was measured, what a larger model will pass, and whether growth is as expected.

Growth is judged by the curvature gamma of log(-log p) in log N, items held apart (an average over unequal items bends by itself):

    accelerated    the 95 % interval of gamma lies below zero: log(-log p) bends down
    slower         it lies above zero
    as expected    it holds zero, and the exponent changes by less than half over the sizes
    undetermined   otherwise

Source: Hu et al. 2024, arXiv:2310.03262, definition 1 and theorem 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.pass_law import PassLaw, fit_pass_law
from rung.skill.passing import PassTable, read_attempts
from rung.skill.proportions import clopper_pearson, normal_quantile
from rung.units import format_count, format_interval

_DRAWS = 400
_FEWEST_SIZES = 3

ACCELERATED, SLOWER, EXPECTED, UNDETERMINED = "accelerated", "slower", "as expected", "undetermined"
"""Verdicts on growth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRate:
    """What models of one size pass.

    Attributes:
        params: Parameters.
        items: How many items.
        never: How many of them never passed.
        attempts: Attempts in all.
        rate: Mean of the unbiased estimates.
        low: Lower bound of its interval: over items.
        high: Upper bound.
        law: The law's mean pass rate there.
    """

    params: float
    items: int
    never: int
    attempts: int
    rate: float
    low: float
    high: float
    law: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PassRates(Result):
    """Pass rates over size, with forecasts.

    Attributes:
        sizes: What was measured.
        forecasts: Size, forecast pass rate of these items, and its interval.
        law: The fitted law.
        alpha: Its mean exponent, and the interval.
        growth: The verdict on growth.
        gamma: The curvature that it rests on, and its 95 % interval; None with two sizes.
        assisted: Whether a loss of the right answers helped.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    sizes: tuple[SizeRate, ...]
    forecasts: tuple[tuple[float, float, float, float], ...]
    law: PassLaw
    alpha: tuple[float, float, float]
    growth: str
    gamma: tuple[float, float, float] | None
    assisted: bool
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The forecast of the largest model, or the law, and the verdict on growth."""
        if self.forecasts:
            params, value, low, high = self.forecasts[-1]
            return (
                f"pass rate {value:.3g} ({low:.3g} to {high:.3g}) at N = {format_count(params)}; growth {self.growth}"
            )
        return f"log(-log p) falls by {self.alpha[0]:.3g} for each factor e in size; growth {self.growth}"

    def describe(self) -> Summary:
        """What was measured, what is forecast, and the verdict."""
        percent = f"{100 * self.level:g} %"
        measured = [
            [format_count(one.params), str(one.items), str(one.never), f"{one.attempts:,}", f"{one.rate:.3g}", format_interval(one.low, one.high), f"{one.law:.3g}"]
            for one in self.sizes
        ]  # fmt: skip
        blocks: list[str | Table] = [Table(["N", "items", "never passed", "attempts", "pass rate", percent, "law"], measured)]  # fmt: skip
        if self.forecasts:
            rows = [[format_count(params), f"{value:.3g}", format_interval(low, high)] for params, value, low, high in self.forecasts]  # fmt: skip
            blocks.append(Table(["forecast at N", "pass rate", percent], rows))
        bend = f": gamma {self.gamma[0]:+.3g} (95 %: {format_interval(*self.gamma[1:])})" if self.gamma else ""
        blocks.append(
            "\n".join(
                [
                    f"exponent  {self.alpha[0]:.3g} ({percent}: {format_interval(*self.alpha[1:])}), items differ"
                    + (", by the loss of their right answers too" if self.assisted else ""),
                    f"growth    {self.growth}{bend}",
                ]
            )
        )
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row per size, measured or forecast."""
        rows = [
            {"params": one.params, "kind": "measured", "rate": one.rate, "low": one.low, "high": one.high, "items": one.items, "never_passed": one.never}
            for one in self.sizes
        ]  # fmt: skip
        rows += [
            {"params": params, "kind": "forecast", "rate": value, "low": low, "high": high, "items": self.sizes[0].items, "never_passed": None}
            for params, value, low, high in self.forecasts
        ]  # fmt: skip
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self) -> dict[str, Any]:
        """The pass rates as plain values."""
        return {
            "sizes": [plain_fields(one) for one in self.sizes],
            "forecasts": [
                dict(zip(("params", "rate", "low", "high"), map(float, one), strict=True)) for one in self.forecasts
            ],
            "alpha": list(self.alpha),
            "growth": self.growth,
            "gamma": None if self.gamma is None else list(self.gamma),
            "assisted": self.assisted,
            "level": self.level,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def pass_rates(
    attempts: Any, sizes: Sequence[float] = (), *, until: int | None = None, level: float = 0.9, seed: int = 0
) -> PassRates:
    """What models of other sizes will pass, from attempts at the same items by smaller ones.

    Args:
        attempts: A table of attempts: item, params, passes, attempts and, where known, loss; or one row per attempt with passed.
        sizes: Parameters of the models that are asked about.
        until: At how many passes sampling ended, where it did.
        level: Coverage of the intervals.
        seed: Seed of the draws.

    Raises:
        SkillError: A column is missing, a count is impossible, or there are too few sizes.
    """
    require_level(level, SkillError)
    table = attempts if isinstance(attempts, PassTable) else read_attempts(attempts, until=until)
    if any(not size > 0 for size in sizes):
        raise SkillError(f"a size is a positive number of parameters, not {min(sizes):g}.")
    law = fit_pass_law(table)
    rng = np.random.default_rng(seed)
    tails = [(1 - level) / 2, (1 + level) / 2]
    forecasts = []
    for size in sizes:
        low, high = np.quantile(law.draws(size, _DRAWS, rng), tails)
        forecasts.append((float(size), law.rate(size), float(low), float(high)))
    growth, gamma = growth_of(table)
    z = normal_quantile((1 + level) / 2)
    error = float(np.sqrt(law.covariance_PP[3, 3]))
    return PassRates(
        sizes=tuple(_size(table, law, one, level) for one in table.sizes),
        forecasts=tuple(forecasts),
        law=law,
        alpha=(law.alpha, law.alpha - z * error, law.alpha + z * error),
        growth=growth,
        gamma=gamma,
        assisted=bool(law.covariance_PP[1, 1] > 0),
        level=level,
        warnings=tuple(_findings(table, growth, sizes)),
    )


def growth_of(table: PassTable) -> tuple[str, tuple[float, float, float] | None]:
    """The verdict on growth, and the curvature gamma with its 95 % interval; none with two sizes."""
    if len(table.sizes) < _FEWEST_SIZES:
        return UNDETERMINED, None
    law = fit_pass_law(table, curved=True)
    half = normal_quantile(0.975) * law.gamma_error
    low, high = law.gamma - half, law.gamma + half
    found = (law.gamma, low, high)
    if high < 0:
        return ACCELERATED, found
    if low > 0:
        return SLOWER, found
    # The local exponent is alpha - 2 gamma x, so over a range of w in log N it changes by 2 gamma w.
    wide = float(np.log(table.sizes[-1] / table.sizes[0]))
    changed = 2 * max(abs(low), abs(high)) * wide
    return (EXPECTED if changed < abs(law.alpha) / 2 else UNDETERMINED), found


def _size(table: PassTable, law: PassLaw, params: float, level: float) -> SizeRate:
    rows = table.at(params)
    rates = rows.rates()
    z = normal_quantile((1 + level) / 2)
    rate = float(rates.mean())
    error = float(rates.std(ddof=1) / np.sqrt(len(rates))) if len(rates) > 1 else 0.0
    low, high = max(rate - z * error, 0.0), min(rate + z * error, 1.0)
    if error == 0:
        # Items that do not differ say nothing of their scatter; the counts together do.
        low, high = clopper_pearson(int(rows.passes.sum()), int(rows.attempts.sum()), level)
    return SizeRate(
        params=float(params),
        items=len(rates),
        never=int((rows.passes == 0).sum()),
        attempts=int(rows.attempts.sum()),
        rate=rate,
        low=low,
        high=high,
        law=law.rate(params),
    )


def _findings(table: PassTable, growth: str, sizes: Sequence[float]) -> list[Finding]:
    found = []
    if ((table.until == 1) & (table.passes >= 1)).any():
        found.append(
            Finding(
                "one_pass",
                "sampling ended at the first pass, from which no unbiased rate can be computed; the law uses the counts and is not affected. Ask for two passes.",
            )
        )
    counts = np.bincount(table.item, minlength=len(table.items))
    if counts.min() < len(table.sizes):
        lacking = int((counts < len(table.sizes)).sum())
        found.append(
            Finding("missing_items", f"{counted(lacking, 'item')} of {len(table.items)} were not attempted at every size.")
        )  # fmt: skip
    largest = float(table.sizes[-1])
    far = [size for size in sizes if size > 30 * largest]
    if far:
        text = f"N = {format_count(max(far))} is {max(far) / largest:.3g}x the largest size that was measured; the interval assumes that the law still holds there."
        found.append(Finding("far_scores", text))
    if growth in {ACCELERATED, SLOWER} and sizes:
        found.append(
            Finding(
                "growth_changes",
                f"growth is {growth}, and the forecasts assume a law without curvature; they are too {'low' if growth == ACCELERATED else 'high'} if it goes on.",
            )
        )
    return found
