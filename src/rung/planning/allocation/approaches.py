"""Hoffmann's three approaches to the best size and data side by side, with a cubic, and what each is worth on this table.

Source: Hoffmann et al. 2022, arXiv:2203.15556, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.arrays import Array
from rung.fitting import Fit
from rung.fitting.uncertainty import f_sf, student_quantile
from rung.forecasting import Interval
from rung.planning.allocation.allocate import allocate, best_sizes
from rung.planning.allocation.approaches_result import Approach, Approaches, Profile
from rung.planning.allocation.joint_cubic import joint_cubic
from rung.planning.allocation.profiles import (
    CUBIC,
    PARABOLA,
    Bottom,
    Indices,
    Line,
    bottom_of,
    line_through,
    pooled_noise,
    profile_rows,
)
from rung.runs import Runs
from rung.units import flops_6nd

LOWEST, PARABOLAS, JOINT, SURFACE = (
    "lowest loss at each compute",
    "parabola at each compute",
    "cubic over all computes",
    "surface over all runs",
)
"""The approaches, by what each fits."""


def compare_approaches(runs: Runs, fit: Fit, flops: float) -> Approaches:
    """The best size and data by lowest losses, parabolas, a cubic and the fitted surface, on one table.

    Args:
        runs: The rows of the fit, with params and tokens.
        fit: A law in N and D, fitted to them.
        flops: Compute at which the best sizes are compared [FLOP].

    Raises:
        PlanError: Too few computes have enough sizes.
    """
    params, tokens = runs.numbers("params"), runs.numbers("tokens")
    compute = runs.numbers("flops") if runs.has("flops") else flops_6nd(params, tokens)
    rows, binned = profile_rows(compute, params)
    measured = _Profiles(rows, compute, {"params": params, "tokens": tokens}, runs.numbers(fit.target))
    noise_free = np.asarray(fit.law.value(fit.values, {"N": params, "D": compute / (6 * params)}))
    expected = _Profiles(rows, compute, measured.scales, noise_free, measured)
    surface = _surface(fit, flops)
    degrees = max(fit.rows - len(fit.coefficients), 1)
    approaches, refused = [], {}
    for name, estimate in _ESTIMATES.items():
        sizes, why = estimate(measured, "params")
        data, _ = estimate(measured, "tokens")
        if sizes is None or data is None:
            refused[name] = why
            continue
        ideal, _ = estimate(expected, "params")
        bias = None if ideal is None else float(np.exp(ideal.at(np.log(flops))) / surface.params - 1)
        approaches.append(_approach(name, sizes, data, _Question(flops, fit.level, surface, degrees), bias))
    best = best_sizes(fit, np.exp(measured.log_compute))
    return Approaches(
        flops=flops,
        approaches=(*approaches, surface),
        refused=refused,
        profiles=tuple(_profile(measured, expected, index, float(size)) for index, size in enumerate(best)),
        binned=binned,
        level=fit.level,
        warnings=fit.warnings,
    )


_LEAST_SPAN = 2.0
"""Factor of compute that bottoms of parabolas must span for a line through them: nearer ones give any slope."""


class _Profiles:
    """The losses of one table at equal compute, by log size and by log tokens.

    Args:
        rows: The rows of each profile.
        compute: Compute of every row [FLOP].
        scales: params and tokens of every row.
        loss: The losses.
        noisy: The profiles with noise that noise-free losses stand in for: which bottoms count, and how much, is theirs.
    """

    def __init__(
        self,
        rows: Sequence[Indices],
        compute: Array,
        scales: Mapping[str, Array],
        loss: Array,
        noisy: _Profiles | None = None,
    ) -> None:
        self.rows, self.compute, self.scales, self.loss, self.noisy = rows, compute, scales, loss, noisy
        self.log_compute = np.array([np.mean(np.log(compute[part])) for part in rows])

    def along(self, scale: str) -> list[tuple[Array, Array]]:
        """The log sizes, or tokens, and losses of each profile."""
        return [(np.log(self.scales[scale][part]), self.loss[part]) for part in self.rows]

    def bottoms(self, scale: str, degree: int) -> tuple[list[Bottom], int]:
        """The bottom of each profile, and the degrees of freedom of their noise."""
        profiles = self.along(scale)
        if self.noisy is None:
            noise = pooled_noise(profiles, degree)
            return [bottom_of(x, loss, degree, noise) for x, loss in profiles], noise.degrees
        judged, degrees = self.noisy.bottoms(scale, degree)
        own = [bottom_of(x, loss, degree) for x, loss in profiles]
        return [replace(one, at=mine.at) for one, mine in zip(judged, own, strict=True)], degrees


def _lowest(profiles: _Profiles, scale: str) -> tuple[Line | None, str]:
    best = [part[int(np.argmin(profiles.loss[part]))] for part in profiles.rows]
    points = [(float(np.log(profiles.compute[row])), float(np.log(profiles.scales[scale][row])), None) for row in best]
    return line_through(points), "all profiles have one compute"


def _parabolas(profiles: _Profiles, scale: str) -> tuple[Line | None, str]:
    bottoms, degrees = profiles.bottoms(scale, PARABOLA)
    used = [
        (float(c), one.at, one.error)
        for c, one in zip(profiles.log_compute, bottoms, strict=True)
        if one.status == "inside" and one.at is not None
    ]
    if len(used) < 2:
        counts: dict[str, int] = {}
        for one in bottoms:
            counts[one.status] = counts.get(one.status, 0) + 1
        why = ", ".join(f"{count} {status}" for status, count in counts.items() if status != "inside")
        return None, f"fewer than two of {len(bottoms)} profiles have a clear bottom among their sizes ({why})"
    span = float(np.exp(np.ptp([at for at, *_ in used])))
    if span < _LEAST_SPAN:
        return (
            None,
            f"the {len(used)} clear bottoms of {len(bottoms)} profiles span {span:.3g}x of compute, too little for a line",
        )
    return line_through(used, degrees), "all bottoms have one compute"


def _joint(profiles: _Profiles, scale: str) -> tuple[Line | None, str]:
    found = joint_cubic(profiles.log_compute.tolist(), profiles.along(scale), noisy=profiles.noisy is None)
    return found.line, found.refused


_ESTIMATES: dict[str, Callable[[_Profiles, str], tuple[Line | None, str]]] = {
    LOWEST: _lowest,
    PARABOLAS: _parabolas,
    JOINT: _joint,
}
"""What each approach but the surface makes of the profiles: a line in log compute, or why there is none."""


def _surface(fit: Fit, flops: float) -> Approach:
    """What the fitted law itself says; its exponents are central differences over a thousandth of compute."""
    step = 1.001
    below, above = best_sizes(fit, flops * np.array([1 / step, step]))
    exponent = float(np.log(above / below) / (2 * np.log(step)))
    found = allocate(fit, flops=flops)
    derived = fit.derived.get("params_exponent")
    return Approach(
        name=SURFACE,
        exponent=exponent,
        interval=(derived.low, derived.high) if derived else (None, None),
        params=found.choices["params"].value,
        params_interval=found.choices["params"].interval,
        tokens_exponent=1 - exponent,
        tokens=found.choices["tokens"].value,
        tokens_interval=found.choices["tokens"].interval,
        bias=0.0,
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """The compute asked about, the coverage, and the surface that others are compared with."""

    flops: float
    level: float
    surface: Approach
    degrees: int

    @property
    def surface_error(self) -> float | None:
        """Standard error of the surface's log N, read off its interval."""
        low, high = self.surface.params_interval
        if low is None or high is None:
            return None
        return float(np.log(high / low)) / 2 / student_quantile((1 + self.level) / 2, self.degrees)


def _approach(name: str, sizes: Line, data: Line, asked: _Question, bias: float | None) -> Approach:
    at = float(np.log(asked.flops))
    return Approach(
        name=name,
        exponent=sizes.slope,
        interval=sizes.slope_interval(asked.level),
        params=float(np.exp(sizes.at(at))),
        params_interval=_exp(sizes.interval_at(at, asked.level)),
        tokens_exponent=data.slope,
        tokens=float(np.exp(data.at(at))),
        tokens_interval=_exp(data.interval_at(at, asked.level)),
        bias=bias,
        p_value=_p_value(sizes, at, bias, asked),
    )


def _p_value(line: Line, at: float, bias: float | None, asked: _Question) -> float | None:
    """Two-sided p-value of log N less the surface's, less the bias, by Student's t, whose square is F(1, degrees).

    The two errors share their runs, so adding their variances is too wide rather than too narrow.
    """
    error, other = line.error_at(at), asked.surface_error
    if error is None or other is None or bias is None or error + other == 0:
        return None
    difference = line.at(at) - np.log(asked.surface.params) - np.log1p(bias)
    return f_sf(1, line.degrees, float(difference**2 / (error**2 + other**2)))


def _exp(interval: Interval) -> Interval:
    low, high = interval
    return (None if low is None else float(np.exp(low)), None if high is None else float(np.exp(high)))


def _profile(measured: _Profiles, expected: _Profiles, index: int, best: float) -> Profile:
    """One profile: its bottoms, and the bias of the parabola through noise-free losses against the law's best size."""
    x, loss = measured.along("params")[index]
    ideal = bottom_of(*expected.along("params")[index], PARABOLA)
    return Profile(
        flops=float(np.exp(measured.log_compute[index])),
        sizes=len(np.unique(x)),
        lowest=float(np.exp(x[np.argmin(loss)])),
        parabola=measured.bottoms("params", PARABOLA)[0][index],
        cubic=measured.bottoms("params", CUBIC)[0][index],
        bias=None if ideal.at is None else float(np.exp(ideal.at) / best - 1),
    )
