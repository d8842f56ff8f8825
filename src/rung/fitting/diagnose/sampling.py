"""Whether the search and the resamples can be relied on."""

from __future__ import annotations

from rung.findings import Finding
from rung.fitting.estimate.design import Design
from rung.fitting.estimate.multistart import SAFE_SHARE, Optimum
from rung.fitting.uncertainty.bootstrap import Draws
from rung.fitting.uncertainty.curvature import Curvature

_FEW_RUNS = 8


_UNSETTLED = 0.05


_FEW_BEYOND = 5


def search_findings(optimum: Optimum) -> list[Finding]:
    found = []
    if not optimum.converged:
        found.append(
            Finding(
                "not_converged",
                "the solver stopped before its steps became negligible; the coefficients are the best found, not an optimum. "
                "Fix a coefficient, or try a simpler law.",
            )
        )
    if optimum.agreed < SAFE_SHARE * optimum.tried:
        found.append(
            Finding(
                "few_starts_agree",
                f"only {optimum.agreed} of {optimum.tried} starts reached the best optimum; a better one may exist. "
                "Compare with other seeds (--seed), or fix a coefficient.",
            )
        )
    return found


def sampling_findings(design: Design, curvature: Curvature, draws: Draws, level: float) -> list[Finding]:
    """What few runs with many rows, few refits, or refits that did not settle, mean for the intervals."""
    found = []
    beyond = len(draws.unconstrained_BK) * (1 - level) / 2
    if 0 < beyond < _FEW_BEYOND - 1e-9:
        found.append(
            Finding(
                "few_draws",
                f"{len(draws.unconstrained_BK)} draws leave {beyond:.2g} beyond each end of a {100 * level:g} % interval: the ends are "
                f"rough. Take at least {_FEW_BEYOND / (1 - level) * 2:.0f} (--draws).",
            )
        )
    if design.runs == 1 and curvature.spare > 0:
        found.append(
            Finding(
                "one_run",
                f"all {design.rows} rows belong to one run, and rows of one run share their noise, so no interval can be given. "
                "Add runs; if the rows are runs of their own, give each its own name in the column run.",
            )
        )
    elif design.runs < design.rows and design.runs < _FEW_RUNS:
        found.append(
            Finding(
                "few_runs",
                f"{design.rows} rows belong to only {design.runs} runs, and runs are what is resampled: intervals from so few "
                "are rough. Add runs.",
            )
        )
    if draws.unsettled > _UNSETTLED * len(draws.unconstrained_BK):
        found.append(
            Finding(
                "draws_not_converged",
                f"{draws.unsettled} of {len(draws.unconstrained_BK)} refits of the bootstrap stopped before their steps became "
                "negligible: the intervals are rough. Fix a coefficient, or try a simpler law.",
            )
        )
    return found
