"""The verb: which of several laws extrapolates best on a table, and how to weigh them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.errors import FitError, RungError
from rung.fit.backtest import Rolled
from rung.fit.cuts import CUTS, Scored
from rung.fit.discrepancy import Discrepancy, learn, prior
from rung.fit.fit import fit_set_up
from rung.fit.intervals import method_for
from rung.fit.result import SCHEMA, Fit
from rung.fit.search import QUICK, Problem
from rung.fit.setup import Setup, scale_of, set_up
from rung.fit.weighing import SHARPNESS, combined, cut_errors, paired, score_of
from rung.laws import SYMBOLS, Law, find_law, law_book
from rung.laws.tree import Array
from rung.runs import Runs, read_runs

CANDIDATES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("N", "D", "U"): ("muennighoff-2023", "data-repeated", "chinchilla", "kaplan-nd"),
    ("N", "D"): ("chinchilla", "densing-loss", "kaplan-floor", "farseer"),
}
"""Laws that are compared by default where a table has these columns, and they vary.

A special case of another, such as kaplan-nd of kaplan-floor, would be the same law with two votes.
"""

CURVES = ("m1", "m2", "m3", "broken-falling")
"""Laws of one variable x, compared along the only one that a table has."""

_ALONG = ("C", "D", "N", "S")
_TIE = 2.0
"""Standard errors of the paired difference within which two laws are tied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One law of a selection.

    Attributes:
        fit: The law fitted to all rows.
        weight: Its weight in the combined forecast.
        error: Its error over the cuts of the backtest, later cuts weighing more; nan without a backtest.
        difference: Its error less that of the best, over the same cuts.
        difference_error: Standard error of that.
        tied: Whether the backtest cannot tell it from the best.
        aicc: Akaike's criterion for few rows, less that of the lowest.
    """

    fit: Fit
    weight: float
    error: float
    difference: float
    difference_error: float
    tied: bool
    aicc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Laws ranked by how they extrapolate, best first.

    Attributes:
        by: What the backtest cut along; None where there was none.
        cuts: How many cuts it had.
        laws: The laws.
        chosen: The simplest of the laws that are tied with the best.
        failed: Laws that could not be fitted, and why.
        noise: Spread of a new run about the combined law, on the residual's scale.
        discrepancy: What the combined law strays by beyond the runs.
    """

    by: str | None
    cuts: int
    laws: tuple[Ranked, ...]
    chosen: str
    failed: Mapping[str, str]
    noise: float
    discrepancy: Discrepancy | None

    @property
    def best(self) -> Fit:
        """The fit of the chosen law."""
        return next(ranked.fit for ranked in self.laws if name_of(ranked.fit.law) == self.chosen)

    def to_dict(self) -> dict[str, Any]:
        """The selection as plain values."""

        def told(number: float) -> float | None:
            return float(number) if np.isfinite(number) else None

        return {
            "schema_version": SCHEMA,
            "by": self.by,
            "cuts": self.cuts,
            "chosen": self.chosen,
            "laws": [
                {
                    "name": name_of(ranked.fit.law),
                    "formula": ranked.fit.law.formula,
                    "weight": ranked.weight,
                    "error": told(ranked.error),
                    "difference": told(ranked.difference),
                    "difference_error": told(ranked.difference_error),
                    "tied": ranked.tied,
                    "aicc": told(ranked.aicc),
                    "fit": ranked.fit.to_dict(),
                }
                for ranked in self.laws
            ],
            "failed": dict(self.failed),
            "noise": self.noise,
            "discrepancy": self.discrepancy.to_dict() if self.discrepancy else None,
        }


def name_of(law: Law) -> str:
    """What a law is called in a ranking: its name in the book, or its formula."""
    return law.name if law.name != "custom" else law.formula


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
    along = next((symbol for symbol in (*_ALONG, "x") if varies(symbol)), None)
    if along is None:
        raise FitError(
            f"{runs.source}: no laws are compared by default on its columns ({', '.join(runs.columns[:12])}). Name a column to "
            "scale along (--map x=my_column), or the laws: --law ..."
        )
    return [law_book()[name].law.along(along) for name in CURVES]


def select(
    runs: Any,
    laws: Sequence[str | Law] = (),
    *,
    by: str | None = None,
    cuts: int = CUTS,
    objective: str | None = None,
    delta: float | None = None,
    target: str | None = None,
    weights: str | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Selection:
    """Rank laws by how well each, fitted to the smaller scale of a table, forecasts the larger.

    Args:
        runs: A table, as for `fit`.
        laws: The laws; by default those of CANDIDATES for the table's columns.
        by: The symbol or column that backtests cut along.
        cuts: How many cuts, at most.
        objective: As for `fit`, the same for every law.
        delta: See `fit`.
        target: See `fit`.
        weights: See `fit`.
        level: Coverage that intervals aim at.
        seed: Seed of starts and resamples.

    Raises:
        RunsError: The table cannot be read or used.
        FitError: No law can be fitted.
    """
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    tried, failed = _tried(table, laws, by, cuts, objective, delta, target, weights, level, seed)
    return _ranked(tried, failed)


def combined_backtest(runs: Any, laws: Sequence[str | Law] = (), seed: int = 0) -> Scored | None:
    """How the combined forecast of a selection would have done at each cut; see `select` for the arguments."""
    table = runs if isinstance(runs, Runs) else read_runs(runs)
    tried, _ = _tried(table, laws, None, CUTS, None, None, None, None, 0.9, seed)
    return combined([one.rolled for one in tried])


def _tried(
    table: Runs,
    laws: Sequence[str | Law],
    by: str | None,
    cuts: int,
    objective: str | None,
    delta: float | None,
    target: str | None,
    weights: str | None,
    level: float,
    seed: int,
) -> tuple[list[_Tried], dict[str, str]]:
    wanted = [find_law(law, table.columns) if isinstance(law, str) else law for law in laws] or candidates(table)
    setups: list[Setup] = []
    failed: dict[str, str] = {}
    for law in wanted:
        try:
            setups.append(set_up(table, law, objective=objective, delta=delta, target=target, weights=weights))
        except RungError as error:
            failed[name_of(law)] = str(error)
    # All laws are cut along the same scale, that of the law that knows most of the table.
    along = by
    if along is None and setups:
        known = scale_of(max(setups, key=lambda setup: len(setup.problem.law.variables)), None)
        along = known[0] if known else None
    tried: list[_Tried] = []
    for setup in setups:
        try:
            tried.append(_try(setup, level, along, cuts, seed))
        except RungError as error:
            failed[name_of(setup.problem.law)] = str(error)
    if not tried:
        name, why = next(iter(failed.items()))
        raise FitError(f"none of {len(wanted)} laws can be fitted. {name}: {why}")
    return tried, failed


@dataclass(frozen=True, slots=True)
class _Tried:
    """One law fitted and scored."""

    fit: Fit
    rolled: Rolled
    aicc: float


def _try(setup: Setup, level: float, by: str | None, cuts: int, seed: int) -> _Tried:
    method = method_for(setup.problem, None, 0)
    found, rolled = fit_set_up(setup, level=level, method=method, draws=0, seed=seed, effort=QUICK, by=by, cuts=cuts)
    internal = setup.problem.design.internal(setup.problem.law, found.values.values())
    with np.errstate(all="ignore"):
        return _Tried(found, rolled, _aicc(setup.problem, internal))


def _ranked(tried: Sequence[_Tried], failed: Mapping[str, str]) -> Selection:
    fits, rolled = [one.fit for one in tried], [one.rolled for one in tried]
    errors = [cut_errors(one) for one in rolled]
    places = sorted(set().union(*errors))
    scores = np.array([score_of(found, places) for found in errors])
    aicc = np.array([one.aicc for one in tried])
    shown = np.where(np.isfinite(scores), scores, np.inf)
    # Without a backtest the criterion alone speaks, and every law that is near its lowest counts.
    powers = shown**-SHARPNESS if places else np.exp(-0.5 * (aicc - np.min(aicc)))
    best = int(np.argmin(shown)) if places else int(np.argmin(aicc))
    gaps = [paired(found, errors[best]) for found in errors]
    tied = [
        place == best or bool(np.isfinite(shown[place]) and mean <= _TIE * spread)
        if places
        else aicc[place] - aicc.min() < 2
        for place, (mean, spread) in enumerate(gaps)
    ]
    simplest = min(
        (place for place in range(len(fits)) if tied[place]), key=lambda p: (len(fits[p].coefficients), shown[p])
    )
    laws = [
        Ranked(
            fit=fits[place],
            weight=float(powers[place] / powers.sum()),
            error=float(scores[place]),
            difference=gaps[place][0],
            difference_error=gaps[place][1],
            tied=tied[place],
            aicc=float(aicc[place] - aicc.min()),
        )
        for place in range(len(fits))
    ]
    together = combined(rolled)
    before = prior(combined=True)
    return Selection(
        by=next((one.by for one in rolled if one.by), None),
        cuts=len(places),
        laws=tuple(sorted(laws, key=lambda law: (-law.weight, law.aicc))),
        chosen=name_of(fits[simplest].law),
        failed=failed,
        noise=float(np.std(fits[best].noise)) if len(fits[best].noise) else 0.0,
        discrepancy=learn(together, before) if any(one.by for one in rolled) else None,
    )


def _aicc(problem: Problem, internal: Array) -> float:
    """Akaike's criterion with the correction for few rows: Gauss's likelihood for squares, else Laplace's."""
    residuals = problem.target - problem.workspace(1).evaluate(internal[None, :])[0][0]
    count, size = len(residuals), problem.design.size + 1
    if count - size - 1 <= 0 or not np.any(residuals):
        return np.inf
    if problem.objective.loss == "squares":
        deviance = count * np.log(np.mean(residuals**2))
    else:
        deviance = 2 * count * np.log(np.mean(np.abs(residuals)))
    return float(deviance + 2 * size + 2 * size * (size + 1) / (count - size - 1))
