"""Whether the search for the optimum and the resamples can be relied on."""

from __future__ import annotations

import numpy as np

from rung.findings import Finding
from rung.fitting.estimate.design import Design
from rung.fitting.estimate.multistart import SAFE_SHARE, Optimum
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.bootstrap import Draws
from rung.fitting.uncertainty.curvature import Curvature
from rung.messages import counted

_FEW_RUNS = 8
"""Fewest runs of several rows without a finding: with fewer, intervals are too narrow (docs/benchmarks.md)."""

_UNSETTLED = 0.05
"""Largest share of the bootstrap's refits that may stop before convergence without a finding."""

_FEW_BEYOND = 5
"""Draws beyond each bound of an interval below which the bound is called rough."""


_LEAST_EXPLAINED = 0.05
"""Share of the target's variance that a law must explain not to be called a constant."""


def search_findings(problem: Problem, optimum: Optimum) -> list[Finding]:
    """A law that is a constant at its optimum, a solver that did not converge, and too few starts that agree."""
    found = []
    weights = problem.design.weights
    middle = np.average(problem.target, weights=weights)
    whole = float(weights @ (problem.target - middle) ** 2)
    left = float(weights @ optimum.residuals**2)
    if whole > 0 and problem.design.rows > problem.design.size and left > (1 - _LEAST_EXPLAINED) * whole:
        found.append(
            Finding(
                "explains_nothing",
                f"this is no fit: at its best point {problem.law.formula!r} does hardly better than a constant, though {optimum.agreed} of "
                f"{optimum.tried} starts agree on it. Check the formula and its ranges (with a in (low, high)), or take another law.",
            )
        )
    if not optimum.converged:
        found.append(
            Finding(
                "not_converged",
                "the solver stopped before its steps became negligible, so the coefficients are the best that it "
                "found, not an optimum. Fix a coefficient (--fix), or try a simpler law.",
            )
        )
    if optimum.agreed < SAFE_SHARE * optimum.tried:
        found.append(
            Finding(
                "few_starts_agree",
                f"only {optimum.agreed} of {optimum.tried} starts reached the best optimum, so a better one may exist. "
                "Compare other seeds (--seed), or fix a coefficient (--fix).",
            )
        )
    return found


def sampling_findings(design: Design, curvature: Curvature, draws: Draws, level: float) -> list[Finding]:
    """What few runs with many rows, few refits, or refits that did not converge mean for the intervals.

    B draws leave B (1 - level) / 2 beyond each bound of an interval.
    """
    found = []
    beyond = len(draws.unconstrained_BK) * (1 - level) / 2
    if 0 < beyond < _FEW_BEYOND - 1e-9:
        found.append(
            Finding(
                "few_draws",
                f"{len(draws.unconstrained_BK)} draws leave {beyond:.2g} beyond each bound of a {100 * level:g} % "
                f"interval, so the bounds are rough. Take at least {_FEW_BEYOND / (1 - level) * 2:.0f} draws "
                "(--draws).",
            )
        )
    if design.runs == 1 and curvature.spare > 0:
        found.append(
            Finding(
                "one_run",
                f"all {counted(design.rows, 'row')} belong to one run, and rows of one run share their noise, so no "
                "interval can be given. Add runs; if the rows are separate runs, give each its own name in the column "
                "run.",
            )
        )
    elif design.runs < design.rows and design.runs < _FEW_RUNS:
        found.append(
            Finding(
                "few_runs",
                f"{counted(design.rows, 'row')} belong to only {counted(design.runs, 'run')}, and whole runs are "
                "resampled, so the intervals are rough. Add runs.",
            )
        )
    if draws.unsettled > _UNSETTLED * len(draws.unconstrained_BK):
        found.append(
            Finding(
                "draws_not_converged",
                f"{draws.unsettled} of {len(draws.unconstrained_BK)} refits of the bootstrap stopped before their "
                "steps became negligible, so the intervals are rough. Fix a coefficient (--fix), or try a simpler law.",
            )
        )
    return found
