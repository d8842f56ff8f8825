"""Proposals of learning rate and batch, and scores of rules, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.findings import Finding
from rung.planning.tuning.fitted_rules import PowerRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A learning rate and a batch for one run.

    Attributes:
        rule: What proposes them.
        lr: Peak learning rate.
        batch_tokens: Batch in tokens, as the rule gives it.
        batch_rounded: The batch that hardware can do.
        convention: What N, D and the batch mean there.
        source: Where the rule is from.
    """

    rule: str
    lr: float
    batch_tokens: float
    batch_rounded: float
    convention: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRule:
    """A rule over grids.

    Attributes:
        rule: Its name.
        regrets: Its regret on each grid (G,); nan outside the grid.
        held_out: Whether each grid was left out of the rule's own fit.
        source: Where the rule is from.
    """

    rule: str
    regrets: Array
    held_out: bool
    source: str

    @property
    def mean(self) -> float:
        """Mean over the grids that the proposal lies on; nan where there is none."""
        return float(np.nanmean(self.regrets)) if np.any(np.isfinite(self.regrets)) else float("nan")

    @property
    def worst(self) -> float:
        """The largest of them."""
        return float(np.nanmax(self.regrets)) if np.any(np.isfinite(self.regrets)) else float("nan")

    @property
    def outside(self) -> int:
        """Grids that the proposal lies outside of."""
        return int(np.sum(~np.isfinite(self.regrets)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Learning rate and batch.

    Attributes:
        proposals: One for each rule, for the run asked about; none where no run was asked about.
        scores: Each rule over the user's grids, best first; none without grids.
        own: The rule fitted to the user's grids that does best on those held out; None without enough grids.
        grids: How many grids there are.
        warnings: What a user should know.
    """

    proposals: tuple[Proposal, ...]
    scores: tuple[ScoredRule, ...]
    own: PowerRule | None
    grids: int
    warnings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """The tuning as plain values."""

        def told(number: float) -> float | None:
            return float(number) if np.isfinite(number) else None

        return {
            "proposals": [
                {name: getattr(one, name) for name in Proposal.__dataclass_fields__} for one in self.proposals
            ],
            "scores": [
                {
                    "rule": one.rule,
                    "mean_regret": told(one.mean),
                    "worst_regret": told(one.worst),
                    "outside": one.outside,
                    "held_out": one.held_out,
                    "regrets": [told(value) for value in one.regrets],
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
