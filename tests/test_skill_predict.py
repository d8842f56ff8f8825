"""Forecasts of scores: planted ladders, real ladders with their largest size held out, and tables that cannot be served."""

import json

import numpy as np
import polars as pl
import pytest

from rung.errors import SkillError
from rung.runs import read_runs
from rung.skill import Task, fit_score_law, plan_of, predict_scores, task_table, tasks_in

TASK = Task(name="arc", score="acc", loss="bpb", chance=0.25)


def score_of(loss):
    return 0.25 + 0.75 / (1 + np.exp(8 * (loss - 0.75)))


def loss_of(n, d):
    return 0.35 + 60 / n**0.3 + 90 / d**0.28


def ladder(seed=0, *, noise=0.004, checkpoints=12, learnt=True):
    """Four sizes at four numbers of tokens; checkpoints approach the end of each run."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in (5e7, 1e8, 2e8, 4e8):
        for ratio in (10, 20, 50, 120):
            for at in range(1, checkpoints + 1):
                share = at / checkpoints
                loss = loss_of(n, n * ratio) + 0.25 * (1 / share**0.3 - 1)
                score = score_of(loss) if learnt else 0.25
                rows.append({"run": f"{n:.0e}x{ratio}", "params": n, "tokens": share * n * ratio, "bpb": loss * np.exp(0.002 * rng.standard_normal()), "acc": score + noise * rng.standard_normal()})  # fmt: skip
    return pl.DataFrame(rows)


class TestPlantedLadders:
    def test_a_noiseless_logistic_is_recovered(self):
        loss = np.linspace(0.4, 1.4, 60)
        found = fit_score_law(loss, score_of(loss), np.repeat(np.arange(6), 10), ends=(0.25, 1.0), draws=5)
        assert found(loss) == pytest.approx(score_of(loss), abs=2e-3)
        assert found.slope == pytest.approx(8, rel=0.05)
        assert found.middle == pytest.approx(0.75, abs=0.01)

    def test_units_of_the_loss_change_nothing(self):
        loss = np.linspace(0.4, 1.4, 60)
        runs = np.repeat(np.arange(6), 10)
        one, other = (fit_score_law(unit * loss, score_of(loss), runs, ends=(0.25, 1.0), draws=0) for unit in (1.0, 1e3))  # fmt: skip
        assert other(1e3 * loss) == pytest.approx(one(loss), abs=1e-6)

    def test_an_end_that_no_run_shows_is_drawn_to_what_is_known_of_it(self):
        loss = np.linspace(0.35, 0.6, 40)
        runs = np.repeat(np.arange(4), 10)
        floors = [
            fit_score_law(loss, score_of(loss), runs, ends=(chance, 1.0), draws=0).floor for chance in (0.0, 0.25)
        ]
        assert floors == pytest.approx([0.0, 0.25], abs=0.1)
        assert floors[0] < 0.12

    def test_draws_of_the_curve_scatter_as_runs_do_and_not_as_points(self):
        rng = np.random.default_rng(3)
        runs = np.repeat(np.arange(8), 20)
        loss = np.tile(np.linspace(0.4, 1.4, 20), 8)
        shifted = score_of(loss) + 0.03 * rng.standard_normal(8)[runs]
        law = fit_score_law(loss, shifted, runs, ends=(0.25, 1.0), draws=200)
        # Each resample holds eight offsets, so the curve in the middle moves by about 0.03 / sqrt(8).
        assert 0.005 < np.std(law.drawn(np.full(200, 0.75))) < 0.02

    def test_a_new_run_scatters_by_the_noise_of_runs(self):
        found = predict_scores(ladder(noise=0.03, checkpoints=1), [TASK], [{"N": 8e8, "D": 2e10}]).tasks[0].plans[0]
        (law_low, law_high), (run_low, run_high) = found.law_interval, found.run_interval
        assert run_high - run_low > np.hypot(law_high - law_low, 2 * 1.645 * 0.02)

    def test_the_route_that_was_less_wrong_weighs_more(self):
        routes = predict_scores(ladder(), [TASK], [{"N": 1e9, "D": 2e10}]).tasks[0].routes
        by_error = sorted(routes, key=lambda one: one[2])
        assert [one[1] for one in by_error] == sorted((one[1] for one in routes), reverse=True)
        assert by_error[0][1] > 2 * by_error[-1][1]

    def test_a_rise_within_the_scatter_of_a_checkpoint_is_no_signal(self):
        rng = np.random.default_rng(4)
        flat = ladder(checkpoints=60).with_columns(acc=0.5 + 0.01 * np.log10(pl.col("params") / 5e7))
        flat = flat.with_columns(acc=pl.col("acc") + 0.01 * rng.standard_normal(flat.height))
        (task,) = predict_scores(flat, [TASK], [{"N": 1e9, "D": 2e10}]).tasks
        assert "one checkpoint scatters by 0.01" in task.signal.reason

    def test_the_score_of_a_larger_model_lies_in_the_interval_and_near_the_truth(self):
        found = predict_scores(ladder(), [TASK], [{"N": 2e9, "D": 4e10}]).tasks[0]
        (one,) = found.plans
        truth = score_of(loss_of(2e9, 4e10))
        assert one.value == pytest.approx(truth, abs=0.03)
        assert one.run_interval[0] < truth < one.run_interval[1]
        assert found.signal.predictable
        assert sum(weight for _, weight, _ in found.routes) == pytest.approx(1)

    @pytest.mark.slow
    def test_the_interval_of_a_new_run_holds_its_score(self):
        inside = []
        for seed in range(40):
            (one,) = predict_scores(ladder(seed, noise=0.01, checkpoints=4), [TASK], [{"N": 2e9, "D": 4e10}]).tasks[0].plans  # fmt: skip
            inside.append(one.run_interval[0] < score_of(loss_of(2e9, 4e10)) < one.run_interval[1])
        assert np.mean(inside) >= 0.8

    def test_a_task_at_chance_is_said_to_be_unpredictable(self):
        found = predict_scores(ladder(noise=0.01, learnt=False), [TASK], [{"N": 2e9, "D": 4e10}])
        assert not found.tasks[0].signal.predictable
        assert [one.code for one in found.warnings] == ["unpredictable_task"]

    def test_without_a_loss_the_score_is_forecast_in_one_step(self):
        task = Task(name="arc", score="acc", chance=0.25)
        found = predict_scores(ladder(), [task], [{"N": 1e9, "D": 2e10}]).tasks[0]
        assert [name for name, _, _ in found.routes] == ["one step"]
        assert found.plans[0].value == pytest.approx(score_of(loss_of(1e9, 2e10)), abs=0.06)

    def test_on_one_path_of_tokens_per_parameter_the_law_runs_along_compute(self):
        path = ladder().filter(pl.col("run").str.ends_with("x20"))
        more = [path.with_columns(params=pl.col("params") * k, tokens=pl.col("tokens") * k, run=pl.col("run") + f"k{k}") for k in (1.0, 1.5)]  # fmt: skip
        found = predict_scores(pl.concat(more), [TASK], [{"N": 1e9, "D": 2e10}]).tasks[0]
        assert found.routes[0][0] == "two steps, E + A / C^alpha"


class TestRule:
    def test_the_end_of_a_run_is_the_mean_of_checkpoints_in_its_last_tenth(self):
        runs = ladder(checkpoints=40)
        table = task_table(read_runs(runs), TASK)
        first = runs.filter(pl.col("run") == runs["run"][0])["acc"].to_numpy()
        assert table.averaged == 5
        assert table.ends["score"][0] == pytest.approx(first[-5:].mean())

    def test_the_noise_of_a_checkpoint_is_that_which_was_planted(self):
        table = task_table(read_runs(ladder(noise=0.01, checkpoints=60)), TASK)
        assert table.noise == pytest.approx(0.01, rel=0.3)

    def test_runs_without_a_score_are_named(self):
        first = "5e+07x10"
        gaps = ladder().with_columns(acc=pl.when(pl.col("run") == first).then(None).otherwise(pl.col("acc")))
        found = predict_scores(gaps, [TASK], [{"N": 1e9, "D": 2e10}])
        assert [(one.code, first in one.text) for one in found.warnings] == [("left_out_rows", True)]


class TestDoors:
    @pytest.mark.parametrize(
        ("change", "task", "said"),
        [
            (pl.col("acc") * 100, TASK, "in percent"),
            (pl.col("acc") + 0.5, TASK, "above the ceiling"),
            (pl.col("acc") * 0.1, TASK, "below chance"),
            (pl.col("acc"), Task(name="x", score="ac"), "no column 'ac'"),
        ],
    )
    def test_scores_outside_their_ends_are_refused(self, change, task, said):
        with pytest.raises(SkillError) as refused:
            predict_scores(ladder().with_columns(acc=change), [task], [{"N": 1e9, "D": 1e10}])
        assert said in refused.value.text

    def test_one_size_alone_is_refused(self):
        one = ladder().filter((pl.col("params") == 5e7) & pl.col("run").str.ends_with("x10"))
        with pytest.raises(SkillError, match="one size alone"):
            predict_scores(one, [TASK], [{"N": 1e9, "D": 1e10}])

    def test_tasks_and_plans_are_read_from_tables_and_written_as_they_were_asked(self, tmp_path, command):
        ladder().write_csv(tmp_path / "runs.csv")
        pl.DataFrame({"name": ["arc"], "score": ["acc"], "loss": ["bpb"], "chance": [0.25]}).write_csv(tmp_path / "tasks.csv")  # fmt: skip
        pl.DataFrame({"params": [1e9, 2e9], "tokens": [2e10, 4e10]}).write_csv(tmp_path / "plans.csv")
        done = command("skill", "predict", "runs.csv", "--tasks", "tasks.csv", "--plans", "plans.csv", "-o", "s.csv", "--json")  # fmt: skip
        content = json.loads(done.stdout)
        assert len(content["tasks"][0]["scores"]) == 2
        assert pl.read_csv(tmp_path / "s.csv")["score"].to_list() == [one["value"] for one in content["tasks"][0]["scores"]]  # fmt: skip

    def test_one_task_and_several_are_drawn(self, tmp_path, command):
        ladder(checkpoints=1).write_csv(tmp_path / "runs.csv")
        one, other = ("--task", "arc=acc:bpb@0.25"), ("--task", "plain=acc@0.25")
        done = command("skill", "predict", "runs.csv", "N=1e9", "D=2e10", *one, "--figure", "one.png")
        assert (done.returncode, done.stderr) == (0, "")
        done = command("skill", "predict", "runs.csv", "N=1e9", "D=2e10", *one, *other, "--figure", "two.svg")
        assert "plain" in (tmp_path / "two.svg").read_text()
        assert (tmp_path / "one.png").stat().st_size > 10_000

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("N=1e9", "D=1e10"), "--task NAME=SCORE:LOSS@CHANCE"),
            (("N=1e9", "--task", "acc"), "D is missing"),
            (("N=1e9", "D=1e10", "--task", "a=acc:bpb@0.25", "--law", "chinchila"), "chinchila"),
            (("N=1e9", "D=1e10", "--task", "a=acc@0.25", "--where", "params < 6e7"), "5 or more"),
            (("N=1e9", "D=1e10", "--task", "a=acc@0.25", "--map", "params=params*-1"), "it must be positive"),
            (("N=1e9", "D=many", "--task", "acc"), "'many' is no number"),
            (("N=1e9", "D=1e10", "--task", "a=acc@2"), "chance 2 does not lie below 1"),
            (("N=1e9", "D=1e10", "--task", "a=acc", "--task", "a=bpb"), "named twice"),
        ],
    )
    def test_a_wrong_question_is_refused_in_a_sentence(self, tmp_path, command, arguments, said):
        ladder(checkpoints=1).write_csv(tmp_path / "runs.csv")
        done = command("skill", "predict", "runs.csv", *arguments)
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (1, True, False)

    def test_chance_in_percent_is_named(self):
        with pytest.raises(SkillError, match="in percent"):
            tasks_in(pl.DataFrame({"score": ["acc"], "chance": [25.0]}))

    def test_numbers_of_a_plan_are_read_as_people_write_them(self):
        assert plan_of(["N=7B", "D=1.4T"]) == {"N": 7e9, "D": 1.4e12}


@pytest.mark.slow
def test_a_real_ladder_forecasts_its_largest_size_better_than_the_last_score_that_it_saw(study):
    table = pl.read_parquet(study("olmo_ladder.parquet")).filter(pl.col("is_rerun") == 0)
    task = Task(name="hellaswag", score="hellaswag_val_rc_5shot_len_norm", loss="hellaswag_val_rc_5shot_bpb", chance=0.25)  # fmt: skip
    large = task_table(read_runs(table), task).ends.filter(pl.col("params") > 1e9)
    plans = [{"N": row["params"], "D": row["tokens"]} for row in large.iter_rows(named=True)]
    found = predict_scores(table.filter(pl.col("params") < 1e9), [task], plans).tasks[0]
    truth = large["score"].to_numpy()
    error = np.mean(np.abs(np.array([one.value for one in found.plans]) - truth))
    seen = float(found.ends["score"].max())
    assert error < 0.25 * np.mean(np.abs(seen - truth))


def test_runs_of_one_size_say_that_their_law_is_of_compute_alone():
    tokens = np.geomspace(1e9, 1e11, 10)
    flops = 6e9 * tokens
    score, loss = 0.3 + 0.05 * np.log10(flops / 1e18), 1.2 - 0.1 * np.log10(flops / 1e18)
    runs = pl.DataFrame({"params": [1e9] * 10, "tokens": tokens, "acc": score, "bpb": loss})
    task = Task(name="t", score="acc", loss="bpb", chance=0.25)
    found = predict_scores(runs, [task], [{"N": 3e9, "D": 6e10}])
    (text,) = (one.text for one in found.warnings if one.code == "compute_alone")
    assert text.startswith("t: all runs have N = 1B")
    both = runs.with_columns(params=pl.col("tokens") / 20)
    grow = predict_scores(both, [task], [{"N": 3e9, "D": 6e10}])
    assert any("grow together" in one.text for one in grow.warnings)
