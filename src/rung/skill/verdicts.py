"""Verdicts on metrics over scale: scales, emergent, flat, inverse, plateau or undetermined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.errors import SkillError
from rung.findings import Finding
from rung.laws import column_of
from rung.messages import did_you_mean, listed
from rung.results import Result, Summary, Table, plain_fields
from rung.runs import Runs, as_runs
from rung.skill.proportions import benjamini_hochberg
from rung.skill.run_ends import ends_of_runs, left_out
from rung.skill.shapes import EMERGENT, PLATEAU, shape_of, verdict_of
from rung.units import flops_6nd, format_value

_LOWER = ("loss", "bpb", "ppl", "perplexity", "nll", "error", "_ce")
"""Parts of names of metrics of which lower is better."""

_POINTS = {"metric": pl.String, "scale": pl.Float64, "value": pl.Float64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a metric moves with scale.

    Attributes:
        metric: The metric.
        verdict: scales, emergent, flat, inverse, plateau or undetermined.
        lower: Whether lower is better.
        runs: Number of runs.
        scales: Number of different scales.
        first: Mean at the smallest scale.
        last: Mean at the largest scale.
        break_at: The scale at which it starts to move, or stops; None where it does neither.
        p_value: Of a trend.
        q_value: The same adjusted for all metrics.
    """

    metric: str
    verdict: str
    lower: bool
    runs: int
    scales: int
    first: float
    last: float
    break_at: float | None
    p_value: float
    q_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verdicts(Result):
    """Verdicts on several metrics.

    Attributes:
        verdicts: Each metric.
        along: The column of the scale.
        tolerance: The change over all scales that does not matter, as a share of the metric's mean.
        points: What was judged: metric, scale and value, a row per run.
        warnings: Findings.
    """

    verdicts: tuple[Verdict, ...]
    along: str
    tolerance: float
    points: pl.DataFrame
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """How many metrics have each verdict."""
        said = [one.verdict for one in self.verdicts]
        return ", ".join(f"{said.count(name)} {name}" for name in dict.fromkeys(said))

    def describe(self) -> Summary:
        """Each metric with its verdict."""
        rows = [
            [
                one.metric,
                one.verdict + ("" if one.break_at is None else f" {'from' if one.verdict == EMERGENT else 'at'} {one.break_at:.3g}"),
                str(one.runs),
                str(one.scales),
                format_value(one.first, 4),
                format_value(one.last, 4),
                f"{one.p_value:.3g}",
                f"{one.q_value:.3g}",
            ]
            for one in self.verdicts
        ]  # fmt: skip
        table = Table(["metric", f"over {self.along}", "runs", "scales", "smallest", "largest", "p", "q"], rows)
        return Summary([table, f"verdict  {self.headline()}; flat is a change below {100 * self.tolerance:g} % of the mean"])  # fmt: skip

    def to_frame(self) -> pl.DataFrame:
        """One row per metric."""
        return pl.DataFrame(
            [plain_fields(one) for one in self.verdicts],
            infer_schema_length=None,
        )

    def to_dict(self) -> dict[str, Any]:
        """The verdicts as plain values."""
        rows = [plain_fields(one) for one in self.verdicts]
        return {
            "along": self.along,
            "tolerance": self.tolerance,
            "verdicts": rows,
            "warnings": [one.to_dict() for one in self.warnings],
        }


def verdicts(
    runs: Any,
    metrics: Sequence[str],
    *,
    along: str = "N",
    lower: Sequence[str] = (),
    tolerance: float = 0.05,
    seed: int = 0,
) -> Verdicts:
    """How metrics move with scale, with false discoveries controlled over all of them.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        metrics: Columns.
        along: N, D, C or a column: the scale.
        lower: Metrics of which lower is better, besides those whose names say so (loss, bpb, perplexity, error).
        tolerance: The change over all scales that does not matter, as a share of the metric's mean.
        seed: Seed of the permutations.

    Raises:
        SkillError: A column is missing, or holds no positive scale.
    """
    if not 0 <= tolerance < 1:
        raise SkillError(f"--tolerance {tolerance:g}: a share of the mean from 0 to below 1.")
    require_asked(lower, metrics)
    table, findings = ends_of_runs(as_runs(runs))
    column = column_of(along)
    scale = _scale(table, column)
    if not metrics:
        raise SkillError(f"name the metrics: --metric COLUMN; {table.source} has {listed(table.columns, most=8)}.")
    known = np.isfinite(scale) & (scale > 0)
    if not known.any():
        raise SkillError(f"{table.source}: {column} holds no positive number, so there is no scale.")
    found = []
    for metric in metrics:
        if not table.has(metric):
            raise SkillError(f"{table.source} has no column {metric!r}.{did_you_mean(metric, table.columns)}")
        values = table.numbers(metric)
        rows = known & np.isfinite(values)
        findings += left_out(table, metric, rows)
        found.append((metric, *_ordered(scale[rows], values[rows])))
    shapes, tolerances = [], []
    for metric, x, y in found:
        logged = is_lower(metric, lower) and len(y) > 0 and bool((y > 0).all())
        shapes.append(shape_of(np.log(x), np.log(y) if logged else y, seed=seed))
        tolerances.append(np.log1p(tolerance) if logged else tolerance * abs(float(y.mean())) if len(y) else 0.0)
    adjusted = benjamini_hochberg([one.p_value for one in shapes])
    return Verdicts(
        verdicts=tuple(
            _verdict(one, shape, float(q), lower=is_lower(one[0], lower), tolerance=float(allowed))
            for one, shape, q, allowed in zip(found, shapes, adjusted, tolerances, strict=True)
        ),
        along=column,
        tolerance=tolerance,
        points=pl.concat([_points(*one) for one in found]),
        warnings=tuple(findings),
    )


def require_asked(lower: Sequence[str], metrics: Sequence[str]) -> None:
    """Metrics of which lower is better are among those that are judged.

    Raises:
        SkillError: One is not, as a misspelt one.
    """
    strange = next((name for name in lower if name not in metrics), None)
    if strange is not None:
        raise SkillError(
            f"--lower {strange}: it is none of the metrics {listed(list(metrics), most=6)}.{did_you_mean(strange, metrics)}"
        )


def is_lower(metric: str, lower: Sequence[str]) -> bool:
    """Whether lower is better: the user says so, or the name of the metric does."""
    return metric in lower or any(part in metric.lower() for part in _LOWER)


def _scale(table: Runs, column: str) -> Array:
    if column == "flops" and not table.has("flops") and table.has("params") and table.has("tokens"):
        return flops_6nd(table.numbers("params"), table.numbers("tokens"))
    return table.numbers(column, "the scale")


def _points(metric: str, scale: Array, values: Array) -> pl.DataFrame:
    return pl.DataFrame({"metric": [metric] * len(scale), "scale": scale, "value": values}, schema=_POINTS)


def _ordered(scale: Any, values: Any) -> tuple[Any, Any]:
    order = np.argsort(scale, kind="stable")
    return scale[order], values[order]


def _verdict(measured: tuple[str, Any, Any], shape: Any, q_value: float, *, lower: bool, tolerance: float) -> Verdict:
    metric, x, y = measured
    said = verdict_of(shape, q_value, lower=lower, tolerance=tolerance)
    broken = shape.break_at is not None and said in {EMERGENT, PLATEAU}
    return Verdict(
        metric=metric,
        verdict=said,
        lower=lower,
        runs=len(y),
        scales=shape.scales,
        first=float(y[x == x[0]].mean()) if len(y) else float("nan"),
        last=float(y[x == x[-1]].mean()) if len(y) else float("nan"),
        break_at=float(np.exp(shape.break_at)) if broken else None,
        p_value=shape.p_value,
        q_value=q_value,
    )
