"""The result of tuning: proposals of learning rate and batch, and scores of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.findings import Finding
from rung.messages import counted
from rung.planning.tuning.fitted_rules import PowerRule
from rung.results import Result, Summary, Table
from rung.units import format_count, format_percent, format_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A learning rate and a batch for one run.

    Attributes:
        rule: Name of the rule that proposes them.
        lr: Peak learning rate.
        batch_tokens: Batch as the rule gives it [tokens].
        batch_rounded: The nearest batch that the hardware can run [tokens].
        convention: What N, D and the batch mean in the rule.
        source: The publication, or the user's sweeps.
    """

    rule: str
    lr: float
    batch_tokens: float
    batch_rounded: float
    convention: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRule:
    """The score of a rule over grids.

    Attributes:
        rule: Its name.
        regrets: Its regret on each grid (G,); nan where it proposes a point outside the grid.
        held_out: Whether each grid was scored by a fit that left it out.
        source: The publication, or the user's sweeps.
    """

    rule: str
    regrets: Array
    held_out: bool
    source: str

    @property
    def mean(self) -> float:
        """Mean regret over the grids that contain the proposal; nan where none does."""
        return float(np.nanmean(self.regrets)) if np.any(np.isfinite(self.regrets)) else float("nan")

    @property
    def worst(self) -> float:
        """Largest regret over those grids."""
        return float(np.nanmax(self.regrets)) if np.any(np.isfinite(self.regrets)) else float("nan")

    @property
    def outside(self) -> int:
        """Number of grids that do not contain the proposal."""
        return int(np.sum(~np.isfinite(self.regrets)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Tuning(Result):
    """Learning rate and batch for a run, and the scores of the rules.

    Attributes:
        proposals: The proposal of each rule for the run asked about; empty where no run was asked about.
        scores: The score of each rule over the user's grids, best first; empty without grids.
        own: The rule fitted to the user's grids that has the lowest regret on held-out grids; None with too few grids.
        grids: Number of grids.
        warnings: Findings that speak against the proposals.
    """

    proposals: tuple[Proposal, ...]
    scores: tuple[ScoredRule, ...]
    own: PowerRule | None
    grids: int
    warnings: tuple[Finding, ...]

    def headline(self) -> str:
        """The first proposal, or the rule with the lowest regret."""
        if self.proposals:
            best = self.proposals[0]
            return f"{best.rule}: lr {format_value(best.lr, 3)}, batch {best.batch_rounded:,.0f} tokens"
        best_score = self.scores[0]
        return f"{best_score.rule}: mean regret {format_percent(best_score.mean)} over {counted(self.grids, 'grid')}"

    def describe(self) -> Summary:
        """The proposals with their conventions, and the regret of each rule."""
        blocks: list[str | Table] = []
        if self.proposals:
            rows = [
                [
                    one.rule,
                    format_value(one.lr, 3),
                    format_count(one.batch_tokens),
                    f"{one.batch_rounded:,.0f}",
                    one.source,
                ]
                for one in self.proposals
            ]
            blocks += [
                Table(["rule", "peak lr", "batch, tokens", "rounded", "source"], rows),
                "\n".join(f"{one.rule}: {one.convention}" for one in self.proposals),
            ]
        if self.scores:
            blocks += [
                f"regret over {counted(self.grids, 'grid')}: loss at the proposed point over the lowest of the grid, less one",
                Table(
                    ["rule", "mean", "worst", "off the grid", "held out"], [self._score_row(one) for one in self.scores]
                ),
            ]
        return Summary(blocks)

    def _score_row(self, one: ScoredRule) -> list[str]:
        nowhere = one.outside == self.grids
        return [
            one.rule,
            "-" if nowhere else format_percent(one.mean),
            "-" if nowhere else format_percent(one.worst),
            str(one.outside) if one.outside else "-",
            "yes" if one.held_out else "no",
        ]

    def to_frame(self) -> pl.DataFrame:
        """One row per proposal."""
        names = ("rule", "lr", "batch_tokens", "batch_rounded", "source")
        return pl.DataFrame({name: [getattr(one, name) for one in self.proposals] for name in names})

    def to_dict(self) -> dict[str, Any]:
        """The tuning as plain values."""

        def finite(number: float) -> float | None:
            return float(number) if np.isfinite(number) else None

        return {
            "proposals": [
                {name: getattr(one, name) for name in Proposal.__dataclass_fields__} for one in self.proposals
            ],
            "scores": [
                {
                    "rule": one.rule,
                    "mean_regret": finite(one.mean),
                    "worst_regret": finite(one.worst),
                    "outside": one.outside,
                    "held_out": one.held_out,
                    "regrets": [finite(value) for value in one.regrets],
                    "source": one.source,
                }
                for one in self.scores
            ],
            "own": None
            if self.own is None
            else {"name": self.own.name, "log_lr": self.own.rate.tolist(), "log_batch": self.own.batch.tolist()},
            "grids": self.grids,
            "warnings": [finding.to_dict() for finding in self.warnings],
        }
