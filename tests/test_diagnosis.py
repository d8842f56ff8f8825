"""Each fault of a table gets a finding with its rows and a remedy, and a clean table gets none."""

import re

import numpy as np
import polars as pl
import pytest

import faults
import rung


def codes(table, law=faults.CHINCHILLA):
    return {finding.code for finding in rung.fit(table, law, draws=0).warnings}


@pytest.mark.parametrize("code", faults.FAULTS)
def test_a_planted_fault_is_named_and_a_clean_table_is_not(code):
    fault = faults.FAULTS[code]
    assert code in codes(fault.table(1), fault.law)
    assert code not in codes(fault.clean(1), fault.law)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("outliers", r"rows \d+, \d+ and \d+ of the frame lie up to \d+ robust standard deviations above the law"),
        ("size_off", r"the 8 runs at N=194M lie [12]\.\d+ % above the line"),
        ("curved_residuals", r"bend along [DC] \(p = [\d.e-]+ under the law\)"),
        ("lack_of_fit", r"repeated runs of one configuration differ by 0\.\d+ %, and the law misses configurations by"),
        ("narrow_range", r"N spans only [23]\.\d+x|N spans only 3x"),
        ("early_rows", r"--drop-tokens auto"),
        ("mid_run_rows", r"--last"),
        ("mixed_conventions", r"smallest size and"),
    ],
)
def test_a_finding_names_rows_and_figures_and_what_to_do(code, said):
    warnings = rung.fit(faults.FAULTS[code].table(1), faults.CHINCHILLA, draws=0).warnings
    text = next(finding.text for finding in warnings if finding.code == code)

    assert re.search(said, text), text


def bending(seed, *, bend):
    rng = np.random.default_rng(seed)
    tokens = np.geomspace(1e6, 1e9, 60)
    loss = 30 * tokens**-0.2 * (1 + bend * (tokens / 1e8)) ** -0.3 * np.exp(0.01 * rng.standard_normal(60))
    return rung.fit(pl.DataFrame({"tokens": tokens, "loss": loss}), "hestness-floor", draws=0)


def test_a_floor_at_the_end_of_its_range_does_not_hide_a_bend():
    """A curve that steepens wants a floor below zero: the floor stays at zero, and cannot take the bend up."""
    found = bending(0, bend=1.0)
    codes = {finding.code for finding in found.warnings}
    assert {"on_bound", "curved_residuals"} <= codes
    clean = [bending(seed, bend=0.0) for seed in range(20)]
    assert sum("curved_residuals" in {finding.code for finding in one.warnings} for one in clean) <= 1


def test_a_coefficient_that_is_unknown_by_itself_trades_with_none():
    """Noise can hide a small term; its interval is then wide, but no other coefficient replaces it."""
    rng = np.random.default_rng(5)
    x = np.concatenate([np.linspace(0.01, 0.1, 28), [1.0, 1.1]])
    table = pl.DataFrame({"x": x, "loss": (2 + 0.004 * x) * np.exp(0.004 * rng.standard_normal(30))})
    fit = rung.fit(table, "E + A * x", draws=0)
    assert fit.coefficients["A"].high > 4 * fit.values["A"]
    assert "trade_off" not in {finding.code for finding in fit.warnings}


def test_a_law_that_is_a_constant_at_its_optimum_says_so_first():
    """exp(-x / g) with g held far below x: the law is E in every row, whatever the others are."""
    rng = np.random.default_rng(0)
    x = np.geomspace(1e3, 1e6, 40)
    runs = pl.DataFrame({"x": x, "loss": (2 + 30 / x**0.3) * np.exp(0.01 * rng.standard_normal(40))})
    dead = rung.fit(runs, "E + A * exp(-x / g) with g in (0.1, 1)", draws=0)
    assert dead.status == "explains_nothing"
    assert next(one for one in dead.warnings if one.code == "explains_nothing").severity == "severe"
    assert "explains_nothing" in str(dead.describe())
    alive = rung.fit(runs, "E + A / x^a", draws=0)
    assert "explains_nothing" not in {one.code for one in alive.warnings}
