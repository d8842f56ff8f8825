"""Whether a difference between models is real: paired, over groups, adjusted, and scored on items that did not choose."""

import json

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.skill import ScoreColumns, benjamini_hochberg, clopper_pearson, compare_scores, inverse_sampling, wilson


def table(model, values, **columns):
    return pl.DataFrame({"model": [model] * len(values), "item": [f"q{i}" for i in range(len(values))], "score": list(values), **columns})  # fmt: skip


def pair(rng, count, gain=0.0):
    difficulty = rng.standard_normal(count)
    latent = difficulty + 0.5 * rng.standard_normal((2, count))
    latent[1] += gain
    return [table(name, (one > 0).astype(int)) for name, one in zip("AB", latent, strict=True)]


class TestAgainstIndependentCodeAndClosedForms:
    @pytest.mark.parametrize(("share", "count"), [(0.0, 7), (0.3, 20), (1.0, 4), (0.51, 1000)])
    def test_the_interval_of_wilson_is_that_of_scipy(self, share, count):
        from scipy.stats import binomtest

        oracle = binomtest(round(share * count), count).proportion_ci(0.9, "wilson")
        assert wilson(round(share * count) / count, count, 0.9) == pytest.approx((oracle.low, oracle.high))

    def test_the_exact_interval_is_that_of_scipy(self):
        from scipy.stats import binomtest

        oracle = binomtest(3, 17).proportion_ci(0.9, "exact")
        assert clopper_pearson(3, 17, 0.9) == pytest.approx((oracle.low, oracle.high))

    def test_the_bounds_of_inverse_sampling_are_where_a_tail_of_the_negative_binomial_is_five_percent(self):
        from scipy.stats import nbinom

        low, high = inverse_sampling(3, 40, 0.9)
        # 40 attempts or fewer for three successes are rare at the lower bound, 40 or more at the upper one.
        assert nbinom.cdf(37, 3, low) == pytest.approx(0.05)
        assert nbinom.sf(36, 3, high) == pytest.approx(0.05)

    def test_false_discovery_adjustment_is_that_of_scipy(self):
        from scipy.stats import false_discovery_control

        p = np.random.default_rng(0).random(37) ** 3
        assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))

    def test_paired_scores_give_the_paired_t_test(self):
        from scipy.stats import ttest_ind, ttest_rel

        rng = np.random.default_rng(3)
        one, other = rng.standard_normal((2, 25))
        found = compare_scores([table("A", one), table("B", other)]).comparisons[0]
        assert found.p_value == pytest.approx(ttest_rel(other, one).pvalue)
        assert found.p_unpaired == pytest.approx(ttest_ind(other, one, equal_var=False).pvalue)

    def test_right_and_wrong_answers_give_the_exact_test_of_mcnemar(self):
        from scipy.stats import binomtest

        one, other = [1, 1, 0, 0, 0, 0, 0, 1] * 5, [0, 1, 1, 1, 1, 0, 1, 1] * 5
        found = compare_scores([table("A", one), table("B", other)]).comparisons[0]
        assert found.p_value == pytest.approx(binomtest(20, 25).pvalue)
        assert found.test == "McNemar, exact"

    def test_groups_of_one_item_each_change_no_error(self):
        rng = np.random.default_rng(4)
        one, other = rng.standard_normal((2, 30))
        groups = [f"g{i}" for i in range(30)]
        plain = compare_scores([table("A", one), table("B", other)]).comparisons[0]
        grouped = compare_scores([table("A", one, cluster=groups), table("B", other, cluster=groups)]).comparisons[0]
        assert grouped.error == pytest.approx(plain.error)

    def test_an_item_repeated_in_a_group_widens_the_error_by_the_square_root(self):
        rng = np.random.default_rng(5)
        one, other = np.repeat(rng.standard_normal((2, 40)), 4, axis=1)
        groups = [f"g{i // 4}" for i in range(160)]
        plain = compare_scores([table("A", one), table("B", other)]).comparisons[0]
        grouped = compare_scores([table("A", one, cluster=groups), table("B", other, cluster=groups)]).comparisons[0]
        assert grouped.error == pytest.approx(2 * plain.error, rel=0.02)


class TestErrorRates:
    """benchmarks/real_or_not.py measures all kinds; these are the smallest that would notice a wrong test."""

    @pytest.mark.parametrize("kind", ["items", "groups", "two seeds"])
    def test_no_difference_is_called_real_in_at_most_five_percent(self, kind):
        called = 0
        for repeat in range(300):
            rng = np.random.default_rng([repeat, 1])
            if kind == "items":
                found = compare_scores(pair(rng, 100))
            elif kind == "groups":
                shared = np.repeat(rng.standard_normal((2, 15)), 10, axis=1)
                groups = [f"g{i // 10}" for i in range(150)]
                values = shared + rng.standard_normal((2, 150))
                found = compare_scores([table(n, v, cluster=groups) for n, v in zip("AB", values, strict=True)])
            else:
                found = compare_scores([table(n, v) for n, v in zip("AB", rng.standard_normal((2, 2)), strict=True)])
            called += found.comparisons[0].p_value < 0.05
        # Three standard errors of 300 repeats above five in a hundred.
        assert called / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)

    def test_intervals_of_differences_of_shares_hold_the_truth(self):
        from scipy.stats import norm

        spread = np.sqrt(1.25)
        truth = norm.cdf(0.3 / spread) - 0.5
        inside = []
        for repeat in range(300):
            found = compare_scores(pair(np.random.default_rng([repeat, 11]), 120, 0.3)).comparisons[0]
            inside.append(found.low <= truth <= found.high)
        assert 0.85 <= np.mean(inside) <= 0.95

    def test_as_many_items_as_are_needed_order_two_models_nine_times_in_ten(self):
        rng = np.random.default_rng(12)
        gaps = rng.standard_normal(4000) + 0.2
        needed = compare_scores([table("A", np.zeros(4000)), table("B", gaps)]).comparisons[0].needed
        drawn = rng.choice(gaps, (4000, round(needed))).mean(axis=1)
        assert np.mean(drawn > 0) == pytest.approx(0.9, abs=0.02)

    def test_the_paired_test_finds_what_the_unpaired_one_misses(self):
        found = [compare_scores(pair(np.random.default_rng([repeat, 2]), 300, 0.2)).comparisons[0] for repeat in range(60)]  # fmt: skip
        paired, unpaired = (np.mean([getattr(one, name) < 0.05 for one in found]) for name in ("p_value", "p_unpaired"))
        assert paired > unpaired + 0.2

    def test_the_detectable_difference_is_found_four_times_in_five(self):
        rng = np.random.default_rng(6)
        error = compare_scores([table("A", np.zeros(20)), table("B", rng.standard_normal(20))]).comparisons[0]
        gain = error.detectable / error.error / np.sqrt(20)
        found = [compare_scores([table("A", np.zeros(20)), table("B", rng.standard_normal(20) + gain)]).comparisons[0] for _ in range(400)]  # fmt: skip
        assert 0.72 <= np.mean([one.p_value < 0.05 for one in found]) <= 0.88

    def test_the_best_of_ten_equal_models_is_corrected_to_the_truth(self):
        raw, corrected = [], []
        for repeat in range(60):
            rng = np.random.default_rng([repeat, 7])
            difficulty = rng.standard_normal(300)
            tables = [table(f"m{k}", (difficulty + 0.5 * rng.standard_normal(300) > 0).astype(int)) for k in range(10)]
            (look,) = compare_scores(tables, seed=repeat).looks
            raw.append(look.score - 0.5)
            corrected.append(look.corrected - 0.5)
        assert np.mean(raw) > 0.015
        assert abs(np.mean(corrected)) < np.mean(raw) / 2


class TestDoors:
    def test_samples_of_the_harness_are_told_apart_by_their_folders(self, tmp_path, command):
        rng = np.random.default_rng(8)
        for name, shift in (("base", 0.0), ("tuned", 0.8)):
            folder = tmp_path / name
            folder.mkdir()
            rows = [
                {"doc_id": i, "doc": {"question": "?"}, "target": "A", "resps": [["A"]], "acc": float(rng.random() < 0.4 + shift / 2)}
                for i in range(200)
            ]  # fmt: skip
            (folder / "samples_arc_easy_2026-01-02T03-04-05.678.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")  # fmt: skip
        name = "samples_arc_easy_2026-01-02T03-04-05.678.jsonl"
        done = command("skill", "compare", f"base/{name}", f"tuned/{name}", "--json", "-o", "c.csv")
        (one,) = json.loads(done.stdout)["comparisons"]
        assert (one["control"], one["treated"], one["task"], one["p_value"] < 0.05) == ("base", "tuned", "arc_easy", True)  # fmt: skip
        assert pl.read_csv(tmp_path / "c.csv")["q_value"][0] == one["q_value"]

    @pytest.mark.parametrize(
        ("tables", "options", "said"),
        [
            ([table("A", [1, 0])], {}, "one model alone"),
            ([table("A", [1, 0]), table("B", [1, 0]).with_columns(item=pl.Series(["x", "y"]))], {}, "--unpaired"),
            ([table("A", [1, 0], acc=[1, 0]), table("B", [1, 1])], {}, "--score score"),
            ([table("A", [1, 0]), table("B", [1.0, float("nan")])], {}, "row 2"),
            ([table("A", [1, 0]), table("B", [1, 1])], {"control": "C"}, "A and B"),
            ([pl.concat([table("A", [1, 0])] * 2), table("B", [1, 1])], {}, "several scores"),
            ([table("A", [1, 0]), table("A", [1, 1])], {}, "Give each model once"),
            ([table("A", [0.5, 0.25]), table("B", [50.0, 25.0])], {}, "looks like percent"),
            ([table("A", [[1], [0]]), table("B", [1, 1])], {}, "lists or objects"),
            ([table("A", [1, 0]).with_columns(model=None), table("B", [1, 1])], {}, "row 1: model is missing"),
            ([table("A", [1, 0]).rename({"item": "what"}), table("B", [1, 1])], {}, "--unit"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(self, tables, options, said):
        with pytest.raises(SkillError) as refused:
            compare_scores(tables, **options)
        assert said in refused.value.text

    def test_items_of_one_model_alone_are_left_out_by_name(self):
        found = compare_scores([table("A", [1, 0, 1]), table("B", [1, 0])])
        assert [one.code for one in found.warnings] == ["left_out_items"]
        assert "q2" in found.warnings[0].text

    def test_repeats_that_a_column_tells_apart_are_averaged(self):
        one = pl.concat([table("A", [1, 0], sample=[0, 0]), table("A", [0, 0], sample=[1, 1])])
        other = pl.concat([table("B", [1, 1], sample=[0, 0]), table("B", [1, 0], sample=[1, 1])])
        found = compare_scores([one, other])
        assert found.comparisons[0].means == (0.25, 0.75)
        assert [finding.code for finding in found.warnings] == ["averaged_repeats"]

    def test_a_log_of_several_filters_asks_for_one(self):
        one, other = (table(name, [1, 0, 1, 1], filter=["strict", "strict", "flex", "flex"]).with_columns(item=pl.Series(["a", "b", "a", "b"])) for name in "AB")  # fmt: skip
        with pytest.raises(SkillError, match=r"filter strict\.") as refused:
            compare_scores([one, other])
        assert "strict and flex" in refused.value.text
        assert compare_scores([one, other], columns=ScoreColumns(filter="flex")).comparisons[0].means == (1.0, 1.0)

    def test_two_items_show_no_difference_and_no_share_beyond_one(self):
        found = compare_scores([table("A", [1, 0]), table("B", [1, 1])])
        assert (found.comparisons[0].low, found.comparisons[0].high) == (-1.0, 1.0)
        assert "so few items show none" in found.headline()

    def test_a_lower_loss_is_better(self):
        rng = np.random.default_rng(9)
        one = rng.standard_normal(40)
        frames = [table(n, v).rename({"score": "loss"}) for n, v in (("A", one), ("B", one - 1 + 0.1 * rng.standard_normal(40)))]  # fmt: skip
        assert compare_scores(frames).headline().startswith("B is better")

    def test_a_named_column_is_used(self):
        one = table("A", [1, 0, 1, 1], acc=[0, 0, 0, 1])
        other = table("B", [1, 0, 1, 1], acc=[1, 1, 0, 1])
        assert compare_scores([one, other], columns=ScoreColumns(score="acc")).comparisons[0].difference == 0.5
