"""The lineage of models: generations, likeness of relatives, drift of traits, and licences that allow more than their parents'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.errors import SkillError
from rung.findings import Finding
from rung.messages import counted, require_level
from rung.results import Result, Summary, Table, plain_fields
from rung.skill.lineage.alike import Alike, likeness
from rung.skill.lineage.drift import Drift, drift_of
from rung.skill.lineage.licences import STEPS, step_of
from rung.skill.lineage.table import Lineage, read_lineage
from rung.units import format_interval

_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceConflict:
    """A child whose licence allows more than its parent's.

    Attributes:
        child: The child.
        parent: Its parent.
        child_licence: The child's licence.
        parent_licence: The parent's.
    """

    child: str
    parent: str
    child_licence: str
    parent_licence: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LineageReport(Result):
    """What a table of models with parents shows.

    Attributes:
        models: How many models.
        edges: How many parents of a child, by relation.
        roots: Models without a parent in the table that have children.
        generations: How many models have each number of ancestors in a row.
        skipped: How many parents are not in the table, and the commonest of them.
        largest: The models with the most children.
        cards: Mean length of the cards of parents and of children over all edges [characters]; None without cards.
        alike: How alike relatives are.
        drifts: The drift of each trait.
        conflicts: Children that allow more than their parents.
        level: Coverage of the intervals.
        warnings: Findings.
    """

    models: int
    edges: dict[str, int]
    roots: int
    generations: tuple[int, ...]
    skipped: tuple[int, tuple[tuple[str, int], ...]]
    largest: tuple[tuple[str, int], ...]
    cards: tuple[float, float] | None
    alike: tuple[Alike, ...]
    drifts: tuple[Drift, ...]
    conflicts: tuple[LicenceConflict, ...]
    level: float
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """Models, edges and generations."""
        return f"{counted(self.models, 'model')}, {counted(sum(self.edges.values()), 'edge')}, {counted(len(self.generations), 'generation')}"  # fmt: skip

    def describe(self) -> Summary:
        """Sizes, likeness, drift, conflicts."""
        lines = [
            f"models       {self.models:,}, {self.roots:,} of them roots of a family",
            "edges        " + ", ".join(f"{count:,} {name}" for name, count in self.edges.items()),
            "generations  " + ", ".join(f"{count:,}" for count in self.generations),
            "children     " + ", ".join(f"{name} {count:,}" for name, count in self.largest[:5]),
        ]
        if self.cards:
            lines.append(f"cards        {self.cards[0]:,.0f} characters of a parent, {self.cards[1]:,.0f} of a child")
        blocks: list[str | Table] = ["\n".join(lines)]
        if self.alike:
            rows = [[one.pairs, one.measure, f"{one.count:,}", f"{one.mean:.3f}", format_interval(one.low, one.high)] for one in self.alike]  # fmt: skip
            blocks.append(Table(["likeness of", "by", "pairs", "mean", f"{100 * self.level:g} %"], rows))
        for one in self.drifts:
            blocks += self._drift(one)
        if self.conflicts:
            rows = [[one.child, one.child_licence, one.parent, one.parent_licence] for one in self.conflicts[:_SHOWN]]
            blocks.append(Table([f"{counted(len(self.conflicts), 'child', 'children')} allowing more than a parent", "licence", "parent", "licence"], rows))  # fmt: skip
        return Summary(blocks)

    def _drift(self, one: Drift) -> list[str | Table]:
        agree, pairs = one.agreeing_pairs
        told = f"{one.trait}: {one.changed:,} of {one.edges:,} edges change it (rate {one.rate:.3f}), {one.values[0]:.2f} values of a parent and {one.values[1]:.2f} of a child"
        if pairs:
            told += f"; the order {' > '.join(one.order[:8])}{' > ...' if len(one.order) > 8 else ''} agrees with {agree} of {pairs} pairs and {one.agreeing:.0%} of the transitions"  # fmt: skip
        rows = [[f"{a} to {b}", f"{there:,}", f"{back:,}", f"{q:.2g}"] for a, b, there, back, q in one.directed[:_SHOWN]]  # fmt: skip
        return [told, *([Table(["drift of " + one.trait, "there", "back", "q"], rows)] if rows else [])]

    def to_frame(self) -> pl.DataFrame:
        """One row per transition between values of a trait."""
        rows = [
            {"trait": one.trait, "from": a, "to": b, "there": there, "back": back, "q_value": q}
            for one in self.drifts
            for a, b, there, back, q in one.flows
        ]
        schema = {"trait": pl.String, "from": pl.String, "to": pl.String, "there": pl.Int64, "back": pl.Int64, "q_value": pl.Float64}  # fmt: skip
        return pl.DataFrame(rows, schema=schema)

    def to_dict(self) -> dict[str, Any]:
        """The lineage as plain values."""
        return {
            "models": self.models,
            "edges": self.edges,
            "roots": self.roots,
            "generations": list(self.generations),
            "skipped": {"parents": self.skipped[0], "commonest": dict(self.skipped[1])},
            "largest": dict(self.largest),
            "cards": None if self.cards is None else list(self.cards),
            "alike": [plain_fields(one) for one in self.alike],
            "drifts": [{**plain_fields(one), "rate": one.rate} for one in self.drifts],
            "conflicts": [plain_fields(one) for one in self.conflicts],
            "warnings": [one.to_dict() for one in self.warnings],
        }


def lineage(models: Any, *, sample: int = 10_000, level: float = 0.9, seed: int = 0) -> LineageReport:
    """The lineage of a table of models.

    Args:
        models: A table with the model and its parents, a path or a frame; or a `Lineage`.
        sample: Pairs of each kind that are compared.
        level: Coverage of the intervals.
        seed: Seed of the samples.

    Raises:
        SkillError: A column is missing, a model is its own ancestor, or no parent is in the table.
    """
    require_level(level, SkillError)
    found = models if isinstance(models, Lineage) else read_lineage(models)
    rng = np.random.default_rng(seed)
    children = np.bincount(found.parent, minlength=len(found.models))
    has_parent = np.bincount(found.child, minlength=len(found.models)) > 0
    largest = np.argsort(-children, kind="stable")[:20]
    missing = sum(found.skipped.values())
    findings = []
    if missing:
        commonest = next(iter(found.skipped))
        findings.append(
            Finding(
                "unknown_parents",
                f"{counted(missing, 'parent')} of {found.source} are no models of the table and are skipped, {commonest!r} the commonest ({found.skipped[commonest]:,} times).",
            )
        )
    if found.own:
        findings.append(
            Finding(
                "own_parent",
                f"{counted(len(found.own), 'model')} of {found.source} name themselves as a parent, {found.own[0]!r} for one; that parent is skipped.",
            )
        )
    conflicts = _conflicts(found) if "licence" in found.traits else []
    if conflicts:
        findings.append(
            Finding(
                "licence_conflict",
                f"{counted(len(conflicts), 'child', 'children')} allow more than a parent does, {conflicts[0].child} for one ({conflicts[0].child_licence}, from {conflicts[0].parent_licence}).",
            )
        )
    return LineageReport(
        models=len(found.models),
        edges=dict(found.relation.value_counts(sort=True).iter_rows()),
        roots=int((~has_parent & (children > 0)).sum()),
        generations=tuple(np.bincount(found.generation).tolist()),
        skipped=(missing, tuple(list(found.skipped.items())[:20])),
        largest=tuple((str(found.models[int(row)]), int(children[row])) for row in largest if children[row]),
        cards=_card_lengths(found),
        alike=tuple(likeness(found, sample=sample, level=level, rng=rng)),
        drifts=tuple(drift_of(found, trait, seed) for trait in found.traits if trait != "tags"),
        conflicts=tuple(conflicts),
        level=level,
        warnings=tuple(findings),
    )


def _card_lengths(found: Lineage) -> tuple[float, float] | None:
    if found.card is None:
        return None
    length = found.frame[found.card].cast(pl.String).str.len_chars().fill_null(0).to_numpy()
    return float(length[found.parent].mean()), float(length[found.child].mean())


def _conflicts(found: Lineage) -> list[LicenceConflict]:
    """Children whose licence lies on a lower step than a parent's; unknown licences are left alone."""
    parents, children = (found.values_of("licence", rows) for rows in (found.parent, found.child))
    conflicts = []
    for parent, child, above, own in zip(found.parent, found.child, parents, children, strict=True):
        if above == own:
            continue
        strict = [(step, one) for one in above if (step := step_of(one)) is not None]
        free = [(step, one) for one in own if (step := step_of(one)) is not None]
        # Within permissive and public domain, nothing is taken from anybody.
        if strict and free and max(strict)[0] >= STEPS.index("copyleft") and max(free)[0] < max(strict)[0]:
            conflicts.append(
                LicenceConflict(
                    child=str(found.models[int(child)]), parent=str(found.models[int(parent)]), child_licence=max(free)[1], parent_licence=max(strict)[1],
                )
            )  # fmt: skip
    return conflicts
