"""Every answer of the room of skill has a figure, which shows the points it rests on."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from rung.report import draw_figure, render_figure
from rung.skill import (
    compare_scores,
    data_curves,
    early_order,
    frontiers,
    item_subsets,
    preferences,
    quality,
    size_groups,
    verdicts,
)
from rung.skill.lineage import lineage

EXAMPLES = Path(__file__).parent.parent / "examples" / "skill"


def checkpoints():
    rng = np.random.default_rng(0)
    runs = [(f"m{index}", params) for index, params in enumerate(np.geomspace(1e8, 1e10, 8))]
    rows = [
        {"run": name, "params": params, "step": step, "tokens": step * 1e6, "acc": 0.02 * np.log(params * step) + rng.normal(0, 0.01)}
        for name, params in runs
        for step in range(1, 21)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def models():
    rng = np.random.default_rng(1)
    params = np.exp(rng.uniform(np.log(1e9), np.log(1e11), 120))
    return pl.DataFrame({"params": params, "acc": 0.05 * np.log(params / 1e8) + rng.normal(0, 0.02, 120)})


def curves():
    rows = [
        {"recipe": name, "tokens": m, "loss": scale * m**-0.2}
        for name, scale in (("old", 20.0), ("new", 12.0))
        for m in np.geomspace(1e5, 1e9, 8)
    ]
    return pl.DataFrame(rows)


MADE = {
    "verdicts": (lambda: verdicts(checkpoints(), ["acc"]), "acc: scales"),
    "groups": (lambda: size_groups(models(), ["acc"]), "at most 0.02 behind the best"),
    "frontiers": (lambda: frontiers(models(), ["acc"], along="N", asked=[5e10]), "0.98 quantile"),
    "quality": (lambda: quality(checkpoints(), ["acc"]), "stability: tau of step and score, 90 %"),
    "early": (lambda: early_order(checkpoints(), ["acc"]), "scores dealt at random"),
    "comparisons": (lambda: compare_scores([EXAMPLES / "answers.csv"]), "longer - base"),
    "preferences": (lambda: preferences(EXAMPLES / "preferences.csv", scores=["rm"]), "style controlled"),
    "subsets": (lambda: item_subsets([EXAMPLES / "items.csv"]), "items, of 240"),
    "learning curves": (lambda: data_curves(curves(), by="recipe", reach=0.1), "reaches the target"),
    "lineage": (lambda: lineage(EXAMPLES / "models.csv"), "ancestors in a row"),
}
"""For each kind of result how it is made, and a text that its figure must show."""


@pytest.mark.parametrize("kind", MADE)
def test_every_answer_about_skill_has_a_figure(kind):
    make, text = MADE[kind]
    result = make()
    first, second = (render_figure(result, "svg") for _ in range(2))
    assert first == second
    written = first.decode()
    assert text in " ".join(re.findall(r">([^<]+)<", written))
    assert f"<dc:title>{result.headline()[:10]}" in written


def drawn(result):
    """The axes on which the main panel is drawn."""
    axes = Figure().subplots()
    draw_figure(axes, result)
    return axes


def scattered(axes):
    return np.asarray(axes.collections[0].get_offsets())


def test_a_frontier_is_drawn_through_what_the_command_answers():
    result = frontiers(models(), ["acc"], along="N", asked=[5e10])
    axes = drawn(result)
    assert np.allclose(np.sort(scattered(axes), axis=0), np.sort(models().to_numpy(), axis=0))
    curve = next(line for line in axes.lines if line.get_label() == "0.98 quantile")
    x, y = curve.get_data()
    assert np.interp(np.log(5e10), np.log(x), y) == pytest.approx(result.frontiers[0].reach[0][0], rel=1e-3)


def test_groups_are_drawn_where_their_models_are():
    result = size_groups(models(), ["acc"])
    axes = drawn(result)
    group = result.metrics[0].groups[0]
    inside = models().filter(pl.col("params") <= 3e9)
    assert group.params == pytest.approx((inside["params"].min(), inside["params"].max()))
    assert any(np.allclose(line.get_ydata(), inside["acc"].mean()) for line in axes.lines)


def test_a_verdict_is_drawn_on_the_ends_of_the_runs():
    ends = checkpoints().filter(pl.col("step") == 20)
    axes = drawn(verdicts(checkpoints(), ["acc"]))
    assert np.allclose(np.sort(scattered(axes), axis=0), np.sort(ends.select("params", "acc").to_numpy(), axis=0))


def test_the_star_of_a_learning_curve_stands_at_the_target():
    result = data_curves(curves().filter(pl.col("recipe") == "old"), reach=0.1)
    star = next(line for line in drawn(result).lines if line.get_label() == "reaches the target")
    x, y = (float(part[0]) for part in star.get_data())
    assert (x, y) == pytest.approx(((20 / 0.1) ** 5, 0.1), rel=0.05)
