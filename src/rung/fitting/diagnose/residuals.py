"""What the residuals of a fit show: outliers, sizes off the trend, wrong curvature, lack of fit, the start of runs.

Thresholds are set so that fewer than 5 of 100 clean tables get the finding, and more than 95 of 100 with the planted
fault (benchmarks/diagnosis.py).

Shapes: `n` rows, `K` unconstrained parameters.
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
from rung.fitting.estimate.multistart import MEDIAN_OF_NORMAL, Optimum
from rung.fitting.estimate.problem import Problem
from rung.fitting.uncertainty.curvature import without_effect
from rung.fitting.uncertainty.distributions import f_sf
from rung.messages import listed, plural_of
from rung.units import format_count, format_percent

_MOST_ROWS = 20_000
"""Most rows that are examined; a longer table is thinned evenly."""

_OUTLIER = 6.0
"""Robust standard deviations from the law beyond which a row is an outlier."""

_MOST_NAMED = 7
"""Most outliers that the finding lists; of more, it names the first ones and counts the rest."""

_SIZE_OFF = 5.0
"""Standard errors from the line between its neighbours at which a whole size counts as off."""

_SIGNIFICANT = 1e-3
"""p-value below which residuals count as curved or the fit as lacking: how often a clean table would be reported."""

_PARTS = 6
"""Parts of a variable's range, of as many rows each, whose mean residuals are tested."""

_SPARE = 8
"""Runs beyond coefficients and parts that the score test needs at least."""

_NARROW = 4.0
"""Largest over smallest value of N, D or C below which the runs say little about exponents."""

_FEW_REPLICATES = 4
"""Degrees of freedom within repeated configurations that the F test of lack of fit needs at least."""

_EARLY = 0.1
"""Share of a run's tokens (else of its steps or compute) that counts as its start."""

_EARLY_OFF = 4.0
"""Standard errors by which residuals at the start of runs must exceed the others to be reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """Residuals with what the checks need of their rows.

    Attributes:
        design: The rows.
        residuals: The residuals (n,).
        std: Their robust standard deviation, median |r| / 0.6745.
        logs: Logarithms of the positive variables that vary (n,).
        jacobian_Kn: Derivatives of the law.
        configuration: Index of each row's configuration (n,).
    """

    design: Design
    residuals: Array
    std: float
    logs: dict[str, Array]
    jacobian_Kn: Array
    configuration: NDArray[np.intp]

    def percent(self, value: float) -> str:
        return format_percent(abs(value))


def residual_findings(problem: Problem, optimum: Optimum, configuration: NDArray[np.intp]) -> list[Finding]:
    """Every finding about the residuals; none where more than half of them are zero, or where rows are few.

    Args:
        problem: The law over the rows.
        optimum: Its optimum.
        configuration: Index of each row's configuration (n,): rows of one repeat each other with another seed.
    """
    design, residuals, jacobian = problem.design, optimum.residuals, optimum.jacobian_Kn.copy()
    # A coefficient at the end of its range takes no shape of the residuals up.
    jacobian[sorted(without_effect(problem, jacobian))] = 0
    if design.rows > _MOST_ROWS:
        rows = np.linspace(0, design.rows - 1, _MOST_ROWS).astype(np.intp)
        design, residuals, jacobian = design.take(rows), residuals[rows], jacobian[:, rows]
        configuration = configuration[rows]
    std = float(np.median(np.abs(residuals))) / MEDIAN_OF_NORMAL
    if std == 0 or design.rows < design.size + 4:
        return []
    logs = {
        name: np.log(column) for name, column in design.columns.items() if np.all(column > 0) and np.ptp(column) > 0
    }
    view = _View(
        design=design, residuals=residuals, std=std, logs=logs, jacobian_Kn=jacobian, configuration=configuration
    )
    checks: tuple[Callable[[_View], Finding | None], ...] = (
        _outliers,
        _size_off,
        _curved,
        _narrow,
        _lack_of_fit,
        _early_rows,
    )
    return [finding for check in checks if (finding := check(view)) is not None]


def _outliers(view: _View) -> Finding | None:
    """Rows with |r_i| > 6 std, where they are at most a tenth of all rows."""
    outliers = np.flatnonzero(np.abs(view.residuals) > _OUTLIER * view.std)
    if not len(outliers) or len(outliers) > 0.1 * view.design.rows:
        return None
    outliers = outliers[np.argsort(-np.abs(view.residuals[outliers]))]
    worst = int(outliers[0])
    above = int(np.sum(view.residuals[outliers] > 0))
    count = len(outliers)
    rows = listed([str(number) for number in view.design.row[outliers]], _MOST_NAMED)
    them = plural_of(count, "it", "them")
    side, advice = "from", f"Check {them}"
    if above == count:
        side, advice = "above", f"Check whether {plural_of(count, 'it is', 'they are')} under-tuned or broken"
    return Finding(
        "outliers",
        f"{plural_of(count, 'row')} {rows} of {view.design.source} {plural_of(count, 'lies', 'lie up to')} "
        f"{abs(view.residuals[worst]) / view.std:.0f} robust standard deviations {side} the law. {advice}; leave "
        f"{them} out with --where.",
    )


def _levels(values: Array) -> NDArray[np.intp]:
    """The index of each row's level, for logarithms of scale (n,); a new level starts after a gap of log(1.1) / 2."""
    order = np.argsort(values)
    steps = np.diff(values[order]) > np.log(SAME_SCALE) / 2
    indices = np.empty(len(values), dtype=np.intp)
    indices[order] = np.concatenate([[0], np.cumsum(steps)])
    return indices


def _size_off(view: _View) -> Finding | None:
    """A size whose runs as a whole lie off the line between the neighbouring sizes.

    For size k with n_k runs, mean log N x_k and mean residual m_k (clipped to 4 std), the distance from the line is

        off = m_k - (1 - a) m_(k-1) - a m_(k+1),   a = (x_k - x_(k-1)) / (x_(k+1) - x_(k-1)),
        error = w sqrt(1 / n_k + (1 - a)^2 / n_(k-1) + a^2 / n_(k+1)),

    with w the standard deviation within sizes. A size is off where |off| / error is 5 or more.
    """
    if "N" not in view.logs or view.design.runs < view.design.rows:
        return None
    sizes = _levels(view.logs["N"])
    counts = np.bincount(sizes)
    clipped = np.clip(view.residuals, -4 * view.std, 4 * view.std)
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
    size = format_count(float(np.exp(at[index])))
    return Finding(
        "size_off",
        f"the {counts[index]} runs at N={size} lie {view.percent(shift)} {'above' if shift > 0 else 'below'} the line "
        f"between the neighbouring sizes, by {worst:.0f} standard errors: they may be "
        f"{'under-tuned, broken or counted differently' if shift > 0 else 'trained or counted differently'}. Check "
        "that size, or leave it out (--where).",
    )


def _curved(view: _View) -> Finding | None:
    """Residuals that bend along a variable: a score test for each, by run, at p < 0.001 over their number."""
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
    psi = np.clip(view.residuals, -2 * view.std, 2 * view.std)
    fitted, _ = np.linalg.qr((J / np.sqrt(np.sum(J**2, axis=1, keepdims=True))).T)
    p_values = {name: _score_p_value(design, logs[name], fitted, psi, spare) for name in logs}
    name = min(p_values, key=lambda one: p_values[one])
    if p_values[name] > _SIGNIFICANT / len(logs):
        return None
    return Finding(
        "curved_residuals",
        f"the residuals still bend along {name} (p = {p_values[name]:.1g} under the law): the law does not have the "
        "curvature of these runs, and its forecasts beyond them are biased. Compare other laws (rung select).",
    )


def _score_p_value(design: Design, logs: Array, fitted: Array, psi: Array, spare: int) -> float:
    """p-value, under the law, of the mean residuals over six parts of a variable's range (Hotelling's test on scores).

    With Z the indicators of the parts (n, 6) and Q an orthonormal basis of the law's derivatives (n, K), the contrasts
    are the k left singular vectors u of (1 - Q Q') Z whose singular values exceed a tenth of the largest: the fit takes
    up the other directions itself. With psi the residuals clipped to 2 std, each of the G runs has the scores
    s_g = sum_(i in g) u_i psi_i, and

        T = S' (sum_g s_g s_g')^-1 S,   S = sum_g s_g,   F = (T / G) / (1 - T / G) * nu / k

    follows Fisher's F with k and nu degrees of freedom.

    Differs: nu is G - K - 6 rather than G - k, because the fit uses degrees of freedom too.
    """
    indices = np.argsort(np.argsort(logs, kind="stable"), kind="stable") * _PARTS // len(logs)
    parts = (indices[:, None] == np.arange(_PARTS)).astype(float)
    contrasts = parts - fitted @ (fitted.T @ parts)
    directions, size, _ = np.linalg.svd(contrasts, full_matrices=False)
    contrasts = directions[:, size > 0.1 * size[0]]
    scores = np.stack([np.bincount(design.run, column * psi, minlength=design.runs) for column in contrasts.T], axis=1)
    total, meat = scores.sum(axis=0), scores.T @ scores
    statistic = float(total @ np.linalg.pinv(meat, rcond=1e-10, hermitian=True) @ total)
    count = scores.shape[1]
    share = min(statistic / design.runs, 1 - 1e-12)
    return f_sf(count, spare, share / (1 - share) * spare / count)


def _narrow(view: _View) -> Finding | None:
    """Variables among N, D and C whose largest value is less than 4 times the smallest."""
    spans = {name: float(np.exp(np.ptp(view.logs[name]))) for name in ("N", "D", "C") if name in view.logs}
    narrow = {name: span for name, span in spans.items() if span < _NARROW}
    if not narrow:
        return None
    spanned = listed([f"{name} spans only {span:.2g}x" for name, span in narrow.items()])
    return Finding(
        "narrow_range",
        f"{spanned}: an exponent estimated over so narrow a range says little about far scales. Add runs that are "
        "smaller or larger by 10x.",
    )


def _lack_of_fit(view: _View) -> Finding | None:
    """A law that misses configurations by more than their repeated runs differ: the F test of lack of fit.

    For C configurations c with n_c runs, residuals r_ci and means m_c, and K coefficients,

        s_pure^2 = sum_c sum_i (r_ci - m_c)^2 / sum_c (n_c - 1),   s_lack^2 = sum_c n_c m_c^2 / (C - K),

    and s_lack^2 / s_pure^2 follows Fisher's F with C - K and sum_c (n_c - 1) degrees of freedom.
    """
    design = view.design
    if design.runs < design.rows:
        return None
    configurations = np.unique(view.configuration, return_inverse=True)[1].ravel()
    counts = np.bincount(configurations)
    spare = int(np.sum(counts - 1))
    rest = len(counts) - design.size
    if spare < _FEW_REPLICATES or rest < 1:
        return None
    means = np.bincount(configurations, view.residuals) / counts
    pure = float(np.sum((view.residuals - means[configurations]) ** 2)) / spare
    lack = float(counts @ means**2) / rest
    if pure <= 0:
        return None
    if f_sf(rest, spare, lack / pure) > _SIGNIFICANT:
        return None
    return Finding(
        "lack_of_fit",
        f"repeated runs of one configuration differ by {view.percent(np.sqrt(pure))}, and the law misses "
        f"configurations by {view.percent(np.sqrt(lack))}: its error is not noise. Compare other laws (rung select), "
        "or look for runs trained differently.",
    )


def _early_rows(view: _View) -> Finding | None:
    """Rows at the start of runs that lie off the law which the later rows follow.

    For each run g with rows of both kinds, gap_g = mean |r| over its start - mean |r| over the rest. The finding needs
    mean(gap) / (std(gap) / sqrt(G)) >= 4 over these G runs, and a median |r| twice as large at the start as later.
    """
    design = view.design
    along = next((name for name in ("D", "S", "C") if name in view.logs), None)
    if along is None or design.rows < 5 * design.runs or design.runs < 3:
        return None
    last = np.full(design.runs, -np.inf)
    np.maximum.at(last, design.run, view.logs[along])
    early = view.logs[along] < last[design.run] + np.log(_EARLY)
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
        f"rows in the first tenth of their runs miss the law by {view.percent(early_size)}, later ones by "
        f"{view.percent(late_size)}: the law does not hold at the start of a run. Leave the start out: --drop-tokens "
        "auto, or a number of tokens.",
    )
