"""Which of several laws extrapolates best on a table, and how to weight them in a combined forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rung.arrays import Array
from rung.errors import FitError, RungError
from rung.fitting.backtest.backtest import RollingBacktest
from rung.fitting.backtest.discrepancy import discrepancy_prior, learn
from rung.fitting.backtest.folds import CUTS, ScoredRows
from rung.fitting.backtest.scale import scale_of
from rung.fitting.backtest.stacking import combined, fold_errors, paired, score_of, weights_at
from rung.fitting.estimate.multistart import QUICK
from rung.fitting.estimate.problem import Problem
from rung.fitting.estimate.setup import Setup, set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.ranking import NEAR, Ranked, Selection, name_of
from rung.fitting.report import FitOptions, fit_setup
from rung.fitting.result import Fit
from rung.fitting.uncertainty.intervals import method_for
from rung.laws import SYMBOLS, Law, find_law, law_book
from rung.progress import reported
from rung.runs import Runs, as_runs

CANDIDATES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("N", "D", "U"): ("muennighoff-2023", "data-repeated", "chinchilla", "kaplan-nd"),
    ("N", "D"): ("chinchilla", "densing-loss", "kaplan-floor", "skaling", "bounded-rational"),
}
"""Laws that are compared by default where a table has these columns, and they vary: those that together did best on
published studies, near and far (benchmarks/law_errors.py). Farseer does better near the runs and worse far beyond them."""

CURVES = ("m1", "m2", "m3", "broken-falling")
"""Laws of one variable x, compared along the only one that a table has."""

_ALONG = ("C", "D", "N", "S")
_TIE = 2.0
"""Standard errors of the paired difference within which two laws are tied."""

_AICC_TIE = 2.0
"""Difference of AICc within which laws are tied where there is no backtest (Burnham and Anderson 2002, section 2.6)."""


def candidates(runs: Runs) -> list[Law]:
    """The laws that are compared on a table by default.

    Raises:
        FitError: The table has no columns that they are in.
    """

    def varies(symbol: str) -> bool:
        column = SYMBOLS.get(symbol, symbol)
        return runs.has(column) and len(np.unique(runs.numbers(column))) > 2

    for variables, names in CANDIDATES.items():
        if all(map(varies, variables)):
            return [find_law(name, runs.columns) for name in names]
    symbol = next((symbol for symbol in (*_ALONG, "x") if varies(symbol)), None)
    if symbol is None:
        raise FitError(
            f"{runs.source}: no laws are compared by default on its columns ({', '.join(runs.columns[:12])}). Name a column to "
            "scale along (--map x=my_column), or the laws: --law ..."
        )
    return [law_book()[name].law.along(symbol) for name in CURVES]


def select(
    runs: Any,
    laws: Sequence[str | Law] = (),
    *,
    along: str | None = None,
    cuts: int = CUTS,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Selection:
    """Rank laws by how well each, fitted to the smaller scales of a table, forecasts the larger ones.

    Args:
        runs: A table, as for `fit`.
        laws: The laws; by default those of CANDIDATES for the table's columns.
        along: The symbol or column that backtests cut along.
        cuts: How many cuts, at most.
        objective: As for `fit`, the same for every law.
        delta: See `fit`.
        target: See `fit`.
        weights: See `fit`.
        level: Coverage of the intervals.
        seed: Seed of starts and resamples.

    Raises:
        RunsError: The table cannot be read or used.
        FitError: No law can be fitted.
    """
    specification = FitSpecification(
        objective=objective, delta=delta, target=target, weights=weights, level=level, seed=seed
    )
    trials, failed = _fit_all(
        as_runs(runs), laws, specification, FitOptions(draws=0, effort=QUICK, along=along, cuts=cuts)
    )
    return _ranked(trials, failed)


def combined_backtest(runs: Any, laws: Sequence[str | Law] = (), seed: int = 0) -> ScoredRows | None:
    """How the combined forecast of a selection would have done at each cut; see `select` for the arguments."""
    options = FitOptions(draws=0, effort=QUICK)
    trials, _ = _fit_all(as_runs(runs), laws, FitSpecification(seed=seed), options)
    return combined([one.rolled for one in trials], [one.fit.law.name for one in trials])


@dataclass(frozen=True, slots=True)
class _Trial:
    """One law fitted and scored."""

    fit: Fit
    rolled: RollingBacktest
    aicc: float


def _fit_all(
    table: Runs, laws: Sequence[str | Law], specification: FitSpecification, options: FitOptions
) -> tuple[list[_Trial], dict[str, str]]:
    """Every law that can be fitted, and why the others cannot."""
    wanted = [find_law(law, table.columns) if isinstance(law, str) else law for law in laws] or candidates(table)
    setups: list[Setup] = []
    failed: dict[str, str] = {}
    for law in wanted:
        try:
            setups.append(set_up(table, specification.of(law)))
        except RungError as error:
            failed[name_of(law)] = error.text
    if options.along is None and setups:
        # All laws are cut along the same scale: that of the law with the most variables.
        widest = scale_of(max(setups, key=lambda setup: len(setup.problem.law.variables)), None)
        options = replace(options, along=widest.name if widest else None)
    trials: list[_Trial] = []
    for setup in reported(setups, "laws"):
        try:
            trials.append(_trial(setup, options))
        except RungError as error:
            failed[name_of(setup.problem.law)] = error.text
    if not trials:
        name, why = next(iter(failed.items()))
        raise FitError(f"none of {len(wanted)} laws can be fitted. {name}: {why}")
    return trials, failed


def _trial(setup: Setup, options: FitOptions) -> _Trial:
    options = replace(options, interval=method_for(setup.problem, None, 0))
    found, rolled = fit_setup(setup, options)
    unconstrained = setup.problem.design.unconstrained(setup.problem.law, found.values.values())
    with np.errstate(all="ignore"):
        return _Trial(found, rolled, aicc(setup.problem, unconstrained))


def _ranked(trials: Sequence[_Trial], failed: Mapping[str, str]) -> Selection:
    fits, rolled = [one.fit for one in trials], [one.rolled for one in trials]
    errors = [fold_errors(one) for one in rolled]
    names = [fit.law.name for fit in fits]
    cuts = sorted(set().union(*errors))
    scores = np.array([score_of(found, cuts) for found in errors])
    criteria = np.array([one.aicc for one in trials])
    judged = bool(np.isfinite(criteria).all())
    finite = criteria[np.isfinite(criteria)]
    criteria = criteria - (finite.min() if len(finite) else 0.0)
    weights = weights_at(errors, names, NEAR)
    if not cuts and judged:
        # Without a backtest, Akaike's weights times those of published studies.
        weights = weights * np.exp(-0.5 * criteria)
    ranked_by = np.where(np.isfinite(scores), scores, np.inf) if cuts else criteria if judged else -weights
    best = int(np.argmin(ranked_by)) if np.isfinite(ranked_by).any() else int(np.argmax(weights))
    if not (cuts or judged):
        best = _assuming_least(fits, weights)
    gaps = [paired(found, errors[best]) for found in errors]
    tied = [
        index == best or bool(np.isfinite(scores[index]) and mean <= _TIE * error)
        if cuts
        else index == best or not judged or bool(criteria[index] < _AICC_TIE)
        for index, (mean, error) in enumerate(gaps)
    ]
    # Where nothing judges the laws, published studies choose, and not the number of coefficients.
    among = [index for index in range(len(fits)) if tied[index]] if cuts or judged else [best]
    simplest = min(among, key=lambda index: (len(fits[index].coefficients), ranked_by[index]))
    laws = [
        Ranked(
            fit=fits[index],
            weight=float(weights[index] / weights.sum()),
            error=float(scores[index]),
            difference=gaps[index][0],
            difference_error=gaps[index][1],
            tied=tied[index],
            aicc=float(criteria[index]),
            folds=errors[index],
        )
        for index in range(len(fits))
    ]
    along, column = next(((one.along, one.column) for one in rolled if one.along), (None, ""))
    return Selection(
        along=along,
        column=column,
        cuts=len(cuts),
        laws=tuple(sorted(laws, key=lambda law: (-law.weight, law.aicc))),
        chosen=name_of(fits[simplest].law),
        failed=failed,
        noise=float(np.std(fits[best].noise)) if len(fits[best].noise) else 0.0,
        discrepancy=learn(combined(rolled, names), discrepancy_prior(combined=True)) if along else None,
    )


def _assuming_least(fits: Sequence[Fit], weights: Array) -> int:
    """Of the laws that published studies weigh most, the one that leaves out least and has two rows to spare.

    A law without a floor is the stronger assumption, and nothing here speaks for it.
    """

    def spared(index: int) -> int:
        size = len(fits[index].coefficients)
        return size if fits[index].rows >= size + 2 else 0

    return max(range(len(fits)), key=lambda index: (round(float(weights[index]), 6), spared(index)))


def aicc(problem: Problem, unconstrained: Array) -> float:
    """Akaike's criterion with the correction for few rows; inf where there are too few rows for it.

    With k coefficients and the scale of the noise, n rows and the maximum likelihood L,

        AICc = -2 log L + 2 k + 2 k (k + 1) / (n - k - 1)

    L is Gauss's for squares and Laplace's for the robust objectives. Source: Hurvich and Tsai 1989.
    """
    residuals = problem.target - problem.workspace(1).evaluate(unconstrained[None, :])[0][0]
    n, k = len(residuals), problem.design.size + 1
    if n - k - 1 <= 0 or not np.any(residuals):
        return np.inf
    if problem.objective.loss == "squares":
        deviance = n * np.log(np.mean(residuals**2))
    else:
        deviance = 2 * n * np.log(np.mean(np.abs(residuals)))
    return float(deviance + 2 * k + 2 * k * (k + 1) / (n - k - 1))
