"""Worth: recipes compared, densities against a reference ladder, experts and lifts."""

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

import rung
from rung.errors import WorthError
from rung.planning.allocation.allocate import best_sizes
from rung.worth import compare, compare_pinned, compare_seeds, density, density_trend, experts_needed, treatment_lift
from rung.worth.score_shift import _Shift
from rung.worth.several import holm
from test_backtest import isoflop


def ladder(seed=0, multiplier=1.0, alpha=0.3, factor=400.0, floor=1.7, sizes=10, noise=0.003, low=1e7, high=1e10):
    """Sizes of one recipe, worth `multiplier` times as many parameters each."""
    rng = np.random.default_rng(seed)
    params = np.geomspace(low, high, sizes)
    loss = floor + factor / (params * multiplier) ** alpha
    return pl.DataFrame({"params": params, "loss": loss * np.exp(noise * rng.standard_normal(sizes))})


def compared(first, second, **options):
    return compare(rung.read_runs(first), rung.read_runs(second), **options)


class TestCompare:
    def test_exact_runs_give_the_planted_multiplier(self):
        said = compared(ladder(noise=1e-6), ladder(1, 1.37, noise=1e-6))
        (size,) = said.constant
        assert (size.of, size.value) == ("size", pytest.approx(1.37, rel=1e-3))
        assert all(one.value == pytest.approx(1.37, rel=1e-2) for one in said.by_scale)
        assert (said.verdict, said.better, said.dominant) == ("constant gain", "B", "B")

    def test_the_names_do_not_decide_which_is_better(self):
        for names in (("A", "B"), ("z", "a")):
            said = compared(ladder(), ladder(1, 3.0), names=names)
            assert said.better == names[1]
            assert said.constant[0].value > 2
            assert said.lower == 10

    def test_the_other_way_round_it_is_the_inverse(self):
        one, other = compared(ladder(), ladder(1, 2.0)), compared(ladder(1, 2.0), ladder())
        assert one.constant[0].value * other.constant[0].value == pytest.approx(1, rel=1e-4)
        assert other.better == "A"

    def test_over_a_surface_compute_is_size_times_data(self):
        runs = isoflop(noise=0.001)
        n, d = runs["params"].to_numpy(), runs["tokens"].to_numpy()
        better = 1.7 + 480 / (1.5 * n) ** 0.35 + 1500 / (2 * d) ** 0.37
        said = compared(runs, runs.with_columns(loss=pl.Series(better)))
        size, data, compute = said.constant
        assert size.value == pytest.approx(1.5, rel=0.05)
        assert data.value == pytest.approx(2.0, rel=0.05)
        assert compute.value == pytest.approx(3.0, rel=0.03)
        assert said.along == "C"
        # At the best allocation the control needs that much more compute for the same loss.
        assert said.by_scale[2].value == pytest.approx(3.0, rel=0.05)

    def test_a_mixture_is_named_and_one_value_of_it_is_none(self):
        mixed = pl.concat([ladder(1, 1.37).with_columns(router=pl.lit(name)) for name in ("base", "hash")])
        mixed = mixed.with_columns(loss=pl.col("loss") * pl.when(pl.col("router") == "hash").then(1.03).otherwise(1.0))
        said = compared(ladder(), mixed, names=("dense", "routed"))
        (found,) = [one for one in said.warnings if one.code == "mixed_recipe"]
        assert "router (at 10 scales)" in found.text
        assert "routed is a mixture" in found.text
        alone = compared(ladder(), mixed.filter(pl.col("router") == "base"), names=("dense", "routed"))
        assert not [one for one in alone.warnings if one.code == "mixed_recipe"]

    def test_seeds_of_a_recipe_are_no_mixture(self):
        seeds = pl.concat([ladder(seed, 1.37).with_columns(seed=pl.lit(seed)) for seed in (1, 2)])
        assert not [one for one in compared(ladder(), seeds).warnings if one.code == "mixed_recipe"]

    def test_another_exponent(self):
        wide = {"factor": 6.0, "floor": 0.0, "low": 1e6, "high": 1e11, "noise": 0.01}
        said = compared(ladder(alpha=0.029, **wide), ladder(1, alpha=0.06, **wide))
        assert said.verdict == "change of exponent"
        ((name, ratio),) = said.exponents
        assert name == "alpha"
        assert ratio.low < 0.06 / 0.029 < ratio.high
        assert said.growth.low > 1

    def test_nearly_the_same_exponent_is_undetermined(self):
        wide = {"factor": 6.0, "floor": 0.0, "low": 1e6, "high": 1e11, "noise": 0.01}
        assert compared(ladder(alpha=0.029, **wide), ladder(1, alpha=0.028, **wide)).verdict == "undetermined"

    def test_another_floor(self):
        said = compared(ladder(noise=5e-4), ladder(1, floor=1.5, noise=5e-4))
        assert said.verdict == "change of floor"
        assert said.floor.low < 1.5 / 1.7 < said.floor.high
        for one in said.by_scale:
            # The control's law read backwards at the treated one's loss.
            lost = 1.5 + 400 / one.at**0.3
            assert one.value == pytest.approx((400 / (lost - 1.7)) ** (1 / 0.3) / one.at, rel=0.05)

    def test_at_no_scale_where_the_floor_of_the_control_lies_above(self):
        said = compared(ladder(noise=5e-4, factor=40.0), ladder(1, floor=1.5, factor=40.0, noise=5e-4))
        assert np.isnan(said.by_scale[-1].value)
        assert said.to_dict()["by_scale"][-1]["value"] is None

    def test_curves_that_cross_are_judged_at_the_largest_scale(self):
        said = compared(ladder(alpha=0.25, factor=150.0, noise=0.002), ladder(1, alpha=0.33, factor=700.0, noise=0.002))
        assert said.constant[0].high < 1 < said.by_scale[-1].low
        assert said.better == "B"
        assert said.dominant is None

    def test_a_change_of_which_the_form_is_open(self):
        said = compared(ladder(2, noise=0.01), ladder(1002, noise=0.01, alpha=0.33, factor=500.0))
        assert said.verdict == "changes with scale, by exponent or floor"

    def test_to_call_one_better_takes_more_than_an_interval(self):
        said = compared(ladder(5, noise=0.01), ladder(1005, 1.07, noise=0.01))
        assert said.constant[0].low > 1
        assert said.better is None

    def test_over_a_surface_another_exponent_is_told_at_the_best_allocation(self):
        runs = isoflop(noise=0.0)
        n, d = runs["params"].to_numpy(), runs["tokens"].to_numpy()
        fits = []
        tables = []
        for seed, (alpha, beta) in enumerate(((0.35, 0.37), (0.40, 0.45))):
            rng = np.random.default_rng(seed)
            loss = 1.7 + 480 / n**alpha + 1500 / d**beta
            exact = runs.with_columns(loss=pl.Series(loss))
            fits.append(rung.fit(exact, "E + A / N^alpha + B / D^beta", draws=0))
            tables.append(exact.with_columns(loss=pl.Series(loss * np.exp(1e-5 * rng.standard_normal(len(n))))))
        for one in compared(*tables).by_scale:
            point = {"N": best_sizes(fits[1], np.array([one.at]))[0]}
            reached = float(fits[1].law.value(fits[1].values, {**point, "D": one.at / 6 / point["N"]}))
            needed = rung.allocate(fits[0], loss=reached).budget
            assert one.value == pytest.approx(needed / one.at, rel=0.01)

    def test_noise_that_matched_runs_share_is_paired_away(self):
        rng = np.random.default_rng(3)
        shared = np.exp(0.02 * rng.standard_normal(10))
        pair = [ladder(1, m, noise=0.001).with_columns(loss=pl.col("loss") * pl.Series(shared)) for m in (1.0, 1.3)]
        together = compared(*pair)
        assert together.paired
        assert together.correlation > 0.9
        alone = compared(pair[0], pair[1].with_columns(params=pl.col("params") * 1.05))
        widths = [np.log(one.constant[0].high / one.constant[0].low) for one in (together, alone)]
        assert widths[0] < 0.5 * widths[1]

    def test_pairs_over_a_surface(self):
        rng = np.random.default_rng(3)
        runs = isoflop(noise=0.0)
        shared = np.exp(0.02 * rng.standard_normal(len(runs)))
        own = [np.exp(0.001 * rng.standard_normal(len(runs))) for _ in range(2)]
        better = 1.7 + 480 / (2 * runs["params"]) ** 0.35 + 1500 / runs["tokens"] ** 0.37
        pair = [
            runs.with_columns(loss=loss * pl.Series(shared * noise))
            for loss, noise in zip((runs["loss"], better), own, strict=True)
        ]
        said = compared(*pair)
        assert said.paired
        assert said.constant[0].low < 2 < said.constant[0].high * 1.05

    def test_compute_of_one_path_is_told_without_its_column(self):
        path = [ladder(seed, m).with_columns(tokens=20 * pl.col("params")) for seed, m in ((0, 1.0), (1, 2.0))]
        assert compared(*path).along == "C"

    def test_a_score_that_rises_is_refused(self):
        rising = [ladder(seed).with_columns(score=3 - pl.col("loss")) for seed in (0, 1)]
        with pytest.raises(WorthError, match="rises with scale"):
            compared(*rising, target="score")

    def test_units_that_differ(self):
        said = compared(ladder(), ladder(1).with_columns(params=pl.col("params") / 1e6))
        assert "do not overlap" in said.warnings[0].text

    @pytest.mark.slow
    def test_the_interval_holds_the_multiplier(self):
        held = better = 0
        for seed in range(120):
            said = compared(ladder(seed, noise=0.01), ladder(10_000 + seed, noise=0.01))
            held += said.constant[0].low <= 1 <= said.constant[0].high
            better += said.better == "B"
        assert held >= 98
        assert better <= 12

    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            (ladder(), ladder(), "in both A and B"),
            (ladder(), ladder(1, sizes=3), "too few"),
            (ladder(), ladder(1, low=1e9, high=2e9), "too few"),
            (ladder(), ladder(1).with_columns(params=pl.lit(1e9)), "no scale to compare|too few"),
            (
                ladder().rename({"params": "params_total"}),
                ladder(1)
                .rename({"params": "params_non_embedding"})
                .with_columns(params_non_embedding=pl.col("params_non_embedding")),
                "two conventions of N|no scale",
            ),
        ],
    )
    def test_what_is_refused(self, first, second, said):
        with pytest.raises(WorthError, match=said):
            compared(first, second)

    def test_two_conventions_of_params(self):
        first = rung.read_runs(ladder().rename({"params": "params_total"}), {"params": "params_total"})
        second = rung.read_runs(
            ladder(1).rename({"params": "params_non_embedding"}), {"params": "params_non_embedding"}
        )
        with pytest.raises(WorthError, match="two conventions of N"):
            compare(first, second)

    def test_recipes_of_one_name(self):
        with pytest.raises(WorthError, match="Name them apart"):
            compared(ladder(), ladder(1), names=("A", "A"))


@pytest.fixture(scope="module")
def reference():
    return rung.fit(isoflop(noise=0.005), "E + A / N^alpha + B / D^beta", draws=0)


class TestDensity:
    def test_a_ladder_model_is_its_own_size(self, reference):
        loss = rung.forecast(reference, N=1e9, D=2e10).value
        said = density(reference, loss=loss, params=1e9, tokens=2e10, params_active=2.5e8, bits=4)
        assert {name: one.over for name, one in said.densities.items()} == pytest.approx(
            {"params": 1.0, "active params": 4.0, "stored bits": 4.0}
        )
        low, high = said.densities["params"].over_interval
        assert low < 1 < high
        assert said.data.over == pytest.approx(1.0)

    def test_a_pruned_model_doubles_what_is_left(self, reference):
        """Density over density is the ratio of effective sizes times that of stored ones, exactly."""
        parent = density(reference, loss=2.3, params=1e9, tokens=2e10)
        child = density(reference, loss=2.35, params=5e8, tokens=2e10)
        ratio = child.densities["params"].over / parent.densities["params"].over
        assert ratio == pytest.approx(child.size.value / parent.size.value * 2, rel=1e-12)

    def test_through_a_score(self, reference):
        losses = np.linspace(1.8, 4.0, 30)
        rng = np.random.default_rng(0)
        scores = 0.25 + 0.6 / (1 + np.exp(4 * (losses - 2.5))) + 1e-4 * rng.standard_normal(30)
        skill = rung.fit(pl.DataFrame({"loss": losses, "score": scores}), "logistic-of-loss", draws=0)
        said = density(
            reference, score=0.25 + 0.6 / (1 + np.exp(4 * (2.3 - 2.5))), score_fit=skill, params=1e9, tokens=2e10
        )
        assert said.loss == pytest.approx(2.3, abs=1e-3)
        for outside in (0.1, 0.95):
            with pytest.raises(WorthError, match="outside the range of its law"):
                density(reference, score=outside, score_fit=skill, params=1e9, tokens=2e10)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"loss": 1.0, "params": 1e9, "tokens": 2e10}, "no size of the reference"),
            ({"params": 1e9, "tokens": 2e10}, "a measured loss, or a score"),
            ({"loss": 2.3, "params": 1e9}, "the reference law has D"),
            ({"loss": 2.3, "params": -1.0, "tokens": 2e10}, "must be positive"),
            ({"score": 0.5, "params": 1e9, "tokens": 2e10}, "a score needs the law"),
            ({"loss": 2.3, "params": 1e9, "tokens": 2e10, "foo": 1.0}, "'foo' is no variable"),
        ],
    )
    def test_what_is_refused(self, reference, asked, said):
        with pytest.raises(WorthError, match=said):
            density(reference, **asked)

    def test_the_trend_follows_records(self):
        rng = np.random.default_rng(1)
        days = np.sort(rng.uniform(0, 720, 40))
        late = days > 360
        # Half of the later models fall far short: the plain regression is drawn down by them, the envelope is not.
        short = np.where(late & (rng.uniform(size=40) < 0.5), 2.0, 0.0)
        densities = np.exp(0.007 * days - short - np.abs(rng.normal(0, 0.3, 40)))
        said = density_trend(days, densities)
        assert said.doubling_days == pytest.approx(99, rel=0.15)
        assert said.interval[0] < 99 < said.interval[1]
        assert said.plain_days > 1.15 * 99

    def test_too_few_dates(self):
        with pytest.raises(WorthError, match="at least 5 dates"):
            density_trend(np.arange(3.0), np.ones(3))


class TestExperts:
    def test_the_count_is_the_smallest_that_reaches(self):
        k = np.arange(1.0, 11.0)
        fit = rung.fit(pl.DataFrame({"k": k, "loss": 1.5 + 0.4 / k}), "floor + c / k", draws=0)
        assert experts_needed(fit, 1.6, 20) == 4
        assert experts_needed(fit, 1.95, 20) == 1
        assert experts_needed(fit, 1.51, 20) is None
        assert experts_needed(fit, 1.4, 20) is None
        with pytest.raises(WorthError):
            experts_needed(fit, 1.6, 0)


class TestLift:
    def test_a_rise_is_a_size(self):
        rng = np.random.default_rng(0)
        params = np.repeat(np.geomspace(1e8, 1e10, 5), 2)
        index = np.log10(params / 1e9)

        def curve(rise, slope, fall):
            return pl.DataFrame(
                {
                    "params": params,
                    "skill": 20 + rise + slope * index + 0.2 * rng.standard_normal(10),
                    "other": 40 - fall + 0.2 * rng.standard_normal(10),
                }
            )

        said = treatment_lift(curve(0, 10, 0), curve(8, 10, 3), "skill", others=("other",))
        assert said.rise == pytest.approx(8, abs=0.5)
        assert said.multiplier == pytest.approx(10**0.8, rel=0.15)
        assert said.multiplier_interval[0] < said.multiplier < said.multiplier_interval[1]
        assert not said.slope_changes
        assert [name for name, _ in said.fell] == ["other"]
        assert treatment_lift(curve(0, 10, 0), curve(8, 20, 0), "skill").slope_changes

    def test_the_multiplier_s_derivatives_are_those_of_small_steps(self):
        shift = _Shift(np.array([1.0, -1.0, 0.0]), 2)
        point = np.array([[0.9, 0.2, 0.35]])
        _, slopes = shift.evaluate(point)
        for index in range(3):
            step = 1e-6 * np.eye(3)[[index]]
            moved = (shift.evaluate(point + step)[0] - shift.evaluate(point - step)[0]) / 2e-6
            assert slopes[index, 0, 0] == pytest.approx(moved[0, 0], rel=1e-6, abs=1e-9)

    def test_too_few_sizes(self):
        curve = pl.DataFrame({"params": [1e8, 1e9], "skill": [1.0, 2.0]})
        with pytest.raises(WorthError, match="at least 3"):
            treatment_lift(curve, curve, "skill")


class TestCommands:
    def test_compare_two_tables(self, command, tmp_path):
        ladder().write_csv(tmp_path / "plain.csv")
        ladder(1, 2.0).write_csv(tmp_path / "new.csv")
        done = command("compare", "plain.csv", "new.csv")
        assert done.returncode == 0, done.stderr
        assert "new measured by plain" in done.stdout
        assert "new is better at every scale" in done.stdout

    def test_compare_within_one_table(self, command, tmp_path):
        both = pl.concat([ladder().with_columns(kind=pl.lit("b")), ladder(1, 2.0).with_columns(kind=pl.lit("a"))])
        both.write_csv(tmp_path / "runs.csv")
        said = json.loads(command("compare", "runs.csv", "--by", "kind", "--names", "b,a", "--json").stdout)
        assert said["better"] == "a"

    def test_density_of_a_table_with_its_trend(self, command, reference, tmp_path):
        reference.write(tmp_path / "fit.json")
        rng = np.random.default_rng(0)
        dates = [date(2024, 1, 1) + timedelta(days=60 * index) for index in range(9)]
        dense = np.exp(0.004 * 60 * np.arange(9) - np.abs(0.2 * rng.standard_normal(9)))
        loss = [rung.forecast(reference, N=1e9 * rho, D=2e10).value for rho in dense]
        models = pl.DataFrame(
            {"model": [f"m{i}" for i in range(9)], "params": 1e9, "tokens": 2e10, "loss": loss, "date": dates}
        )
        models = pl.concat([models, models.head(1).with_columns(model=pl.lit("too good"), loss=pl.lit(1.0))])
        models.write_csv(tmp_path / "models.csv")
        done = command("density", "fit.json", "models.csv", "--trend")
        assert done.returncode == 0, done.stderr
        assert "doubles in" in done.stdout
        assert "too good  " in done.stdout
        assert "refused" in done.stdout
        assert "warning: too good: no size of the reference" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("compare", "plain.csv"), "give two tables"),
            (("compare", "plain.csv", "plain.csv"), "in both A and B"),
            (("compare", "plain.csv", "--by", "nothing"), "nothing"),
            (("compare", "plain.csv", "plain.csv", "--names", "one"), "the names with commas"),
            (("density", "fit.json"), "a table of models, or one model"),
            (("density", "fit.json", "loss=1.0", "N=1B", "D=20B"), "no size of the reference"),
            (("density", "fit.json", "plain.csv", "--tokens", "20B", "--trend"), "no column 'date'"),
        ],
    )
    def test_what_is_refused(self, command, reference, tmp_path, arguments, said):
        reference.write(tmp_path / "fit.json")
        ladder().write_csv(tmp_path / "plain.csv")
        done = command(*arguments)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def planted_surface(sizes, tokens, seed, multiplier=1.0, noise=0.003):
    """Runs of one law at every size and number of tokens, worth `multiplier` times as many of both."""
    n, d = (part.ravel() for part in np.meshgrid(sizes, tokens))
    loss = 1.8 + 480 / (multiplier * n) ** 0.34 + 1500 / (multiplier * d) ** 0.36
    noisy = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(n)))
    return pl.DataFrame({"params": n, "tokens": d, "loss": noisy})


class TestAllocations:
    """One law made the runs of both recipes, which split compute differently into N and D."""

    SIZES = np.array([5e7, 1.2e8, 3.5e8, 7.6e8])

    def test_few_numbers_of_tokens_are_compared_on_the_surface(self):
        fixed = planted_surface(self.SIZES, [1e9, 3e9, 1e10], 0)
        ratio = pl.concat([planted_surface([n], n * np.array([10, 20, 40, 80]), int(n) % 97) for n in self.SIZES])
        said = compared(fixed, ratio)
        assert len(said.constant) == 3
        assert said.better is None
        assert said.constant[2].low < 1 < said.constant[2].high
        assert said.runs == (12, 16)

    @pytest.mark.parametrize("along", [None, "C", "N"])
    def test_paths_of_another_ratio_are_refused(self, along):
        paths = [
            pl.concat([planted_surface([n], [ratio * n], int(n) % 89 + seed) for n in np.geomspace(1e7, 1e9, 8)])
            for seed, ratio in ((0, 20), (1, 60))
        ]
        with pytest.raises(WorthError, match=r"trains on 20\.0 tokens per parameter and B on 60\.0"):
            compared(*paths, along=along)

    def test_at_one_number_of_tokens_the_scale_is_the_size(self):
        tables = [planted_surface(np.geomspace(1e7, 1e9, 8), [1e10], seed) for seed in (0, 1)]
        said = compared(*tables)
        assert said.along == "N"
        assert said.constant[0].of == "size"

    def test_seeds_of_one_scale_are_one_match(self):
        first = pl.concat([ladder(seed) for seed in range(3)])
        said = compared(first, ladder(9, 1.5))
        assert (said.shared, said.lower, said.runs) == (10, 10, (30, 10))
        assert "30 runs of A, 10 runs of B" in str(said.describe())


def runs_of(losses, **columns):
    return rung.read_runs(pl.DataFrame({"loss": losses, **columns}))


class TestSeeds:
    """Runs that differ in their seeds alone, against SciPy's tests."""

    rng = np.random.default_rng(5)
    ONE, OTHER = 3.28 + 0.002 * rng.standard_normal(6), 3.279 + 0.004 * rng.standard_normal(9)

    def test_two_recipes_are_welchs_test(self):
        said = compare_seeds(runs_of(self.ONE), runs_of(self.OTHER))
        reference = stats.ttest_ind(self.OTHER, self.ONE, equal_var=False, alternative="less")
        assert said.p_value == pytest.approx(reference.pvalue, rel=1e-9)
        bounds = stats.ttest_ind(self.OTHER, self.ONE, equal_var=False).confidence_interval(0.9)
        assert (said.low, said.high) == pytest.approx(tuple(bounds), rel=1e-9)

    def test_seeds_in_common_are_pairs(self):
        shared = 0.02 * np.random.default_rng(0).standard_normal(6)
        one, other = self.ONE + shared, self.ONE + shared - 0.001 + 0.0002 * self.rng.standard_normal(6)
        said = compare_seeds(runs_of(one, seed=range(6)), runs_of(other[::-1], seed=range(5, -1, -1)))
        assert said.paired
        assert said.p_value == pytest.approx(stats.ttest_rel(other, one, alternative="less").pvalue, rel=1e-9)
        assert not compare_seeds(runs_of(one, seed=range(6)), runs_of(other, seed=range(1, 7))).paired

    def test_a_threshold_is_a_one_sample_test_either_way_up(self):
        said = compare_seeds(3.28, runs_of(self.OTHER))
        assert said.p_value == pytest.approx(stats.ttest_1samp(self.OTHER, 3.28, alternative="less").pvalue, rel=1e-9)
        upside = compare_seeds(3.28, runs_of(self.OTHER), higher=True)
        assert upside.p_value == pytest.approx(1 - said.p_value, rel=1e-9)

    @pytest.mark.parametrize("count", [2, 3, 10])
    def test_better_is_said_by_chance_at_most_one_time_in_twenty(self, count):
        rng = np.random.default_rng(count)
        wrong = sum(
            compare_seeds(runs_of(rng.standard_normal(count)), runs_of(rng.standard_normal(count))).better is not None
            for _ in range(200)
        )
        assert wrong <= stats.binom.ppf(0.999, 200, 0.05)

    def test_the_detectable_gain_is_found_four_times_in_five(self):
        rng = np.random.default_rng(1)
        base = rng.standard_normal((200, 5))
        gain = float(np.median([compare_seeds(0.0, runs_of(one)).detectable for one in base]))
        found = np.mean([compare_seeds(0.0, runs_of(one - gain)).p_value < 0.025 for one in base])
        assert 0.7 < found < 0.9

    def test_a_single_run_each_shows_nothing(self):
        said = compare_seeds(runs_of([3.0]), runs_of([2.9]))
        assert said.better is None
        assert "a second seed" in said.headline()

    def test_seeds_needed_fall_with_the_square_of_the_gain(self):
        needed = [
            compare_seeds(0.0, runs_of(np.array([-1.0, 1.0, -1.0, 1.0]) * 1.0 - gain)).seeds_needed
            for gain in (0.3, 0.1)
        ]
        assert needed[1] / needed[0] == pytest.approx(9, rel=0.2)


class TestPinned:
    """L = 1.6 + A / C^0.1: multipliers 1.2 and 1.5 at two scales."""

    @staticmethod
    def table(multipliers, flops=(1e18, 1e20)):
        flops = np.array(flops)
        return pl.DataFrame({"flops": flops, "loss": 1.6 + 95 / (np.array(multipliers) * flops) ** 0.1})

    def test_each_scale_and_their_mean(self):
        said = compare_pinned(self.table([1.0, 1.0]), self.table([1.2, 1.5]), {"E": 1.6, "alpha": 0.1})
        assert said.multipliers == pytest.approx([1.2, 1.5])
        assert said.multiplier == pytest.approx(np.sqrt(1.2 * 1.5))
        logs = np.log([1.2, 1.5])
        half = stats.t.ppf(0.95, 1) * np.std(logs, ddof=1) / np.sqrt(2)
        assert said.interval == pytest.approx((np.exp(logs.mean() - half), np.exp(logs.mean() + half)))
        assert "at C = 1e18 to 1e20" in said.headline()
        assert "single_runs" in {finding.code for finding in said.warnings}

    def test_a_gain_that_grows(self):
        flops = np.geomspace(1e18, 1e22, 5)
        said = compare_pinned(
            self.table(np.ones(5), flops), self.table(1.1 * (flops / 1e18) ** 0.05, flops), {"E": 1.6, "alpha": 0.1}
        )
        assert said.trend == pytest.approx((0.05, 0.05, 0.05), abs=1e-6)
        assert "the gain grows" in str(said.describe())

    @pytest.mark.parametrize(
        ("pins", "message"),
        [({"E": 1.6}, "--pin takes|pin takes"), ({"E": 4.0, "alpha": 0.1}, "at or below the pinned floor")],
    )
    def test_what_is_refused(self, pins, message):
        with pytest.raises(WorthError, match=message):
            compare_pinned(self.table([1.0, 1.0]), self.table([1.2, 1.5]), pins)


class TestSeveral:
    def test_holms_p_values(self):
        assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])

    def test_recipes_of_one_table(self, command, tmp_path):
        rng = np.random.default_rng(0)
        rows = [
            {"recipe": name, "loss": mean + 0.01 * rng.standard_normal()}
            for name, mean in (("base", 3.0), ("good", 2.9), ("same", 3.0))
            for _ in range(8)
        ]
        pl.DataFrame(rows).write_csv(tmp_path / "r.csv")
        done = command("compare", "r.csv", "--by", "recipe", "--names", "base,good,same", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "better than base: good" in done.stdout
        assert "p (Holm)" in done.stdout


class TestPublishedGains:
    """Figures that other people worked out from their own runs."""

    def test_seeds_of_a_speedrun(self, study):
        runs, tests = (
            pl.read_csv(study(f"modded_nanogpt_seed_{kind}.csv"), infer_schema_length=None)
            for kind in ("runs", "tests")
        )
        for row in tests.iter_rows(named=True):
            same = runs.filter(
                (pl.col("record") == row["record"]) & (pl.col("block") == row["block"]) & (pl.col("arm") == row["arm"])
            )
            said = compare_seeds(row["loss_threshold"], same.select("loss"))
            assert said.p_value == pytest.approx(row["p_recomputed"], rel=1e-4)

    def test_a_score_that_is_not_shown_to_beat_its_threshold(self, study):
        runs = pl.read_csv(study("nanochat_speedrun.csv")).filter(pl.col("run") == 4)
        said = compare_seeds(0.256525, runs.select("core_score"), target="core_score", higher=True)
        assert said.p_value == pytest.approx(0.383, abs=0.0005)
        assert said.better is None

    def test_speed_ups_under_a_pinned_law(self, study):
        table = pl.read_csv(study("marin_speedups.csv"), infer_schema_length=None)
        for row in table.drop_nulls(["baseline_loss", "variant_loss"]).iter_rows(named=True):
            pair = [pl.DataFrame({"flops": [1e19], "loss": [row[f"{arm}_loss"]]}) for arm in ("baseline", "variant")]
            said = compare_pinned(*pair, {"E": row["asymptote"], "alpha": row["exponent"]})
            assert said.multiplier == pytest.approx(row["stepwise_speedup_recomputed"], abs=6e-5)


def test_many_models_have_the_densities_that_each_has_alone():
    """Bounds from a grid differ from those computed one by one by less than 2 % of an interval's width."""
    rng = np.random.default_rng(0)

    def law(params, tokens):
        return 1.8 + 400 / params**0.34 + 1500 / tokens**0.37

    params, ratio = 10 ** rng.uniform(7, 9.5, 60), rng.uniform(10, 60, 60)
    loss = law(params, params * ratio) * np.exp(0.004 * rng.standard_normal(60))
    runs = pl.DataFrame({"params": params, "tokens": params * ratio, "loss": loss})
    fit = rung.fit(runs, "E + A / N^alpha + B / D^beta", draws=100)
    sizes = 10 ** rng.uniform(8, 11, 30)
    tokens = sizes * rng.uniform(20, 400, 30)
    models = pl.DataFrame(
        {
            "model": [f"m{index}" for index in range(30)],
            "params": sizes,
            "tokens": tokens,
            "loss": law(sizes, tokens) * rng.uniform(0.99, 1.02, 30),
        }
    )
    found = rung.densities(fit, models)
    for row in models.head(8).to_dicts():
        alone = rung.density(fit, loss=row["loss"], params=row["params"], tokens=row["tokens"])
        both = found.models[row["model"]]
        assert both.size.value == alone.size.value
        for one, other in ((both.size, alone.size), (both.data, alone.data)):
            width = np.log((other.interval[1] or np.inf) / other.interval[0])
            for bound, exact in zip(one.interval, other.interval, strict=True):
                assert (bound is None) == (exact is None)
                assert exact is None or abs(np.log(bound / exact)) < 0.02 * width
