"""Units never matter: a fit in other units is the same fit."""

import numpy as np
import polars as pl
import pytest

import planted
from rung.fitting.estimate.multistart import search
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.laws import column_of, law_book

UNITS = (1e-12, 1e-5, 1e5, 1e12)

NOT_OF_ANY_UNIT = {
    "farseer": "exp(a3 N^gamma + b3) is the exponent of D: another unit of D gives a factor that depends on N",
    "clark-2022": "num_experts - 1 counts experts",
    "distillation": "the loss of the teacher bounds that of the student",
    "parscale": "log(parallel_size) counts streams",
    "m4": "the loss stands on both sides",
}
"""Laws of the book that have no equal law in other units of some variable, with the reason."""

QUICK = {"chinchilla", "m3", "logistic-of-loss", "bounded-rational", "densing-loss"}


def lowest(table, law, target="loss", objective="log-squares"):
    """The objective at the optimum that the search finds, for a target in its own unit."""
    problem = set_up(table, FitSpecification(law=law, target=target, objective=objective)).problem
    with np.errstate(all="ignore"):
        optimum = search(problem, np.random.default_rng(0))
    total = problem.objective.total(optimum.residuals, problem.design.weights, optimum.scale)
    return total / (1.0 if objective.startswith("log") else problem.spread**2)


def scaled(table, column, unit):
    """The table with one column in another unit; tokens and unique tokens change together."""
    columns = ("tokens", "unique_tokens") if column in {"tokens", "unique_tokens"} else (column,)
    return table.with_columns([pl.col(name) * unit for name in columns if name in table.columns])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in law_book()
        if name not in NOT_OF_ANY_UNIT
    ],
)
def test_the_laws_of_the_book_in_any_unit_of_their_variables(name):
    entry = law_book()[name]
    table = planted.noisy_table(name)
    objective = "log-squares" if entry.objective.startswith("log-") else entry.objective
    base = lowest(table, entry.law, entry.target, objective)
    for variable in entry.law.variables:
        for unit in UNITS:
            found = lowest(scaled(table, column_of(variable), unit), entry.law, entry.target, objective)
            assert found == pytest.approx(base, rel=1e-3), (variable, unit)


TERMS = (
    "A / {x}^a",
    "A * (1 / {x} + g)^a",
    "A / ({x} + g)^a",
    "A / (1 + {x} / g)^a",
    "A / ({x}^a + g)",
    "A * exp(-{x} / g)",
    "(A / ({x} + g))^a",
)


def formula(rng):
    """A random sum of terms in x and y, with coefficients where a coefficient can stand."""
    terms = []
    for suffix, variable in zip("12", rng.permutation(["x", "y"]), strict=True):
        term = str(rng.choice(TERMS))
        for letter in "Aag":
            term = term.replace(f"{letter} ", f"{letter}{suffix} ").replace(f"{letter})", f"{letter}{suffix})")
            term = term.replace(f"^{letter}", f"^{letter}{suffix}")
        terms.append(term.replace(f"{suffix}{suffix}", suffix).replace("{x}", variable))
    return "E + " + " + ".join(terms[: int(rng.integers(1, 3))])


@pytest.mark.parametrize("seed", range(16))
def test_random_formulas_in_any_unit(seed):
    rng = np.random.default_rng(seed)
    law = formula(rng)
    x, y = np.exp(rng.uniform(0, 7, (2, 60)))
    loss = (1.5 + 3 / (x + 5) ** 0.4 + 4 / y**0.3) * np.exp(0.01 * rng.standard_normal(60))
    table = pl.DataFrame({"x": x, "y": y, "loss": loss})
    base = lowest(table, law)
    for column in ("x", "y", "loss"):
        for unit in rng.choice(UNITS, 2, replace=False):
            assert lowest(scaled(table, column, unit), law) == pytest.approx(base, rel=1e-3), (law, column, unit)


def test_a_learning_curve_in_examples_and_in_millions():
    """The law with a coefficient beside 1 / x, whose objective was 16 times the best in examples."""
    examples = np.geomspace(1e5, 1e9, 69)
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(69))
    loss = (0.2 + 50.0 * (1 / examples + 1e-8) ** 0.4) * noise
    table = pl.DataFrame({"X": examples, "loss": loss})
    law = "E + B * (1 / X + g)^c"
    assert lowest(table, law) == pytest.approx(lowest(scaled(table, "X", 1e-8), law), rel=1e-6)
