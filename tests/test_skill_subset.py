"""Subsets of items: planted items, models held out, wrong input."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import kendalltau

from rung.errors import SkillError
from rung.skill import item_subsets
from rung.skill.subsets import _WAYS, _held_out


def responses(seed, models=30, items=400, kinds=None):
    """Scores of models on items of unequal difficulty; with kinds, on that many groups of equal items."""
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal(models)
    difficulty = rng.normal(0, 1.2, items)
    if kinds:
        skill, share = rng.standard_normal((models, kinds)), np.arange(1.0, kinds + 1) ** 2
        return (rng.random((models, kinds)) < expit(2 * skill)).astype(float)[
            :, rng.choice(kinds, items, p=share / share.sum())
        ]
    return (rng.random((models, items)) < expit(1.5 * (ability[:, None] - difficulty))).astype(float)


def table(scores):
    models, items = scores.shape
    return pl.DataFrame({"model": np.repeat([f"m{i}" for i in range(models)], items), "item": np.tile([f"i{i}" for i in range(items)], models), "correct": scores.ravel()})  # fmt: skip


class TestPlantedItems:
    def test_items_spread_over_difficulty_miss_less_than_random_ones(self):
        gains = [_held_out(responses(seed), 50, "random", seed)[0] - _held_out(responses(seed), 50, "spread", seed)[0] for seed in range(20)]  # fmt: skip
        assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(len(gains))

    def test_one_anchor_of_each_kind_of_equal_items_scores_models_exactly(self):
        scores = responses(0, items=300, kinds=12)
        found = item_subsets([table(scores)], items=12)
        one = next(one for one in found.sizes if one.items == 12)
        assert one.way == "anchors"
        assert one.error < 0.05
        at = [int(name[1:]) for name in found.chosen]
        assert scores[:, at] @ np.array(found.weights) == pytest.approx(scores.mean(axis=1), abs=1e-9)

    def test_the_error_is_that_of_models_that_did_not_choose(self):
        """Subsets chosen and judged on the same six models look better than they are."""
        honest, same = [], []
        for seed in range(20):
            scores = responses(seed, models=6)
            honest.append(_held_out(scores, 20, "anchors", seed)[0])
            chosen, weights = _WAYS["anchors"](scores, 20, np.random.default_rng(seed))
            same.append(np.mean(np.abs(scores[:, chosen] @ weights / weights.sum() - scores.mean(axis=1))))
        assert np.mean(honest) > 1.15 * np.mean(same)

    def test_tau_at_random_is_that_of_one_subset_for_all_models(self):
        """Ranks over subsets of different folds would count unequal difficulty as a wrong order."""
        scores = responses(2, items=1000)
        common = []
        for seed in range(200):
            chosen = np.random.default_rng(seed).choice(1000, 20, replace=False)
            common.append(kendalltau(scores[:, chosen].mean(axis=1), scores.mean(axis=1)).statistic)
        found = np.mean([_held_out(scores, 20, "random", seed)[1] for seed in range(40)])
        assert found == pytest.approx(np.mean(common), abs=0.03)

    def test_the_fewest_items_that_keep_the_order_are_chosen(self):
        found = item_subsets([table(responses(1))], order=0.85)
        short = [one.items for one in found.sizes if one.tau < 0.85]
        assert len(found.chosen) == min(one.items for one in found.sizes if one.items > max(short))
        assert sum(found.weights) == pytest.approx(1)
        assert len(set(found.chosen)) == len(found.chosen)


class TestWrongInput:
    @pytest.mark.parametrize(
        ("frame", "options", "text"),
        [
            (table(responses(0, models=4)), {}, "4 models cannot choose"),
            (table(responses(0)), {"items": 400}, "1 to 399"),
            (table(responses(0)), {"order": 1.5}, "a rank correlation"),
            (table(np.ones((8, 60))), {}, "no order to keep"),
            (table(responses(0, items=8)), {}, "8 items are too few"),
            (pl.concat([table(responses(0)).with_columns(task=pl.lit(name)) for name in "ab"]), {}, "one task at a time"),
        ],
    )  # fmt: skip
    def test_each_fault_has_its_message(self, frame, options, text):
        with pytest.raises(SkillError, match=text):
            item_subsets([frame], **options)

    def test_items_that_some_model_lacks_are_left_out_and_said(self):
        frame = table(responses(0)).filter(~((pl.col("model") == "m3") & (pl.col("item") == "i7")))
        (finding,) = item_subsets([frame], items=50).warnings
        assert "1 item of 400 was not scored by every model and is left out, 'i7' for one" in finding.text
