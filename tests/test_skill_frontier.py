"""What a size can reach: planted frontiers, movement in time, and questions that cannot be served."""

import json

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.skill import frontiers


def models(seed=0, *, drift=0.0, count=600):
    """Scores below a logistic frontier by a beta variate; with a drift the frontier rises with the date."""
    rng = np.random.default_rng(seed)
    flops = np.exp(rng.uniform(np.log(1e21), np.log(1e25), count))
    day = rng.permutation(count)
    top = 0.2 + 0.7 / (1 + np.exp(-0.8 * (np.log(flops) - np.log(1e23)))) + drift * day / count
    return pl.DataFrame({"flops": flops, "acc": top * rng.beta(6, 1.2, count), "date": [f"2026-{1 + d // 60:02}-{1 + d % 28:02}" for d in day]})  # fmt: skip


def truth(flops, quantile):
    from scipy.stats import beta

    return (0.2 + 0.7 / (1 + np.exp(-0.8 * (np.log(flops) - np.log(1e23))))) * beta.ppf(quantile, 6, 1.2)


def test_the_quantile_is_that_which_was_planted():
    found = frontiers(models(count=4000), ["acc"], asked=[1e22, 1e23, 1e24], quantile=0.9).frontiers[0]
    assert found.inside == pytest.approx(0.9, abs=0.01)
    assert [value for value, _, _ in found.reach] == pytest.approx(
        [truth(x, 0.9) for x in (1e22, 1e23, 1e24)], abs=0.02
    )


@pytest.mark.slow
def test_intervals_hold_the_planted_quantile():
    inside = []
    for seed in range(40):
        ((_, low, high),) = frontiers(models(seed), ["acc"], asked=[1e24], quantile=0.9, seed=seed).frontiers[0].reach
        inside.append(low <= truth(1e24, 0.9) <= high)
    assert np.mean(inside) >= 0.75


def test_a_frontier_that_stays_holds_on_later_models_and_one_that_moves_is_named():
    still, moving = (frontiers(models(1, drift=drift), ["acc"], quantile=0.95, date="date") for drift in (0.0, 0.5))
    assert still.frontiers[0].later[1] == pytest.approx(0.95, abs=0.05)
    assert [one.code for one in moving.warnings] == ["moving_frontier"]


def test_units_of_scale_and_score_change_no_answer():
    one = frontiers(models(), ["acc"], asked=[1e24]).frontiers[0].reach[0][0]
    scaled = models().with_columns(flops=pl.col("flops") * 1e-20, acc=pl.col("acc") * 100)
    other = frontiers(scaled, ["acc"], along="flops", asked=[1e4]).frontiers[0].reach[0][0]
    assert other == pytest.approx(100 * one, rel=5e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("C=1e24",), "--metric COLUMN"),
        (("C=many", "--metric", "acc"), "'many' is no number"),
        (("C=1e24", "N=7B", "--metric", "acc"), "one scale"),
        (("N=7B", "--metric", "acc"), "no column 'params'"),
        (("C=1e24", "--metric", "acc", "--quantile", "1"), "upper quantile"),
        (("C=1e24", "--metric", "acc", "--where", "flops < 2e21"), "30 models or more"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(tmp_path, command, arguments, said):
    models(count=200).write_csv(tmp_path / "models.csv")
    done = command("skill", "frontier", "models.csv", *arguments)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_the_table_holds_what_is_printed(tmp_path, command):
    models(count=200).write_csv(tmp_path / "models.csv")
    done = command("skill", "frontier", "models.csv", "C=1e24", "--metric", "acc", "--json", "-o", "f.csv")
    assert pl.read_csv(tmp_path / "f.csv")["reach"][0] == json.loads(done.stdout)["frontiers"][0]["reach"][0][0]


def test_published_later_models_lie_below_the_frontier_of_compute(study):
    """Coverage error at most 2 points on at least four of six benchmarks, as published; MATH moves."""
    table = pl.read_csv(study("leaderboard_reruns.csv")).with_columns(flops=pl.col("base_flops_1e21") * 1e21)
    names = ["ifeval_inst_strict", "bbh", "math", "gpqa", "musr", "mmlu_pro"]
    found = frontiers(table, [f"metric_{name}" for name in names], date="last_modified")
    assert sum(abs(one.later[1] - 0.98) <= 0.02 for one in found.frontiers) >= 4


def test_a_level_outside_is_refused():
    with pytest.raises(SkillError):
        frontiers(models(), ["acc"], level=2)
