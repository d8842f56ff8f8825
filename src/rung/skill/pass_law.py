"""The law of pass rates over size, fitted by likelihood over counts, item by item.

    p_i(N) = exp(-c_i N^-alpha_i),    log(-log p_i) = a_i - alpha_i x + gamma x^2,    x = log(N / N0), N0 the mean size

Items differ: a_i ~ N(mu + b l_i, s_a), alpha_i ~ N(alpha, s_alpha), with l_i the loss on the item's right answer where there is one.
The likelihood of s passes and f failures is p^s (1 - p)^f, whether sampling ended at a pass, at a cap or after fixed attempts, so an
item that never passed counts for what it shows: that its rate is low. The item's own coefficients are integrated out by
Gauss-Hermite quadrature; the rest are estimated by maximum likelihood, and gamma is zero but for the verdict on growth.

Source: Hu et al. 2024, arXiv:2310.03262, section 4, for the law by item and by set and for the loss of items that were never passed.
Differs: the paper fits lines to logarithms of point estimates, which drops items without a pass and turns their bias into a slope.

Shapes: `n` rows, `I` items, `Q` nodes, `P` coefficients, `B` draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.arrays import Array
from rung.errors import SkillError
from rung.skill.passing import PassTable

_NODES_LEVEL, _NODES_SLOPE = 7, 5
_NEWTON = 10
"""Steps towards the mode of an item's level."""

_LEAST, _MOST = -30.0, 4.0
"""Range of log(-log p): from 1 - 1e-13 to exp(-55)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassLaw:
    """The law of pass rates over size.

    Attributes:
        theta: mu, b, log s_a, alpha, log s_alpha, gamma (P,).
        covariance_PP: Their covariance; 0 for coefficients that are not estimated.
        size: N0.
        table: The counts.
        centred: The loss of each item less its mean, in standard deviations (I,); zeros without a loss.
        log_likelihood: At the optimum.
    """

    theta: Array
    covariance_PP: Array
    size: float
    table: PassTable
    centred: Array
    log_likelihood: float

    @property
    def alpha(self) -> float:
        """The mean exponent."""
        return float(self.theta[3])

    @property
    def gamma(self) -> float:
        """The curvature of log(-log p) in log N: negative where growth is accelerated."""
        return float(self.theta[5])

    @property
    def gamma_error(self) -> float:
        """Its standard error."""
        return float(np.sqrt(max(self.covariance_PP[5, 5], 0.0)))

    def rate(self, params: float) -> float:
        """The mean pass rate of these items at a size: the mean over items of what is expected of each, its own counts included."""
        return float(self.by_item(params).mean())

    def by_item(self, params: float) -> Array:
        """What is expected of each item at a size (I,)."""
        weights_IQ, a_IQ, slope_Q = _posterior(self.theta, self.table, self.size, self.centred)
        x = np.log(params / self.size)
        level_IQ = np.clip(a_IQ - slope_Q * x + self.theta[5] * x**2, _LEAST, _MOST)
        return np.asarray((weights_IQ * np.exp(-np.exp(level_IQ))).sum(axis=1))

    def draws(self, params: float, count: int, rng: np.random.Generator) -> Array:
        """Draws of the mean pass rate of these items at a size (B,)."""
        free = np.flatnonzero(np.diag(self.covariance_PP) > 0)
        root = _root(self.covariance_PP[np.ix_(free, free)])
        drawn = np.empty(count)
        for index in range(count):
            theta = self.theta.copy()
            theta[free] += root @ rng.standard_normal(len(free))
            weights_IQ, a_IQ, slope_Q = _posterior(theta, self.table, self.size, self.centred)
            chosen = (weights_IQ.cumsum(axis=1) > rng.random((len(weights_IQ), 1))).argmax(axis=1)
            x = np.log(params / self.size)
            level = a_IQ[np.arange(len(a_IQ)), chosen] - slope_Q[chosen] * x + theta[5] * x**2
            drawn[index] = np.exp(-np.exp(np.clip(level, _LEAST, _MOST))).mean()
        return drawn


def fit_pass_law(table: PassTable, *, curved: bool = False) -> PassLaw:
    """Fit the law of pass rates.

    Args:
        table: Counts of items at two sizes or more.
        curved: Whether gamma is estimated too, which needs three sizes.

    Raises:
        SkillError: There are too few sizes, or no attempt ever passed.
    """
    from scipy.optimize import minimize

    if len(table.sizes) < 2 + curved:
        raise SkillError(
            f"{table.source} has {len(table.sizes)} sizes; the law of pass rates needs {2 + curved} or more."
        )
    if not table.passes.any():
        raise SkillError(
            f"no attempt of {table.source} passed at any size, so nothing can be fitted. Sample more, or use the loss of the right answers."
        )
    table = table.where(np.argsort(table.item, kind="stable"))
    size = float(np.exp(np.mean(np.log(table.sizes))))
    centred = np.zeros(len(table.items))
    has_loss = table.loss is not None and np.ptp(table.loss) > 0
    if has_loss and table.loss is not None:
        centred = (table.loss - table.loss.mean()) / table.loss.std()
    free = np.array([0, *([1] if has_loss else []), 2, 3, *([4] if len(table.items) > 1 else []), *([5] if curved else [])])  # fmt: skip
    start = _start(table, size)

    def objective(values: Array) -> float:
        theta = start.copy()
        theta[free] = values
        return -_log_likelihood(theta, table, size, centred) + _penalty(theta)

    found = minimize(objective, start[free], method="BFGS", options={"gtol": 1e-4, "maxiter": 200})
    theta = start.copy()
    theta[free] = found.x
    covariance = np.zeros((6, 6))
    covariance[np.ix_(free, free)] = _inverse(_hessian(objective, found.x))
    return PassLaw(
        theta=theta,
        covariance_PP=covariance,
        size=size,
        table=table,
        centred=centred,
        log_likelihood=-float(found.fun),
    )


def _start(table: PassTable, size: float) -> Array:
    """A line through the pooled rates of each size."""
    x, y = [], []
    for one in table.sizes:
        rows = table.at(one)
        rate = float(np.clip((rows.passes.sum() + 0.5) / (rows.attempts.sum() + 1), 1e-9, 1 - 1e-9))
        x.append(np.log(one / size))
        y.append(np.log(-np.log(rate)))
    slope, level = np.polyfit(x, y, 1)
    return np.array([level, 0.0, np.log(0.5), max(-slope, 0.05), np.log(0.05), 0.0])


def _penalty(theta: Array) -> float:
    """Weak normal priors on the logarithms of the deviations between items, which a few items do not tell from zero."""
    return float(0.5 * ((theta[2] - np.log(0.5)) / 1.5) ** 2 + 0.5 * ((theta[4] - np.log(0.05)) / 1.0) ** 2)


def _joint(theta: Array, table: PassTable, size: float, centred: Array) -> tuple[Array, Array, Array]:
    """The log of likelihood, prior and weight of each item at each node (I, Q), the levels there (I, Q) and the slopes (Q,).

    The nodes of the slope are those of its prior; the nodes of the level lie about each item's own mode, since many attempts leave
    it far narrower than the prior.
    """
    slope_z, slope_weight = np.polynomial.hermite_e.hermegauss(_NODES_SLOPE)
    level_z, level_weight = np.polynomial.hermite_e.hermegauss(_NODES_LEVEL)
    slope_S = theta[3] + np.exp(theta[4]) * slope_z
    x = np.log(table.params / size)[:, None]
    shift_nS = theta[5] * x**2 - slope_S * x
    mean_I1, std = (theta[0] + theta[1] * centred)[:, None], float(np.exp(theta[2]))
    mode_IS, width_IS = _modes(table, shift_nS, mean_I1, std)
    a_ISL = mode_IS[:, :, None] + width_IS[:, :, None] * level_z
    minus = np.exp(np.clip(a_ISL[table.item] + shift_nS[:, :, None], _LEAST, _MOST))
    failures = (table.attempts - table.passes)[:, None, None]
    # log(1 - exp(-u)) of a small u is log(u), which expm1 keeps.
    rows = -table.passes[:, None, None] * minus + failures * np.log(-np.expm1(-minus))
    joint = -0.5 * ((a_ISL - mean_I1[:, :, None]) / std) ** 2 - np.log(std) + np.log(width_IS)[:, :, None]
    joint += _by_item(rows, table, len(centred))
    joint += np.log(level_weight / level_weight.sum()) + level_z**2 / 2
    joint += np.log(slope_weight / slope_weight.sum())[:, None]
    count = len(centred)
    return joint.reshape(count, -1), a_ISL.reshape(count, -1), np.repeat(slope_S, _NODES_LEVEL)


def _by_item(rows: Array, table: PassTable, count: int) -> Array:
    """Sums of rows, sorted by item, over the rows of each item."""
    first = np.flatnonzero(np.diff(table.item, prepend=-1))
    found = np.zeros((count, *rows.shape[1:]))
    found[table.item[first]] = np.add.reduceat(rows, first, axis=0)
    return found


def _modes(table: PassTable, shift_nS: Array, mean_I1: Array, std: float) -> tuple[Array, Array]:
    """The mode of each item's level at each slope, by Newton's method on a concave function, and the deviation there."""
    passes, failures = table.passes[:, None], (table.attempts - table.passes)[:, None]
    shape = (len(mean_I1), shift_nS.shape[1])
    mode = np.broadcast_to(mean_I1, shape).copy()
    curvature = np.full(shape, -1 / std**2)
    for _ in range(_NEWTON):
        minus = np.exp(np.clip(mode[table.item] + shift_nS, _LEAST, _MOST))
        # d/da log(1 - exp(-m)) = m / (exp(m) - 1) for m = exp(a).
        odds = minus / np.expm1(minus)
        slope, curvature = -(mode - mean_I1) / std**2, np.full(shape, -1 / std**2)
        slope = slope + _by_item(failures * odds - passes * minus, table, len(mode))
        bend = failures * odds * np.minimum(1 + minus / np.expm1(-minus), 0.0) - passes * minus
        curvature = curvature + _by_item(bend, table, len(mode))
        mode = mode + np.clip(-slope / curvature, -2.0, 2.0)
    return mode, 1 / np.sqrt(-curvature)


def _log_likelihood(theta: Array, table: PassTable, size: float, centred: Array) -> float:
    joint_IQ, _, _ = _joint(theta, table, size, centred)
    most = joint_IQ.max(axis=1, keepdims=True)
    return float((most[:, 0] + np.log(np.exp(joint_IQ - most).sum(axis=1))).sum())


def _posterior(theta: Array, table: PassTable, size: float, centred: Array) -> tuple[Array, Array, Array]:
    """What the counts of each item say of its own coefficients: weights of the nodes (I, Q), levels and slopes."""
    joint_IQ, a_IQ, slope_Q = _joint(theta, table, size, centred)
    weights_IQ = np.exp(joint_IQ - joint_IQ.max(axis=1, keepdims=True))
    return weights_IQ / weights_IQ.sum(axis=1, keepdims=True), a_IQ, slope_Q


def _hessian(objective: object, at: Array) -> Array:
    """Second differences."""
    count = len(at)
    step = 1e-3 * np.maximum(np.abs(at), 0.3)
    value = objective(at)  # type: ignore[operator]
    single = [[objective(at + sign * step[i] * np.eye(count)[i]) for sign in (-1, 1)] for i in range(count)]  # type: ignore[operator]
    found = np.empty((count, count))
    for i in range(count):
        found[i, i] = (single[i][0] - 2 * value + single[i][1]) / step[i] ** 2
        for j in range(i):
            both = [
                objective(at + s * step[i] * np.eye(count)[i] + t * step[j] * np.eye(count)[j])  # type: ignore[operator]
                for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            found[i, j] = found[j, i] = (both[0] - both[1] - both[2] + both[3]) / (4 * step[i] * step[j])
    return found


def _inverse(hessian: Array) -> Array:
    """The inverse of a Hessian whose flat or falling directions have the deviation of their prior, 1.5."""
    values, vectors = np.linalg.eigh(hessian)
    return np.asarray((vectors / np.maximum(values, 1 / 1.5**2)) @ vectors.T)


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
