"""A law fitted to a table of runs: `fit`, in the order in which it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rung.errors import FitError
from rung.fitting.estimate.multistart import QUICK
from rung.fitting.estimate.setup import Setup, set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.external import External, external_findings, prior_findings, read_external, read_priors, with_prior
from rung.fitting.report import DRAWS, FitOptions, fit_setup
from rung.fitting.result import Fit
from rung.fitting.uncertainty.intervals import BOOTSTRAP, SANDWICH, STATISTICAL, method_for
from rung.laws import Law


def fit(
    runs: Any,
    law: str | Law = "chinchilla",
    *,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    fix: Mapping[str, float] | None = None,
    borrow: Mapping[str, str | Fit] | None = None,
    prior: Mapping[str, str | Fit] | None = None,
    start: Mapping[str, float] | None = None,
    level: float = 0.9,
    interval: str | None = None,
    draws: int = DRAWS,
    effort: str = "full",
    seed: int = 0,
) -> Fit:
    """Fit a law to a table of runs.

    Args:
        runs: A table of runs, or anything that `read_runs` takes.
        law: A formula, the name of a law of the book, or a law.
        objective: What is minimised, by its name in OBJECTIVES; by default the law book's choice, else log-huber.
        delta: Huber's threshold on the residual's scale, where the objective has one.
        target: The column that the law predicts; by default the law book's choice, else loss.
        weights: A column of row weights.
        fix: Coefficients that are not estimated, and their values.
        borrow: Coefficients that are fixed at the value of a law of the book, of a fit, or of the file of one.
        prior: Coefficients with prior information: "0.34+-0.02", or a source as for `borrow` with its standard error.
        start: Coefficients that the solver starts from; by default it draws many starts.
        level: Coverage of the intervals.
        interval: "profile" (the default up to 20,000 rows), "sandwich" or "bootstrap"; "statistical" is the default
            without the model discrepancy in the interval of a new run.
        draws: Resamples of the bootstrap over runs; 0 takes standard errors from the curvature.
        effort: "full", or "quick": fewer starts, intervals by the sandwich, no resamples, no backtest, and no findings
            but those of the search; for fits in a loop.
        seed: Seed of starts and resamples.

    Raises:
        RunsError: The table cannot be read or used.
        FormulaError: The formula cannot be read.
        FitError: The law cannot be fitted to this table.
    """
    borrowed = read_external(borrow or {})
    specification = FitSpecification(
        law=law,
        objective=objective,
        delta=delta,
        target=target,
        weights=weights,
        fix={**(fix or {}), **{name: one.value for name, one in borrowed.items()}},
        level=level,
        seed=seed,
    )
    setup = set_up(runs, specification)
    known = read_priors(prior or {})
    return _fit_with(setup, borrowed, known, options_for(effort, interval=interval, draws=draws, start=start))


def options_for(effort: str, *, interval: str | None, draws: int, start: Mapping[str, float] | None) -> FitOptions:
    """The options of a full or a quick fit.

    Raises:
        FitError: There is no such effort, or a quick fit is asked for other intervals than its own.
    """
    if effort == "full":
        return FitOptions(interval=interval, draws=draws, start=start)
    if effort != "quick":
        raise FitError(f"no effort {effort!r}. Choose one: --effort full|quick.")
    if interval not in (None, SANDWICH):
        raise FitError(f"--effort quick has intervals by the sandwich, not by {interval}. Leave out one of the two.")
    return FitOptions(interval=SANDWICH, draws=0, start=start, effort=QUICK, diagnose=False)


def _fit_with(
    setup: Setup, borrowed: Mapping[str, External], known: Mapping[str, External], options: FitOptions
) -> Fit:
    """Fit with what is known from elsewhere, and say how forecasts depend on it."""
    interval = options.interval
    if known:
        if interval == BOOTSTRAP:
            raise FitError("resamples know nothing of a prior. With --prior, choose --interval profile or sandwich.")
        options = replace(options, draws=0)
        setup = with_prior(setup, known)
    method = method_for(setup.problem, None if interval == STATISTICAL else interval, options.draws)
    found, _ = fit_setup(setup, replace(options, interval=method))
    if borrowed:
        found = replace(found, warnings=(*found.warnings, *external_findings(setup, found, borrowed)))
    if known:
        priors = {name: (one.value, one.error) for name, one in known.items()}
        found = replace(found, priors=priors, warnings=(*found.warnings, *prior_findings(setup, found, known)))
    return replace(found, discrepancy=None) if interval == STATISTICAL else found
