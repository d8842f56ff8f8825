"""The peers that Rung is compared with, each written from the description in its paper.

Shapes: `S` starts, `n` rows.
"""

import itertools

import autograd.numpy as anp
import numpy as np
from autograd import grad
from scipy.optimize import minimize

DELTA = 1e-3
"""Threshold of Huber's loss."""

PUBLISHED = np.array([np.log(482.01), np.log(2085.43), np.log(1.8172), 0.3478, 0.3658])
"""The published point from which the bootstrap starts: log A, log B, log E, alpha, beta."""

GRID = np.array(
    list(
        itertools.product(
            np.arange(0, 30, 5),
            np.arange(0, 30, 5),
            np.arange(-1, 1.5, 0.5),
            np.arange(0, 2.5, 0.5),
            np.arange(0, 2.5, 0.5),
        )
    )
)
"""The 4500 starts of Hoffmann et al. 2022: log A, log B, log E, alpha, beta."""


def huber_objective(theta, log_n, log_d, log_loss, weights):
    """Sum of Huber's loss over log residuals, with the law as a log-sum-exp (Hoffmann et al. 2022, equation 3)."""
    a, b, e, alpha, beta = theta
    first, second = a - alpha * log_n, b - beta * log_d
    # The largest term is factored out by hand: SciPy's logsumexp would make the peer three times slower.
    top = np.maximum(np.maximum(first, second), e)
    size = np.abs(log_loss - top - np.log(np.exp(first - top) + np.exp(second - top) + np.exp(e - top)))
    inside = np.minimum(size, DELTA)
    return float(np.sum(weights * inside * (size - inside / 2)))


def published_fit(starts, log_n, log_d, log_loss):
    """The best point of L-BFGS-B with finite differences from every start, and its objective."""
    weights = np.ones_like(log_n)
    best = min(
        (minimize(huber_objective, start, (log_n, log_d, log_loss, weights), method="L-BFGS-B") for start in starts),
        key=lambda found: found.fun,
    )
    return best.x, best.fun


def _differentiable(theta, log_n, log_d, log_loss, weights):
    a, b, e, alpha, beta = theta[0], theta[1], theta[2], theta[3], theta[4]
    terms = anp.stack([a - alpha * log_n, b - beta * log_d, e + 0.0 * log_n])
    top = anp.max(terms, axis=0)
    size = anp.abs(log_loss - top - anp.log(anp.sum(anp.exp(terms - top), axis=0)))
    return anp.sum(weights * anp.where(size <= DELTA, 0.5 * size**2, DELTA * (size - 0.5 * DELTA)))


_GRADIENT = grad(_differentiable)


def published_bootstrap(weights_Bn, log_n, log_d, log_loss):
    """Objectives of BFGS with automatic gradients on each resample, from the published point."""
    return np.array(
        [
            minimize(_differentiable, PUBLISHED, (log_n, log_d, log_loss, weights), jac=_GRADIENT, method="BFGS").fun
            for weights in weights_Bn
        ]
    )


def projected_grid(n, d, loss, steps=100):
    """Least squares on a grid of exponents, with the other coefficients by non-negative least squares (arXiv:2603.22339).

    Returns E, A, B, alpha, beta at the best cell.
    """
    n, d = n / 1e6, d / 1e9
    exponents = np.linspace(0.01, 0.99, steps)
    n_power, d_power = n ** -exponents[:, None], d ** -exponents[:, None]
    best = (np.inf, None)
    for index, column in enumerate(n_power):
        columns = np.stack(
            [
                np.broadcast_to(np.ones_like(column), d_power.shape),
                np.broadcast_to(column, d_power.shape),
                d_power,
            ],
            axis=1,
        )
        gram = columns @ columns.transpose(0, 2, 1)
        right = columns @ loss
        for active in ((0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)):
            part = np.linalg.solve(
                gram[np.ix_(range(steps), active, active)] + 1e-12 * np.eye(len(active)),
                right[:, active, None],
            )[..., 0]
            error = loss @ loss - np.einsum("sk,sk->s", part, right[:, active])
            error = np.where((part >= 0).all(axis=1), error, np.inf)
            at = int(np.argmin(error))
            if error[at] < best[0]:
                full = np.zeros(3)
                full[list(active)] = part[at]
                best = (error[at], (full, exponents[index], exponents[at]))
    (e, a, b), alpha, beta = best[1]
    return e, a * 1e6**alpha, b * 1e9**beta, alpha, beta


def chinchilla_package(folder):
    """The package `chinchilla` 0.2.0 on folder/df.csv with the same objective, from 72 starts.

    Returns log A, log B, log E, alpha, beta. The package uses child processes even with parallel=False.
    """
    from functools import partial

    from chinchilla import Chinchilla
    from chinchilla._metrics import log_huber

    axes = {
        "e": np.log([1.5, 2.0]),
        "a": np.log([200.0, 450.0, 1000.0]),
        "b": np.log([500.0, 1600.0, 5000.0]),
        "alpha": [0.3, 0.4],
        "beta": [0.3, 0.4],
    }
    model = Chinchilla(folder, param_grid=axes, loss_fn=partial(log_huber, delta=DELTA), log_level=50)
    model.fit(parallel=False)
    return np.array([*np.log([float(model.A), float(model.B), float(model.E)]), float(model.alpha), float(model.beta)])
