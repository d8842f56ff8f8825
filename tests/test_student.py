"""Tails of Student's t and Fisher's F, against SciPy."""

import numpy as np
import pytest
from scipy.special import betainc, fdtrc, stdtrit

from rung.fitting.uncertainty.distributions import beta_share, f_sf, student_quantile, student_quantiles


def test_the_incomplete_beta_function():
    rng = np.random.default_rng(0)
    for a, b, x in zip(rng.uniform(0.3, 200, 300), rng.uniform(0.3, 200, 300), rng.uniform(0, 1, 300), strict=True):
        assert beta_share(a, b, x) == pytest.approx(betainc(a, b, x), abs=1e-12)
    assert (beta_share(2, 3, 0.0), beta_share(2, 3, 1.0)) == (0, 1)


@pytest.mark.parametrize("degrees", [1, 2, 5, 28, 235, 5000])
def test_quantiles_of_t(degrees):
    for probability in (0.05, 0.5, 0.6, 0.95, 0.999):
        assert student_quantile(probability, degrees) == pytest.approx(
            stdtrit(degrees, probability), rel=1e-10, abs=1e-12
        )
    expected = stdtrit(degrees, (np.arange(1000) + 0.5) / 1000)
    assert student_quantiles(1000, degrees) == pytest.approx(expected, rel=2e-4, abs=2e-4)


@pytest.mark.parametrize(("first", "second"), [(1, 5), (6, 50), (3, 400)])
def test_the_tail_of_f(first, second):
    for value in (0.0, 0.3, 1.0, 4.0, 20.0):
        assert f_sf(first, second, value) == pytest.approx(fdtrc(first, second, value), abs=1e-12)
