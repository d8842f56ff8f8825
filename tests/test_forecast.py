"""Forecasts and inversions."""

import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import FitError, ForecastError, RungError
from rung.forecasting import compare_held_out, split
from test_backtest import isoflop
from test_fit import noisy


@pytest.fixture(scope="module")
def fit():
    return rung.fit(noisy(120), draws=300)


def test_a_forecast_is_the_law_at_that_point(fit):
    ahead = rung.forecast(fit, N=7e9, D=2e11)
    expected = (
        fit.values["E"] + fit.values["A"] / 7e9 ** fit.values["alpha"] + fit.values["B"] / 2e11 ** fit.values["beta"]
    )
    assert ahead.value == pytest.approx(expected, rel=1e-12)
    assert ahead.inputs == {"params": 7e9, "tokens": 2e11, "flops": 6 * 7e9 * 2e11}


def test_symbols_and_columns_mean_the_same_and_two_of_three_give_the_third(fit):
    one = rung.forecast(fit, N=7e9, D=2e11)
    assert rung.forecast(fit, params=7e9, tokens=2e11).value == one.value
    assert rung.forecast(fit, N=7e9, C=6 * 7e9 * 2e11).value == pytest.approx(one.value, rel=1e-12)


def test_the_interval_of_a_new_run_holds_that_of_the_law(fit):
    ahead = rung.forecast(fit, N=7e9, D=2e11)
    assert ahead.run_interval[0] < ahead.law_interval[0] < ahead.value < ahead.law_interval[1] < ahead.run_interval[1]


def test_the_extrapolation_factor_is_the_largest_ratio_to_the_range(fit):
    _, high = fit.ranges["C"]
    inside = rung.forecast(fit, N=1e8, D=1e10)
    assert inside.extrapolation_factor == 1
    tokens = 20 * fit.ranges["N"][1]
    beyond = rung.forecast(fit, N=1e3 * high / (6 * tokens), D=tokens)
    assert beyond.extrapolation_factor == pytest.approx(
        max(1e3, 1e3 * high / (6 * tokens) / fit.ranges["N"][1]), rel=1e-9
    )
    assert [c.code for c in beyond.warnings] == ["far_extrapolation"]
    assert "beyond the largest run" in beyond.warnings[0].text


@pytest.mark.parametrize("given", [{"N": 7e9}, {"D": 1e12}])
def test_an_inversion_is_undone_by_a_forecast(fit, given):
    there = rung.invert(fit, 2.05, **given)
    assert rung.forecast(fit, **given, **{there.solved_for: there.value}).value == pytest.approx(2.05, rel=1e-9)
    assert there.law_interval[0] < there.value < (there.law_interval[1] or np.inf)


def test_the_ends_of_an_inversion_are_where_the_wish_leaves_the_interval(fit):
    answer = rung.invert(fit, 2.3, D=1e11)
    for name in ("law_interval", "run_interval"):
        for side, size in enumerate(getattr(answer, name)):
            # At the smaller size the law lies too high: its lower end meets the wish, and the other way round.
            ends = getattr(rung.forecast(fit, N=size, D=1e11), name)
            assert ends[side] == pytest.approx(2.3, rel=3e-4)


def test_tokens_per_parameter_tie_size_and_data(fit):
    there = rung.invert(fit, 2.05, tokens_per_param=20)
    assert there.solution["tokens"] == pytest.approx(20 * there.solution["params"])
    assert there.solution["flops"] == pytest.approx(120 * there.solution["params"] ** 2)
    assert rung.forecast(fit, N=there.value, D=20 * there.value).value == pytest.approx(2.05, rel=1e-9)


def test_an_end_that_some_draws_never_reach_is_open(fit):
    limit = fit.values["E"] + fit.values["A"] / 7e9 ** fit.values["alpha"]
    assert rung.invert(fit, limit + 1e-4, N=7e9).law_interval[1] is None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda fit: rung.invert(fit, 1.0, N=7e9), "its irreducible loss with what is given"),
        (lambda fit: rung.invert(fit, 1e6, N=7e9), "gives a loss of 1e+06"),
        (lambda fit: rung.invert(fit, 2.0), "--tokens-per-param 20"),
        (lambda fit: rung.invert(fit, 2.0, N=1e9, D=1e10), "nothing is open"),
        (lambda fit: rung.invert(fit, 2.0, tokens_per_param=20, N=1e9), "both open"),
        (lambda fit: rung.invert(fit, 2.0, tokens_per_param=-1), "must be positive"),
        (lambda fit: rung.forecast(fit, N=1e9), "D is missing"),
        (lambda fit: rung.forecast(fit, N=1e9, D=-1e10), "must be positive"),
        (lambda fit: rung.forecast(fit, N=1e9, D=float("nan")), "not a finite number"),
        (lambda fit: rung.forecast(fit, N=1e9, token=1e10), "Did you mean tokens"),
        (lambda fit: rung.forecast(fit, N="x", D=1e10), "is not a number"),
        (lambda fit: rung.forecast(fit, N=[1e9, 2e9], D=1e10), "Use forecast_grid for a grid"),
        (lambda fit: rung.forecast(fit, N=1e9, params=2e9, D=1e10), "gives N a second time"),
        (lambda fit: rung.forecast(fit, N=1e9, D=1e10, C=1e21), "times 6 N D"),
        (lambda fit: rung.forecast(fit, N=1e300, D=1e300), "C = 6 N D is beyond the range of numbers"),
        (lambda fit: rung.invert(fit, float("nan"), N=1e9), "--loss nan is not a finite number"),
        (lambda fit: rung.invert(fit, 2.3, tokens_per_param=1e300), "beyond the range"),
    ],
)
def test_an_impossible_question_says_why(fit, ask, message):
    with pytest.raises(RungError) as error:
        ask(fit)
    assert message in error.value.text


def test_a_grid_is_every_combination(fit):
    grid = rung.forecast_grid(fit, N=[1e9, 2e9], D=np.array([1e10, 1e11, 1e12]))
    assert grid.height == 6
    row = grid.row(4, named=True)
    alone = rung.forecast(fit, N=row["params"], D=row["tokens"])
    assert row["value"] == pytest.approx(alone.value)
    assert (row["law_low"], row["law_high"]) == pytest.approx(alone.law_interval)


def test_a_law_with_groups_asks_for_the_level():
    runs = pl.concat([noisy(60, seed=s).with_columns(corpus=pl.lit(c)) for s, c in ((1, "a"), (2, "b"))])
    fit = rung.fit(runs, "E[corpus] + A / N^alpha + B / D^beta", draws=50)
    assert rung.forecast(fit, N=1e9, D=1e10, corpus="a").value != rung.forecast(fit, N=1e9, D=1e10, corpus="b").value
    with pytest.raises(RungError, match=r"corpus=a\|b"):
        rung.forecast(fit, N=1e9, D=1e10)


def test_held_out_rows_are_forecast_and_not_fitted():
    runs = rung.read_runs(noisy(120))
    rest, held = split(runs, "N > 3e9")
    assert len(rest) + len(held) == 120
    compared = compare_held_out(rung.fit(rest, draws=300), held)
    assert len(compared.points) == len(held)
    assert compared.mean_error < 0.03
    assert compared.inside >= 0.6 * len(held)


def test_a_saturated_fit_forecasts_without_an_interval():
    ahead = rung.forecast(rung.fit(noisy(5)), N=1e9, D=1e10)
    assert ahead.law_interval == (None, None)
    assert "no_interval" in [c.code for c in ahead.warnings]


def test_a_law_written_with_columns_is_the_law_in_symbols(fit):
    written = rung.fit(noisy(120), "E + A / params^alpha + B / tokens^beta", draws=300)
    assert rung.forecast(written, N=7e9, D=2e11).value == pytest.approx(rung.forecast(fit, N=7e9, D=2e11).value)


def test_compute_follows_from_size_and_data_in_a_law_of_all_three():
    runs = noisy(60).with_columns(flops=6 * pl.col("params") * pl.col("tokens"))
    fit = rung.fit(runs, "E + A / N^alpha + B / D^beta + F / C^gamma with gamma = 0.5", draws=20)
    there = rung.invert(fit, 2.3, tokens_per_param=20)
    assert there.solution["flops"] == pytest.approx(120 * there.solution["params"] ** 2)
    assert rung.forecast(fit, N=there.value, D=20 * there.value).value == pytest.approx(2.3, rel=1e-9)
    data = rung.invert(fit, 2.3, N=1e10)
    assert rung.forecast(fit, N=1e10, D=data.value).value == pytest.approx(2.3, rel=1e-9)


def test_size_follows_where_data_and_compute_are_asked_of_a_law_of_size_and_compute():
    runs = noisy(60).with_columns(flops=6 * pl.col("params") * pl.col("tokens"))
    fit = rung.fit(runs, "E + A / N^alpha + F / C^gamma with gamma = 0.2", draws=20)
    there = rung.invert(fit, 2.5, D=1e11)
    assert there.solution["flops"] == pytest.approx(6e11 * there.solution["params"])
    assert rung.forecast(fit, N=there.solution["params"], D=1e11).value == pytest.approx(2.5, rel=1e-9)


def test_a_range_that_is_not_positive_is_left_in_widths_of_it():
    x = np.linspace(-1, 1, 40)
    noise = 0.01 * np.random.default_rng(0).standard_normal(40)
    fit = rung.fit(pl.DataFrame({"x": x, "loss": np.exp(0.5 * x) + noise}), "a * exp(b * x)", draws=20)
    assert rung.forecast(fit, x=0.5).extrapolation_factor == 1
    assert rung.forecast(fit, x=5).extrapolation_factor == pytest.approx(3)


def test_held_out_rows_are_checked_as_fitted_ones_are(fit):
    held = noisy(3, seed=5)
    with pytest.raises(RungError, match="row 2: loss is nan"):
        compare_held_out(fit, rung.read_runs(held.with_columns(loss=pl.Series([2.0, float("nan"), 2.1]))))
    with pytest.raises(RungError, match="params is 0"):
        compare_held_out(fit, rung.read_runs(held.with_columns(params=pl.lit(0.0))))


def test_a_measurement_of_zero_has_no_relative_error():
    x = np.arange(1.0, 31.0)
    noise = 0.01 * np.random.default_rng(0).standard_normal(30)
    fit = rung.fit(
        pl.DataFrame({"x": x, "loss": 2 - 0.1 * x + noise}),
        "a + b * x with b in (-inf, inf)",
        objective="squares",
        draws=20,
    )
    compared = compare_held_out(fit, rung.read_runs(pl.DataFrame({"x": [20.0, 40.0], "loss": [0.0, -2.0]})))
    assert compared.points[0].error is None
    assert compared.mean_error == pytest.approx(abs(compared.points[1].error))
    assert compared.to_dict()["points"][0]["measured"] == 0.0


def test_a_group_that_is_held_out_whole_is_named():
    runs = rung.read_runs(noisy(60).with_columns(corpus=pl.Series(["a"] * 40 + ["b"] * 20)))
    rest, held = split(runs, "corpus = 'b'")
    with pytest.raises(RungError, match="no row fitted has its corpus, 'b'"):
        compare_held_out(rung.fit(rest, "E[corpus] + A / N^alpha", draws=20), held)


def test_noise_and_law_are_independent_in_a_new_run():
    fit = rung.fit(noisy(60), draws=0, interval="statistical")
    ahead = rung.forecast(fit, N=1e11, D=2e12)
    law, run = (np.log(high / low) for low, high in (ahead.law_interval, ahead.run_interval))
    noise = float(np.diff(np.quantile(fit.noise, [0.05, 0.95]))[0])
    assert run == pytest.approx(np.hypot(law, noise), rel=0.12)


def test_a_law_that_its_rows_do_not_bound_stands_where_it_stands_in_a_combined_forecast(monkeypatch):
    """One vote in two with an open interval must not open that of all."""
    runs = isoflop()
    selection = rung.select(runs, ["chinchilla", "E + A / N^alpha + B / D^beta with E >= 1"])
    before = rung.forecast_selection(selection, N=1e10, D=1e12).law_interval
    assert min(law.weight for law in selection.laws) > 0.3
    combine = sys.modules["rung.forecasting.combined"]
    bounds_of = combine.law_bounds

    def opened(profiler, fit, variables, levels):
        ends = bounds_of(profiler, fit, variables, levels)
        return replace(ends, high=np.full_like(ends.high, np.inf)) if fit.law.name == "custom" else ends

    monkeypatch.setattr(combine, "law_bounds", opened)
    low, high = rung.forecast_selection(selection, N=1e10, D=1e12).law_interval
    assert high is not None
    assert high < 2 * before[1]
    assert low == pytest.approx(before[0], rel=0.02)


@pytest.fixture(scope="module")
def fit_of_plans():
    return rung.fit(isoflop(noise=0.01), draws=0)


class TestPlans:
    """A table of planned runs, a row each."""

    PLANS = pl.DataFrame({"name": ["a", "b"], "params": [7e10, 4e10], "tokens": [1.4e12, 2.4e12], "note": ["x", "y"]})

    def test_each_row_is_its_own_forecast(self, fit_of_plans):
        found = rung.forecast_plans(fit_of_plans, self.PLANS)
        assert found.names == ("a", "b")
        text = str(found.describe())
        assert f"{found.frame['run_high'][0]:.4f}" in text
        assert f"{found.frame['law_low'][1]:.4f}" in text
        assert found.frame["note"].to_list() == ["x", "y"]
        for row in found.frame.iter_rows(named=True):
            alone = rung.forecast(fit_of_plans, N=row["params"], D=row["tokens"])
            assert row["value"] == pytest.approx(alone.value)
            assert (row["law_low"], row["law_high"]) == pytest.approx(alone.law_interval)
            assert (row["run_low"], row["run_high"]) == pytest.approx(alone.run_interval, rel=1e-3)
            assert row["extrapolation_factor"] == pytest.approx(alone.extrapolation_factor)

    def test_what_two_plans_share_cancels_in_their_difference(self, fit_of_plans):
        found = rung.forecast_plans(fit_of_plans, self.PLANS, against=0).frame
        assert found["difference"].to_list() == pytest.approx([0.0, found["value"][1] - found["value"][0]])
        joint = found["difference_high"][1] - found["difference_low"][1]
        alone = np.hypot(*(found["law_high"] - found["law_low"]).to_list())
        assert found["difference_low"][1] < found["difference"][1] < found["difference_high"][1]
        assert joint < 0.7 * alone

    def test_a_selection_forecasts_a_table_too(self):
        chosen = rung.select(isoflop(noise=0.01), ["chinchilla", "skaling"])
        found = rung.forecast_plans(chosen, self.PLANS).frame
        assert found["value"][0] == pytest.approx(rung.forecast_selection(chosen, N=7e10, D=1.4e12).value)

    @pytest.mark.parametrize(
        ("plans", "options", "message"),
        [
            (pl.DataFrame({"params": [1e9]}), {}, "D is missing"),
            (PLANS, {"against": 2}, "has 2 rows"),
        ],
    )
    def test_what_is_refused(self, fit_of_plans, plans, options, message):
        with pytest.raises(ForecastError, match=message):
            rung.forecast_plans(fit_of_plans, plans, **options)


class TestPublishedConstants:
    """A law of the book in the place of a fit: 1.8172 + 482.01 / N^0.3478 + 2085.43 / D^0.3658."""

    def test_a_forecast_has_no_interval_and_says_why(self):
        found = rung.forecast("besiroglu-2024", N=7e10, D=1.4e12)
        assert found.value == pytest.approx(1.8172 + 482.01 / 7e10**0.3478 + 2085.43 / 1.4e12**0.3658)
        assert found.law_interval == found.run_interval == (None, None)
        assert "published constants of besiroglu-2024" in found.warnings[0].text
        assert found.extrapolation_factor == pytest.approx(1.4e12 / 3.18e11)

    def test_an_allocation(self):
        """G = (alpha A / (beta B))^(1 / (alpha + beta)), N = G (C / 6)^(beta / (alpha + beta))."""
        A, alpha, B, beta = 482.01, 0.3478, 2085.43, 0.3658
        found = rung.allocate("besiroglu-2024", flops=5.76e23)
        best = (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * (5.76e23 / 6) ** (beta / (alpha + beta))
        assert found.choices["params"].value == pytest.approx(best, rel=1e-6)
        assert "fixed" not in str(found.describe())

    def test_a_law_without_constants_or_a_misspelt_one(self):
        with pytest.raises(FitError, match="no law of the book with constants has that name"):
            rung.forecast("farseer", N=1e9, D=1e10)
        with pytest.raises(FitError, match="Did you mean"):
            rung.forecast("besiroglu2024", N=1e9, D=1e10)


class TestChains:
    """A score that falls with the loss on a line, 1 - 0.2 L: what the loss varies by, the score varies by a fifth of."""

    @staticmethod
    def line(noise):
        loss = np.linspace(1.9, 4.2, 60)
        score = 1 - 0.2 * loss + noise * np.random.default_rng(1).standard_normal(60)
        law = "a - b * L"
        return rung.fit(pl.DataFrame({"loss": loss, "score": score}), law, target="score", objective="squares", draws=0)

    def test_the_interval_is_carried_through_a_line(self, fit_of_plans):
        ahead = {"N": 7e9, "D": 2e11}
        loss = rung.forecast(fit_of_plans, **ahead)
        found = rung.forecast_chain([fit_of_plans, self.line(1e-7)], **ahead)
        assert (found.target, found.value) == ("score", pytest.approx(1 - 0.2 * loss.value, rel=1e-5))
        for ours, theirs in ((found.law_interval, loss.law_interval), (found.run_interval, loss.run_interval)):
            assert ours == pytest.approx((1 - 0.2 * theirs[1], 1 - 0.2 * theirs[0]), abs=3e-4)
        assert found.parts["loss"] == pytest.approx(1, abs=1e-3)

    def test_noise_of_the_second_law_adds_in_squares(self, fit_of_plans):
        ahead = {"N": 7e9, "D": 2e11}
        score = self.line(0.01)
        found = rung.forecast_chain([fit_of_plans, score], **ahead)
        loss = rung.forecast(fit_of_plans, **ahead)
        halves = [np.diff(one.run_interval)[0] / 2 for one in (found, loss)]
        alone = rung.forecast(score, L=loss.value).run_interval
        assert halves[0] == pytest.approx(np.hypot(0.2 * halves[1], np.diff(alone)[0] / 2), rel=0.08)
        assert 0 < found.parts["loss"] < 1
        assert sum(found.parts.values()) == pytest.approx(1)

    def test_the_second_laws_own_uncertainty_adds_in_squares(self, fit_of_plans):
        ahead = {"N": 7e9, "D": 2e11}
        score = self.line(0.02)
        loss = rung.forecast(fit_of_plans, **ahead)
        found = rung.forecast_chain([fit_of_plans, score], **ahead)
        own = np.diff(rung.forecast(score, L=loss.value).law_interval)[0]
        assert own > 0.2 * np.diff(loss.law_interval)[0]
        both = np.hypot(own, 0.2 * np.diff(loss.law_interval)[0])
        assert np.diff(found.law_interval)[0] == pytest.approx(both, rel=0.08)

    def test_three_laws(self, fit_of_plans):
        pay = pl.DataFrame({"score": np.linspace(0.1, 0.7, 40), "value": 5 * np.linspace(0.1, 0.7, 40)})
        pay = pay.with_columns(value=pl.col("value") + 1e-6 * pl.Series(np.random.default_rng(0).standard_normal(40)))
        third = rung.fit(pay, "p + q * score", target="value", objective="squares", draws=0)
        found = rung.forecast_chain([fit_of_plans, self.line(0.01), third], N=7e9, D=2e11)
        assert found.value == pytest.approx(5 * (1 - 0.2 * rung.forecast(fit_of_plans, N=7e9, D=2e11).value), rel=0.01)

    def test_what_is_refused(self, fit_of_plans):
        with pytest.raises(ForecastError, match="two laws or more"):
            rung.forecast_chain([fit_of_plans], N=7e9, D=2e11)
        with pytest.raises(ForecastError, match="does not take loss"):
            rung.forecast_chain([fit_of_plans, fit_of_plans], N=7e9, D=2e11)
        with pytest.raises(ForecastError, match="has no interval there"):
            rung.forecast_chain(["besiroglu-2024", self.line(0.01)], N=7e9, D=2e11)

    def test_a_loss_beyond_those_of_the_second_law_is_named(self, fit_of_plans):
        found = rung.forecast_chain([fit_of_plans, self.line(0.01)], N=7e11, D=2e13)
        assert "outside_range" in {one.code for one in found.warnings}
