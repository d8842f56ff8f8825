"""Tuning: learning rate and batch, by published rules and by a user's own sweeps.

Sweeps do not identify the coefficients of such rules, but they do identify good decisions: rules with very different
exponents propose points on the same plateau. So rules are scored by regret: the loss at the proposed point over the
best of the grid, less one.

Shapes: `G` grids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rung.errors import PlanError
from rung.findings import Finding
from rung.messages import counted, listed, plural_of, require_seed
from rung.planning.tuning.fitted_rules import PowerRule, fit_procedure, fit_surface, held_out_regrets, trends
from rung.planning.tuning.published_rules import Rule, published_rules
from rung.planning.tuning.result import Proposal, ScoredRule, Tuning
from rung.planning.tuning.sweeps import Grid, read_sweeps, regrets
from rung.runs import as_runs
from rung.units import format_count

_LEAST_GRIDS = 3
"""Fewest grids to which a rule is fitted."""

_DENSE_ENOUGH = 0.5
"""Share of active parameters of a mixture of experts above which it is open whether N counts them alone."""


def tune(
    sweeps: Any = None,
    *,
    params: float | None = None,
    tokens: float | None = None,
    params_active: float | None = None,
    batch_step: float | None = None,
    target: str = "loss",
    seed: int = 0,
) -> Tuning:
    """Propose learning rate and batch for a run, and score every rule on a user's own sweeps.

    Args:
        sweeps: Runs over learning rate and batch, or anything that `read_runs` takes, with params, tokens, lr,
            batch_tokens and the target; None for the published rules alone.
        params: N of the run asked about, without embeddings; all of them for a mixture of experts.
        tokens: D of the run asked about.
        params_active: Parameters that are active for one token, for a mixture of experts.
        batch_step: Tokens that the hardware processes at once; the batch is rounded to a multiple of it, by default to
            a power of two.
        target: The column of losses.
        seed: Seed of the resamples.

    Raises:
        PlanError: Neither a run nor sweeps are given, a number is not positive, or the sweeps contain no grid.
    """
    if sweeps is None and (params is None or tokens is None):
        raise PlanError("state the run: N=1B D=20B; or give a table of sweeps over lr and batch_tokens.")
    require_seed(seed, PlanError)
    _require_question(params, tokens, {"--params-active": params_active, "--batch-step": batch_step})
    rules: dict[str, Rule | PowerRule] = dict(published_rules())
    grids = read_sweeps(as_runs(sweeps), target) if sweeps is not None else []
    inner = [grid for grid in grids if not grid.at_edge]
    scores, own = _scores(rules, inner, seed)
    if own is not None:
        rules[_own_name(own.name)] = own
    ranked = tuple(sorted(scores, key=lambda one: (one.outside, one.mean)))
    order = {one.rule: index for index, one in enumerate(ranked)}
    proposals: list[Proposal] = []
    findings = [*_edge_findings(grids), *_findings(inner, own, params, tokens, params_active)]
    for name, rule in rules.items() if params is not None and tokens is not None else ():
        with np.errstate(all="ignore"):
            size = params_active if params_active and getattr(rule, "active", False) else params
            one = _proposal(name, rule, np.float64(size), np.float64(tokens), batch_step)
        if np.isfinite(one.lr) and one.lr > 0 and np.isfinite(one.batch_rounded):
            proposals.append(one)
        else:
            findings.append(Finding("no_proposal", f"{name} gives no positive learning rate and batch there."))
    return Tuning(
        proposals=tuple(sorted(proposals, key=lambda one: order.get(one.rule, len(order)))),
        scores=ranked,
        own=own,
        grids=len(inner),
        warnings=tuple(findings),
    )


def _require_question(
    params: float | None,
    tokens: float | None,
    others: Mapping[str, float | None],
) -> None:
    """Refuse N without D, D without N, and numbers that are not positive.

    Raises:
        PlanError: One of these is given.
    """
    if (params is None) != (tokens is None):
        raise PlanError("a run has both N and D: N=1B D=20B.")
    for name, number in {"N": params, "D": tokens, **others}.items():
        if number is not None and not (np.isfinite(number) and number > 0):
            raise PlanError(f"{name} {number:g} must be positive.")


def _own_name(way: str) -> str:
    """The name of a rule fitted to the user's sweeps."""
    return f"own, by {way}"


def _scores(
    rules: Mapping[str, Rule | PowerRule], grids: Sequence[Grid], seed: int
) -> tuple[list[ScoredRule], PowerRule | None]:
    """The scores of every rule on the grids, and the user's own rule with the lowest regret on held-out grids."""
    scores = [
        ScoredRule(rule=rule.name, regrets=regrets(grids, rule), held_out=False, source=getattr(rule, "source", ""))
        for rule in rules.values()
        if grids
    ]
    if len(grids) < _LEAST_GRIDS:
        return scores, None
    ways: Mapping[str, Callable[[Sequence[Grid]], PowerRule]] = {
        "procedure": lambda part: fit_procedure(part, seed),
        "surface": fit_surface,
    }
    held_out = {name: held_out_regrets(grids, way) for name, way in ways.items()}
    source = "your sweeps, each grid left out in turn"
    scores += [
        ScoredRule(rule=_own_name(name), regrets=found, held_out=True, source=source)
        for name, found in held_out.items()
    ]
    best = min(held_out, key=lambda name: (np.sum(~np.isfinite(held_out[name])), np.nanmean(held_out[name])))
    return scores, ways[best](grids)


def round_batch(batch: float, step: float | None = None) -> float:
    """The nearest batch that the hardware can run: a multiple of its step, or a power of two."""
    if not np.isfinite(batch):
        return float("nan")
    if step is None:
        return float(2.0 ** round(np.log2(batch)))
    return float(max(round(batch / step), 1) * step)


def _proposal(name: str, rule: Rule | PowerRule, params: float, tokens: float, step: float | None) -> Proposal:
    """The proposal of one rule for a run."""
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


def _edge_findings(grids: Sequence[Grid]) -> list[Finding]:
    """The grids whose best run lies at their edge: they bound the optimum, and no rule is fitted to or scored on them."""
    at_edge = [(grid, grid.at_edge) for grid in grids if grid.at_edge]
    if not at_edge:
        return []
    bounds = []
    for name in ("lr", "batch_tokens"):
        for side in ("below", "above"):
            tried = [
                np.exp(getattr(grid, "log_rate" if name == "lr" else "log_batch"))
                for grid, edges in at_edge
                if edges.get(name) == side
            ]
            if tried:
                ends = [float(values.min() if side == "below" else values.max()) for values in tried]
                shown = "{:g}".format if name == "lr" else format_count
                bounds.append(
                    f"the best {name} lies {side} {listed(sorted({shown(end) for end in ends}), 4)} in {counted(len(tried), 'grid')}"
                )
    return [
        Finding(
            "edge_optimum",
            f"in {len(at_edge)} of {counted(len(grids), 'grid')} the lowest loss lies at the edge of the sweep, which is no optimum: "
            f"{'; '.join(bounds)}. {plural_of(len(at_edge), 'It is', 'They are')} left out of the rules and their scores. Extend the sweeps on that side.",
        )
    ]


def _findings(
    grids: Sequence[Grid], own: PowerRule | None, params: float | None, tokens: float | None, active: float | None
) -> list[Finding]:
    """Findings about ranges that a rule was fitted on, active parameters, and sweeps that are too few or too near."""
    found = [] if params is None or tokens is None else _range_findings(grids, own, params, tokens)
    if active is not None and params is not None:
        found += _active_findings(active / params)
    return [*found, *_sweep_findings(grids, own)]


def _range_findings(grids: Sequence[Grid], own: PowerRule | None, params: float, tokens: float) -> list[Finding]:
    ranges: list[tuple[str, tuple[float, float] | None, tuple[float, float] | None]] = [
        (rule.name, rule.params, rule.tokens) for rule in published_rules().values()
    ]
    if own is not None:
        bounds = [(min(values), max(values)) for values in ([g.params for g in grids], [g.tokens for g in grids])]
        ranges.append(("your sweeps", bounds[0], bounds[1]))
    found = []
    for name, sizes, counts in ranges:
        for what, value, span in (("N", params, sizes), ("D", tokens, counts)):
            if span is not None and not span[0] <= value <= span[1]:
                beyond = value / span[1] if value > span[1] else span[0] / value
                found.append(
                    Finding(
                        "outside_range",
                        f"{name}: {what} lies {beyond:.3g}x outside the range that it was fitted on ({span[0]:.3g} to {span[1]:.3g}).",
                    )
                )
    return found


def _active_findings(share: float) -> list[Finding]:
    if share > 1:
        text = "more parameters are active than there are in total: N must count all of them."
    elif share > _DENSE_ENOUGH:
        text = (
            f"{100 * share:.0f} % of the parameters are active: on the published grids, active parameters then did better as N "
            "than all parameters, which suit sparse models. Compare both."
        )
    else:
        return []
    return [Finding("active_params", text)]


def _sweep_findings(grids: Sequence[Grid], own: PowerRule | None) -> list[Finding]:
    if own is None:
        few = f"{counted(len(grids), 'grid is', 'grids are')} too few to fit a rule of your own; {_LEAST_GRIDS} are needed."
        return [Finding("few_grids", few)] if grids else []
    narrow = [name for column, name in enumerate(("N", "D"), 1) if column not in trends(grids)]
    if not narrow:
        return []
    return [
        Finding(
            "narrow_sweeps",
            f"your sweeps lie within a factor of two of each other in {' and in '.join(narrow)}: your own rule has no trend in "
            f"{plural_of(len(narrow), 'it', 'them')}, and says of a run elsewhere what it says of these. Add sweeps at other sizes.",
        )
    ]
