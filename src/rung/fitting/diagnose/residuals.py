"""What the residuals of a fit say: odd runs, sizes that sit off, a law that bends the wrong way, noise of seeds.

Thresholds are set so that a clean table is named in fewer than 5 of 100 cases, and the planted fault in more than
95 (benchmarks/diagnosis.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.findings import Finding
from rung.fitting.backtest.folds import SAME_SCALE
from rung.fitting.estimate.design import Design
from rung.fitting.estimate.multistart import Optimum
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.distributions import f_sf
from rung.units import format_count, format_percent

_MOST_ROWS = 20_000
"""Rows that are looked at, evenly over a longer table."""

_OUTLIER = 6.0
"""Robust spreads from the law beyond which a run is odd."""

_SIZE_OFF = 5.0
"""Standard errors by which a whole size stands off the line between its neighbours."""

_CHANCE = 1e-3
"""Chance of a clean table being called curved, or noisier than its seeds."""

_PARTS = 6
"""Parts of a variable's range, of as many rows each, whose mean residuals are tested."""

_SPARE = 8
"""Runs beyond coefficients and parts that the test needs."""

_NARROW = 4.0
"""Largest over smallest value of N or D under which exponents hang in the air."""

_FEW_REPLICATES = 4
_EARLY = 0.1
"""Share of a run's tokens that count as its start."""

_EARLY_OFF = 4.0
_NORMAL_MEDIAN = 0.6745


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """Residuals and what is known of their rows."""

    design: Design
    residuals: Array
    spread: float
    logs: dict[str, Array]
    jacobian_Kn: Array

    def percent(self, value: float) -> str:
        return format_percent(abs(value))


def residual_findings(problem: Problem, optimum: Optimum) -> list[Finding]:
    """Everything that the residuals show; nothing for residuals without a spread."""
    design, residuals, jacobian = problem.design, optimum.residuals, optimum.jacobian_Kn
    if design.rows > _MOST_ROWS:
        rows = np.linspace(0, design.rows - 1, _MOST_ROWS).astype(np.intp)
        design, residuals, jacobian = design.take(rows), residuals[rows], jacobian[:, rows]
    spread = float(np.median(np.abs(residuals))) / _NORMAL_MEDIAN
    if spread == 0 or design.rows < design.size + 4:
        return []
    logs = {
        name: np.log(column) for name, column in design.columns.items() if np.all(column > 0) and np.ptp(column) > 0
    }
    view = _View(design=design, residuals=residuals, spread=spread, logs=logs, jacobian_Kn=jacobian)
    checks: tuple[Callable[[_View], Finding | None], ...] = (
        _outliers,
        _size_off,
        _curved,
        _narrow,
        _seeds,
        _early_rows,
    )
    return [finding for check in checks if (finding := check(view)) is not None]


def _outliers(view: _View) -> Finding | None:
    odd = np.flatnonzero(np.abs(view.residuals) > _OUTLIER * view.spread)
    if not len(odd) or len(odd) > 0.1 * view.design.rows:
        return None
    odd = odd[np.argsort(-np.abs(view.residuals[odd]))]
    worst = int(odd[0])
    above = int(np.sum(view.residuals[odd] > 0))
    rows = ", ".join(str(number) for number in view.design.row[odd[:6]])
    more = f" and {len(odd) - 6} more" if len(odd) > 6 else ""
    side = "above the law: under-tuned or broken?" if above == len(odd) else "off the law."
    return Finding(
        "outliers",
        f"row{'s' if len(odd) > 1 else ''} {rows}{more} of {view.design.source} {'stand' if len(odd) > 1 else 'stands'} "
        f"{abs(view.residuals[worst]) / view.spread:.0f} times the usual spread {side} Look at "
        f"{'them' if len(odd) > 1 else 'it'}; --where leaves rows out.",
    )


def _levels(values: Array) -> NDArray[np.intp]:
    """The place of each value among the distinct ones, those within a factor of each other counted as one."""
    order = np.argsort(values)
    steps = np.diff(values[order]) > np.log(SAME_SCALE) / 2
    indices = np.empty(len(values), dtype=np.intp)
    indices[order] = np.concatenate([[0], np.cumsum(steps)])
    return indices


def _size_off(view: _View) -> Finding | None:
    """A size whose runs all stand off the line between the neighbouring sizes."""
    if "N" not in view.logs or view.design.runs < view.design.rows:
        return None
    sizes = _levels(view.logs["N"])
    counts = np.bincount(sizes)
    clipped = np.clip(view.residuals, -4 * view.spread, 4 * view.spread)
    if len(counts) < 4 or np.min(counts) < 3 or len(counts) > 60:
        return None
    means = np.bincount(sizes, clipped) / counts
    at = np.bincount(sizes, view.logs["N"]) / counts
    within = float(np.sqrt(np.sum((clipped - means[sizes]) ** 2) / max(len(clipped) - len(counts), 1)))
    worst, index = 0.0, -1
    for here in range(1, len(counts) - 1):
        share = (at[here] - at[here - 1]) / (at[here + 1] - at[here - 1])
        off = means[here] - (1 - share) * means[here - 1] - share * means[here + 1]
        error = within * np.sqrt(1 / counts[here] + (1 - share) ** 2 / counts[here - 1] + share**2 / counts[here + 1])
        if abs(off) / error > worst:
            worst, index, shift = abs(off) / error, here, float(off)
    if worst < _SIZE_OFF:
        return None
    rung = format_count(float(np.exp(at[index])))
    return Finding(
        "size_off",
        f"the {counts[index]} runs at N={rung} lie {view.percent(shift)} {'above' if shift > 0 else 'below'} the line between their "
        f"neighbours, {worst:.0f} standard errors: "
        f"{'under-tuned, broken, or counted otherwise' if shift > 0 else 'trained otherwise, or counted otherwise'}? Check that size, "
        "or leave it out (--where).",
    )


def _curved(view: _View) -> Finding | None:
    """Waves along a variable that the residuals still follow: a score test, by run."""
    design = view.design
    logs = dict(view.logs)
    if {"N", "D"} <= set(logs) and "C" not in logs:
        logs["C"] = logs["N"] + logs["D"]
    J = view.jacobian_Kn[np.any(view.jacobian_Kn != 0, axis=1)]
    size = np.max(np.abs(J), axis=1, keepdims=True)
    if not np.all(np.isfinite(size)):
        return None
    J = J / size
    spare = design.runs - len(J) - _PARTS
    if not logs or spare < _SPARE:
        return None
    psi = np.clip(view.residuals, -2 * view.spread, 2 * view.spread)
    fitted, _ = np.linalg.qr((J / np.sqrt(np.sum(J**2, axis=1, keepdims=True))).T)
    chances = {name: _chance_of_waves(design, logs[name], fitted, psi, spare) for name in logs}
    name = min(chances, key=lambda one: chances[one])
    if chances[name] > _CHANCE / len(logs):
        return None
    return Finding(
        "curved_residuals",
        f"the residuals still bend along {name} (a chance of {chances[name]:.1g} if the law were right): the law has not the curvature of "
        "these runs, and its forecasts beyond them lean. Compare other laws (rung select).",
    )


def _chance_of_waves(design: Design, logs: Array, fitted: Array, psi: Array, spare: int) -> float:
    """Probability of such mean residuals over parts of the range under a law that is right (Hotelling's test)."""
    indices = np.argsort(np.argsort(logs, kind="stable"), kind="stable") * _PARTS // len(logs)
    parts = (indices[:, None] == np.arange(_PARTS)).astype(float)
    waves = parts - fitted @ (fitted.T @ parts)
    # What the fit can take up itself tells nothing: the directions that are left.
    directions, size, _ = np.linalg.svd(waves, full_matrices=False)
    waves = directions[:, size > 0.1 * size[0]]
    scores = np.stack([np.bincount(design.run, column * psi, minlength=design.runs) for column in waves.T], axis=1)
    total, meat = scores.sum(axis=0), scores.T @ scores
    statistic = float(total @ np.linalg.pinv(meat, rcond=1e-10, hermitian=True) @ total)
    count = scores.shape[1]
    share = min(statistic / design.runs, 1 - 1e-12)
    return f_sf(count, spare, share / (1 - share) * spare / count)


def _narrow(view: _View) -> Finding | None:
    spans = {name: float(np.exp(np.ptp(view.logs[name]))) for name in ("N", "D", "C") if name in view.logs}
    narrow = {name: span for name, span in spans.items() if span < _NARROW}
    if not narrow:
        return None
    told = " and ".join(f"{name} spans only {span:.2g}x" for name, span in narrow.items())
    return Finding(
        "narrow_range",
        f"{told}: an exponent seen over so little says little about far sizes. Add runs that are smaller or larger by 10x.",
    )


def _seeds(view: _View) -> Finding | None:
    """Where configurations were run again with other seeds: a law that misses them by more than seeds differ."""
    design = view.design
    if design.runs < design.rows:
        return None
    stacked = np.stack([*design.columns.values(), *design.groups.values()], axis=1)
    kinds = np.unique(stacked, axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(kinds)
    spare = int(np.sum(counts - 1))
    rest = len(counts) - design.size
    if spare < _FEW_REPLICATES or rest < 1:
        return None
    means = np.bincount(kinds, view.residuals) / counts
    pure = float(np.sum((view.residuals - means[kinds]) ** 2)) / spare
    lack = float(counts @ means**2) / rest
    if pure <= 0:
        return None
    if f_sf(rest, spare, lack / pure) > _CHANCE:
        return None
    return Finding(
        "lack_of_fit",
        f"runs that differ by their seed alone differ by {view.percent(np.sqrt(pure))}, and the law misses configurations by "
        f"{view.percent(np.sqrt(lack))}: its error is not noise. Compare other laws (rung select), or look for runs trained otherwise.",
    )


def _early_rows(view: _View) -> Finding | None:
    """Rows at the start of runs that stand off the law that the rest of them obey."""
    design = view.design
    along = next((name for name in ("D", "S", "C") if name in view.logs), None)
    if along is None or design.rows < 5 * design.runs or design.runs < 3:
        return None
    ends = np.full(design.runs, -np.inf)
    np.maximum.at(ends, design.run, view.logs[along])
    early = view.logs[along] < ends[design.run] + np.log(_EARLY)
    if not 5 <= np.sum(early) < 0.8 * design.rows:
        return None
    with_both = [
        run
        for run in range(design.runs)
        if np.any(early & (design.run == run)) and np.any(~early & (design.run == run))
    ]
    if len(with_both) < 3:
        return None
    gaps = np.array(
        [
            np.mean(np.abs(view.residuals[early & (design.run == run)]))
            - np.mean(np.abs(view.residuals[~early & (design.run == run)]))
            for run in with_both
        ]
    )
    error = float(np.std(gaps, ddof=1)) / np.sqrt(len(gaps)) or np.inf
    early_size = float(np.median(np.abs(view.residuals[early])))
    late_size = float(np.median(np.abs(view.residuals[~early])))
    if float(np.mean(gaps)) / error < _EARLY_OFF or early_size < 2 * late_size:
        return None
    return Finding(
        "early_rows",
        f"rows in the first tenth of their runs miss the law by {view.percent(early_size)}, later ones by {view.percent(late_size)}: a run's "
        "start does not obey it. Leave it out: --drop-tokens auto, or a number of tokens.",
    )
