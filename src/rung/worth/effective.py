"""Effective size, data and density of one model, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.findings import Finding
from rung.forecasting import Interval
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What the reference needs for one loss.

    Attributes:
        of: "params", "tokens" or "flops".
        value: How much.
        interval: Its interval, from the reference law and from the noise of one run about it.
        over: The value over what the model has; None where that is not known.
        over_interval: The same for the interval.
    """

    of: str
    value: float
    interval: Interval
    over: float | None
    over_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Density(Result):
    """One model against a reference ladder.

    Attributes:
        loss: The loss, measured or read from a score.
        score: The score; None where a loss was measured.
        tokens: Tokens at which the reference gives its size; None for a law without D.
        size: The effective size.
        data: The effective data; None where the model's size or tokens are not known, or no data reach the loss.
        densities: The effective size over params, over active params, and over params as stored at 16 bits, by name.
        target: The column that the reference's law predicts.
        level: Coverage of the intervals.
        warnings: Findings that speak against the density.
    """

    loss: float
    score: float | None
    tokens: float | None
    size: Effective
    data: Effective | None
    densities: Mapping[str, Effective]
    target: str
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """Effective size and densities."""
        densities = ", ".join(f"{_three(one.over or 0.0)} by {name}" for name, one in self.densities.items())
        return f"effective size {format_count(self.size.value)}" + (f"; density {densities}" if densities else "")

    def describe(self) -> Summary:
        """What was measured, and what the reference would need for it."""
        measured = f"score {format_value(self.score)}, read as " if self.score is not None else ""
        at = f", at {format_count(self.tokens)} tokens" if self.tokens is not None else ""
        rows = [["effective size", format_count(self.size.value), format_interval(*self.size.interval, format_count)]]
        if self.data is not None:
            rows.append(
                ["effective data", format_count(self.data.value), format_interval(*self.data.interval, format_count)]
            )
            if self.data.over is not None:
                rows.append(
                    ["data multiplier", _three(self.data.over), format_interval(*self.data.over_interval, _three)]
                )
        rows += [
            [f"density by {name}", _three(one.over or 0.0), format_interval(*one.over_interval, _three)]
            for name, one in self.densities.items()
        ]
        return Summary(
            [
                f"asked      {measured}{self.target} {format_value(self.loss)}{at}",
                Table(["", "", f"{100 * self.level:g} % interval"], rows),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The density as plain values."""

        def plain(one: Effective | None) -> dict[str, Any] | None:
            if one is None:
                return None
            return {
                "of": one.of,
                "value": one.value,
                "interval": list(one.interval),
                "over": one.over,
                "over_interval": list(one.over_interval),
            }

        return {
            "loss": self.loss,
            "score": self.score,
            "reference_tokens": self.tokens,
            "effective_size": plain(self.size),
            "effective_data": plain(self.data),
            "densities": {name: plain(one) for name, one in self.densities.items()},
            "warnings": [finding.to_dict() for finding in self.warnings],
        }


def _three(number: float) -> str:
    return format_value(number, 3)
