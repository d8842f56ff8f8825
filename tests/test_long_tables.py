"""Resamples of long tables by Newton steps, and quick fits."""

import numpy as np
import polars as pl
import pytest

import rung
from rung.fitting.estimate.multistart import search
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.fitting.uncertainty import newton_steps as steps
from rung.fitting.uncertainty.bootstrap import bootstrap, run_counts, stepped_bootstrap
from rung.fitting.uncertainty.curvature import curvature_at

LAW = "E + A / N^alpha + B / D^beta"


def long_table(rows, runs, objective_noise=0.01, run_noise=0.01):
    """Checkpoints of runs that each lie above or below the law as a whole."""
    rng = np.random.default_rng(1)
    run = np.arange(rows) * runs // rows
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e10), runs))[run]
    tokens = np.exp(rng.uniform(np.log(1e9), np.log(1e12), rows))
    noise = run_noise * rng.standard_normal(runs)[run] + objective_noise * rng.standard_normal(rows)
    loss = (1.8 + 480 / params**0.35 + 2100 / tokens**0.37) * np.exp(noise)
    return pl.DataFrame({"run": pl.Series(run).cast(pl.String), "params": params, "tokens": tokens, "loss": loss})


def solved(frame, **options):
    problem = set_up(frame, FitSpecification(law=LAW, **options)).problem
    optimum = search(problem, np.random.default_rng(0))
    return problem, optimum, curvature_at(problem, optimum)


@pytest.mark.parametrize("objective", ["log-huber", "squares", "log-student-t"])
def test_newton_steps_reach_the_full_refits(objective):
    problem, optimum, curvature = solved(long_table(1200, 60), objective=objective)
    full = bootstrap(problem, optimum, 40, np.random.default_rng(2)).unconstrained_BK
    counts = run_counts(problem.design.strata, 40, np.random.default_rng(2))
    stepped, settled = steps.newton_steps(problem, optimum, curvature, counts)
    assert settled.mean() > 0.3
    errors = np.std(full, axis=0, ddof=1)
    # Without steps a draw would lie about one error away.
    assert np.quantile(np.abs(stepped - full)[settled] / errors, 0.9) < 0.05


def test_draws_that_do_not_settle_are_refitted(monkeypatch):
    problem, optimum, curvature = solved(long_table(1200, 60))
    monkeypatch.setattr(steps, "SHORT_STEP", 0.0)
    counts = run_counts(problem.design.strata, 10, np.random.default_rng(2))
    assert not steps.newton_steps(problem, optimum, curvature, counts)[1].any()
    found = stepped_bootstrap(problem, optimum, curvature, 10, np.random.default_rng(2)).unconstrained_BK
    full = bootstrap(problem, optimum, 10, np.random.default_rng(2)).unconstrained_BK
    assert np.max(np.abs(found - full) / np.std(full, axis=0)) < 0.05


def test_short_tables_and_bootstrap_intervals_are_refitted_in_full(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("rung.fitting.uncertainty.bootstrap.newton_steps", never)
    rung.fit(long_table(300, 60), LAW, draws=4)
    rung.fit(long_table(1200, 60), LAW, draws=4, interval="bootstrap")
    with pytest.raises(AssertionError):
        rung.fit(long_table(1200, 60), LAW, draws=4)


def test_standard_errors_count_runs_not_rows():
    frame = long_table(1500, 30, objective_noise=0.002)
    clustered = rung.fit(frame, LAW, draws=200).coefficients["E"].std_error
    rows = rung.fit(frame.drop("run"), LAW, draws=200).coefficients["E"].std_error
    assert clustered > 1.5 * rows


def test_a_quick_fit_has_the_coefficients_of_a_full_one():
    frame = long_table(300, 300)
    full, quick = rung.fit(frame, LAW, interval="sandwich", draws=0), rung.fit(frame, LAW, effort="quick")
    for name, estimate in full.coefficients.items():
        assert quick.coefficients[name].value == pytest.approx(estimate.value, rel=1e-7)
        assert quick.coefficients[name].low == pytest.approx(estimate.low, rel=1e-6)
        assert quick.coefficients[name].std_error == pytest.approx(estimate.std_error, rel=1e-6)
    assert (quick.interval, quick.backtest) == ("sandwich", None)
    assert full.backtest is not None


def test_a_quick_fit_still_says_what_the_search_found():
    exact = long_table(60, 60, 0.0, 0.0)
    assert rung.fit(exact, LAW, effort="quick").status == "exact"
    constant = long_table(60, 60).with_columns(tokens=pl.lit(1e10))
    assert rung.fit(constant, LAW, effort="quick").status == "undetermined"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"effort": "fast"}, "effort full"), ({"effort": "quick", "interval": "profile"}, "sandwich")],
)
def test_efforts_that_cannot_be(options, message):
    with pytest.raises(rung.FitError, match=message):
        rung.fit(long_table(60, 60), LAW, **options)
