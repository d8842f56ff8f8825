"""Tables and logs that hold more than one run, train and evaluation under each other, or steps that begin again."""

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import RunsError
from rung.runs.sources import import_runs
from rung.runs.status import status_of
from rung.units import read_number


def loss(step, shift=0.0):
    return round(2 + 200 / (step + 10) + shift, 5)


STEPS = range(100, 1100, 100)


def imported(tmp_path, rows, header, name="all.csv", kind="csv"):
    text = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    (tmp_path / name).write_text(text)
    return import_runs(f"{kind}:{tmp_path / name}")


def codes(found):
    return {finding.code for finding in found.warnings}


class TestSeveralRuns:
    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("n_params", (1e7, 5e7)),
            ("seed", (0, 1)),
            ("lr", (1e-3, 3e-4)),
            ("d_model", (128, 256)),
            ("job_id", (11, 12)),
            ("variant", ("x", "y")),
            ("whatever", ("p", "q")),
            ("version", (0, 1)),
        ],
    )
    @pytest.mark.parametrize("interleaved", [False, True])
    def test_rows_that_differ_in_a_setting_are_runs(self, tmp_path, column, values, interleaved):
        rows = [(step, value, loss(step, at / 10)) for at, value in enumerate(values) for step in STEPS]
        rows = sorted(rows, key=lambda row: row[0]) if interleaved else rows
        found = imported(tmp_path, rows, f"step,{column},val_loss")
        assert sorted(found.frame["loss"]) == [loss(1000), loss(1000, 0.1)]
        assert found.frame["step"].to_list() == [1000, 1000]
        assert "several_runs" in codes(found)

    def test_a_name_and_a_seed(self, tmp_path):
        rows = [(step, name, seed, loss(step)) for name in "ab" for seed in (0, 1) for step in STEPS]
        found = imported(tmp_path, rows, "step,run,seed,val_loss")
        assert found.frame["run"].to_list() == ["a, seed=0", "a, seed=1", "b, seed=0", "b, seed=1"]

    def test_a_name_that_all_share_gives_way_to_one_that_differs(self, tmp_path):
        rows = [(step, "sweep", model, loss(step)) for model in ("s", "m") for step in STEPS]
        assert imported(tmp_path, rows, "step,experiment,model,val_loss").frame["run"].to_list() == ["s", "m"]

    def test_a_job_that_went_on_is_a_life_of_one_run(self, tmp_path):
        rows = [(step, 11, loss(step, 5)) for step in range(100, 700, 100)]
        rows += [(step, 12, loss(step)) for step in range(500, 1100, 100)]
        found = imported(tmp_path, rows, "step,job_id,val_loss")
        assert found.frame["loss"].to_list() == [loss(1000)]
        assert "restart" in codes(found)

    def test_a_schedule_that_is_logged_is_no_setting(self, tmp_path):
        rows = [
            (step, 1e-3 * (1 - step / 2000), loss(step)) for step in (*range(100, 700, 100), *range(500, 1100, 100))
        ]
        found = imported(tmp_path, rows, "step,lr,val_loss")
        assert found.frame["step"].to_list() == [1000]

    def test_runs_under_each_other_without_a_name(self, tmp_path):
        rows = [(step, loss(step, shift)) for shift in (0.0, 0.3) for step in STEPS]
        found = imported(tmp_path, rows, "step,val_loss")
        assert found.frame["loss"].to_list() == [loss(1000), loss(1000, 0.3)]
        assert "several_runs" in codes(found)

    def test_a_row_for_each_run(self, tmp_path):
        rows = [(500, size, loss(500, shift)) for size, shift in ((1e7, 0.3), (5e7, 0.2), (1e8, 0.1))]
        assert imported(tmp_path, rows, "step,n_params,val_loss").frame["params"].to_list() == [1e7, 5e7, 1e8]


class TestSteps:
    @pytest.mark.parametrize("with_epoch", [True, False])
    def test_steps_that_begin_again_each_epoch_are_counted_on(self, tmp_path, with_epoch):
        rows = [(s, e, loss(s + 100 * e)) for e in range(3) for s in range(0, 100, 10)]
        rows = rows if with_epoch else [(s, value) for s, _, value in rows]
        found = imported(tmp_path, rows, "step,epoch,val_loss" if with_epoch else "step,val_loss")
        assert found.frame["step"].to_list() == [290]
        assert "counter_reset" in codes(found)

    def test_planned_steps_do_not_count(self, tmp_path):
        rows = [(100, 10000, step, loss(step)) for step in STEPS]
        assert imported(tmp_path, rows, "warmup_steps,max_steps,it,val_loss").frame["step"].to_list() == [1000]

    def test_steps_of_the_optimizer_come_before_passes_and_both_are_said(self, tmp_path):
        found = imported(tmp_path, [(4 * step, step, loss(step)) for step in STEPS], "iter,step,val_loss")
        assert found.frame["step"].to_list() == [1000]
        assert any("iter ends at 4000" in one.text for one in found.warnings)

    def test_epochs_alone_give_no_tokens(self, tmp_path):
        rows = [(epoch, 8, 512, loss(100 * epoch)) for epoch in range(1, 9)]
        found = imported(tmp_path, rows, "epoch,batch_size,seq_len,val_loss")
        assert found.frame["loss"].to_list() == [loss(800)]
        assert not {"tokens", "step"} & set(found.frame.columns)


class TestLongForm:
    def test_train_and_validation_in_one_column(self, tmp_path):
        rows = [(step, part, loss(step, shift)) for step in STEPS for part, shift in (("train", 0), ("val", 0.2))]
        found = imported(tmp_path, rows, "step,split,loss")
        assert found.frame["loss"].to_list() == [loss(1000, 0.2)]

    def test_a_row_for_each_metric(self, tmp_path):
        rows = [(step, name, loss(step, shift)) for step in STEPS for name, shift in (("loss", 0), ("eval_loss", 0.2))]
        assert imported(tmp_path, rows, "step,metric,value").frame["loss"].to_list() == [loss(1000, 0.2)]

    def test_lines_of_several_types(self, tmp_path):
        lines = ['{"type": "config", "n_params": 1000000}']
        for step in STEPS:
            lines += [f'{{"type": "train", "step": {step}, "loss": {loss(step)}}}']
        lines += [f'{{"type": "eval", "step": 1000, "loss": {loss(1000, 0.2)}}}']
        (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
        assert import_runs(f"jsonl:{tmp_path}").frame["loss"].to_list() == [loss(1000, 0.2)]


NANO = """tokens per iteration will be: {batch}
number of parameters: 10.65M
{lines}
"""


def nano(batch, steps, shift=0.0):
    lines = "\n".join(f"step {step}: train loss {loss(step):.4f}, val loss {loss(step, shift):.4f}" for step in steps)
    return NANO.format(batch=batch, lines=lines)


class TestLogs:
    def test_two_runs_in_one_log(self, tmp_path):
        (tmp_path / "a.log").write_text(nano("1,000", range(0, 600, 100)) + nano("1,000", range(0, 600, 100), 0.5))
        assert import_runs(f"log:{tmp_path}").frame["loss"].to_list() == [
            pytest.approx(loss(500), abs=1e-4),
            pytest.approx(loss(500, 0.5), abs=1e-4),
        ]

    def test_a_run_that_went_on_with_a_smaller_batch(self, tmp_path):
        (tmp_path / "a.log").write_text(nano("1,000", range(0, 600, 100)) + nano("500", range(300, 1100, 100)))
        (row,) = import_runs(f"log:{tmp_path}").frame.to_dicts()
        assert (row["step"], row["tokens"]) == (1000, 300 * 1000 + 700 * 500)

    def test_the_ranks_of_megatron_add_up_and_its_test_set_is_not_the_validation_set(self, tmp_path):
        lines = [
            f" > number of parameters on (tensor, pipeline) model parallel rank ({rank}, 0): {count}"
            for rank, count in ((0, 700), (1, 600))
        ]
        lines += ["  tensor_model_parallel_size ...................... 2"]
        lines += [
            f" iteration {at:8d}/ 300 | consumed samples: {8 * at:12d} | lm loss: {loss(at):.6E} |"
            for at in (100, 200, 300)
        ]
        for part, value in (("validation set", 2.5), ("test set", 9.0)):
            lines += [
                f" validation loss at iteration 300 on {part} | lm loss value: {value:.6E} | lm loss PPL: 1.0E+01 |"
            ]
        (tmp_path / "m.log").write_text("\n".join(lines) + "\n")
        (row,) = import_runs(f"log:{tmp_path}").frame.to_dicts()
        assert (row["params"], row["loss"]) == (1300, 2.5)

    def test_ranks_that_say_nothing_leave_n_open(self, tmp_path):
        text = "number of parameters on (tensor, pipeline) model parallel rank (0, 0): 700\ntensor_model_parallel_size ... 4\n"
        (tmp_path / "m.log").write_text(text + " iteration 1/ 1 | lm loss: 2.0E+00 |\n")
        found = import_runs(f"log:{tmp_path}")
        assert "params" not in found.frame.columns
        assert any("1 of 4 ranks" in one.text for one in found.warnings)


class TestEnds:
    def test_a_far_rise_is_a_divergence_in_any_loss(self, tmp_path):
        rows = [(1, 10.98), (2, 6.0), (3, 2.4), (4, 6.4)]
        assert imported(tmp_path, rows, "step,val_loss").frame["status"].to_list() == ["diverged"]

    def test_training_that_rises_after_the_last_evaluation(self, tmp_path):
        rows = [(step, loss(step), loss(step) if step < 600 else "") for step in STEPS]
        rows[-3:] = [(step, 9.0, "") for step in (800, 900, 1000)]
        assert imported(tmp_path, rows, "step,train_loss,val_loss").frame["status"].to_list() == ["diverged"]

    def test_zeros_at_the_end_are_no_loss(self, tmp_path):
        rows = [(step, loss(step) if step < 700 else 0.0) for step in STEPS]
        (row,) = imported(tmp_path, rows, "step,loss").frame.to_dicts()
        assert (row["status"], row["step"]) == ("diverged", 600)

    def test_the_word_in_place_of_a_loss(self, tmp_path):
        rows = [(step, loss(step) if step < 700 else "diverged") for step in STEPS]
        assert imported(tmp_path, rows, "step,val_loss").frame["status"].to_list() == ["diverged"]

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            ("FAILED (OOM)", "failed"),
            ("OUT_OF_MEMORY", "failed"),
            ("CANCELLED by 1234", "killed"),
            ("failed: NaN at step 300", "diverged"),
            ("DIVERGED (lr too high)", "diverged"),
            ("in-progress", "running"),
            ("not finished", "unfinished"),
            ("COMPLETED", "finished"),
            ("baseline", None),
            ("main branch", None),
        ],
    )
    def test_words_of_a_status(self, text, status):
        assert status_of(text) == status

    @pytest.mark.parametrize(
        ("column", "values"),
        [("run_state", ("finished", "crashed")), ("diverged", ("False", "True")), ("Completed", ("yes", "no"))],
    )
    def test_columns_that_say_it(self, tmp_path, column, values):
        lines = [f"{1e8 * at},{loss(at)},{value}" for at, value in enumerate([values[0]] * 4 + [values[1]], 1)]
        (tmp_path / "t.csv").write_text(f"params,loss,{column}\n" + "\n".join(lines) + "\n")
        runs = rung.read_runs(tmp_path / "t.csv")
        assert len(runs) == 4
        assert "did not finish" in runs.notes[-1]


class TestTables:
    def read(self, tmp_path, text, name="t.csv"):
        (tmp_path / name).write_text(text)
        return rung.read_runs(tmp_path / name)

    @pytest.mark.parametrize(
        "text",
        [
            "# N,D,loss\n1e8,2e9,3\n2e8,4e9,2.9\n",
            "Results, May 2026, v2\nN,D,loss\n1e8,2e9,3\n2e8,4e9,2.9\n",
            "| N | D | loss |\n|-|-|-|\n| 1e8 | 2e9 | 3 |\n| 2e8 | 4e9 | 2.9 |\n",
            "N    D    loss\n1e8  2e9  3\n2e8  4e9  2.9\n",
            "# N D loss\n1e8 2e9 3\n2e8 4e9 2.9\n",
        ],
    )
    def test_what_stands_above_the_rows(self, tmp_path, text):
        runs = self.read(tmp_path, text)
        assert (runs.numbers("params").tolist(), runs.numbers("loss").tolist()) == ([1e8, 2e8], [3, 2.9])

    def test_points_between_thousands(self, tmp_path):
        runs = self.read(tmp_path, "params;tokens;loss\n500.000;10.000.000;3,706\n131.072;2.621.440;3,9\n")
        assert runs.numbers("params").tolist() == [500_000, 131_072]
        assert runs.numbers("loss").tolist() == [3.706, 3.9]
        assert any("separators of thousands" in note for note in runs.notes)

    def test_points_that_are_decimal_stay_so(self, tmp_path):
        runs = self.read(tmp_path, "params;loss\n1000;3.706\n2000;3.900\n")
        assert runs.numbers("loss").tolist() == [3.706, 3.9]

    def test_a_last_line_that_is_cut(self, tmp_path):
        runs = self.read(tmp_path, '{"N": 1e8, "loss": 3}\n{"N": 2e8, "loss": 2.9}\n{"N": 3e8, "lo', "t.jsonl")
        assert runs.numbers("params").tolist() == [1e8, 2e8]
        assert any("line 3" in note for note in runs.notes)

    @pytest.mark.parametrize(
        ("header", "row", "column", "value"),
        [
            ("loss (bits/token)", "2", "loss", 2 * np.log(2)),
            ("val_bpb", "1", "loss", np.log(2)),
            ("test_ppl", "20", "loss", np.log(20)),
            ("val_log2_ppl", "4", "loss", 4 * np.log(2)),
            ("log10_lr", "-3", "lr", 1e-3),
            ("lr (1e-4)", "3", "lr", 3e-4),
            ("batch_size,seq_len", "8,512", "batch_tokens", 4096),
            ("dataset_tokens,epochs", "1e9,4", "tokens", 4e9),
            ("dataset_tokens,epochs", "1e9,4", "unique_tokens", 1e9),
            ("tokens,epochs", "4e9,4", "unique_tokens", 1e9),
            ("size_m,data_b", "50,1", "params", 5e7),
            ("size_m,data_b", "50,1", "tokens", 1e9),
            ("params_t,params_a", "5e9,1e9", "params", 5e9),
            ("params_t,params_a", "5e9,1e9", "params_active", 1e9),
        ],
    )
    def test_what_a_name_states(self, tmp_path, header, row, column, value):
        runs = self.read(tmp_path, f"id,{header}\na,{row}\nb,{row}\n")
        assert runs.numbers(column)[0] == pytest.approx(value)

    @pytest.mark.parametrize(
        ("text", "number"), [("130 Mio", 130e6), ("1,5 Mrd", 1.5e9), ("~120M", 120e6), ("ca. 3B", 3e9), ("≈ 7B", 7e9)]
    )
    def test_numbers_in_words(self, text, number):
        assert read_number(text) == number


def test_laws_of_losses_in_other_units_are_not_compared(tmp_path):
    sizes = np.geomspace(1e7, 1e9, 8)
    for name, unit in (("loss", 1.0), ("bpb", 3.0)):
        frame = pl.DataFrame({"params": sizes, name: (2 + 300 / sizes**0.3) / unit})
        frame.write_csv(tmp_path / f"{name}.csv")
    with pytest.raises(rung.RungError, match="a loss per token is no loss per byte"):
        rung.compare(tmp_path / "loss.csv", tmp_path / "bpb.csv")


def test_other_allocations_are_seen_in_compute_alone(tmp_path):
    sizes = np.geomspace(1e7, 1e9, 8)
    for name, ratio in (("a", 20), ("b", 100)):
        values = 2 + 300 / sizes**0.3 + 900 / (ratio * sizes) ** 0.3
        pl.DataFrame({"params": sizes, "flops": 6 * ratio * sizes**2, "loss": values}).write_csv(
            tmp_path / f"{name}.csv"
        )
    with pytest.raises(rung.RungError, match="tokens per parameter"):
        rung.compare(tmp_path / "a.csv", tmp_path / "b.csv")


def test_a_sweep_without_a_batch_is_refused_with_what_helps(tmp_path):
    pl.DataFrame(
        {"params": [1e8] * 9, "tokens": [2e9] * 9, "lr": np.geomspace(1e-4, 1e-2, 9), "loss": np.ones(9)}
    ).write_csv(tmp_path / "s.csv")
    with pytest.raises(rung.RungError, match="no column batch_tokens"):
        rung.tune(tmp_path / "s.csv")


def test_no_rows_of_a_trainer_are_no_table(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RunsError, match="no column of steps"):
        import_runs(f"csv:{tmp_path}")


class TestAxes:
    @pytest.mark.parametrize("column", ["seed", "n_params", "fold"])
    def test_runs_along_epochs_are_told_apart(self, tmp_path, column):
        rows = [(value, epoch, loss(100 * epoch, value / 10)) for value in (1, 2) for epoch in range(1, 5)]
        found = imported(tmp_path, rows, f"{column},epoch,val_loss")
        assert found.frame["loss"].to_list() == [loss(400, 0.1), loss(400, 0.2)]

    def test_runs_along_tokens_do_not_add_up(self, tmp_path):
        rows = [(size, tokens, loss(tokens / 1e6)) for size in (1e7, 2e7) for tokens in (1e8, 2e8, 3e8)]
        found = imported(tmp_path, rows, "n_params,tokens_seen,val_loss")
        assert found.frame["tokens"].to_list() == [3e8, 3e8]

    def test_the_newest_row_first(self, tmp_path):
        rows = [(step, loss(step)) for step in reversed(STEPS)]
        found = imported(tmp_path, rows, "step,val_loss")
        assert (found.frame["step"].to_list(), found.frame["loss"].to_list()) == ([1000], [loss(1000)])
        assert "sorted_rows" in codes(found)

    def test_an_end_before_the_planned_one(self, tmp_path):
        rows = [(step, 2000, loss(step)) for step in STEPS]
        assert imported(tmp_path, rows, "step,max_steps,val_loss").frame["status"].to_list() == ["unfinished"]

    def test_a_record_that_begins_late_is_named(self, tmp_path):
        rows = [(step, loss(step)) for step in range(600, 1100, 50)]
        assert "later_start" in codes(imported(tmp_path, rows, "step,val_loss"))

    def test_the_last_word_of_a_status_counts(self, tmp_path):
        rows = [(name, step, loss(step), "running") for name in "ab" for step in STEPS]
        rows[9], rows[19] = (*rows[9][:3], "finished"), (*rows[19][:3], "crashed")
        found = imported(tmp_path, rows, "run,step,val_loss,status")
        assert found.frame["status"].to_list() == ["finished", "failed"]


class TestUnits:
    def test_a_loss_in_bits_by_its_perplexity(self, tmp_path):
        rows = [(step, loss(step), round(2 ** loss(step), 4)) for step in STEPS]
        found = imported(tmp_path, rows, "step,loss,ppl")
        assert found.frame["loss"][0] == pytest.approx(loss(1000) * np.log(2))
        assert "loss_in_bits" in codes(found)

    def test_a_loss_in_nats_beside_its_perplexity_stays(self, tmp_path):
        rows = [(step, loss(step), round(np.exp(loss(step)), 4)) for step in STEPS]
        assert imported(tmp_path, rows, "step,loss,ppl").frame["loss"][0] == pytest.approx(loss(1000))

    @pytest.mark.parametrize(("option", "said"), [("my_ppl", "a perplexity"), ("c4_bpb", "a loss in bits")])
    def test_a_mapping_of_another_unit_is_warned_of(self, tmp_path, option, said):
        lines = [f"{10.0**power},{2 + 1 / power}" for power in range(6, 12)]
        (tmp_path / "t.csv").write_text(f"params,{option}\n" + "\n".join(lines) + "\n")
        runs = rung.read_runs(tmp_path / "t.csv", {"loss": option})
        fit = rung.fit(runs, "E + A / N^alpha", draws=0)
        assert any(said in one.text and "--map" in one.text for one in fit.warnings)

    @pytest.mark.parametrize("row", ["50M,1B,3.5", "50000000,1000000000,3.5"])
    def test_a_unit_in_the_header_and_in_the_cells_counts_once(self, tmp_path, row):
        (tmp_path / "t.csv").write_text(f"params (M),tokens (B),loss\n{row}\n{row}\n")
        runs = rung.read_runs(tmp_path / "t.csv")
        assert (runs.numbers("params")[0], runs.numbers("tokens")[0]) == (5e7, 1e9)
        assert any("single counts" in note for note in runs.notes)

    def test_one_epoch_says_nothing_of_unique_tokens(self, tmp_path):
        (tmp_path / "t.csv").write_text("params,tokens,epochs,loss\n1e8,2e9,1,3\n2e8,4e9,1,2.9\n")
        assert not rung.read_runs(tmp_path / "t.csv").has("unique_tokens")

    def test_a_held_out_nll_is_the_loss(self, tmp_path):
        (tmp_path / "t.tsv").write_text("Params (M)\tTrain tokens\tVal NLL\n12,5\t0.5 B\t3,91\n50\t1 B\t3,42\n")
        runs = rung.read_runs(tmp_path / "t.tsv")
        assert (runs.numbers("params")[0], runs.numbers("tokens")[0], runs.numbers("loss")[0]) == (1.25e7, 5e8, 3.91)

    def test_symbols_come_before_small_letters(self, tmp_path):
        (tmp_path / "t.csv").write_text("n,d,N,D,loss\n12,768,1e8,2e9,3\n")
        runs = rung.read_runs(tmp_path / "t.csv")
        assert (runs.numbers("params")[0], runs.numbers("tokens")[0]) == (1e8, 2e9)

    def test_a_row_of_means_is_named(self, tmp_path):
        lines = [f"m{power},{10.0**power},{2 + 1 / power}" for power in range(6, 12)]
        (tmp_path / "t.csv").write_text("model,params,loss\n" + "\n".join([*lines, "mean,2e10,2.1"]) + "\n")
        fit = rung.fit(tmp_path / "t.csv", "E + A / N^alpha", draws=0)
        assert "summary_row" in {one.code for one in fit.warnings}

    @pytest.mark.parametrize(
        ("header", "said"),
        [
            ("params,loss_mean,loss_std", '"loss_mean"'),
            ("params,best_val_loss,final_val_loss", '"final_val_loss"'),
            ("params,bpc,x", "map 'loss=bpc \\* log\\(2\\)'"),
        ],
    )
    def test_what_is_suggested_for_a_loss(self, tmp_path, header, said):
        (tmp_path / "t.csv").write_text(f"{header}\n1e8,3,0.1\n")
        with pytest.raises(RunsError, match=said):
            rung.read_runs(tmp_path / "t.csv").numbers("loss")
