"""Priors: one more observation of a coefficient, in estimates, intervals, forecasts and files."""

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import FitError
from rung.fitting import reopen
from test_backtest import isoflop

LAW = "E + A / N^alpha + B / D^beta"


def line(noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x = np.linspace(1, 10, 30)
    return pl.DataFrame({"x": x, "loss": 3 + 0.7 * x + noise * rng.standard_normal(30)})


def test_on_a_line_it_is_the_normal_posterior():
    runs = line()
    law = "a + b * x with a in (-inf, inf), b in (-inf, inf)"
    mean, error = 0.75, 0.03
    fit = rung.fit(runs, law, objective="squares", prior={"b": f"{mean}+-{error}"}, draws=0)
    design = np.column_stack([np.ones(30), runs["x"].to_numpy()])
    plain, rest, *_ = np.linalg.lstsq(design, runs["loss"].to_numpy(), rcond=None)
    variance = rest[0] / 28
    information = design.T @ design / variance + np.diag([0, error**-2])
    posterior = np.linalg.solve(information, design.T @ runs["loss"].to_numpy() / variance + [0, mean / error**2])
    assert list(fit.values.values()) == pytest.approx(posterior, rel=1e-6)
    assert min(plain[1], mean) < fit.values["b"] < max(plain[1], mean)
    assert fit.coefficients["b"].std_error == pytest.approx(np.sqrt(np.linalg.inv(information)[1, 1]), rel=0.05)
    half = (fit.coefficients["b"].high - fit.coefficients["b"].low) / 2
    assert half == pytest.approx(1.701 * fit.coefficients["b"].std_error, rel=0.03)


def test_a_wide_one_changes_nothing():
    runs = isoflop()
    alone, informed = rung.fit(runs, LAW, draws=0), rung.fit(runs, LAW, prior={"alpha": "0.34+-1000"}, draws=0)
    assert informed.values == pytest.approx(alone.values, rel=1e-4)
    assert informed.coefficients["alpha"].low == pytest.approx(alone.coefficients["alpha"].low, rel=1e-3)


def test_a_narrow_one_determines_the_coefficient_and_narrows_the_others():
    runs = isoflop(noise=0.01)
    alone, informed = rung.fit(runs, LAW, draws=0), rung.fit(runs, LAW, prior={"alpha": "0.35+-0.0005"}, draws=0)
    held = rung.fit(runs, LAW, fix={"alpha": 0.35}, draws=0)
    assert informed.values["alpha"] == pytest.approx(0.35, abs=1e-3)
    assert informed.values["A"] == pytest.approx(held.values["A"], rel=0.02)
    widths = [np.log(one.coefficients["A"].high / one.coefficients["A"].low) for one in (informed, alone)]
    assert widths[0] < 0.2 * widths[1]


def test_where_the_prior_decides_its_error_is_the_standard_error():
    """Under a robust objective too: without its own part in the sandwich, the coefficient would seem exact."""
    fit = rung.fit(isoflop(noise=0.01), LAW, prior={"alpha": "0.35+-0.002"}, draws=0)
    assert fit.coefficients["alpha"].std_error == pytest.approx(0.002, rel=0.05)
    half = (fit.coefficients["alpha"].high - fit.coefficients["alpha"].low) / 2
    assert half == pytest.approx(1.665 * 0.002, rel=0.05)


def test_it_determines_what_the_table_does_not():
    rng = np.random.default_rng(0)
    params = np.geomspace(1e7, 1e10, 40)
    loss = (1.7 + 480 / params**0.35 + 1500 / (20 * params) ** 0.37) * np.exp(0.003 * rng.standard_normal(40))
    runs = pl.DataFrame({"params": params, "tokens": 20 * params, "loss": loss})
    assert rung.fit(runs, LAW, draws=0).coefficients["alpha"].low is None
    informed = rung.fit(runs, LAW, prior={"alpha": "0.35+-0.01", "beta": "0.37+-0.01", "A": "480+-50"}, draws=0)
    one = informed.coefficients["B"]
    assert one.low < 1500 < one.high


def test_a_kept_fit_forecasts_as_before(tmp_path):
    fit = rung.fit(isoflop(), LAW, prior={"alpha": "besiroglu-2024"}, draws=0)
    fit.write(tmp_path / "fit.json")
    again = rung.read_fit(tmp_path / "fit.json")
    assert again.priors == fit.priors
    assert rung.forecast(again, N=1e10, D=1e12) == rung.forecast(fit, N=1e10, D=1e12)
    assert reopen(again).lowest == pytest.approx(reopen(fit).lowest, rel=1e-9)


def test_a_finding_says_how_the_forecast_depends_on_it():
    fit = rung.fit(isoflop(), LAW, prior={"alpha": "0.34+-0.01"}, draws=0)
    said = next(finding.text for finding in fit.warnings if finding.code == "prior")
    assert "alpha has a prior from the command, 0.34000 +- 0.0100" in said
    assert "the law at 10 times the largest run moves by -" in said


@pytest.mark.parametrize(
    ("prior", "options", "said"),
    [
        ({"gamma": "1+-0.1"}, {}, "no free coefficient of that name"),
        ({"alpha": "0.3+-0"}, {}, "must be positive"),
        ({"alpha": "x+-1"}, {}, "is not a number"),
        ({"alpha": "nowhere"}, {}, "no law of the book and no file has that name"),
        ({"alpha": "-1+-0.1"}, {}, "outside the range"),
        ({"alpha": "0.3+-0.1"}, {"interval": "bootstrap"}, "know nothing of a prior"),
        ({"alpha": "0.3+-0.1"}, {"fix": {"alpha": 0.3}}, "no free coefficient"),
    ],
)
def test_invalid_priors(prior, options, said):
    with pytest.raises(rung.RungError, match=said):
        rung.fit(isoflop(), LAW, prior=prior, **options)


def test_rows_that_show_no_noise():
    with pytest.raises(FitError, match="these show none"):
        rung.fit(isoflop(levels=1, each=5), LAW, prior={"alpha": "0.3+-0.1"})


def test_the_command(command, tmp_path):
    isoflop().write_csv(tmp_path / "runs.csv")
    done = command("fit", "runs.csv", "--draws", 0, "--prior", "alpha,beta=besiroglu-2024", "--prior", "E=1.7+-0.1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has a prior from") == 3
