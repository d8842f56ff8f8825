"""What a law misses: an error that neighbouring runs share, and that grows away from where the law is wanted.

No law is exactly true. Its error is taken as a function of the logarithms of its variables: a normal process, smooth
for the greater part (Matern 3/2) and rough for the rest (Matern 1/2), with a length of three factors of e. A law fitted
to be right at a target is the further off the further a run lies from it: the error's spread grows as a power of the
distance. So rows far from the target, and rows close to each other, weigh less than as many independent ones.

Source: Kennedy and O'Hagan 2001, "Bayesian calibration of computer models", equation 5, for the law beside a process of
its error; the growth with distance is ours, set on the pools of benchmarks/pools.py.

Shapes: `X` points, `V` variables, `W` points at which the law is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rung.laws.tree import Array

LENGTH = 3.0
"""Factors of e, along one variable, over which the error forgets itself."""

ROUGH = 0.4
"""Share of the error's variance that is rough: what a shape of model or a setting has of its own."""

GROWTH = 2.0
"""Power of the distance, in lengths, by which the error's spread grows."""

_MOST = 8.0
"""Logarithm of the most that the spread grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The error's correlations among points, in units of its variance where the law is wanted.

    Attributes:
        places_XV: Logarithms of the variables; a variable that is not positive everywhere counts its range as LENGTH.
        swell: Spread of the error at each point (X,); 1 at the nearest to where the law is wanted.
    """

    places_XV: Array
    swell: Array

    def take(self, points: NDArray[np.intp]) -> Misfit:
        """The process at some of its points."""
        return replace(self, places_XV=self.places_XV[points], swell=self.swell[points])

    def distance(self, points: Misfit) -> Array:
        """Way from each point to the nearest of others, in factors of e along all variables together (X,)."""
        return np.asarray(np.min(self._apart(points).sum(axis=2), axis=1))

    def between(self, points: Misfit) -> Array:
        """Covariance of the error here and at other points (X, other X)."""
        apart = self._apart(points) / LENGTH
        smooth = np.sqrt(3.0) * apart
        alike = (1 - ROUGH) * np.prod((1 + smooth) * np.exp(-smooth), axis=2) + ROUGH * np.exp(-np.sum(apart, axis=2))
        return np.asarray(alike * np.outer(self.swell, points.swell))

    def _apart(self, points: Misfit) -> Array:
        return np.asarray(np.abs(self.places_XV[:, None, :] - points.places_XV[None, :, :]))


def misfit_around(columns: Mapping[str, Array], wanted: NDArray[np.bool_]) -> Misfit:
    """The error's process over points, some of which are those at which the law is wanted.

    Args:
        columns: Each variable at all points (X,).
        wanted: Which points the law is wanted at (X,).
    """
    places = np.stack([_place(column) for column in columns.values()], axis=1)
    away = np.min(np.sum(np.abs(places[:, None, :] - places[None, wanted, :]), axis=2), axis=1, initial=np.inf)
    # A target that no run comes near would leave none that counts: distances begin at the nearest run.
    away = np.maximum(away - np.min(away[~wanted], initial=np.inf), 0.0) if np.any(~wanted) else away
    swell = np.exp(np.minimum(GROWTH * np.log1p(away / LENGTH), _MOST))
    return Misfit(places_XV=places, swell=swell)


def _place(column: Array) -> Array:
    if np.all(column > 0):
        return np.log(column)
    return np.asarray(LENGTH * column / (np.ptp(column) or 1.0))
