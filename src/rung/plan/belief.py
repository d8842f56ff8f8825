"""What is believed, before they are made, of the runs that could be made and of what is to become sharper.

All of it is one normal distribution of logarithms: of what each candidate would measure and of each aim. Its covariance
has three parts: what is unknown of the coefficients, what the law misses, and what the runs made have settled. With
several modes it is that of their mixture: what a run says about which mode holds counts with the rest.

Shapes: `M` candidates, `Q` aims, `X` points: the candidates and then the aims, `R` rows of a root, `P` modes, `n` runs
made, `K` internal numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rung.fit import MISFIT_SHARE, Misfit, Modes, Problem, bounded, variance_of
from rung.laws.tree import Array

STRETCH = 2.0
"""How much wider intervals from few runs are told than the normal has them. Real laws stray further than their runs let
on: the factor at which nine tenths hold about nine tenths of the rows of five published pools (benchmarks/pools.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Straying:
    """How the law strays beyond the largest run, where nothing else tells what it misses.

    Attributes:
        variance: Variance for each factor e of scale.
        largest: Logarithm of the largest scale that was run; -inf without runs.
        sizes: Logarithm of each candidate's scale (M,).
        aims: Logarithm of each aim's scale (Q,); -inf where straying does not count.
    """

    variance: float
    largest: float
    sizes: Array
    aims: Array

    def at(self, largest: Array | float) -> Array:
        """Variance of each aim beyond one largest run, or each of many (..., Q)."""
        top = np.asarray(largest)[..., None]
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isfinite(top) & np.isfinite(self.aims), self.aims - top, 0.0)
        return np.asarray(self.variance * np.maximum(distance, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """One normal distribution of logarithms over candidates and aims.

    Attributes:
        mean: What is expected at each point (X,).
        root_RX: Root of the covariance without the law's error and without the runs made.
        settled_RX: Root of what the runs made take off.
        misfit: The law's error over the points, None where there is none or `straying` stands in.
        missed: Variance of the law's error where it is wanted.
        noise: Variance that a run adds of its own.
        stretch: How much wider intervals are to be told than the normal has them.
        straying: How the law strays beyond the largest run.
    """

    mean: Array
    root_RX: Array
    settled_RX: Array
    misfit: Misfit | None
    missed: float
    noise: float
    stretch: float
    straying: Straying

    @property
    def candidates(self) -> int:
        return len(self.straying.sizes)

    def variance(self) -> Array:
        """Variance of each point (X,), without a run's own noise."""
        own = self.missed * self.misfit.swell**2 if self.misfit is not None else 0.0
        found = np.sum(self.root_RX**2, axis=0) + own - np.sum(self.settled_RX**2, axis=0)
        return np.asarray(np.maximum(found, 0.0))

    def with_point(self, at: int) -> Array:
        """Covariance of all points with one of them (X,)."""
        found = self.root_RX.T @ self.root_RX[:, at] - self.settled_RX.T @ self.settled_RX[:, at]
        if self.misfit is not None:
            found = found + self.missed * self.misfit.between(self.misfit.take(np.array([at])))[:, 0]
        return np.asarray(found)


def linear_belief(value_X: Array, slopes_KX: Array, covariance_KK: Array, noise: float, straying: Straying) -> Belief:
    """The belief where coefficients are known to a covariance about one optimum."""
    # A candidate where the law has no finite derivative cannot be judged.
    unfit = ~np.isfinite(slopes_KX).all(axis=0) & (np.arange(len(value_X)) < len(straying.sizes))
    return Belief(
        mean=np.where(unfit, np.nan, value_X),
        root_RX=_root(covariance_KK) @ bounded(slopes_KX),
        settled_RX=np.empty((0, len(value_X))),
        misfit=None,
        missed=0.0,
        noise=noise,
        stretch=1.0,
        straying=straying,
    )


def belief_of_modes(modes: Modes, problem: Problem, misfit: Misfit, columns: Mapping[str, Array], aims: int) -> Belief:
    """The belief that some runs leave.

    Args:
        modes: What they say of the coefficients.
        problem: The law over them.
        misfit: The law's error over the runs made, and then the points.
        columns: Each variable at the points (X,).
        aims: How many of the points are aims.
    """
    rows, count = problem.design.rows, len(next(iter(columns.values())))
    here, there = misfit.take(np.arange(rows)), misfit.take(np.arange(rows, rows + count))
    made = problem.workspace(len(modes.weights)).evaluate(modes.internal_PK)
    space = problem.design.at(columns, {}).workspace(problem.law, problem.objective.residual, len(modes.weights))
    with np.errstate(all="ignore"):
        ahead = space.evaluate(modes.internal_PK)
    seen = problem.target
    shared = there.between(here)
    about = modes.noise * variance_of(here.between(here), modes.inflation)
    missed = modes.noise * MISFIT_SHARE
    means, roots, settled = [], [], []
    for place, weight in enumerate(np.sqrt(modes.weights)):
        past, future = (bounded(part[1][:, place]) for part in (made, ahead))
        error = missed * shared @ np.linalg.solve(about, seen - made[0][place])
        means.append(np.nan_to_num(ahead[0][place], nan=float(np.mean(seen))) + error)
        spread = _root(modes.spread_PKK[place])
        before, after = spread @ past, spread @ future
        roots.append(weight * after)
        total = before.T @ before + about
        scale = np.sqrt(np.diag(total))
        lower = np.linalg.cholesky(total / np.outer(scale, scale) + 1e-9 * np.eye(rows))
        together = after.T @ before + missed * shared
        settled.append(weight * np.linalg.solve(lower, (together / scale).T))
    means_PX = np.array(means)
    middle = modes.weights @ means_PX
    roots.append(np.sqrt(modes.weights)[:, None] * (means_PX - middle))
    return Belief(
        mean=np.quantile(means_PX, 0.5, axis=0, weights=modes.weights, method="inverted_cdf"),
        root_RX=np.concatenate(roots),
        settled_RX=np.concatenate(settled),
        misfit=there,
        missed=missed,
        noise=modes.noise * (1 - MISFIT_SHARE),
        stretch=STRETCH,
        straying=Straying(variance=0.0, largest=-np.inf, sizes=np.zeros(count - aims), aims=np.full(aims, -np.inf)),
    )


def _root(covariance_KK: Array) -> Array:
    """R with R'R the covariance."""
    size, factor = np.linalg.eigh(covariance_KK)
    return np.asarray((factor * np.sqrt(np.maximum(size, 0.0))).T)
