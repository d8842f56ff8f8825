"""Verdicts over scale, groups of size, quality of measures and early order: planted worlds, SciPy and public tables."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.runs import read_runs
from rung.skill import dunn, early_order, quality, size_groups, tau_b, verdicts
from rung.skill.quality import _before

SCALES = np.repeat(np.geomspace(1e7, 1e10, 12), 2)


def planted(kind, seed, noise=0.01):
    rng = np.random.default_rng(seed)
    x = np.geomspace(1e8, 4e8, 5) if kind == "undetermined" else SCALES
    if kind == "undetermined":
        noise = 0.08
    loss = {
        "scales": 2.3 * (x / 1e7) ** -0.1,
        "emergent": 0.69 / np.maximum(1, x / 8e8) ** 0.15,
        "flat": np.full(len(x), 0.62),
        "inverse": 0.4 * (x / 1e7) ** 0.05,
        "plateau": 2.0 * (np.minimum(x, 3e8) / 1e7) ** -0.12,
        "undetermined": 2 * (x / 1e8) ** -0.05,
    }[kind]
    return pl.DataFrame({"params": x, "loss": loss * np.exp(noise * rng.standard_normal(len(x)))})


def said_of(table, **options):
    return verdicts(table, ["loss"], **options).verdicts[0]


class TestVerdicts:
    @pytest.mark.parametrize("kind", ["scales", "emergent", "flat", "inverse", "plateau", "undetermined"])
    def test_each_kind_is_told_in_nine_of_ten(self, kind):
        said = Counter(said_of(planted(kind, seed)).verdict for seed in range(20))
        assert said[kind] >= 18
        assert kind != "inverse" or not said["scales"]

    def test_a_break_is_found_where_it_was_planted(self):
        assert said_of(planted("emergent", 1)).break_at == pytest.approx(8e8, rel=0.5)
        assert said_of(planted("plateau", 1)).break_at == pytest.approx(3e8, rel=0.5)

    def test_a_break_is_told_from_a_line_in_three_percent_of_noise(self):
        said = Counter(said_of(planted("emergent", seed, noise=0.03)).verdict for seed in range(20))
        assert said["emergent"] >= 17

    def test_a_score_that_rises_scales_and_one_that_falls_is_inverse(self):
        x = SCALES
        table = pl.DataFrame({"params": x, "up": 0.2 + 0.05 * np.log10(x), "down": 0.9 - 0.05 * np.log10(x)})
        assert [one.verdict for one in verdicts(table, ["up", "down"]).verdicts] == ["scales", "inverse"]
        assert verdicts(table, ["down"], lower=["down"]).verdicts[0].verdict == "scales"

    def test_false_trends_among_many_flat_metrics_are_controlled(self):
        rng = np.random.default_rng(3)
        table = pl.DataFrame({"params": SCALES} | {f"m{k}": 0.5 + 0.01 * rng.standard_normal(24) for k in range(60)})
        said = Counter(one.verdict for one in verdicts(table, [f"m{k}" for k in range(60)]).verdicts)
        assert said["flat"] >= 58

    def test_units_of_scale_and_metric_change_no_verdict(self):
        one = planted("emergent", 4)
        other = one.with_columns(params=pl.col("params") * 1e-6, loss=pl.col("loss") * 1e3)
        assert said_of(one).verdict == said_of(other, along="params").verdict

    def test_three_scales_are_undetermined(self):
        few = planted("scales", 5).filter(pl.col("params") < 5e7)
        assert said_of(few).verdict == "undetermined"


class TestSizeGroups:
    SIZES = (0.5e9, 1.5e9, 3e9, 4e9, 7e9, 8e9, 14e9, 20e9, 32e9, 34e9, 70e9, 72e9)

    def world(self, kind, seed):
        rng = np.random.default_rng(seed)
        rows = []
        for n in self.SIZES:
            saturating = 0.9 / (1 + np.exp(-1.5 * (np.log(min(n, 14e9)) - np.log(3e9))))
            p = saturating if kind == "plateau" else 0.08 * (n / 0.5e9) ** 0.45
            rows += [(n, k / 100) for k in rng.binomial(100, p, 50)]
        return pl.DataFrame(rows, schema=["params", "score"], orient="row")

    @pytest.mark.parametrize("kind", ["plateau", "no plateau"])
    def test_a_plateau_is_told_from_a_power_law(self, kind):
        found = [size_groups(self.world(kind, seed), ["score"]).metrics[0] for seed in range(20)]
        assert sum(one.verdict == kind for one in found) >= 19
        assert kind != "plateau" or {one.cheapest for one in found} == {"8B to 33B"}

    def test_dunn_agrees_with_its_closed_form_without_ties(self):
        from scipy.stats import norm

        values = np.array([1.0, 2, 3, 7, 8, 9, 10, 11])
        groups = np.array([0, 0, 0, 1, 1, 1, 1, 1])
        z = (2 - 6) / np.sqrt(8 * 9 / 12 * (1 / 3 + 1 / 5))
        assert dunn(values, groups)[0, 1] == pytest.approx(2 * norm.sf(abs(z)))

    def test_an_inversion_of_siblings_is_listed_and_items_say_whether_it_is_real(self):
        table = pl.DataFrame({
            "model": ["s", "m", "l", "s2", "l2", "x", "y"], "family": ["a", "a", "a", "b", "b", "c", "c"],
            "params": [1e9, 7e9, 70e9, 1e9, 70e9, 2e9, 40e9], "acc": [0.5, 0.4, 0.7, 0.50, 0.49, 0.2, 0.8],
        })  # fmt: skip
        found = size_groups(table, ["acc"], bins=[3e9], items=1000)
        assert [(one.smaller, one.larger) for one in found.inversions] == [("s", "m"), ("s2", "l2")]
        assert found.inversions[0].q_value < 0.01 < found.inversions[1].q_value
        assert found.siblings == 5
        from scipy.stats import false_discovery_control, norm

        p = [
            2 * norm.sf(gap / np.sqrt(sum(a * (1 - a) for a in both) / 1000))
            for gap, both in ((0.1, (0.5, 0.4)), (0.01, (0.5, 0.49)))
        ]
        assert [one.q_value for one in found.inversions] == pytest.approx(false_discovery_control([*p, 1, 1, 1])[:2])

    def test_one_group_alone_is_refused(self):
        with pytest.raises(SkillError, match="fewer than two groups"):
            size_groups(pl.DataFrame({"params": [1e9, 2e9], "acc": [0.1, 0.2]}), ["acc"])


def noisy_courses(seed, count, rho, runs=3):
    """Runs whose score saturates, with noise of which neighbouring checkpoints share a part."""
    rng = np.random.default_rng(seed)
    frames = []
    for run in range(runs):
        noise = rng.standard_normal(count)
        for at in range(1, count):
            noise[at] = rho * noise[at - 1] + np.sqrt(1 - rho**2) * noise[at]
        score = 1 - np.exp(-4 * np.linspace(0.02, 1, count)) + 0.2 * noise
        frames.append(pl.DataFrame({"run": [f"r{run}"] * count, "step": np.arange(count), "acc": score}))
    return pl.concat(frames)


class TestQuality:
    def checkpoints(self, seed, items):
        rng = np.random.default_rng(seed)
        at = np.arange(40)
        latent = 2 / (1 + np.exp(-(at - 18) / 9)) - 0.8
        right = rng.binomial(items, 1 / (1 + np.exp(-1.5 * latent))) / items
        soft = latent + rng.standard_normal(40) * 0.7 / np.sqrt(items)
        return pl.DataFrame({"run": ["r"] * 40, "step": at, "acc": right, "soft_log": soft})

    def test_a_continuous_score_is_more_stable_than_a_thresholded_one(self):
        wins = sum(quality(self.checkpoints(seed, 100), ["acc", "soft_log"]).measures[0].metric == "soft_log" for seed in range(20))  # fmt: skip
        assert wins >= 19

    @pytest.mark.parametrize(("count", "rho"), [(12, 0.0), (40, 0.0), (40, 0.6), (100, 0.6)])
    def test_the_interval_of_stability_holds_the_mean_of_other_courses(self, count, rho):
        """Noise of neighbouring checkpoints may be alike (rho); the interval is at most twice as wide as tau differs between courses."""
        found = [quality(noisy_courses(seed, count, rho), ["acc"]).measures[0] for seed in range(100)]
        mean, apart = np.mean([one.stability for one in found]), np.std([one.stability for one in found])
        width = np.mean([one.high - one.low for one in found]) / 3.29
        assert np.mean([one.low <= mean <= one.high for one in found]) >= 0.85
        assert 0.85 * apart < width < 2.2 * apart

    def test_values_before_each_one_are_counted_as_pair_by_pair(self):
        rng = np.random.default_rng(0)
        for count in (5, 16, 33, 100):
            y = rng.integers(8, size=count).astype(float)
            lower, higher = _before(y)
            assert lower.tolist() == [int((y[:at] < y[at]).sum()) for at in range(count)]
            assert higher.tolist() == [int((y[:at] > y[at]).sum()) for at in range(count)]

    def test_a_long_log_of_checkpoints_takes_no_memory_for_its_pairs(self):
        """A run that was scored at every step: its pairs alone would take 80 GB."""
        at = np.arange(100_000)
        score = np.log1p(at) + np.random.default_rng(0).standard_normal(len(at))
        (found,) = quality(pl.DataFrame({"run": ["r"] * len(at), "step": at, "acc": score}), ["acc"]).measures
        assert found.low < found.stability < found.high

    def test_an_order_without_a_fault_is_not_known_without_error(self):
        (found,) = quality(pl.DataFrame({"run": ["r"] * 6, "step": range(6), "acc": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}), ["acc"]).measures  # fmt: skip
        assert (found.stability, found.high) == pytest.approx((1.0, 1.0))
        assert found.low < 0.75

    def test_a_loss_that_falls_is_as_stable_as_a_score_that_rises(self):
        at = np.arange(30)
        table = pl.DataFrame({"run": ["r"] * 30, "step": at, "bpb": 2.0 - 0.01 * at, "acc": 0.3 + 0.01 * at})
        assert [one.stability for one in quality(table, ["bpb", "acc"]).measures] == [1.0, 1.0]

    def test_more_items_raise_stability(self):
        few, many = (np.mean([quality(self.checkpoints(seed, items), ["acc"]).measures[0].stability for seed in range(10)]) for items in (100, 1000))  # fmt: skip
        assert many > few + 0.05

    def test_tau_is_that_of_its_definition_with_ties(self):
        x, y = np.array([1.0, 2, 2, 3]), np.array([1.0, 3, 2, 2])
        # Pairs: 3 concordant of 6 less ... by hand: concordant 4, discordant 0 but (2nd, 4th) and ties in x and y.
        signs = [np.sign((x[i] - x[j]) * (y[i] - y[j])) for i in range(4) for j in range(i)]
        assert tau_b(x, y) == pytest.approx(sum(signs) / np.sqrt(5 * 5))

    def test_bases_and_tuned_models_are_paired_by_name(self):
        rng = np.random.default_rng(0)
        score = np.linspace(0.2, 0.8, 12)
        base = pl.DataFrame({"model": [f"b{i}" for i in range(12)], "of": [None] * 12, "acc": score}, schema_overrides={"of": pl.String})  # fmt: skip
        tuned = pl.DataFrame({"model": [f"t{i}" for i in range(12)], "of": [f"b{i}" for i in range(12)], "acc": score + 0.1 + 0.01 * rng.standard_normal(12)})  # fmt: skip
        (found,) = quality(pl.concat([base, tuned]), ["acc"], base="of").measures
        assert found.pairs == 12
        assert found.consistency > 0.9

    def test_published_stability_by_metric(self, study):
        """Means over 312 series: 24 runs and 13 tasks; the audit's own computation gives .86, .74 and .59."""
        table = pl.read_parquet(study("olmo_ladder.parquet")).rename({"run_name": "run"})
        tasks = sorted({name.rsplit("_5shot_", 1)[0] for name in table.columns if "_val_rc_5shot_bpb" in name})
        found = {}
        for suffix in ("bpb", "soft_log", "len_norm"):
            names = [next(c for c in table.columns if c == f"{task}_5shot_{suffix}" or (suffix == "len_norm" and c == f"{task}_5shot_acc")) for task in tasks]  # fmt: skip
            runs = [rows.sort("step") for _, rows in table.group_by("run")]
            found[suffix] = np.mean([abs(tau_b(rows["step"].to_numpy(), rows[name].to_numpy())) for rows in runs for name in names])  # fmt: skip
        assert found == {"bpb": pytest.approx(0.86, abs=0.01), "soft_log": pytest.approx(0.74, abs=0.01), "len_norm": pytest.approx(0.59, abs=0.02)}  # fmt: skip


class TestEarlyOrder:
    def runs(self, seed, *, recipes):
        """Models of one size whose recipes differ, or of sizes alone."""
        rng = np.random.default_rng(seed)
        rows = []
        for k in range(8):
            params = 1e8 if recipes else 1e8 * 2**k
            skill = rng.standard_normal() if recipes else 0.3 * k
            for step in range(1, 21):
                noise = 0.02 * rng.standard_normal(6)
                rows.append({"run": f"r{k}", "params": params, "step": step} | {f"acc{m}": 0.3 + 0.05 * skill * (1 + 0.1 * m) + 0.1 * np.log(step) + noise[m] * 0.5 for m in range(6)})  # fmt: skip
        return pl.DataFrame(rows)

    def test_recipes_of_one_size_are_ordered_early_where_size_says_nothing(self):
        found = early_order(self.runs(0, recipes=True), [f"acc{m}" for m in range(6)])
        assert found.early[0] > 0.6
        assert found.shuffled[1] < 0 < found.shuffled[2]

    def test_where_size_says_all_early_scores_gain_nothing(self):
        found = early_order(self.runs(1, recipes=False), [f"acc{m}" for m in range(6)])
        assert found.size[0] > 0.9
        assert found.gain[1] <= 0.05

    def test_shares_outside_the_training_are_refused(self):
        with pytest.raises(SkillError, match="between 0 and 1"):
            early_order(self.runs(0, recipes=True), ["acc0"], at=30)


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("verdict", ("--metric", "los")),
        ("verdict", ()),
        ("plateau", ("--metric", "loss", "--bins", "8B,3B")),
        ("quality", ("--metric", "loss")),
        ("early", ("--metric", "loss")),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(tmp_path, command, verb, options):
    planted("scales", 0).write_csv(tmp_path / "runs.csv")
    done = command("skill", verb, "runs.csv", *options)
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert done.stderr.startswith("SkillError: ")


def test_verdicts_are_written_as_tables_and_json(tmp_path, command):
    planted("scales", 0).write_csv(tmp_path / "runs.csv")
    done = command("skill", "verdict", "runs.csv", "--metric", "loss", "--json", "-o", "v.csv")
    assert (
        json.loads(done.stdout)["verdicts"][0]["verdict"] == pl.read_csv(tmp_path / "v.csv")["verdict"][0] == "scales"
    )


class TestRowsThatAreNoRuns:
    def checkpoints(self, seed):
        """Six runs of ten checkpoints whose levels differ by chance alone."""
        rng = np.random.default_rng(seed)
        rows = [
            {"run": f"r{k}", "params": n, "step": step, "score": 0.5 + level + 0.002 * rng.standard_normal()}
            for k, (n, level) in enumerate(zip(np.geomspace(1e7, 1e10, 6), 0.05 * rng.standard_normal(6), strict=True))
            for step in range(10)
        ]
        return pl.DataFrame(rows)

    def test_the_last_checkpoint_of_each_run_is_judged(self):
        found = [verdicts(self.checkpoints(seed), ["score"]) for seed in range(8)]
        assert {one.verdicts[0].runs for one in found} == {6}
        assert {one.code for result in found for one in result.warnings} == {"checkpoints_ended"}
        assert sum(one.verdicts[0].verdict == "undetermined" for one in found) >= 7

    def test_repeats_of_one_evaluation_all_count(self):
        rng = np.random.default_rng(0)
        rows = [
            (f"m{n:g}", n, 1e12, rng.binomial(100, p) / 100)
            for n, p in ((1e9, 0.2), (7e9, 0.4), (70e9, 0.8))
            for _ in range(30)
        ]
        found = size_groups(pl.DataFrame(rows, schema=["run", "params", "tokens", "acc"], orient="row"), ["acc"])
        assert [one.count for one in found.metrics[0].groups] == [30, 30, 30]
        assert not found.warnings

    def test_a_row_that_is_left_out_has_its_number_in_the_file(self):
        table = read_runs(
            planted("scales", 0).with_columns(
                loss=pl.when(pl.int_range(pl.len()) == 20).then(None).otherwise(pl.col("loss"))
            )
        )
        (found,) = verdicts(table.where("params > 2e7"), ["loss"]).warnings
        assert "row 21 first" in found.text

    def test_several_rows_at_one_step_are_refused(self):
        twice = pl.concat([self.checkpoints(0), self.checkpoints(1)])
        for judge in (quality, early_order):
            with pytest.raises(SkillError, match="several rows at step"):
                judge(twice, ["score"])

    def test_rows_without_a_number_are_named(self):
        table = planted("scales", 0).with_columns(
            loss=pl.when(pl.col("params") < 2e7).then(None).otherwise(pl.col("loss"))
        )
        assert [one.code for one in verdicts(table, ["loss"]).warnings] == ["left_out_rows"]

    def test_a_loss_is_better_in_the_group_where_it_is_lower(self):
        rng = np.random.default_rng(0)
        rows = [
            (n, loss + 0.02 * rng.standard_normal())
            for n, loss in ((1e9, 1.45), (7e9, 1.25), (70e9, 1.05))
            for _ in range(20)
        ]
        (found,) = size_groups(pl.DataFrame(rows, schema=["params", "bpb"], orient="row"), ["bpb"]).metrics
        assert (found.verdict, found.cheapest) == ("no plateau", None)
        assert found.groups[0].mean == pytest.approx(1.45, abs=0.02)

    @pytest.mark.parametrize("options", [{"margin": -1.0}, {"items": 0}, {"margin": float("nan")}])
    def test_impossible_options_are_refused(self, options):
        with pytest.raises(SkillError, match=r"margin|items"):
            size_groups(pl.DataFrame({"params": [1e9, 2e9, 7e9, 7e9], "acc": [0.1, 0.2, 0.3, 0.4]}), ["acc"], **options)


def test_a_metric_that_is_not_judged_cannot_be_lower():
    runs = pl.DataFrame({"params": [1e9, 2e9, 4e9], "acc": [0.1, 0.2, 0.3]})
    for judge in (verdicts, size_groups):
        with pytest.raises(SkillError, match="it is none of the metrics acc"):
            judge(runs, ["acc"], lower=["los"])
