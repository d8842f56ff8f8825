"""Preferences beyond style: planted worlds, sides, and what is refused."""

import json

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from rung.errors import SkillError
from rung.skill import preferences, read_preferences


def pairs(seed, count=400, features=20, *, content=1.0, follows=0.5, rm="both"):
    """Pairs whose preferred side follows the margin and four features of style; the sides are dealt at random."""
    rng = np.random.default_rng(seed)
    style = rng.standard_normal((count, features))
    margin = rng.standard_normal(count) + follows * style[:, 0] if rm == "both" else style[:, 0]
    truth = margin if rm == "both" else rng.standard_normal(count)
    scale = np.sqrt(np.mean(truth**2))
    first = rng.random(count) < expit(content * truth / scale + 0.6 * style[:, :4].sum(axis=1))
    columns = {"score_a": margin, "score_b": np.zeros(count), "preferred": np.where(first, "a", "b")}
    for index in range(features):
        # Values below 0 are compared as they are.
        columns |= {f"style{index}_a": style[:, index], f"style{index}_b": np.zeros(count)}
    return pl.DataFrame(columns)


class TestPlantedWorlds:
    def test_content_is_recovered_where_one_fit_overestimates_it(self):
        found = [preferences(pairs(seed)).scores[0] for seed in range(40)]
        assert np.mean([one.content for one in found]) == pytest.approx(1.0, abs=0.1)
        assert np.mean([one.content_naive for one in found]) > 1.1
        held = np.mean([one.content_interval[0] <= 1 <= one.content_interval[1] for one in found])
        assert held >= 0.8

    def test_a_score_that_is_style_alone_is_no_better_than_chance_under_control(self):
        found = [preferences(pairs(seed, 600, 4, rm="style")).scores[0] for seed in range(40)]
        assert np.mean([one.accuracy for one in found]) > 0.58
        assert np.mean([one.controlled for one in found]) == pytest.approx(0.5, abs=0.015)
        assert np.mean([one.p_value < 0.05 for one in found]) <= 0.15
        assert np.mean([one.explained for one in found]) > 0.95

    def test_control_restores_what_a_world_without_style_would_show(self):
        """Style blurs what people prefer, so a score of content alone is right less often than it would be among answers of one style."""
        found = [preferences(pairs(seed, 1000, 4, follows=0.0)).scores[0] for seed in range(20)]
        without = np.mean(expit(np.abs(np.random.default_rng(0).standard_normal(100_000))))
        assert np.mean([one.controlled for one in found]) == pytest.approx(without, abs=0.012)
        assert np.mean([one.accuracy for one in found]) < without - 0.02
        assert np.mean([one.explained for one in found]) < 0.01

    def test_intervals_of_the_controlled_share_hold_that_of_many_pairs(self):
        truth = preferences(pairs(999, 60_000, 4)).scores[0].controlled
        found = [preferences(pairs(seed, 500, 4)).scores[0].controlled_interval for seed in range(60)]
        assert 0.8 <= np.mean([low <= truth <= high for low, high in found]) <= 0.98

    def test_style_that_nobody_minds_is_right_on_half_of_the_pairs(self):
        """Fitted to the pairs that it is judged on, twenty features would be right on more."""
        found = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            table = pairs(seed, 200).with_columns(preferred=pl.Series(np.where(rng.random(200) < 0.5, "a", "b")))
            found.append(preferences(table).style_accuracy)
        assert np.mean(found) == pytest.approx(0.5, abs=0.03)

    def test_swapping_the_sides_changes_nothing(self):
        table = pairs(0)
        other = table.rename({name: name[:-1] + {"a": "b", "b": "a"}[name[-1]] for name in table.columns if name != "preferred"})  # fmt: skip
        other = other.with_columns(preferred=pl.col("preferred").replace({"a": "b", "b": "a"}))
        one, two = (preferences(frame).scores[0] for frame in (table, other))
        assert one.controlled == pytest.approx(two.controlled, abs=1e-12)
        assert one.content == pytest.approx(two.content, abs=1e-9)


class TestReading:
    def test_other_scores_are_no_style_and_are_named(self):
        table = pairs(0).with_columns(rm13b_a=pl.col("score_a"), rm13b_b=pl.col("score_b"))
        found = preferences(table)
        assert not [name for name, _, _ in found.style if "rm" in name]
        (finding,) = found.warnings
        assert finding.code == "unused_pairs"
        assert "rm13b is taken neither" in finding.text

    def test_labels_that_are_no_side_are_refused(self):
        table = pairs(0).rename({name: name[:-1] + {"a": "1", "b": "2"}[name[-1]] for name in pairs(0).columns if name != "preferred"})  # fmt: skip
        with pytest.raises(SkillError, match="column label holds 0, where 1, 2 or tie"):
            preferences(table.with_columns(label=(pl.col("preferred") == "b").cast(pl.Int64)).drop("preferred"))

    def test_style_that_decides_all_is_warned_of(self):
        rng = np.random.default_rng(0)
        length = np.exp(rng.normal(5, 1, (400, 2)))
        gap = (length[:, 0] - length[:, 1]) / length.sum(axis=1)
        table = pl.DataFrame({"length_a": length[:, 0], "length_b": length[:, 1], "score_a": np.log(length[:, 0]), "score_b": np.log(length[:, 1]), "preferred": np.where(rng.random(400) < expit(20 * gap), "a", "b")})  # fmt: skip
        found = preferences(table)
        low, high = found.scores[0].controlled_interval
        assert low < 0.5 < high
        always = preferences(table.with_columns(preferred=pl.when(pl.col("length_a") > pl.col("length_b")).then(pl.lit("a")).otherwise(pl.lit("b"))))  # fmt: skip
        assert "style_decides" in {one.code for one in always.warnings}

    def test_texts_are_counted(self, tmp_path):
        rows = []
        rng = np.random.default_rng(0)
        for index in range(60):
            long = "# A\n" + "- **x** and more\n" * int(rng.integers(1, 9))
            chosen, rejected = (long, "short") if index % 3 else ("short", long)
            rows.append({"chosen": [{"role": "user", "content": "?"}, {"role": "assistant", "content": chosen}], "rejected": [{"role": "user", "content": "?"}, {"role": "assistant", "content": rejected}], "score_chosen": float(rng.normal()), "score_rejected": 0.0})  # fmt: skip
        path = tmp_path / "pairs.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        table = read_preferences(path)
        assert table.features == ("characters", "list items", "headers", "bold")
        assert table.style[1].tolist()[1:] == [1.0, 1.0, 1.0]
        assert table.style[0].tolist()[1:] == [-1.0, -1.0, -1.0]
        found = preferences(path)
        assert found.style_accuracy > 0.6

    def test_counts_are_compared_in_shares_of_their_sum(self):
        frame = pl.DataFrame({"score_chosen": [1.0] * 2, "score_rejected": [0.0] * 2, "length_chosen": [30, 0], "length_rejected": [10, 0]})  # fmt: skip
        assert read_preferences(frame).style[:, 0].tolist() == [0.5, 0.0]

    def test_ties_are_left_out_and_counted(self):
        table = pairs(0).with_columns(preferred=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("tie")).otherwise(pl.col("preferred")))  # fmt: skip
        (finding,) = preferences(table).warnings
        assert "5 pairs are left out: 5 without a preferred side, 0 without a number" in finding.text

    def test_capitals_do_not_matter(self):
        table = pairs(0)
        upper = table.rename({name: name[:-1] + name[-1].upper() if name != "preferred" else "Winner" for name in table.columns})  # fmt: skip
        assert preferences(upper, scores=["Score"]).scores[0] == preferences(table).scores[0]

    def test_groups_and_several_scores_are_judged_apart(self):
        table = pairs(0).with_columns(subset=pl.Series(["x"] * 200 + ["y"] * 200), rm_a=pl.col("style0_a"), rm_b=pl.col("style0_b"))  # fmt: skip
        found = preferences(table, scores=["score", "rm"], style=["style0", "style1"], group="subset")
        assert [(one.score, one.group, one.pairs) for one in found.scores] == [(name, group, count) for name in ("score", "rm") for group, count in (("", 400), ("x", 200), ("y", 200))]  # fmt: skip
        assert [name for name, _, _ in found.style] == ["style0", "style1"]

    @pytest.mark.parametrize(
        ("frame", "options", "text"),
        [
            (pairs(0).drop("preferred"), {}, "no column preferred"),
            (pairs(0).drop("score_b"), {}, "no scores of both answers"),
            (pairs(0), {"scores": ["rm"]}, "no columns rm_a and rm_b"),
            (pairs(0), {"style": ["length"]}, "length_a and length_b for style length"),
            (pairs(0), {"group": "subset"}, "no column 'subset'"),
            (pairs(0).select("score_a", "score_b", "preferred"), {}, "what the style of an answer is"),
            (pairs(0).head(60), {}, "60 pairs; 20 features of style need 100"),
            (pairs(0).with_columns(score_a=pl.lit(0.0)), {}, "alike"),
            (pairs(0).with_columns(preferred=pl.lit("maybe")), {}, "holds maybe"),
            (pl.DataFrame({"x": [1]}), {}, "holds no pairs"),
        ],
    )
    def test_each_fault_has_its_message(self, frame, options, text):
        with pytest.raises(SkillError, match=text):
            preferences(frame, **options)
