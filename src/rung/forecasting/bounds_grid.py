"""Bounds of forecasts between the points of a grid, for many inversions of one fit.

The bounds of an inversion are found where a target leaves the interval of a forecast, and every interval near them is a
profile of the objective: a fifth of a second for each model of a table of a thousand. Over the logarithms of the variables the
half widths of intervals are smooth, so they are computed on a grid once, and their logarithms are interpolated by cubic splines:

    low(x) = t^-1(t(f(x)) - exp s_low(x)),    high(x) = t^-1(t(f(x)) + exp s_high(x)),

with the law f, exact at every point, and the scale t of the residual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.arrays import Array
from rung.fitting import Fit
from rung.forecasting.question import Question, completed
from rung.forecasting.single_law import predict

_POINTS = 21
"""Points along each variable: between them, bounds are off by less than 2 % of an interval's width (tests/test_worth.py)."""

_BOUNDS = ("law_low", "law_high", "run_low", "run_high")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundsGrid:
    """Bounds of forecasts of one fit over a box of one or two variables.

    Attributes:
        fit: The fit.
        ends: Logarithms of the ends of the box, by variable.
        splines: The logarithm of the half width of each bound.
    """

    fit: Fit
    ends: Mapping[str, tuple[float, float]]
    splines: Mapping[str, Any]

    @staticmethod
    def of(fit: Fit, box: Mapping[str, tuple[float, float]]) -> BoundsGrid | None:
        """The bounds over a box; None where the law has groups, other variables, or bounds that are open in the box.

        Args:
            fit: The fit.
            box: The smallest and largest value of each variable of the law.
        """
        names = list(box)
        if fit.groups or set(names) != set(fit.law.variables) or not 1 <= len(names) <= 2:
            return None
        axes = [np.linspace(np.log(low), np.log(high), _POINTS) for low, high in box.values()]
        mesh = np.meshgrid(*axes, indexing="ij")
        # With C where N and D give it, as in any forecast: how far beyond the runs a point lies goes by it too.
        variables = completed({name: np.exp(part.ravel()) for name, part in zip(names, mesh, strict=True)})
        found = predict(fit, Question(variables=variables, levels={}))
        middle = fit.objective.transform(found.value)
        splines = {}
        for name in _BOUNDS:
            with np.errstate(all="ignore"):
                width = np.abs(fit.objective.transform(getattr(found, name)) - middle)
            if not np.all(np.isfinite(width) & (width > 0)):
                return None
            splines[name] = _spline(axes, np.log(width).reshape(mesh[0].shape))
        ends = {name: (float(axis[0]), float(axis[-1])) for name, axis in zip(names, axes, strict=True)}
        return BoundsGrid(fit=fit, ends=ends, splines=splines)

    def holds(self, variables: Mapping[str, Array]) -> NDArray[np.bool_]:
        """Which points lie in the box (m,)."""
        inside = np.ones(np.broadcast_shapes(*(np.shape(part) for part in variables.values())), dtype=bool)
        for name, (low, high) in self.ends.items():
            logs = np.log(variables[name])
            inside &= (logs >= low) & (logs <= high)
        return inside

    def bounds(self, variables: Mapping[str, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """The interval of the law, and of a new run, at points of the box (m,) each."""
        logs = [np.log(variables[name]) for name in self.ends]
        estimate, _ = self.fit.vectors({})
        middle = self.fit.objective.transform(
            self.fit.law.value(estimate, {name: variables[name] for name in self.ends})
        )
        ends = []
        for name in _BOUNDS:
            width = np.exp(self.splines[name](*logs))
            sign = -1.0 if name.endswith("low") else 1.0
            ends.append(self.fit.objective.untransform(middle + sign * width))
        return (ends[0], ends[1]), (ends[2], ends[3])


def _spline(axes: list[Array], values: Array) -> Any:
    from scipy.interpolate import CubicSpline, RectBivariateSpline

    if len(axes) == 1:
        return CubicSpline(axes[0], values)
    spline = RectBivariateSpline(axes[0], axes[1], values)
    return lambda x, y: spline(x, y, grid=False)
