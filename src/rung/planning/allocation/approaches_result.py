"""What Hoffmann's approaches give side by side, printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.findings import Finding
from rung.forecasting import Interval
from rung.planning.allocation.profiles import Bottom
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An IsoFLOP profile: runs of equal compute and different sizes.

    Attributes:
        flops: Their compute [FLOP].
        sizes: Number of distinct sizes.
        lowest: The size with the lowest loss.
        parabola: The bottom of the parabola in log N.
        cubic: That of the cubic, by itself.
        bias: The bottom of the parabola through noise-free losses of the fitted law at the same sizes, over the law's
            own best size, less one; None where that parabola opens downwards.
    """

    flops: float
    sizes: int
    lowest: float
    parabola: Bottom
    cubic: Bottom
    bias: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One estimate of the best size and data.

    Attributes:
        name: Its name.
        exponent: The exponent a of compute in the best size, N = c C^a.
        interval: Confidence interval of the exponent; (None, None) where there is none.
        params: The best size at the compute asked about.
        params_interval: Its confidence interval.
        tokens_exponent: The exponent of compute in the best tokens.
        tokens: The best tokens at the compute asked about.
        tokens_interval: Their confidence interval.
        bias: What the approach gives for that size on noise-free losses of the fitted law at the table's own points,
            over the law's own best size, less one; None where it cannot be computed.
        p_value: Probability of so large a difference from the surface, in log N less the bias, if both are right; None
            for the surface itself, and without errors.
    """

    name: str
    exponent: float
    interval: Interval
    params: float
    params_interval: Interval
    tokens_exponent: float
    tokens: float
    tokens_interval: Interval
    bias: float | None
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Approaches(Result):
    """The approaches on one table.

    Attributes:
        flops: The compute asked about [FLOP].
        approaches: The estimate by each approach.
        refused: Why others have none.
        profiles: The IsoFLOP profiles that all but the surface use.
        binned: Whether the profiles are bins of a quarter of a decade, because few runs have equal compute.
        level: Coverage of the intervals.
        warnings: Findings that speak against the fit of the surface.
    """

    flops: float
    approaches: tuple[Approach, ...]
    refused: Mapping[str, str]
    profiles: tuple[Profile, ...]
    binned: bool
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The best size by each approach."""
        sizes = ", ".join(f"{format_count(one.params)} by {one.name}" for one in self.approaches)
        return f"N at {format_count(self.flops)} FLOPs: {sizes}"

    def verdict(self) -> str:
        """Whether the law and the profiles agree on the best size."""
        surface = self.approaches[-1]
        judged = [one for one in self.approaches if one.p_value is not None]
        if not judged:
            return "law against profiles: undetermined, since no profile has an interval"
        apart = [one for one in judged if one.p_value is not None and one.p_value < 1 - self.level]
        if not apart:
            return "law against profiles: they agree within their errors" + _less_bias(judged)
        told = ", ".join(
            f"{one.name} gives {one.params / surface.params:.3g} times the law's N (p = {one.p_value:.2g})"
            for one in apart
        )
        return (
            f"law against profiles: {told}{_less_bias(apart)}. Errors alone do not explain it: one of them does not hold so far out. "
            "Compare laws by their backtests (rung select), and take the range of both."
        )

    def describe(self) -> Summary:
        """The approaches side by side, the verdict, and the IsoFLOP profiles."""

        def three(number: float) -> str:
            return f"{number:.3f}"

        at, percent = format_count(self.flops), f"{100 * self.level:g} % interval"
        head = ["approach", "N grows as C^", percent, f"N at {at} FLOPs", percent, f"D at {at} FLOPs", "bias of N"]
        rows = [
            [
                one.name,
                three(one.exponent),
                format_interval(*one.interval, three),
                format_count(one.params),
                format_interval(*one.params_interval, format_count),
                format_count(one.tokens),
                format_percent(one.bias, signed=True),
            ]
            for one in self.approaches
        ]
        profiles = [
            [
                format_count(one.flops),
                str(one.sizes),
                format_count(one.lowest),
                _shown(one.parabola),
                format_percent(one.bias, signed=True),
                _shown(one.cubic),
            ]
            for one in self.profiles
        ]
        used = sum(one.parabola.status == "inside" for one in self.profiles)
        refused = [f"{name}: no answer: {why}" for name, why in self.refused.items()]
        return Summary(
            [
                Table(head, rows),
                *(["\n".join(refused)] if refused else []),
                self.verdict(),
                "bias: what the approach gives on the fitted law's own noise-free losses at these points, less the law's best size",
                Table(
                    ["flops", "sizes", "lowest loss at", "parabola's bottom", "its bias", "cubic's bottom"], profiles
                ),
                f"{used} of {len(self.profiles)} parabolas have a clear bottom among their sizes"
                + ("; the others are left out" if used < len(self.profiles) else "")
                + ("; compute is in bins of a quarter of a decade" if self.binned else ""),
            ]
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per approach."""
        rows = []
        for one in self.approaches:
            (low, high), (fewest, most) = one.params_interval, one.tokens_interval
            size = {"params": one.params, "params_low": low, "params_high": high}
            data = {"tokens": one.tokens, "tokens_low": fewest, "tokens_high": most}
            rows.append({"approach": one.name, "exponent": one.exponent, **size, **data, "bias": one.bias})
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self) -> dict[str, Any]:
        """The approaches as plain values."""
        return {
            "flops": self.flops,
            "approaches": [asdict(one) for one in self.approaches],
            "refused": dict(self.refused),
            "verdict": self.verdict(),
            "profiles": [asdict(one) for one in self.profiles],
            "binned": self.binned,
        }


def _less_bias(judged: Sequence[Approach]) -> str:
    return ", their bias taken off" if any(one.bias for one in judged) else ""


def _shown(bottom: Bottom) -> str:
    """A bottom with the factor of its standard error, or why there is none."""
    if bottom.at is None or bottom.status == "flat":
        return bottom.status
    factor = "" if bottom.error is None else f" x/ {np.exp(bottom.error):.2f}"
    beyond = "" if bottom.status == "inside" else f", {bottom.status}"
    return f"{format_count(float(np.exp(bottom.at)))}{factor}{beyond}"
