"""What a treatment of a model is worth, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rung.findings import Finding
from rung.results import Result, Summary, Table
from rung.units import format_count, format_interval, format_value

if TYPE_CHECKING:
    import polars as pl

Span = tuple[float, float]
"""An interval; infinite where it is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """A quantity with its interval.

    Attributes:
        value: The estimate.
        interval: Its interval, from the ladder's coefficients, run-to-run noise and seeds.
    """

    value: float
    interval: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A treatment at one size.

    Attributes:
        treatment: Its name.
        params: N of the treated model, as the ladder counts it [count].
        tokens: D at which the ladder is asked; None for a law without D [count].
        before: The loss of its control; None where the ladder itself is the control.
        after: The loss of the treated model.
        seeds: How many runs the loss of the treated model is a mean of, and that of its control.
        effective_size: The N that the ladder needs for the loss [count]; None where it is refused.
        multipliers: Of size, data and compute, by name: what the control would need, over what it has; costs of the treatment are in
            that of compute.
        densities: Effective size over params, active params, nonzero params, and params stored at 16 bits, by name.
        cost: What the treatment cost [FLOP]; None where that is not stated.
        refused: Why there is no worth; empty where there is one.
    """

    treatment: str
    params: float
    tokens: float | None
    before: float | None
    after: float
    seeds: tuple[int, int]
    effective_size: Worth | None
    multipliers: Mapping[str, Worth]
    densities: Mapping[str, Worth]
    cost: float | None
    refused: str

    def to_dict(self) -> dict[str, Any]:
        """The effect as plain values."""

        def plain(one: Worth | None) -> dict[str, Any] | None:
            return None if one is None else {"value": one.value, "interval": list(one.interval)}

        return {
            "treatment": self.treatment,
            "params": self.params,
            "tokens": self.tokens,
            "before": self.before,
            "after": self.after,
            "seeds": list(self.seeds),
            "effective_size": plain(self.effective_size),
            "multipliers": {name: plain(one) for name, one in self.multipliers.items()},
            "densities": {name: plain(one) for name, one in self.densities.items()},
            "cost_flops": self.cost,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How the size multiplier of a treatment changes with size: m ~ N^slope.

    Attributes:
        treatment: Its name.
        sizes: At how many sizes it was measured.
        slope: The exponent; None for fewer than three sizes.
        verdict: "grows", "shrinks", "no change seen" or "one size", "two sizes".
    """

    treatment: str
    sizes: int
    slope: Worth | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Effects(Result):
    """Treatments against one reference ladder.

    Attributes:
        effects: One for each treatment and size.
        slopes: One for each treatment.
        target: The column that the ladder predicts.
        reference: Where the ladder comes from.
        level: Coverage of the intervals.
        warnings: What speaks against the effects.
    """

    effects: tuple[Effect, ...]
    slopes: tuple[Slope, ...]
    target: str
    reference: str
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        known = [one for one in self.effects if not one.refused]
        if not known:
            return f"no treatment of {len(self.effects)} has a worth"
        said = [
            f"{one.treatment} at {format_count(one.params)}: {format_value(one.multipliers['size'].value, 3)} times the size"
            for one in known[:3]
        ]
        return "; ".join(said) + (f"; {len(known) - 3} more" if len(known) > 3 else "")

    def describe(self) -> Summary:
        names = [name for name in ("size", "data", "compute") if any(name in one.multipliers for one in self.effects)]
        rows = []
        for one in self.effects:
            row = [one.treatment, format_count(one.params), "-" if one.before is None else format_value(one.before)]
            row.append(format_value(one.after))
            row.append("refused" if one.effective_size is None else _count(one.effective_size))
            row += [_three(one.multipliers[name]) if name in one.multipliers else "-" for name in names]
            rows.append(row)
        header = ["treatment", "params", f"{self.target} before", "after", "effective size"]
        blocks: list[str | Table] = [
            f"against    {self.reference}; {100 * self.level:g} % intervals; the multiplier of compute holds the treatment's cost",
            Table([*header, *(f"{name} multiplier" for name in names)], rows),
        ]
        kinds = list(dict.fromkeys(kind for one in self.effects for kind in one.densities))
        if kinds:
            dense = [
                [
                    one.treatment,
                    format_count(one.params),
                    *(_three(one.densities[kind]) if kind in one.densities else "-" for kind in kinds),
                ]
                for one in self.effects
            ]
            blocks.append(Table(["treatment", "params", *(f"density by {kind}" for kind in kinds)], dense))
        refused = [
            f"{one.treatment} at {format_count(one.params)}: {one.refused}" for one in self.effects if one.refused
        ]
        blocks += ["\n".join(["refused", *refused])] if refused else []
        blocks.append("\n".join(_slope_line(one) for one in self.slopes))
        return Summary(blocks)

    def to_frame(self) -> pl.DataFrame:
        """One row for each treatment and size."""
        import polars as pl

        def spread(name: str, one: Worth | None) -> dict[str, float | None]:
            if one is None:
                return {}
            return {name: one.value, f"{name}_low": one.interval[0], f"{name}_high": one.interval[1]}

        rows = []
        for one in self.effects:
            row = {**one.to_dict(), **spread("effective_size", one.effective_size)}
            for kind, values in (("multiplier", row.pop("multipliers")), ("density", row.pop("densities"))):
                for name in values:
                    found = one.multipliers[name] if kind == "multiplier" else one.densities[name]
                    row |= spread(f"{name.replace(' ', '_')}_{kind}", found)
            row["seeds"] = one.seeds[0]
            rows.append({name: value for name, value in row.items() if value is not None})
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self) -> dict[str, Any]:
        """The effects as plain values."""
        return {
            "effects": [one.to_dict() for one in self.effects],
            "slopes": [
                {
                    "treatment": one.treatment,
                    "sizes": one.sizes,
                    "slope": None
                    if one.slope is None
                    else {"value": one.slope.value, "interval": list(one.slope.interval)},
                    "verdict": one.verdict,
                }
                for one in self.slopes
            ],
            "target": self.target,
            "reference": self.reference,
            "level": self.level,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def _slope_line(one: Slope) -> str:
    if one.slope is None:
        return f"{one.treatment}: measured at {one.verdict}, which says nothing of other sizes"
    return (
        f"{one.treatment}: over {one.sizes} sizes the size multiplier goes as N^{one.slope.value:.3g} "
        f"({format_interval(*one.slope.interval, lambda value: format_value(value, 3))}): {one.verdict}"
    )


def _three(one: Worth) -> str:
    return f"{format_value(one.value, 3)} ({format_interval(*one.interval, lambda value: format_value(value, 3))})"


def _count(one: Worth) -> str:
    return f"{format_count(one.value)} ({format_interval(*one.interval, format_count)})"
