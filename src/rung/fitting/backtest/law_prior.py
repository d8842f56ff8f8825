"""What published studies say of how laws extrapolate, by distance.

`law_errors.json` holds, for parts of published studies whose larger scales were held out, the mean absolute error of each
law that `select` compares by default, and the distance of the rows held out; benchmarks/law_errors.py makes it. For a
question at distance d, with r_ks the logarithm of the error of law k in part s less its mean over the laws there,

    p_k(d) = sum_s u_s exp(-|d - d_s|) r_ks / (sum_s u_s exp(-|d - d_s|) + 3),   u_s = 1 / sqrt(parts of the study),

so that a few parts of few studies move little.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from rung.arrays import Array

_WIDTH = 1.0
"""Distance, in the logarithm of scale, over which what a study says falls by e."""

_RIDGE = 3.0
"""Parts' worth of studies in which all laws do equally well."""

_MOST = 1.5
"""Largest relative error, as a logarithm, that one part counts for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyErrors:
    """One part of a study, at one distance.

    Attributes:
        study: The study.
        distance: Median logarithm of the held-out rows' scale over the largest fitted.
        errors: Mean absolute error of each law.
    """

    study: str
    distance: float
    errors: Mapping[str, float]


@cache
def study_errors() -> tuple[StudyErrors, ...]:
    """The parts of studies behind the prior."""
    content = json.loads(files("rung.fitting.backtest").joinpath("law_errors.json").read_text(encoding="utf-8"))
    return tuple(StudyErrors(**row) for row in content["parts"])


def prior_at(names: Sequence[str], distance: float) -> Array:
    """Relative errors p_k(d) of laws at a distance (K,); 0 for a law that no study was fitted with."""
    parts = study_errors()
    counts = Counter(part.study for part in parts)
    total, weight = np.zeros(len(names)), np.zeros(len(names))
    for part in parts:
        known = [index for index, name in enumerate(names) if name in part.errors]
        if len(known) < 2:
            continue
        logs = np.log([part.errors[names[index]] for index in known])
        share = np.exp(-abs(distance - part.distance) / _WIDTH) / np.sqrt(counts[part.study])
        total[known] += share * np.clip(logs - logs.mean(), -_MOST, _MOST)
        weight[known] += share
    return np.asarray(total / (weight + _RIDGE))
