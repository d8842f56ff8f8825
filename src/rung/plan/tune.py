"""The verb: learning rate and batch, by published laws and by a user's own sweeps.

Coefficients of such laws are not identified, decisions are: laws far apart in their exponents propose points of the same
plateau. So everything is scored by regret: the loss at the proposed point over the best of the grid, less one.

Shapes: `G` grids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.errors import Caution, PlanError
from rung.laws import law_book
from rung.laws.tree import Array
from rung.plan.sweeps import Grid, PowerRule, fit_procedure, fit_surface, held_out_regrets, read_sweeps, regrets
from rung.runs import Runs

_LEAST_GRIDS = 3
_DENSE_ENOUGH = 0.5
"""Share of active parameters from which the count of N for a mixture of experts is open."""

DEEPSEEK = {"a": 0.3118, "alpha": 0.1250, "b": 0.2920, "beta": 0.3271}
"""As secondary sources report arXiv:2401.02954, section 3.1; the digits could not be checked against the paper."""

KAPLAN_RATE = (3.239e-3, 1.395e-4)
"""lr = 3.239e-3 - 1.395e-4 log N. Source: Kaplan et al. 2020, arXiv:2001.08361, appendix D.6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A law of learning rate and batch.

    Attributes:
        name: Its name.
        propose: Peak learning rate and batch in tokens for N and D.
        convention: What N, D and the batch mean there.
        params: The smallest and largest N that it was fitted on; None where that is not known.
        tokens: The same for D.
        source: Where it is from.
    """

    name: str
    propose: Callable[[float, float], tuple[float, float]]
    convention: str
    params: tuple[float, float] | None
    tokens: tuple[float, float] | None
    source: str


def published_rules() -> dict[str, Rule]:
    """The published laws of learning rate and batch, by name."""
    rate, batch = (law_book()[f"step-law-{part}"] for part in ("lr", "batch"))

    def step_law(params: float, tokens: float) -> tuple[float, float]:
        return (
            float(rate.law.value(rate.constants, {"N": params, "D": tokens})),
            float(batch.law.value(batch.constants, {"D": tokens})),
        )

    def deepseek(params: float, tokens: float) -> tuple[float, float]:
        compute = 6 * params * tokens
        return DEEPSEEK["a"] * compute ** -DEEPSEEK["alpha"], DEEPSEEK["b"] * compute ** DEEPSEEK["beta"]

    def kaplan(params: float, tokens: float) -> tuple[float, float]:
        return KAPLAN_RATE[0] - KAPLAN_RATE[1] * float(np.log(params)), step_law(params, tokens)[1]

    rules = (
        Rule(
            name="step-law",
            propose=step_law,
            convention="N without embeddings (mixtures of experts: total), D tokens, batch in tokens; peak rate of a cosine "
            "with a fixed final rate",
            params=(60e6, 1e9),
            tokens=(2e9, 100e9),
            source="Li et al. 2025, arXiv:2503.04715",
        ),
        Rule(
            name="deepseek",
            propose=deepseek,
            convention="C = 6 N D stands for non-embedding FLOPs per token times tokens; batch in tokens; multi-step schedule",
            params=None,
            tokens=None,
            source="DeepSeek-AI 2024, arXiv:2401.02954, section 3.1; digits by secondary sources",
        ),
        Rule(
            name="kaplan",
            propose=kaplan,
            convention="N without embeddings; rate for Adam with a cosine; it has no law of batch in D, so Step Law's stands in",
            params=(768.0, 1.5e9),
            tokens=None,
            source="Kaplan et al. 2020, arXiv:2001.08361, appendix D.6",
        ),
    )
    return {rule.name: rule for rule in rules}


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
class Scored:
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
        cautions: What a user should know.
    """

    proposals: tuple[Proposal, ...]
    scores: tuple[Scored, ...]
    own: PowerRule | None
    grids: int
    cautions: tuple[Caution, ...]

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
            "warnings": [{"code": c.code, "text": c.text} for c in self.cautions],
        }


def tune(
    sweeps: Runs | None = None,
    *,
    params: float | None = None,
    tokens: float | None = None,
    params_active: float | None = None,
    batch_step: float | None = None,
    target: str = "loss",
    seed: int = 0,
) -> Tuning:
    """Learning rate and batch for a run, and how well every rule does on a user's own sweeps.

    Args:
        sweeps: Runs over learning rate and batch, with params, tokens, lr, batch_tokens and the target; None for the
            published rules alone.
        params: N of the run asked about, without embeddings; all of them for a mixture of experts.
        tokens: D of the run asked about.
        params_active: Parameters that one token meets, for a mixture of experts.
        batch_step: Tokens that the hardware takes at once, of which a batch is a multiple; a power of two of tokens by
            default.
        target: The column of losses.
        seed: Seed of the resamples.

    Raises:
        PlanError: Nothing is asked, a number is not positive, or the sweeps hold no grid.
    """
    if sweeps is None and (params is None or tokens is None):
        raise PlanError("say for which run: N=1B D=20B; or give a table of sweeps over lr and batch_tokens.")
    if (params is None) != (tokens is None):
        raise PlanError("a run has both N and D: N=1B D=20B.")
    for name, number in (
        ("N", params),
        ("D", tokens),
        ("--params-active", params_active),
        ("--batch-step", batch_step),
    ):
        if number is not None and not (np.isfinite(number) and number > 0):
            raise PlanError(f"{name} {number:g} must be positive.")
    rules: dict[str, Rule | PowerRule] = dict(published_rules())
    grids = read_sweeps(sweeps, target) if sweeps is not None else []
    scores = [
        Scored(rule=rule.name, regrets=regrets(grids, rule), held_out=False, source=getattr(rule, "source", ""))
        for rule in rules.values()
        if grids
    ]
    own: PowerRule | None = None
    if len(grids) >= _LEAST_GRIDS:
        ways: Mapping[str, Callable[[Sequence[Grid]], PowerRule]] = {
            "procedure": lambda part: fit_procedure(part, seed),
            "surface": fit_surface,
        }
        told = {name: held_out_regrets(grids, way) for name, way in ways.items()}
        scores += [
            Scored(
                rule=f"own, by {name}", regrets=found, held_out=True, source="your sweeps, each grid left out in turn"
            )
            for name, found in told.items()
        ]
        best = min(told, key=lambda name: (np.sum(~np.isfinite(told[name])), np.nanmean(told[name])))
        own = ways[best](grids)
        rules[f"own, by {best}"] = own
    ranked = tuple(sorted(scores, key=lambda one: (one.outside, one.mean)))
    order = {one.rule: place for place, one in enumerate(ranked)}
    proposals: list[Proposal] = []
    absurd: list[str] = []
    for name, rule in rules.items() if params is not None and tokens is not None else ():
        with np.errstate(all="ignore"):
            one = _proposal(name, rule, np.float64(params), np.float64(tokens), batch_step)
        usable = np.isfinite(one.lr) and one.lr > 0 and np.isfinite(one.batch_rounded)
        proposals += [one] if usable else []
        absurd += [] if usable else [name]
    return Tuning(
        proposals=tuple(sorted(proposals, key=lambda one: order.get(one.rule, len(order)))),
        scores=ranked,
        own=own,
        grids=len(grids),
        cautions=(
            *_cautions(grids, own, params, tokens, params_active),
            *(Caution("no_proposal", f"{name} proposes no positive learning rate and batch there.") for name in absurd),
        ),
    )


def round_batch(batch: float, step: float | None = None) -> float:
    """The nearest batch that hardware can do: a multiple of its step, or a power of two."""
    if not np.isfinite(batch):
        return float("nan")
    if step is None:
        return float(2.0 ** round(np.log2(batch)))
    return float(max(round(batch / step), 1) * step)


def _proposal(name: str, rule: Rule | PowerRule, params: float, tokens: float, step: float | None) -> Proposal:
    rate, batch = rule.propose(params, tokens)
    if isinstance(rule, Rule):
        convention, source = rule.convention, rule.source
    else:
        convention, source = "as in your sweeps", "your sweeps"
    return Proposal(
        rule=name,
        lr=rate,
        batch_tokens=batch,
        batch_rounded=round_batch(batch, step),
        convention=convention,
        source=source,
    )


def _cautions(
    grids: Sequence[Grid], own: PowerRule | None, params: float | None, tokens: float | None, active: float | None
) -> list[Caution]:
    found = []
    if params is not None and tokens is not None:
        ranges: list[tuple[str, tuple[float, float] | None, tuple[float, float] | None]] = [
            (rule.name, rule.params, rule.tokens) for rule in published_rules().values()
        ]
        if own is not None:
            ends = [(min(values), max(values)) for values in ([g.params for g in grids], [g.tokens for g in grids])]
            ranges.append(("your sweeps", ends[0], ends[1]))
        for name, sizes, counts in ranges:
            for what, value, span in (("N", params, sizes), ("D", tokens, counts)):
                if span is not None and not span[0] <= value <= span[1]:
                    beyond = value / span[1] if value > span[1] else span[0] / value
                    found.append(
                        Caution(
                            "outside_range",
                            f"{name}: {what} lies {beyond:.3g}x outside what it was fitted on ({span[0]:.3g} to {span[1]:.3g}).",
                        )
                    )
    if active is not None and params is not None:
        share = active / params
        if share > 1:
            found.append(
                Caution("active_params", "more parameters are active than there are: N is to count all of them.")
            )
        elif share > _DENSE_ENOUGH:
            found.append(
                Caution(
                    "active_params",
                    f"{100 * share:.0f} % of the parameters are active: on the published grids active parameters then did better as N "
                    "than all of them, which hold for sparse models. Compare both.",
                )
            )
    if 0 < len(grids) < _LEAST_GRIDS:
        found.append(
            Caution(
                "few_grids",
                f"{len(grids)} grid{'s are' if len(grids) > 1 else ' is'} too few to fit a rule of your own; {_LEAST_GRIDS} are needed.",
            )
        )
    return found
