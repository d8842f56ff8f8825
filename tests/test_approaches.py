"""IsoFLOP profiles: bottoms, their errors, lines through them, and what the law says beside."""

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import PlanError
from rung.planning.allocation.allocate import best_sizes
from rung.planning.allocation.approaches import JOINT, LOWEST, PARABOLAS, compare_approaches
from rung.planning.allocation.joint_cubic import joint_cubic
from rung.planning.allocation.profiles import CUBIC, PARABOLA, Noise, bottom_of, line_through, parabola_bias
from test_backtest import isoflop

LAW = "E + A / N^alpha + B / D^beta"
SKEWED = {"E": 1.8, "A": 480.0, "alpha": 0.5, "B": 2000.0, "beta": 0.3}
"""A law whose parabolas miss by a tenth."""


def profiles(seed=0, noise=0.005, levels=6, each=9, half=1.6, shift=0.0, low=1e19, high=1e21):
    """Profiles on sizes about the best ones of SKEWED, shifted by `shift` in the logarithm."""
    rng = np.random.default_rng(seed)
    compute = np.repeat(np.geomspace(low, high, levels), each)
    x = shift + np.tile(np.linspace(-half, half, each), levels)
    params = skewed_best(compute) * np.exp(x)
    tokens = compute / (6 * params)
    loss = SKEWED["E"] + SKEWED["A"] / params ** SKEWED["alpha"] + SKEWED["B"] / tokens ** SKEWED["beta"]
    frame = pl.DataFrame(
        {"params": params, "tokens": tokens, "loss": loss * np.exp(noise * rng.standard_normal(len(x)))}
    )
    return rung.read_runs(frame)


def skewed_best(flops):
    total = SKEWED["alpha"] + SKEWED["beta"]
    log_G = np.log(SKEWED["alpha"] * SKEWED["A"] / (SKEWED["beta"] * SKEWED["B"])) / total
    return np.exp(log_G + SKEWED["beta"] / total * np.log(flops / 6))


def compared(runs, flops=1e23):
    found = compare_approaches(runs, rung.fit(runs, LAW, draws=0), flops)
    return found, {one.name: one for one in found.approaches}


class TestBottoms:
    def test_a_parabola_misses_by_its_cube(self):
        fit = rung.fit(isoflop(), LAW, draws=0)
        alpha, beta = fit.values["alpha"], fit.values["beta"]
        best = float(np.log(best_sizes(fit, np.array([1e20]))[0]))
        x = best + np.linspace(-1, 1, 9)
        loss = fit.law.value(fit.values, {"N": np.exp(x), "D": 1e20 / 6 / np.exp(x)})
        parabola, cubic = bottom_of(x, loss, PARABOLA), bottom_of(x, loss, CUBIC)
        assert parabola.at - best == pytest.approx(parabola_bias(alpha, beta, x), rel=0.05)
        assert abs(cubic.at - best) < 0.1 * abs(parabola.at - best)

    def test_closed_forms(self):
        x = np.linspace(-1, 2, 7)
        assert bottom_of(x, 3 + 2 * (x - 0.4) ** 2, PARABOLA).at == pytest.approx(0.4)
        # f' = (x - 0.5) (x + 3) is zero at 0.5 with f'' = 3.5, and at -3 with f'' < 0.
        cubic = x**3 / 3 + 2.5 * x**2 / 2 - 1.5 * x
        assert bottom_of(x, cubic, CUBIC).at == pytest.approx(0.5)

    @pytest.mark.parametrize("degree", [PARABOLA, CUBIC])
    def test_the_error_is_that_of_repeated_noise(self, degree):
        rng = np.random.default_rng(0)
        x = np.linspace(-1, 1, 12)
        loss, noise = 2 + x**2 / 2 + (0.2 * x**3 if degree == CUBIC else 0), 0.002
        found = [bottom_of(x, loss + noise * rng.standard_normal(12), degree).at for _ in range(2000)]
        stated = bottom_of(x, loss, degree, Noise(noise**2, 100)).error
        assert np.std(found) == pytest.approx(stated, rel=0.06)

    @pytest.mark.parametrize(
        ("loss", "degree", "status"),
        [
            (lambda x: -(x**2), PARABOLA, "opens downwards"),
            (lambda x: (x - 3) ** 2, PARABOLA, "at the edge"),
            (lambda x: 1e-4 * x**2, PARABOLA, "flat"),
            (lambda x: x**3 / 3 + x, CUBIC, "opens downwards"),
            (lambda x: x**2, PARABOLA, "inside"),
        ],
    )
    def test_a_bottom_that_cannot_be_used_says_why(self, loss, degree, status):
        x = np.linspace(-1, 1, 9)
        assert bottom_of(x, loss(x), degree, Noise(1e-4, 20)).status == status

    def test_three_sizes_are_enough_for_a_parabola(self):
        x = np.array([-1.0, 0.2, 1.0])
        assert bottom_of(x, (x - 0.1) ** 2, PARABOLA).at == pytest.approx(0.1)
        assert bottom_of(x, x**2, CUBIC).status == "too few sizes"


class TestLines:
    def test_weighted_least_squares(self):
        points = [(0.0, 1.0, 0.1), (1.0, 1.6, 0.1), (2.0, 2.0, 0.4)]
        found = line_through(points, noise_degrees=30)
        w = 1 / np.array([0.1, 0.1, 0.4]) ** 2
        X = np.array([[1, 0], [1, 1], [1, 2.0]])
        covariance = np.linalg.inv(X.T @ (w[:, None] * X))
        intercept, slope = covariance @ X.T @ (w * np.array([1.0, 1.6, 2.0]))
        assert (found.slope, found.at(5.0)) == pytest.approx((slope, intercept + 5 * slope))
        direction = np.array([1, 5.0])
        assert found.error_at(5.0) == pytest.approx(np.sqrt(direction @ covariance @ direction))
        assert found.degrees == 30

    def test_points_beyond_their_errors_widen_the_line(self):
        points = [(0.0, 1.0, 0.01), (1.0, 2.0, 0.01), (2.0, 2.0, 0.01), (3.0, 4.0, 0.01)]
        found = line_through(points, noise_degrees=30)
        assert found.degrees == 2
        assert found.error_at(1.5) == pytest.approx(line_through([(a, b, None) for a, b, _ in points]).error_at(1.5))

    def test_one_compute_has_no_line(self):
        assert line_through([(1.0, 2.0, None), (1.0, 3.0, None)]) is None
        assert line_through([(1.0, 2.0, None), (2.0, 3.0, None)]).interval_at(5.0, 0.9) == (None, None)


class TestApproaches:
    def test_on_noise_free_runs_the_measured_bias_is_the_expected_one(self):
        runs = rung.read_runs(isoflop(noise=0.0))
        fit = rung.fit(runs, LAW, draws=0)
        found = compare_approaches(runs, fit, 1e22)
        by_name = {one.name: one for one in found.approaches}
        surface = found.approaches[-1]
        for name in (LOWEST, PARABOLAS, JOINT):
            assert by_name[name].params / surface.params - 1 == pytest.approx(by_name[name].bias, abs=1e-5)
        assert surface.exponent == pytest.approx(fit.derived["params_exponent"].value, rel=1e-5)

    def test_a_skewed_law_bends_parabolas_but_not_the_cubic(self):
        found, by_name = compared(profiles())
        truth = float(skewed_best(np.array(1e23)))
        low, high = by_name[JOINT].params_interval
        assert low < truth < high
        assert by_name[PARABOLAS].bias > 0.05
        assert abs(by_name[JOINT].bias) < 0.02
        assert "they agree within their errors, their bias taken off" in found.verdict()

    def test_data_follow_from_sizes_where_compute_is_their_product(self):
        _, by_name = compared(profiles(noise=0.001))
        one = by_name[PARABOLAS]
        assert one.exponent + one.tokens_exponent == pytest.approx(1, abs=0.02)
        assert 6 * one.params * one.tokens == pytest.approx(1e23, rel=0.05)

    def test_profiles_of_three_sizes_have_intervals_by_the_noise_of_all(self):
        found, by_name = compared(profiles(each=4, levels=5, noise=0.002, half=1.2))
        assert all(one.sizes == 4 and one.parabola.error is not None for one in found.profiles)
        low, high = by_name[PARABOLAS].params_interval
        assert low < by_name[PARABOLAS].params < high
        three = compare_approaches(profiles(each=3, noise=0.0005), rung.fit(profiles(), LAW, draws=0), 1e22)
        assert all(one.sizes == 3 and one.parabola.error is None for one in three.profiles)

    def test_a_law_that_contradicts_its_profiles_is_named(self):
        runs = profiles(noise=0.001)
        wrong = rung.fit(runs, LAW, fix={"alpha": 0.3, "beta": 0.5}, draws=0)
        found = compare_approaches(runs, wrong, 1e24)
        assert "times the law's N" in found.verdict()
        assert "rung select" in found.verdict()

    def test_sizes_that_end_before_the_best_are_refused(self):
        found, by_name = compared(profiles(shift=-3.0))
        assert JOINT not in by_name
        assert "beyond the largest sizes" in found.refused[JOINT]

    def test_losses_that_only_differ_by_noise_are_refused(self):
        rng = np.random.default_rng(1)
        x = [np.linspace(-1, 1, 8)] * 4
        found = joint_cubic([1.0, 2.0, 3.0, 4.0], [(part, 2 + 0.01 * rng.standard_normal(8)) for part in x])
        assert found.line is None
        assert found.refused

    def test_bottoms_of_nearly_one_compute_give_no_line(self):
        found, _ = compared(profiles(noise=0.001, levels=3, low=1e20, high=1.5e20))
        assert "span 1.5x of compute" in found.refused[PARABOLAS]
        wide, by_name = compared(profiles(noise=0.001, levels=3, low=1e20, high=4e20))
        assert PARABOLAS not in wide.refused
        assert PARABOLAS in by_name

    def test_too_few_profiles(self):
        rng = np.random.default_rng(0)
        table = pl.DataFrame({"params": np.geomspace(1e7, 1e9, 12), "tokens": np.geomspace(1e9, 1e11, 12)})
        table = table.with_columns(loss=2 + 100 * pl.col("params") ** -0.3 + pl.Series(0.01 * rng.standard_normal(12)))
        runs = rung.read_runs(table)
        with pytest.raises(PlanError, match="polynomials say nothing"):
            compare_approaches(runs, rung.fit(runs, LAW, draws=0), 1e22)

    @pytest.mark.slow
    def test_intervals_hold_the_best_size(self):
        truth = float(skewed_best(np.array(1e23)))
        held = 0
        for seed in range(100):
            runs = profiles(seed, noise=0.005)
            line = joint_cubic(
                [float(np.log(c)) for c in np.geomspace(1e19, 1e21, 6)],
                [
                    (np.log(runs.numbers("params")[at : at + 9]), runs.numbers("loss")[at : at + 9])
                    for at in range(0, 54, 9)
                ],
            ).line
            low, high = line.interval_at(float(np.log(1e23)), 0.9)
            held += np.exp(low) <= truth <= np.exp(high)
        assert 83 <= held <= 97
