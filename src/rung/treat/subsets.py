"""How many experts a merge needs: subsets of every number of them are merged and measured, and a curve is fitted.

    L(k) = floor + gain / (k + b)

The base alone is no point of the curve: one expert may be worse than it.

Source: "Model Merging Scaling Laws", arXiv:2509.24244.
"""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rung.errors import ModelError, RungError
from rung.findings import Finding
from rung.fitting import Fit, fit
from rung.messages import counted, did_you_mean
from rung.models import Measuring, measure, short_names
from rung.progress import reported
from rung.results import Result, Summary, Table
from rung.treat.merge import merge_models
from rung.treat.methods import METHODS, MergeOptions
from rung.units import format_value
from rung.worth import experts_needed

_LAW = "floor + gain / (num_experts + b) with b in (-1, inf)"
"""The law merging-experts of the book, whose b may be negative."""

_FEWEST = 3
"""Numbers of experts that the curve needs."""

_FAR = 0.25
"""Share of the fall from one expert to all by which a curve may miss a mean before it is warned of."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeCurve(Result):
    """Merges of every number of experts.

    Attributes:
        method: How they were merged.
        experts: The experts.
        losses: For each number of experts, the loss of each subset by the experts' numbers.
        fit: The law; None where there are too few experts, or none could be fitted.
        wanted: A target loss; None without one.
        needed: How many experts reach it; None where all of them do not, or it was not asked.
        order: The experts, each next one chosen for the lowest loss among the merges that were measured.
        data: The text.
        warnings: What speaks against the curve.
    """

    method: str
    experts: tuple[str, ...]
    losses: Mapping[int, Mapping[tuple[int, ...], float]]
    fit: Fit | None
    wanted: float | None
    needed: int | None
    order: tuple[int, ...]
    data: tuple[str, ...]
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        best = min((loss, subset) for found in self.losses.values() for subset, loss in found.items())
        return f"{self.method} of {len(self.experts)} experts: lowest loss {format_value(best[0])} with {', '.join(self.experts[index] for index in best[1])}"

    def describe(self) -> Summary:
        rows = []
        for count, found in self.losses.items():
            values = list(found.values())
            best = min(found, key=lambda subset: found[subset])
            rows.append(
                [
                    str(count),
                    f"{len(found)} of {math.comb(len(self.experts), count)}",
                    format_value(float(np.mean(values))),
                    format_value(float(np.std(values)), 2) if len(values) > 1 else "-",
                    format_value(found[best]),
                    "-" if self.fit is None else format_value(self._law(count)),
                    ", ".join(self.experts[index] for index in best),
                ]
            )
        names = ["experts", "subsets measured", "mean loss", "spread", "lowest", "law", "the lowest is that of"]
        blocks: list[str | Table] = [self.headline(), Table(names, rows)]
        if self.fit is not None:
            law = self.fit.values
            blocks.append(
                f"law        floor {law['floor']:.4g} + {law['gain']:.3g} / (k + {law['b']:.3g}), over the means"
            )
        added = ", then ".join(self.experts[index] for index in self.order)
        blocks.append(f"add        {added}")
        if self.wanted is not None:
            by = "by the law" if self.fit is not None else "by the means that were measured"
            answer = counted(self.needed, "expert") if self.needed is not None else "not reached by all of them"
            answer = f"{answer}, {by}"
            blocks.append(f"loss {format_value(self.wanted)}: {answer}")
        return Summary(blocks)

    def _law(self, count: int) -> float:
        assert self.fit is not None
        return float(self.fit.law.value(self.fit.values, {self.fit.law.variables[0]: float(count)}))

    def to_dict(self) -> dict[str, Any]:
        """The curve as plain values."""
        return {
            "method": self.method,
            "experts": list(self.experts),
            "merges": [
                {"experts": [self.experts[index] for index in subset], "loss": loss}
                for found in self.losses.values()
                for subset, loss in found.items()
            ],
            "law": None if self.fit is None else self.fit.values,
            "wanted": self.wanted,
            "needed": self.needed,
            "order": [self.experts[index] for index in self.order],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def evaluate_subsets(
    models: Sequence[str | Path],
    method: str,
    options: MergeOptions,
    how: Measuring,
    *,
    most: int = 20,
    wanted: float | None = None,
) -> MergeCurve:
    """Merge and measure subsets of every number of experts.

    Args:
        models: The models, the base first where the method has one.
        method: A name of METHODS.
        options: Numbers of the method; weights of one each.
        how: The text, and how the merges are measured on it.
        most: Subsets of each number, drawn at random where there are more.
        wanted: A target loss.

    Raises:
        ModelError: A model does not match, or there are fewer than two experts.
    """
    if method not in METHODS:
        raise ModelError(
            f"there is no method {method!r}.{did_you_mean(method, METHODS)} They are {', '.join(METHODS)}."
        )
    based = METHODS[method].based
    if len(models) > METHODS[method].count[1]:
        raise ModelError(f"{method} merges {METHODS[method].count[1]} models at most, and {len(models)} are given.")
    base, experts = ([models[0]], list(models[1:])) if based else ([], list(models))
    if len(experts) < 2 or not how.data:
        raise ModelError("an evaluation takes two experts or more, and a text: --evaluate TEXT.")
    if options.weights:
        raise ModelError("an evaluation takes every expert with the same weight: leave out --weights.")
    if most < 1:
        raise ModelError(f"--subsets {most} must be at least 1.")
    losses: dict[int, dict[tuple[int, ...], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for subset in reported(subsets_of(len(experts), most, options.seed), "merges"):
            place = Path(folder) / "-".join(map(str, subset))
            merged = [*base, *(experts[index] for index in subset)]
            losses.setdefault(len(subset), {})[subset] = _loss(merged, place, method, options, how)
    return curve_of(method, short_names(experts), losses, how.data, wanted)


def curve_of(
    method: str,
    experts: Sequence[str],
    losses: Mapping[int, Mapping[tuple[int, ...], float]],
    data: Sequence[str],
    wanted: float | None = None,
) -> MergeCurve:
    """The law in the number of experts, and the order in which to add them, from the losses of merges."""
    law, warnings = _fitted(losses)
    return MergeCurve(
        method=method,
        experts=tuple(experts),
        losses=losses,
        fit=law,
        wanted=wanted,
        needed=None if wanted is None else _needed(law, losses, wanted, len(experts)),
        order=_order(losses, len(experts)),
        data=tuple(data),
        warnings=warnings,
    )


def _needed(
    law: Fit | None, losses: Mapping[int, Mapping[tuple[int, ...], float]], wanted: float, experts: int
) -> int | None:
    """How many experts reach a loss: by the law, or without one by the means that were measured."""
    if law is not None:
        return experts_needed(law, wanted, experts)
    return next((count for count, found in losses.items() if np.mean(list(found.values())) <= wanted), None)


def subsets_of(experts: int, most: int, seed: int) -> list[tuple[int, ...]]:
    """Subsets of every number of experts, the smallest first; drawn at random where there are more than `most` of a number."""
    rng = np.random.default_rng(seed)
    return [subset for size in range(1, experts + 1) for subset in _subsets(experts, size, most, rng)]


def _subsets(count: int, size: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if math.comb(count, size) <= most:
        return list(itertools.combinations(range(count), size))
    found: dict[tuple[int, ...], None] = {}
    while len(found) < most:
        found[tuple(sorted(rng.choice(count, size, replace=False).tolist()))] = None
    return sorted(found)


def _loss(models: Sequence[str | Path], place: Path, method: str, options: MergeOptions, how: Measuring) -> float:
    """The loss of one merge; an expert alone is itself, and not merged where its method needs more."""
    least = METHODS[method].count[0]
    if len(models) < least and len(models) <= 1 + METHODS[method].based:
        measured = measure([models[-1]], how).models[0].loss
    else:
        merge_models(models, place, method, options)
        measured = measure([place], how).models[0].loss
        shutil.rmtree(place)  # one merge at a time, however many there are
    assert measured is not None, "a text was given"
    return measured.value


def _fitted(losses: Mapping[int, Mapping[tuple[int, ...], float]]) -> tuple[Fit | None, tuple[Finding, ...]]:
    """The law through the mean of each number of experts."""
    means = {count: float(np.mean(list(found.values()))) for count, found in losses.items()}
    if len(means) < _FEWEST + 1:
        return None, (
            Finding(
                "few_experts",
                f"{len(means)} experts are too few for a law of three coefficients: their means are what is known.",
            ),
        )
    try:
        found = fit(
            pl.DataFrame({"num_experts": [float(count) for count in means], "loss": list(means.values())}),
            _LAW,
            draws=0,
        )
    except RungError as error:
        return None, (Finding("few_experts", f"no law could be fitted to the means: {error.text}"),)
    law = [float(found.law.value(found.values, {found.law.variables[0]: float(count)})) for count in means]
    fall = abs(means[min(means)] - means[max(means)])
    worst = max(abs(a - b) for a, b in zip(law, means.values(), strict=True))
    if worst > _FAR * fall:
        text = f"the law misses a mean by {worst:.3g}, where one expert and all differ by {fall:.3g}: their losses do not fall as it says."
        return found, (Finding("few_experts", text),)
    return found, ()


def _order(losses: Mapping[int, Mapping[tuple[int, ...], float]], count: int) -> tuple[int, ...]:
    """From the best single expert on, the one that lowers the loss most; where that merge was not measured, the best alone that is left."""
    alone = {subset[0]: loss for subset, loss in losses[1].items()}
    order = [min(alone, key=lambda index: alone[index])] if alone else []
    while len(order) < count:
        left = [index for index in range(count) if index not in order]
        known = {index: losses[len(order) + 1].get(tuple(sorted([*order, index]))) for index in left}
        measured = {index: loss for index, loss in known.items() if loss is not None}
        order.append(
            min(
                measured or {index: alone.get(index, math.inf) for index in left},
                key=lambda index: (measured or alone).get(index, math.inf),
            )
        )
    return tuple(order)
