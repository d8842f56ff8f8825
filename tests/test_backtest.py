"""Backtests, model discrepancy, the start of runs, and the selection of laws."""

import json

import numpy as np
import polars as pl
import pytest

import rung
from rung import FitError
from rung.fitting.backtest.discrepancy import GRID, discrepancy_prior, learn, studies
from rung.fitting.backtest.folds import choose_cuts, scale_levels
from rung.fitting.backtest.scale import scale_of
from rung.fitting.estimate.setup import set_up
from rung.fitting.estimate.specification import FitSpecification
from rung.forecasting import compare_held_out, forecast_selection

CHINCHILLA = "E + A / N^alpha + B / D^beta"


def isoflop(noise=0.005, seed=0, levels=8, each=10):
    """IsoFLOP profiles under a given law."""
    rng = np.random.default_rng(seed)
    flops = np.repeat(np.geomspace(1e18, 1e21, levels), each)
    params = np.sqrt(flops / 120) * np.exp(rng.uniform(-1, 1, len(flops)))
    tokens = flops / (6 * params)
    loss = (1.7 + 480 / params**0.35 + 1500 / tokens**0.37) * np.exp(noise * rng.standard_normal(len(flops)))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def checkpoints(start, seed=0, noise=0.003, runs=10, rows=30):
    """Constant-rate runs of one law whose first tenth lies above it."""
    rng = np.random.default_rng(seed)
    frames = []
    for index, params in enumerate(np.geomspace(1e7, 1e9, runs)):
        tokens = np.geomspace(2e8, 2e10, rows)
        shared = noise * rng.standard_normal()
        above = start * np.exp(-tokens / 4e8)
        loss = (1.7 + 480 / params**0.35 + 1500 / tokens**0.37 + above) * np.exp(
            shared + noise / 3 * rng.standard_normal(rows)
        )
        frames.append(
            pl.DataFrame({"run": [f"r{index}"] * rows, "params": [params] * rows, "tokens": tokens, "loss": loss})
        )
    return pl.concat(frames)


class TestCuts:
    def test_scales_within_a_tenth_are_one(self):
        assert scale_levels(np.array([1.0, 1.05, 1.3, 2.0, 2.1])).tolist() == [1.05, 1.3, 2.1]

    def test_cuts_leave_something_to_fit_and_to_score(self):
        setup = set_up(isoflop(), FitSpecification())
        scale = scale_of(setup, None)
        cuts = choose_cuts(setup.problem, scale.values)
        assert scale.name == "C"
        assert len(cuts) == 5
        assert all(8 <= np.sum(scale.values <= cut) < len(scale.values) for cut in cuts)

    @pytest.mark.parametrize("by", ["N", "params", "D"])
    def test_along_another_column(self, by):
        assert rung.backtest(isoflop(), along=by).along == by


class TestBacktest:
    def test_a_true_law_is_right_about_larger_scales(self):
        found = rung.backtest(isoflop())
        assert found.error < 0.006
        assert found.error < found.line_error < found.last_error
        assert found.inside > 0.8

    def test_a_wrong_law_is_caught(self):
        found = rung.backtest(isoflop(noise=0.001), "A / N^alpha + B / D^beta")
        assert found.error > 0.01
        assert found.bias < 0

    def test_a_fit_contains_it(self):
        runs = isoflop()
        fit = rung.fit(runs, draws=0, seed=3)
        assert len(fit.backtest.cuts) == 5

    def test_too_few_scales(self):
        with pytest.raises(FitError, match=r"distinct scales of C .* too few"):
            rung.backtest(isoflop(levels=2))

    def test_no_variable_to_cut_along(self):
        runs = pl.DataFrame({"x": np.linspace(-1, 1, 20), "loss": 2 + np.linspace(-1, 1, 20) ** 2})
        with pytest.raises(FitError, match="no positive variable"):
            rung.backtest(runs, "a + b * x", objective="squares")

    def test_a_cut_that_cannot_be_fitted_is_listed(self):
        # Below the first cuts every row has one size, where (N - 1)^g has no value.
        runs = isoflop().with_columns(step=pl.int_range(pl.len()).cast(pl.Float64) + 1)
        found = rung.backtest(runs, "E + B / D^beta", along="step")
        assert {cut.at for cut in found.cuts}.isdisjoint(found.skipped)

    @pytest.mark.parametrize("wrong", [{"cuts": 0}, {"level": 1.0}, {"along": "loss_of"}])
    def test_invalid_arguments(self, wrong):
        with pytest.raises(rung.RungError):
            rung.backtest(isoflop(), **wrong)


class TestDiscrepancy:
    def test_the_prior_is_a_distribution_over_studies(self):
        prior = discrepancy_prior()
        assert prior.weights.sum() == pytest.approx(1)
        assert len(studies()) > 10
        assert discrepancy_prior(without=[study.name for study in studies()[1:]]).tau != pytest.approx(prior.tau)

    def test_a_true_law_lowers_it_and_a_wrong_one_raises_it(self):
        runs = isoflop(noise=0.002)
        honest = rung.fit(runs, draws=0).discrepancy
        wrong = rung.fit(runs, "A / N^alpha + B / D^beta", draws=0).discrepancy
        assert honest.tau < discrepancy_prior().tau < wrong.tau
        assert honest.cuts == wrong.cuts == 5

    def test_nothing_scored_leaves_the_prior(self):
        assert learn(None, discrepancy_prior()).weights == pytest.approx(discrepancy_prior().weights)

    def test_draws_have_the_standard_deviation_of_the_distribution(self):
        prior = discrepancy_prior()
        draws = prior.draws(200_000, np.random.default_rng(0))
        assert np.std(draws) == pytest.approx(prior.tau, rel=0.03)
        assert prior.std(np.array([0.0, 4.0]), 0.01) == pytest.approx([0, 0.02 * prior.tau])
        assert GRID[0] < prior.tau < GRID[-1]

    def test_it_widens_new_runs_beyond_the_table_alone(self):
        runs = isoflop()
        usual, statistical = rung.fit(runs, draws=0), rung.fit(runs, draws=0, interval="statistical")
        far, near = {"N": 1e11, "D": 2e12}, {"N": 5e8, "D": 1e10}

        def width(fit, where):
            low, high = rung.forecast(fit, **where).run_interval
            return high - low

        assert width(usual, far) > 1.1 * width(statistical, far)
        assert width(usual, near) == pytest.approx(width(statistical, near), rel=0.1)
        parts = rung.forecast(usual, **far).parts
        assert sum(parts.values()) == pytest.approx(1)
        assert rung.forecast(statistical, **far).parts["discrepancy"] == 0


class TestSelect:
    def test_the_true_law_wins_or_ties(self):
        found = rung.select(isoflop(), ["chinchilla", "A / N^alpha + B / D^beta", "kaplan-nd"])
        assert found.chosen == "chinchilla"
        assert found.laws[0].tied
        assert sum(ranked.weight for ranked in found.laws) == pytest.approx(1)

    def test_weights_even_out_with_the_distance_of_the_question(self):
        found = rung.select(isoflop(noise=0.003), ["chinchilla", "A / N^alpha + B / D^beta", "kaplan-nd"])
        near, far = found.weights(0.0), found.weights(np.log(1e6))
        assert [near.sum(), far.sum()] == pytest.approx([1, 1])
        assert near.max() > 0.8
        assert far == pytest.approx(np.full(3, 1 / 3), abs=0.01)
        assert found.laws[0].weight == pytest.approx(found.weights(np.log(2))[0])

    def test_one_row_less_changes_little(self):
        """The largest run alone: its cut scores one row."""
        runs = isoflop(noise=0.01).sort("tokens")
        scale = (6.0 * runs["params"] * runs["tokens"]).to_numpy()
        ahead = {"N": 7e10, "D": 1.4e12}
        values = [
            rung.forecast_selection(rung.select(part), **ahead).value
            for part in (runs, runs.filter(pl.Series(scale < scale.max())))
        ]
        assert values[0] == pytest.approx(values[1], rel=0.01)

    def test_laws_that_no_cut_scored_are_not_beaten(self):
        """Six runs along C: a law without a floor alone can be fitted to the first three."""
        runs = pl.DataFrame(
            {"C": [1e18, 3e18, 1e19, 3e19, 1e20, 3e20], "loss": [3.522, 3.339, 3.154, 3.0, 2.848, 2.725]}
        )
        found = rung.select(runs)
        assert [one.fit.law.name for one in found.laws if np.isfinite(one.error)] == ["m1"]
        assert all(one.weight > 0.2 for one in found.laws)
        assert "could not be scored" in found.headline()
        assert "not scored" in str(found.describe())
        low, high = rung.forecast_selection(found, C=1e23).run_interval
        assert low < 2.234 < high

    def test_a_plain_power_law_gets_no_irreducible_loss(self):
        rng = np.random.default_rng(1)
        tokens = np.geomspace(1e6, 1e10, 40)
        runs = pl.DataFrame({"tokens": tokens, "loss": 40 * tokens**-0.12 * np.exp(0.005 * rng.standard_normal(40))})
        found = rung.select(runs)
        assert found.chosen == "m1"
        assert {ranked.fit.law.variables for ranked in found.laws} == {("D",)}

    def test_a_law_that_cannot_be_fitted_is_named(self):
        found = rung.select(isoflop(), ["chinchilla", "E + A / (N - 1e30)^alpha"])
        assert list(found.failed) == ["E + A / (N - 1e30)^alpha"]
        with pytest.raises(FitError, match="none of 1 laws"):
            rung.select(isoflop(), ["E + A / (N - 1e30)^alpha"])

    def test_no_candidates(self):
        with pytest.raises(FitError, match="no laws are compared by default"):
            rung.select(pl.DataFrame({"width": [1.0, 2.0, 3.0, 4.0], "loss": [4.0, 3.0, 2.5, 2.2]}))

    def test_the_combined_forecast(self, tmp_path):
        runs = isoflop()
        scale = 6.0 * runs["params"] * runs["tokens"]
        held = runs.filter(scale > 5e20)
        found = rung.select(runs.filter(scale <= 5e20))
        file = tmp_path / "laws.json"
        file.write_text(json.dumps(found.to_dict()))
        again = rung.read_selection(file)
        beyond, same = (forecast_selection(one, N=3e9, D=6e10) for one in (found, again))
        assert beyond == same
        assert set(beyond.parts) == {"coefficients", "noise", "choice of law", "discrepancy"}
        assert (
            beyond.run_interval[0]
            < beyond.law_interval[0]
            < beyond.value
            < beyond.law_interval[1]
            < beyond.run_interval[1]
        )
        assert compare_held_out(found, rung.read_runs(held)).inside == len(held)

    def test_without_scales_laws_are_ranked_by_aicc(self):
        found = rung.select(isoflop(levels=2, each=30), ["chinchilla", "A / N^alpha"])
        assert found.cuts == 0
        assert found.laws[0].aicc == 0


class TestStartOfRuns:
    def test_a_start_that_spoils_forecasts_is_left_out(self):
        runs = rung.read_runs(checkpoints(start=4.0))
        kept = drop(runs)
        assert kept.numbers("tokens").min() > 1e9 / 2
        assert "left out" in kept.notes[-1]

    def test_runs_without_a_bad_start_are_kept_whole(self):
        runs = rung.read_runs(checkpoints(start=0.0))
        assert len(drop(runs)) == len(runs)


def drop(runs):
    from rung.fitting.backtest.burn_in import drop_start
    from rung.fitting.estimate.specification import FitSpecification
    from rung.laws import find_law

    return drop_start(runs, FitSpecification(law=find_law("chinchilla", runs.columns)))


class TestCommands:
    def test_backtest(self, command, runs_csv):
        done = command("backtest", runs_csv, "--by", "N")
        assert done.returncode == 0
        assert "repeating the largest run" in done.stdout
        content = json.loads(command("backtest", runs_csv, "--json").stdout)
        assert content["cuts"][0]["rows"] >= 8

    def test_select_and_forecast(self, command, runs_csv):
        done = command("select", runs_csv, "--law", "chinchilla", "--law", "A / N^alpha", "-o", "laws.json")
        assert done.returncode == 0
        beyond = command("forecast", "laws.json", "N=7B", "D=1T")
        assert "choice of law" in beyond.stdout
        assert command("forecast", "laws.json", "--loss", "2", "N=7B").returncode == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("backtest", "RUNS", "--by", "nothing"), "nothing"),
            (("select", "RUNS", "--law", "chinchila"), "chinchila"),
            (("select", "RUNS", "--drop-tokens", "auto"), "depends on the law"),
            (("select", "RUNS", "-o", "laws.html"), "use .json"),
            (("fit", "RUNS", "--interval", "profil"), "profile|sandwich|bootstrap|statistical"),
            (("fit", "RUNS", "--interval", "bootstrap", "--draws", "0"), "needs draws"),
        ],
    )
    def test_invalid_arguments(self, command, runs_csv, arguments, message):
        done = command(*(runs_csv if part == "RUNS" else part for part in arguments))
        assert done.returncode in (1, 2)
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_noisy_tables_have_intervals_of_every_kind():
    runs = isoflop(levels=6)
    widths = {}
    for interval in ("profile", "sandwich", "bootstrap"):
        fit = rung.fit(runs, draws=200, interval=interval)
        alpha = fit.coefficients["alpha"]
        widths[interval] = alpha.high - alpha.low
        assert fit.interval == interval
        assert alpha.low < alpha.value < alpha.high
        beyond = rung.forecast(fit, N=1e10, D=1e11)
        assert beyond.law_interval[0] < beyond.value < beyond.law_interval[1]
    assert max(widths.values()) < 2.5 * min(widths.values())


class TestBorrow:
    def test_from_the_law_book_and_from_a_fit(self, tmp_path):
        other = rung.fit(isoflop(seed=5), draws=50)
        other.write(tmp_path / "other.json")
        for source in (other, str(tmp_path / "other.json")):
            fit = rung.fit(isoflop(), borrow={"alpha": source}, draws=0)
            assert "alpha" not in fit.coefficients
            assert {c.name: c.fixed for c in fit.law.coefficients}["alpha"] == other.values["alpha"]
            said = next(finding.text for finding in fit.warnings if finding.code == "borrowed")
            assert "its standard error" in said
        book = rung.fit(isoflop(), borrow={"beta": "besiroglu-2024"}, draws=0)
        assert "a tenth (0.03658" in next(finding.text for finding in book.warnings if finding.code == "borrowed")

    @pytest.mark.parametrize(
        ("borrowed", "said"),
        [
            ({"alpha": "besirogli"}, "no law of the book"),
            ({"gamma": "besiroglu-2024"}, "no constant gamma"),
            ({"alpha": "farseer"}, "none that"),
        ],
    )
    def test_an_unknown_law_or_coefficient_is_named(self, borrowed, said):
        with pytest.raises(FitError, match=said):
            rung.fit(isoflop(), borrow=borrowed)


def test_a_fit_and_its_backtest_agree_however_many_draws_it_makes():
    """Starts of the folds have random numbers of their own; farseer has many optima, so others would be found."""
    runs = isoflop(noise=0.01)
    law = "E + A / (N^alpha + B * D^beta)^k"
    fits = [rung.fit(runs, law, draws=draws) for draws in (0, 50)]
    alone = rung.backtest(runs, law)
    assert fits[0].backtest.error == fits[1].backtest.error == alone.error


def test_a_selection_whose_weights_were_changed_is_refused(tmp_path):
    found = rung.select(isoflop(noise=0.003), ["chinchilla", "A / N^alpha + B / D^beta"])
    found.write(tmp_path / "s.json")
    assert rung.read_selection(tmp_path / "s.json") == found
    content = json.loads((tmp_path / "s.json").read_text())
    first, second = content["laws"]
    first["weight"], second["weight"] = second["weight"], first["weight"]
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(FitError, match="digest"):
        rung.read_selection(tmp_path / "s.json")
    del content["digest"]
    (tmp_path / "s.json").write_text(json.dumps(content))
    assert rung.read_selection(tmp_path / "s.json").laws[0].weight == first["weight"]
