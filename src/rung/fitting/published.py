"""A law of the book with its published constants, in the place of a fit."""

from __future__ import annotations

import math

import numpy as np

from rung.errors import FitError
from rung.fitting.estimate.objective import objective_named
from rung.fitting.result import Fit
from rung.fitting.uncertainty.estimate import Estimate
from rung.laws import SYMBOLS, law_book
from rung.version import __version__

PUBLISHED = "published"
"""Status of a law whose constants come from the book."""


def is_published(source: object) -> bool:
    """Whether a text names a law of the book that has constants."""
    return isinstance(source, str) and bool(getattr(law_book().get(source), "constants", None))


def published_fit(name: str) -> Fit:
    """The law of the book with its constants. It has no rows and no noise, so its forecasts have no interval.

    Raises:
        FitError: The book has no such law, or not all of its constants.
    """
    entry = law_book().get(name)
    if entry is None or set(entry.law.coefficient_names) - set(entry.constants):
        able = [slug for slug, one in law_book().items() if not set(one.law.coefficient_names) - set(one.constants)]
        raise FitError(f"the law book has no constants of {name!r}; it has those of {', '.join(able)}.")
    law = entry.law
    return Fit(
        law=law,
        coefficients={c.name: Estimate(value=entry.constants[c.name]) for c in law.free},
        objective=objective_named(entry.objective, None),
        objective_value=math.nan,
        starts_tried=0,
        starts_agreed=0,
        status=PUBLISHED,
        level=0.9,
        interval="profile",
        rows=0,
        runs=0,
        source=entry.constants_source,
        notes=(f"fitted on {entry.range}",) if entry.range else (),
        target=entry.target,
        mapping={SYMBOLS.get(symbol, symbol): SYMBOLS.get(symbol, symbol) for symbol in law.variables},
        derived={},
        warnings=(),
        ranges=dict(entry.scales),
        groups={},
        draws=np.empty((0, len(law.free))),
        noise=np.empty(0),
        scale=1.0,
        backtest=None,
        discrepancy=None,
        priors={},
        prior_noise=0.0,
        table=None,
        data_digest="",
        seed=0,
        version=__version__,
    )
