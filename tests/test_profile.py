"""What profile intervals, noise and weights are, by their definitions."""

import numpy as np
import pytest

import rung
from rung.fitting import reopen
from rung.fitting.uncertainty.distributions import student_quantile
from rung.fitting.uncertainty.residual_noise import nearness
from test_backtest import isoflop


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("name", ["E", "alpha", "beta"])
def test_an_end_is_where_the_objective_has_risen_by_the_squared_quantile(name, end):
    runs = isoflop(noise=0.01)
    fit = rung.fit(runs, draws=0)
    profiler = reopen(fit)
    unit = np.eye(5)[list(fit.coefficients).index(name)]
    held = rung.fit(runs, fix={name: getattr(fit.coefficients[name], end)}, draws=0)
    rise = 2 * (held.objective_value - fit.objective_value) / profiler.curvature.scale_of(unit)
    assert np.sqrt(rise) == pytest.approx(student_quantile(0.95, profiler.curvature.degrees), rel=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_the_far_end_of_an_absent_term_is_where_the_objective_has_risen_by_the_squared_quantile(seed):
    runs = isoflop(noise=0.01)
    noise = np.exp(0.01 * np.random.default_rng(seed).standard_normal(len(runs)))
    runs = runs.with_columns(loss=(406.4 / runs["params"] ** 0.34 + 410.7 / runs["tokens"] ** 0.28) * noise - 0.02)
    fit = rung.fit(runs, draws=0)
    assert fit.coefficients["E"].value == fit.coefficients["E"].low == 0.0
    profiler = reopen(fit)
    held = rung.fit(runs, fix={"E": fit.coefficients["E"].high}, draws=0)
    rise = 2 * (held.objective_value - fit.objective_value) / profiler.curvature.noise_scale
    assert np.sqrt(rise) == pytest.approx(student_quantile(0.95, profiler.curvature.degrees), rel=0.03)


def test_noise_is_that_of_the_largest_scale():
    assert nearness(np.array([1.0, 10.0, 100.0])) == pytest.approx(
        np.exp([-2.0, -1.0, 0.0]) / np.mean(np.exp([-2.0, -1.0, 0.0]))
    )
    runs = isoflop(noise=0.0, levels=12)
    rng = np.random.default_rng(0)
    flops = 6.0 * runs["params"].to_numpy() * runs["tokens"].to_numpy()
    spread = np.where(flops > 3e19, 0.002, 0.02)
    noisy = runs.with_columns(loss=runs["loss"] * np.exp(spread * rng.standard_normal(len(runs))))
    fit = rung.fit(noisy, draws=0)
    residuals = reopen(fit).optimum.residuals
    expected = np.sqrt(np.average(residuals**2, weights=nearness(flops)) * len(runs) / (len(runs) - 5))
    # The positions of quantiles reach a little beyond the residuals themselves.
    assert np.std(fit.noise) == pytest.approx(expected, rel=0.1)
    assert expected < 0.9 * np.std(residuals)
