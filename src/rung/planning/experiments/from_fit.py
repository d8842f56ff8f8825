"""What the runs of a fit say of its law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import PlanError
from rung.findings import Finding
from rung.fitting import Fit, reopen
from rung.forecasting import Interval, forecast
from rung.laws import Law
from rung.planning.allocation.allocate import allocate, best_gradient
from rung.planning.experiments.linear_information import (
    RANGE_STD,
    LinearInformation,
    log_scale,
)
from rung.planning.experiments.predictive import JointPredictive
from rung.planning.experiments.targets import Decision, Present, Reach, Targets, ratios_of, require_no_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class FromFit:
    """The runs of a fit.

    Attributes:
        fit: The fit.
        linear: Its law about the optimum.
        prior: None: runs were made.
    """

    fit: Fit
    linear: LinearInformation
    prior: None = None

    @property
    def law(self) -> Law:
        return self.linear.law

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return self.linear.ranges

    @property
    def ratios(self) -> tuple[float, float] | None:
        return ratios_of(self.fit.table.columns) if self.fit.table is not None else None

    def predictive(self, columns: Mapping[str, Array], targets: Targets) -> JointPredictive:
        return self.linear.predictive(columns, targets)

    def decision(self, flops: float, /) -> Decision:
        value, slopes = best_gradient(self.fit, flops, self.linear.unconstrained)
        return Decision(flops=flops, log_params=value, slopes=slopes)

    def reach(self, targets: Targets) -> list[Present]:
        found = []
        for index in range(targets.points):
            asked: dict[str, Any] = {name: float(column[index]) for name, column in targets.columns.items()}
            answer = forecast(self.fit, **asked)
            found.append(Present(_reach(answer.value, answer.law_interval), _reach(answer.value, answer.run_interval)))
        if targets.decision is not None:
            choice = allocate(self.fit, flops=targets.decision.flops).choices["params"]
            found.append(Present(_reach(choice.value, choice.interval)))
        return found

    def findings(self) -> tuple[Finding, ...]:
        return ()


def _reach(value: float, interval: Interval) -> Reach:
    low, high = interval
    return None if low is None else float(np.log(value / low)), None if high is None else float(np.log(high / value))


def information_from_fit(fit: Fit) -> FromFit:
    """What the runs of a fit say.

    Raises:
        PlanError: The fit does not say how sure it is, or is of another kind.
    """
    if fit.objective.residual != "log":
        raise PlanError(f"planning needs a law fitted in logarithms, and this fit's objective is {fit.objective.name}.")
    require_no_groups(fit.law)
    profiler = reopen(fit)
    if profiler is None:
        raise PlanError(
            "the fit keeps no rows, or none beyond its coefficients, so it does not say how sure it is. Fit again with more runs."
        )
    curvature, design = profiler.curvature, profiler.problem.design
    # What the runs do not determine is known as far as a coefficient's range says: a weak prior.
    weak = np.diag([RANGE_STD[coefficient.scale] ** -2.0 for coefficient in fit.law.free])
    known = np.linalg.pinv(curvature.sandwich_KK, rcond=1e-12, hermitian=True)
    jacobian = profiler.optimum.jacobian_Kn * np.sqrt(design.weights)
    rank = max(int(np.linalg.matrix_rank(curvature.inverse_KK)), 1)
    # Under a robust objective a row says less than its variance would: the runs made show by how much.
    worth = float(np.trace(curvature.inverse_KK @ jacobian @ jacobian.T)) / rank
    linear = LinearInformation(
        law=fit.law,
        unconstrained=profiler.optimum.unconstrained,
        covariance_KK=np.linalg.inv(known + weak),
        noise=curvature.noise_scale * max(worth, 1.0),
        discrepancy=fit.discrepancy.tau**2 * float(np.var(fit.noise)) if fit.discrepancy and len(fit.noise) else 0.0,
        largest=float(np.max(log_scale(design.columns))),
        ranges={name: fit.ranges[name] for name in fit.law.variables},
        degrees=curvature.degrees,
    )
    return FromFit(fit=fit, linear=linear)
