"""Inputs of each kind that people have, with the answer that is right: counters, batches, restarts, names, damage."""

import json
import math
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import rung
from fuzz import write_wandb
from rung.errors import RunsError
from rung.runs.sources import ColumnOverrides, import_runs
from rung.runs.sources.assemble import assemble
from rung.runs.sources.mlflow_history import Histories
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun

SIZED = {"n_params": 1_000_000, "global_batch_size": 8, "seq_len": 64}
"""A configuration that says N, and 512 tokens a step."""


def curve(steps, floor=2.0):
    return [(float(step), floor + 100 / max(step, 1)) for step in steps]


def run(name="a", config=SIZED, **other):
    metrics = other.pop("metrics")
    logged = {key: value if isinstance(value, Metric) else Metric.of(value) for key, value in metrics.items()}
    return TrackedRun(name=name, config=config, logged=logged, **other)


def rows(*runs, **overrides):
    return assemble(Found(runs=list(runs)), "here", ColumnOverrides(**overrides))


def codes(found):
    return {finding.code for finding in found.warnings}


def only(found):
    (row,) = found.frame.to_dicts()
    return row


class TestSteps:
    """A store's own row counter is not the trainer's step."""

    @pytest.mark.parametrize("name", ["global_step", "train/iter", "trainer/global_step", "num_updates", "Iteration"])
    def test_the_trainers_counter_comes_before_the_number_of_the_row(self, name):
        counter = [(row, 50.0 * row) for row in range(1, 11)]
        losses = [(row, 2 + 100 / (50 * row)) for row in range(1, 11)]
        found = rows(run(metrics={name: counter, "val_loss": losses}, row_steps=True))
        assert (only(found)["step"], only(found)["tokens"]) == (500, 500 * 512)
        assert found.sources["a"]["step"] == name

    def test_a_declared_counter_comes_before_a_usual_one(self):
        metrics = {
            "step": [(row, float(row)) for row in range(10)],
            "my_counter": [(row, 7.0 * row) for row in range(10)],
            "val_loss": [(row, 3.0 - row / 10) for row in range(10)],
        }
        found = rows(run(metrics=metrics, row_steps=True, step_metrics={"val_*": "my_counter"}))
        assert only(found)["step"] == 63
        assert "other_steps" in codes(found)

    @pytest.mark.parametrize("counter", ["tokens_seen", "epoch", "elapsed_time", "samples"])
    def test_a_declared_counter_of_something_else_is_no_step(self, counter):
        metrics = {
            counter: [(row, 1000.0 * row) for row in range(10)],
            "val_loss": [(row, 3.0 - row / 10) for row in range(10)],
        }
        found = rows(run(metrics=metrics, row_steps=True, step_metrics={"*": counter}))
        assert only(found)["step"] == 9

    def test_a_counter_beside_the_steps_of_the_store_comes_first(self):
        metrics = {
            "val_loss": [(epoch, 3.0 - epoch / 10) for epoch in range(1, 6)],
            "global_step": [(epoch, 1000.0 * epoch) for epoch in range(1, 6)],
        }
        assert only(rows(run(metrics=metrics)))["tokens"] == 5000 * 512

    def test_a_counter_within_an_epoch_is_no_step(self):
        metrics = {
            "val_loss": [(step, 3.0 - step / 1e4) for step in range(100, 1100, 100)],
            "batch_idx": [(step, float(step % 300)) for step in range(100, 1100, 100)],
        }
        assert only(rows(run(metrics=metrics)))["step"] == 1000

    def test_evaluations_that_count_themselves_take_the_steps_of_training(self):
        training = Metric.of([(step, 2 + 100 / step) for step in range(100, 1100, 100)], range(10))
        evaluation = Metric.of([(1, 3.0), (2, 2.5)], [4.5, 9.5])
        found = rows(run(metrics={"loss": training, "eval_loss": evaluation}))
        assert only(found)["step"] == 1000
        assert "other_steps" in codes(found)

    def test_a_value_without_a_counter_in_its_row_takes_the_last_one(self):
        losses = Metric.of([(4, 2.5)], clock=[3.5])
        counter = Metric.of([(row, 100.0 * row) for row in range(7)])
        assert only(rows(run(metrics={"global_step": counter, "val_loss": losses}, row_steps=True)))["step"] == 300

    def test_without_a_counter_the_rows_are_said_to_be_a_guess(self):
        found = rows(run(metrics={"val_loss": curve(range(1, 11))}, row_steps=True))
        assert "guessed_tokens" in codes(found)
        assert "--step NAME" in " ".join(finding.text for finding in found.warnings)

    def test_a_user_names_the_counter(self):
        metrics = {"ticks": [(row, 3.0 * row) for row in range(1, 9)], "val_loss": curve(range(1, 9))}
        assert only(rows(run(metrics=metrics), step="ticks"))["step"] == 24
        assert "other_steps" in codes(rows(run(metrics=metrics), step="tocks"))


class TestBatch:
    """One device's batch is not the batch, and what is planned is not what was trained."""

    @pytest.mark.parametrize(
        ("config", "tokens"),
        [
            ({"micro_batch_size": 4, "grad_accum_steps": 8, "world_size": 16, "seq_length": 32}, 4 * 8 * 16 * 32),
            ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3, "n_gpus": 5, "block_size": 8}, 240),
            ({"batch_size": 6, "accumulate_grad_batches": 2, "context_length": 10}, 120),
            ({"train": {"global_batch_size": 6}, "data.seq_len": 10}, 60),
            ({"tokens_per_iter": "1.5K", "batch_size": 4, "seq_len": 10}, 1500),
            ({"total_batch_size": 524_288, "device_batch_size": 32, "max_seq_len": 2048}, 524_288),
            ({"total_batch_size": 256, "seq_len": 1024}, 256 * 1024),
        ],
    )
    def test_the_tokens_of_a_step(self, config, tokens):
        from rung.runs.sources.configuration import flat

        found = rows(run(config=flat(config), metrics={"eval_loss": curve([10, 20])}))
        assert only(found)["tokens"] == 20 * tokens

    @pytest.mark.parametrize(
        "config",
        [
            {"micro_batch_size": 4, "seq_len": 32},
            {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_seq_length": 32},
            {"batch_size": 4, "seq_len": 32, "rampup_batch_size": "32 32 1000"},
            {"total_tokens": 1e10},
            {"max_tokens": "10B", "batch_size": 8},
        ],
    )
    def test_what_does_not_say_it_gives_no_tokens_and_the_option(self, config):
        found = rows(run(config=config, metrics={"eval_loss": curve([10, 20])}))
        assert "tokens" not in found.frame.columns
        assert "--batch-tokens NUMBER" in next(one.text for one in found.warnings if one.code == "no_tokens")

    def test_the_user_gives_the_batch_or_the_plan(self):
        only_run = run(config={"total_tokens": 1e10}, metrics={"eval_loss": curve([10, 20])})
        assert only(rows(only_run, batch_tokens="0.5M"))["tokens"] == 20 * 0.5e6
        assert only(rows(only_run, tokens="total_tokens"))["tokens"] == 1e10

    def test_a_batch_that_grows_is_summed(self):
        batch = [(step, 32.0 if step <= 100 else 64.0) for step in range(10, 210, 10)]
        found = rows(run(config={"seq_len": 10}, metrics={"global_batch_size": batch, "eval_loss": curve([100, 200])}))
        assert only(found)["tokens"] == 10 * (100 * 32 + 100 * 64)

    def test_samples_that_were_counted(self):
        found = rows(
            run(config={"seq_length": 10}, metrics={"consumed_samples": [(5, 50), (10, 100)], "val_loss": curve([10])})
        )
        assert only(found)["tokens"] == 1000

    def test_a_counter_that_begins_again(self):
        counter = [(1, 100), (2, 200), (3, 300), (4, 100), (5, 200), (6, 100)]
        found = rows(run(metrics={"tokens_seen": counter, "val_loss": curve([1, 6])}))
        assert only(found)["tokens"] == 600
        assert "counter_reset" in codes(found)

    def test_a_loss_after_the_last_count_goes_on_at_its_rate(self):
        found = rows(run(metrics={"tokens": [(10, 1000), (20, 2000)], "val_loss": curve([25])}))
        assert only(found)["tokens"] == 2500

    def test_the_tokens_of_each_batch_are_no_count(self):
        each = [(step, 500.0 + 30 * (step % 3)) for step in range(1, 21)]
        assert only(rows(run(metrics={"num_tokens": each, "val_loss": curve([10, 20])})))["tokens"] == 20 * 512

    def test_what_a_model_can_take_is_not_what_it_was_trained_on(self):
        config = {"per_device_train_batch_size": 8, "_n_gpu": 1, "max_length": 20, "n_ctx": 1024, "model_type": "gpt2"}
        found = rows(run(config=config, metrics={"val_loss": curve([10])}))
        assert "tokens" not in found.frame.columns

    def test_a_batch_that_nobody_has_in_sequences_is_in_tokens(self):
        config = {"batch_size": 524_288, "seq_len": 1024}
        found = rows(run(config=config, metrics={"val_loss": curve([10])}))
        assert only(found)["tokens"] == 10 * 524_288
        assert "guessed_tokens" in codes(found)

    @pytest.mark.parametrize(
        ("status", "tokens", "code"),
        [("finished", 1e9, None), (None, 1e9, "guessed_tokens"), ("failed", None, "no_tokens")],
    )
    def test_a_number_for_the_whole_run_may_be_its_plan(self, status, tokens, code):
        one = run(
            config={"total_tokens": 1e9}, metrics={"val_loss": [(0, 2.0)], "total_tokens": [(0, 1e9)]}, status=status
        )
        found = rows(one)
        assert only(found).get("tokens") == tokens
        assert code is None or code in codes(found)

    def test_steps_times_the_batch_come_before_a_plan(self):
        config = {**SIZED, "total_tokens": 1e9}
        found = rows(
            run(config=config, metrics={"val_loss": curve([10]), "total_tokens": [(10, 1e9)]}, status="failed")
        )
        assert only(found)["tokens"] == 5120

    def test_tokens_counted_in_billions(self):
        metrics = {"val_loss": curve([10, 20]), "tokens_b": [(10, 1.0), (20, 2.0)]}
        assert only(rows(run(config={}, metrics=metrics)))["tokens"] == 2e9

    def test_one_batch_all_along(self):
        metrics = {"val_loss": curve([10, 20]), "train/tokens_per_step": [(10, 512.0), (20, 512.0)]}
        assert only(rows(run(config={}, metrics=metrics)))["tokens"] == 20 * 512


class TestSize:
    @pytest.mark.parametrize(
        ("config", "params"),
        [
            ({"sampling.n": 4, "sampling.params": 7, "n_parameters": "1.3B"}, 1.3e9),
            ({"n": 12, "hparams.model_params": 5e6}, 5e6),
            ({"teacher.num_parameters": 7e9, "model.num_parameters": 1e8}, 1e8),
            ({"num_params": "124,439,808"}, 124_439_808),
        ],
    )
    def test_the_entry_that_states_it(self, config, params):
        assert only(rows(run(config=config, metrics={"val_loss": curve([10])})))["params"] == params

    @pytest.mark.parametrize("config", [{"n": 4}, {"sampling.n": 4}, {"optim.N": 3}, {"params": "see readme"}])
    def test_a_letter_alone_or_a_text_is_no_size(self, config):
        found = rows(run(config=config, metrics={"val_loss": curve([10])}))
        assert "params" not in found.frame.columns
        assert "no_params" in codes(found)

    def test_a_size_that_is_given_as_a_number(self):
        assert only(rows(run(config={}, metrics={"val_loss": curve([10])}), params="1.5M"))["params"] == 1.5e6

    def test_several_sizes_are_named(self):
        found = rows(run(config={"n_params": 10, "total_params": 20}, metrics={"val_loss": curve([10])}))
        assert "several_params" in codes(found)

    def test_the_size_of_another_model_is_a_guess(self):
        found = rows(run(config={"draft.num_parameters": 3e6}, metrics={"val_loss": curve([10])}))
        assert "guessed_params" in codes(found)

    def test_experts_count_in_all_and_by_token(self):
        shape = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
        experts = {"n_routed_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 4, "n_shared_experts": 1}
        row = only(
            rows(run(config={**shape, **experts, "first_k_dense_replace": 1}, metrics={"val_loss": curve([10])}))
        )
        attention, one, router = 4 * 64, 3 * 8 * 4, 8 * 6
        dense = 3 * 8 * 32
        assert row["params"] == 3 * attention + dense + 2 * (7 * one + router)
        assert row["params_active"] == 3 * attention + dense + 2 * (3 * one + router)

    def test_a_gated_layer_with_fewer_key_heads(self):
        shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
        row = only(
            rows(run(config={**shape, "intermediate_size": 40, "hidden_act": "silu"}, metrics={"loss": curve([10])}))
        )
        assert row["params"] == 2 * (2 * 16 * 4 * (4 + 2) + 3 * 16 * 40)

    @pytest.mark.parametrize(
        ("config", "total", "active"),
        [
            (
                {
                    "num_experts": 4,
                    "num_experts_per_tok": 1,
                    "interleave_moe_layer_step": 2,
                    "intermediate_size_mlp": 64,
                },
                # Two of four layers have four experts and a shared one.
                4 * 4 * 64 + 2 * 5 * 3 * 8 * 32 + 2 * 8 * 4 + 2 * 3 * 8 * 64,
                4 * 4 * 64 + 2 * 2 * 3 * 8 * 32 + 2 * 8 * 4 + 2 * 3 * 8 * 64,
            ),
            (
                {"num_experts": 4, "num_experts_per_tok": 2, "decoder_sparse_step": 1, "mlp_only_layers": [0]},
                4 * 4 * 64 + 3 * 4 * 3 * 8 * 32 + 3 * 8 * 4 + 3 * 8 * 32,
                4 * 4 * 64 + 3 * 2 * 3 * 8 * 32 + 3 * 8 * 4 + 3 * 8 * 32,
            ),
            ({"is_encoder_decoder": True, "num_decoder_layers": 2}, 4 * (256 + 512) + 2 * (512 + 512), None),
            (
                {"mlp_hidden_size": 48, "activation_type": "swiglu", "intermediate_size": None},
                4 * (256 + 3 * 8 * 24),
                None,
            ),
            ({"expert_layer_period": 2, "attn_layer_period": 8, "num_experts": 4}, None, None),
        ],
    )
    def test_the_shapes_of_architectures(self, config, total, active):
        shape = {"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
        row = only(rows(run(config={**shape, **config}, metrics={"val_loss": curve([10])})))
        assert (row.get("params"), row.get("params_active")) == (total, active)

    def test_a_unit_in_a_name(self):
        row = only(rows(run(config={"n_params_m": 130.5}, metrics={"val_loss": curve([10])})))
        assert row["params"] == 130.5e6
        row = only(rows(run(config={"size_b": 1.5}, metrics={"val_loss": curve([10])}), params="size_b"))
        assert row["params"] == 1.5e9

    def test_a_size_that_is_logged(self):
        metrics = {"val_loss": curve([10, 20]), "n_params": [(10, 5e6), (20, 5e6)]}
        assert only(rows(run(config={}, metrics=metrics)))["params"] == 5e6


class TestLoss:
    @pytest.mark.parametrize(
        ("logged", "taken"),
        [
            (("loss", "Validation/Loss"), "Validation/Loss"),
            (("train_loss", "eval/ppl"), "eval/ppl"),
            (("train/loss", "eval/c4/loss", "eval/c4/bpb"), "eval/c4/loss"),
            (("eval/a/loss", "eval/b/loss", "eval/mean_loss"), "eval/mean_loss"),
            (("val_loss_step", "val_loss_epoch"), "val_loss_epoch"),
            (("train/aux_loss", "train/z_loss", "train/ce_loss"), "train/ce_loss"),
            (("lm loss", "lm loss validation"), "lm loss validation"),
            (("best_val_loss", "heldout_nll"), "heldout_nll"),
        ],
    )
    def test_the_metric_that_is_taken(self, logged, taken):
        found = rows(run(metrics={name: [(10, 3.0 + at), (20, 2.5 + at)] for at, name in enumerate(logged)}))
        assert taken in found.sources["a"]["loss"]

    @pytest.mark.parametrize(
        ("name", "value", "nats"),
        [("eval/ppl", 20.0, math.log(20)), ("val_bpb", 1.0, math.log(2)), ("eval/log_ppl", 3.0, 3.0)],
    )
    def test_perplexity_and_bits_become_nats(self, name, value, nats):
        assert only(rows(run(metrics={name: [(10, value)]})))["loss"] == pytest.approx(nats)

    def test_several_held_out_losses_are_a_question(self):
        with pytest.raises(RunsError, match=r"several held-out losses, eval_c4_loss and eval_wiki_loss.*loss=NAME"):
            rows(run(metrics={"eval_c4_loss": curve([10]), "eval_wiki_loss": curve([10])}))

    def test_training_and_held_out_losses_in_one_column_are_named(self):
        found = rows(run(metrics={"eval_loss": curve([10])}), run("b", metrics={"train_loss": curve([10])}))
        assert "mixed_losses" in codes(found)

    def test_a_name_that_is_no_usual_one_is_a_guess(self):
        assert "guessed_loss" in codes(rows(run(metrics={"my_nll": curve([10])})))


class TestEnds:
    """A run that ended in nonsense is no short good run."""

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_values_that_are_not_finite_at_the_end(self, bad):
        found = rows(run(metrics={"val_loss": [*curve([100, 200, 300]), (400, bad), (500, bad)]}))
        assert (only(found)["status"], only(found)["step"]) == ("diverged", 300)
        assert "diverged" in codes(found)

    def test_the_training_loss_tells_it_too(self):
        training = [(step, 3.0 if step < 250 else math.nan) for step in range(10, 500, 10)]
        assert only(rows(run(metrics={"val_loss": curve([100, 200]), "train/loss": training})))["status"] == "diverged"

    def test_fillers_at_the_end_are_no_more_than_those_before(self):
        values = [(step, 2 + 100 / step if step % 300 == 0 else math.nan) for step in range(300, 1200, 100)]
        assert [step for step, value in values if math.isnan(value)][-2:] == [1000, 1100]
        assert "status" not in only(rows(run(metrics={"val_loss": values})))
        longer = [*values, (1200, math.nan)]
        assert only(rows(run(metrics={"val_loss": longer})))["status"] == "diverged"

    def test_an_end_a_little_above_the_best_is_no_divergence(self):
        assert "status" not in only(rows(run(metrics={"val_loss": [(1, 2.1), (2, 2.0), (3, 2.4)]})))

    def test_an_end_far_above_the_best(self):
        assert only(rows(run(metrics={"val_loss": [*curve([100, 200, 300]), (400, 9.0)]})))["status"] == "diverged"
        assert "status" not in only(rows(run(metrics={"val_loss": [*curve([100, 200, 300]), (400, 2.4)]})))

    def test_fillers_between_values_are_no_divergence(self):
        values = [(step, 2 + 100 / step if step % 300 == 0 else math.nan) for step in range(100, 1100, 100)]
        row = only(rows(run(metrics={"val_loss": values})))
        assert "status" not in row
        assert row["step"] == 900


class TestRestarts:
    def test_a_branch_that_was_given_up_is_dead_in_every_metric(self):
        # The first life evaluates at 1000; the second, from 600 on, ends before its own evaluation.
        training = Metric.of([*curve(range(100, 1100, 100)), *curve(range(600, 900, 100), floor=1.5)], clock=range(13))
        held_out = Metric.of([(500, 3.0), (1000, 8.0)], clock=[4.5, 9.5])
        assert only(rows(run(metrics={"val_loss": held_out, "train/loss": training})))["loss"] == 3.0

    def test_what_was_logged_at_the_step_of_the_restart_is_dead_too(self):
        training = Metric.of([*curve(range(100, 1100, 100)), *curve(range(600, 900, 100))], clock=range(13))
        held_out = Metric.of([(500, 3.0), (600, 8.0)], clock=[4.5, 5.5])
        assert only(rows(run(metrics={"val_loss": held_out, "train/loss": training})))["loss"] == 3.0

    def test_a_restart_begins_at_the_earliest_step_of_any_metric(self):
        # After the restart the gradient is logged first, at 600; the losses follow at 610 and 700.
        gradient = Metric.of([(590, 1.0), (1000, 1.0), (600, 1.0)], clock=[0, 10, 20])
        training = Metric.of([(1000, 4.0), (610, 2.5)], clock=[11, 21])
        held_out = Metric.of([(500, 3.0), (605, 8.0), (1000, 9.0)], clock=[1, 2, 12])
        found = rows(run(metrics={"val_loss": held_out, "train/loss": training, "grad": gradient}))
        assert only(found)["loss"] == 3.0

    def test_two_restarts(self):
        logged = [(1, 5.0), (2, 4.0), (3, 9.0), (2, 3.9), (3, 3.5), (4, 8.0), (3, 3.4)]
        found = rows(run(metrics={"val_loss": logged}), checkpoints=True)
        assert found.frame["loss"].to_list() == [5.0, 3.9, 3.4]
        assert "2 times" in next(one.text for one in found.warnings if one.code == "restart")

    def test_a_restart_that_repeats_what_was_logged_at_its_step(self):
        training = Metric.of([(100, 3.0), (200, 2.9), (100, 3.0), (200, 2.8)], clock=[0, 1, 3, 5])
        held_out = Metric.of([(100, 3.1), (200, 3.2), (100, 3.1), (200, 2.7)], clock=[0.5, 1.5, 2.5, 5.5])
        found = rows(run(metrics={"val_loss": held_out, "train/loss": training}), checkpoints=True)
        assert found.frame["loss"].to_list() == [3.1, 2.7]


class TestNames:
    def test_runs_of_one_name(self):
        found = rows(
            run(metrics={"loss": curve([10])}, identity="x1"), run(metrics={"loss": curve([20])}, identity="x2")
        )
        assert found.frame["run"].to_list() == ["a (x1)", "a (x2)"]
        assert "same_name" in codes(found)

    @pytest.mark.parametrize("places", [("s/a/metrics.csv", "s/b/metrics.csv"), ("x/log/r1.csv", "y/log/r1.csv")])
    def test_files_of_one_name(self, tmp_path, places):
        for place in places:
            (tmp_path / place).parent.mkdir(parents=True)
            (tmp_path / place).write_text("step,val_loss\n1,3\n2,2\n")
        assert import_runs(f"csv:{tmp_path}").frame["run"].n_unique() == 2

    @pytest.mark.parametrize("column", ["RUN_ID", "experiment", "Trial", "model"])
    def test_a_column_that_names_the_run(self, tmp_path, column):
        (tmp_path / "all.csv").write_text(f"{column},iter,val_loss\na,1,3\na,2,2.5\nb,1,3\nb,2,2.2\n")
        assert import_runs(f"csv:{tmp_path}").frame["run"].to_list() == ["a", "b"]


class TestFiles:
    @pytest.mark.parametrize("filler", ["NaN", "NA", "None", "null", "-", "Infinity", "", "N/A"])
    def test_a_filler_does_not_drop_a_column(self, tmp_path, filler):
        lines = [
            f"{step},{2 + step / 1000},{2 + 100 / step if step % 200 == 0 else filler}"
            for step in range(100, 1100, 100)
        ]
        (tmp_path / "m.csv").write_text("step,train/loss,eval/loss\n" + "\n".join(lines))
        assert only(import_runs(f"csv:{tmp_path}"))["loss"] == pytest.approx(2.1)

    @pytest.mark.parametrize(
        ("name", "content"), [("bad.csv", ""), ("bad.csv", "a,b\n1,2\n"), ("bad.csv", "\x00\x01\x02")]
    )
    def test_one_bad_file_is_named_and_left_out(self, tmp_path, name, content):
        (tmp_path / "good.csv").write_text("step,val_loss\n1,3\n2,2\n")
        (tmp_path / name).write_text(content)
        found = import_runs(f"csv:{tmp_path}")
        assert len(found.frame) == 1
        assert name in next(one.text for one in found.warnings if one.code == "damaged")

    def test_json_lines_with_nested_entries(self, tmp_path):
        lines = [
            {"step": step, "train": {"loss": 3.0}, "eval": {"loss": 2 + 10 / step}, "tokens": step * 100}
            for step in (10, 20)
        ]
        (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
        row = only(import_runs(f"jsonl:{tmp_path}"))
        assert (row["loss"], row["tokens"]) == (2.5, 2000)

    @pytest.mark.parametrize(
        "state",
        [{"global_step": "x"}, {"log_history": [None, 5, {"eval_loss": 3.0, "step": 20}]}, {"global_step": 1e400}],
    )
    def test_a_trainer_state_of_any_shape(self, tmp_path, state):
        whole = {"global_step": 20, "log_history": [{"eval_loss": 3.0, "step": 20}], **state}
        (tmp_path / "trainer_state.json").write_text(json.dumps(whole))
        assert only(import_runs(f"trainer:{tmp_path}"))["loss"] == 3.0

    @pytest.mark.parametrize("log", [None, 5, [None], [{"eval_loss": "x", "step": 1}]])
    def test_a_trainer_state_without_a_log(self, tmp_path, log):
        (tmp_path / "trainer_state.json").write_text(json.dumps({"global_step": 20, "log_history": log}))
        with pytest.raises(RunsError, match="none of 1 runs has a loss"):
            import_runs(f"trainer:{tmp_path}")

    def test_a_run_that_stopped_before_its_end(self, tmp_path):
        state = {"global_step": 20, "max_steps": 100, "log_history": [{"eval_loss": 3.0, "step": 20}]}
        (tmp_path / "trainer_state.json").write_text(json.dumps(state))
        assert only(import_runs(f"trainer:{tmp_path}"))["status"] == "unfinished"


LOGS = {
    "nanogpt": (
        "tokens per iteration will be: 491,520\nnumber of parameters: 124.34M\nstep 0: train loss 10.9, val loss 10.8\n"
        "iter 0: loss 10.9, time 40ms, mfu 0.1%\nstep 250: train loss 4.0, val loss 4.1\niter 250: loss 4.05, time 40ms, mfu 1%\n",
        (124.34e6, 250 * 491_520, 250, 4.1),
    ),
    "modded": (
        "import torch\nprint(f'step:{step}/{n} val_loss:{v:.4f}')\nstep:0/1750 val_loss:10.8258 train_time:0ms step_avg:nanms\n"
        "step:1750/1750 val_loss:3.2781 train_time:150000ms step_avg:86ms\n",
        (None, None, 1750, 3.2781),
    ),
    "megatron": (
        "  seq_length ...................................... 2048\n > number of parameters on (tensor, pipeline) model parallel rank (0, 0): 354871296\n"
        " [2026-01-02 10:00:00] iteration      100/    1000 | consumed samples:        25600 | elapsed time per iteration (ms): 812.1 | "
        "learning rate: 1.0E-04 | global batch size:   256 | lm loss: 6.5E+00 | loss scale: 1.0 | grad norm: 1.2 | number of nan iterations:   0 |\n"
        " validation loss at iteration 100 | lm loss value: 6.4E+00 | lm loss PPL: 6.0E+02 | \n",
        (354871296, 25600 * 2048, 100, 6.4),
    ),
    "torchtitan": (
        "[rank0]:[titan] 2026-01-02 - root - INFO - Model llama3 8B size: 8,030,261,248 total parameters\n"
        "[rank0]:[titan] - root - INFO - Training starts at step 1, with local batch size 1, global batch size 8, sequence length 2048, total steps 20 (warmup 2)\n"
        "[rank0]:[titan] - INFO - \x1b[31mstep: 10 \x1b[32m loss:  7.5 \x1b[33m memory: 2.4GiB  tps: 3,502  mfu: 0.2%\x1b[0m\n"
        "[rank0]:[titan] - INFO - step: 20  loss:  6.5  grad_norm:  3.6  memory: 2.4GiB  tps: 3,502\n",
        (8030261248, 20 * 8 * 2048, 20, 6.5),
    ),
    "llm.c": (
        "| max_sequence_length T | 1024                                               |\n| num_parameters        | 124475904     |\n"
        "| total batch size      | 524288       |\nval loss 11.0\nstep    1/18865 | loss 11.01 (+nanz)| norm 15.3 (+nanz)| lr 8.57e-07 | 1166 ms | 449 tok/s\n"
        "step 18865/18865 | loss 3.29 (+0.1z)| norm 0.2 | lr 0 | 1166 ms | 449 tok/s\nval loss 3.30\n",
        (124475904, 18865 * 524288, 18865, 3.30),
    ),
}


class TestTextLogs:
    @pytest.mark.parametrize("trainer", LOGS)
    def test_what_a_trainer_prints(self, tmp_path, trainer):
        text, (params, tokens, step, loss) = LOGS[trainer]
        (tmp_path / "train.log").write_text(text)
        row = only(import_runs(f"log:{tmp_path}"))
        assert (row.get("params"), row.get("tokens"), row["step"], row["loss"]) == (
            params,
            tokens,
            step,
            pytest.approx(loss),
        )

    def test_a_line_that_cannot_be_read_is_named_by_its_number(self, tmp_path):
        (tmp_path / "t.log").write_text("step:0/9 val_loss:4.0 x\nstep:5/9 val_loss:3.5 x\nstep:9/9 val_loss:garb\n")
        found = import_runs(f"log:{tmp_path / 't.log'}")
        assert only(found)["status"] == "unfinished"
        assert "line 3" in found.warnings[0].text

    def test_a_log_that_ends_in_nan(self, tmp_path):
        lines = [f"step:{step}/300 val_loss:{'nan' if step > 200 else 3.0} t:1ms" for step in range(0, 301, 50)]
        (tmp_path / "t.log").write_text("\n".join(lines))
        assert only(import_runs(f"log:{tmp_path}"))["status"] == "diverged"

    def test_a_text_of_no_trainer(self, tmp_path):
        (tmp_path / "t.log").write_text("hello\n")
        with pytest.raises(RunsError, match="no line of it is one of nanoGPT, modded-nanogpt"):
            import_runs(f"log:{tmp_path}")


class TestHarness:
    def test_results_of_an_older_version_are_named_by_size_and_step(self, tmp_path):
        place = tmp_path / "evals" / "five-shot"
        place.mkdir(parents=True)
        for step, accuracy in ((1000, 0.2), (143000, 0.4)):
            content = {
                "results": {"lambada_openai": {"acc": accuracy, "acc_stderr": 0.01, "ppl": 9.0}},
                "config": {"model": "x"},
            }
            (place / f"160m-deduped_step{step}.json").write_text(json.dumps(content))
        found = import_runs(f"lm-eval:{tmp_path}")
        table = {row["step"]: row for row in found.frame.to_dicts()}
        assert table[143000]["acc_lambada_openai_5shot"] == 0.4
        assert table[1000]["run"] == "160m-deduped"
        assert table[1000]["params"] == 160e6
        assert "guessed_params" in codes(found)

    @pytest.mark.parametrize("scores", [{"acc,none": "NaN"}, {"acc,none": ""}, None, {}])
    def test_scores_that_are_no_numbers(self, tmp_path, scores):
        (tmp_path / "results_1.json").write_text(
            json.dumps({"results": {"t": scores}, "config": None, "model_name": "m"})
        )
        (tmp_path / "results_2.json").write_text(json.dumps({"results": {"u": {"acc,none": 0.5}}, "model_name": "m"}))
        assert only(import_runs(f"lm-eval:{tmp_path}"))["acc_u"] == 0.5

    def test_variants_of_one_model_are_told_apart(self, tmp_path):
        for name, arguments in (
            ("a", "pretrained=m"),
            ("b", "pretrained=m,peft=lora"),
            ("c", "pretrained=m,dtype=int8"),
        ):
            content = {"results": {"t": {"acc,none": 0.5}}, "config": {"model_args": arguments}, "model_name": "m"}
            (tmp_path / f"results_{name}.json").write_text(json.dumps(content))
        names = import_runs(f"lm-eval:{tmp_path}").frame["run"].to_list()
        assert sorted(names) == ["m (as it is)", "m (dtype=int8)", "m (peft=lora)"]

    def test_the_newest_file_wins_wherever_it_lies(self, tmp_path):
        for place, date, score in (("z", "2024-01-01", 0.1), ("a", "2025-06-01", 0.9)):
            (tmp_path / place).mkdir()
            content = {"results": {"t": {"acc,none": score}}, "model_name": "m"}
            (tmp_path / place / f"results_{date}T10-00-00.123.json").write_text(json.dumps(content))
        assert only(import_runs(f"lm-eval:{tmp_path}"))["acc_t"] == 0.9

    def test_a_score_that_is_not_finite_is_left_out_and_named(self, tmp_path):
        content = '{"results": {"t": {"acc,none": NaN}, "u": {"acc,none": 0.5}}, "model_name": "m"}'
        (tmp_path / "results_1.json").write_text(content)
        found = import_runs(f"lm-eval:{tmp_path}")
        assert "acc_t" not in found.frame.columns
        assert "not_finite" in codes(found)

    def test_a_size_and_a_length_in_a_name(self, tmp_path):
        content = {"results": {"t": {"acc": 0.5}}, "config": {"model": "x"}}
        (tmp_path / "2.7b-8k_step1000.json").write_text(json.dumps(content))
        assert only(import_runs(f"lm-eval:{tmp_path}"))["params"] == 2.7e9

    def test_shots_of_a_task_stand_in_its_column(self, tmp_path):
        for shots, score in ((0, 0.1), (5, 0.3)):
            content = {"results": {"t": {"acc,none": score}}, "n-shot": {"t": shots}, "model_name": "m"}
            (tmp_path / f"results_{shots}.json").write_text(json.dumps(content))
        row = only(import_runs(f"lm-eval:{tmp_path}"))
        assert (row["acc_t"], row["acc_t_5shot"]) == (0.1, 0.3)


class TestWandbExports:
    @pytest.mark.parametrize("axis", ["Wall Time", "Relative Time (Process)", "epoch", "tokens_seen"])
    def test_an_axis_that_counts_no_steps_gives_none(self, tmp_path, axis):
        (tmp_path / "chart.csv").write_text(f"{axis},a - val_loss\n1000,3\n2000,2.5\n")
        row = only(import_runs(f"wandb:{tmp_path / 'chart.csv'}"))
        assert (row["loss"], row.get("step"), row.get("tokens")) == (2.5, None, 2000 if axis == "tokens_seen" else None)

    @pytest.mark.parametrize("axis", ["trainer/global_step", "Step", "iter"])
    def test_a_chart_with_any_axis(self, tmp_path, axis):
        pl.DataFrame(
            {axis: [10, 20], "a - val_loss": [3.0, 2.0], "a - _step": [1, 2], "b - val_loss": [3.5, 2.5]}
        ).write_csv(tmp_path / "x.csv")
        found = import_runs(f"wandb:{tmp_path / 'x.csv'}")
        assert found.frame.select("run", "step", "loss").rows() == [("a", 20, 2.0), ("b", 20, 2.5)]

    def test_the_table_of_runs(self, tmp_path):
        (tmp_path / "runs.csv").write_text(
            "Name,State,ID,n_params,eval/loss,train/global_step,_step\nbig,finished,q1,1e8,2.5,1000,30\nbad,crashed,q2,1e8,4.5,100,3\n"
        )
        found = import_runs(f"wandb:{tmp_path / 'runs.csv'}")
        assert found.frame.select("run", "status", "step", "loss").rows() == [
            ("big", "finished", 1000, 2.5),
            ("bad", "failed", 100, 4.5),
        ]


class TestLives:
    """The starts of one run come in the order of their clock, whatever their files are called."""

    def test_wandb(self, tmp_path):
        pytest.importorskip("wandb")
        # The first start went on to step 1000, with a bad end; the second began at 600. Its folder's name comes first.
        write_wandb(tmp_path / "b" / "run-q1.wandb", [(500, 3.0), (600, 8.0), (1000, 9.0)], started=100, ended=False)
        write_wandb(tmp_path / "a" / "run-q1.wandb", [(600, 2.8), (800, 2.5)], started=200)
        row = only(import_runs(f"wandb:{tmp_path}"))
        assert (row["step"], row["loss"], row["status"]) == (800, 2.5, "finished")

    def test_a_start_that_has_no_end(self, tmp_path):
        pytest.importorskip("wandb")
        write_wandb(tmp_path / "a" / "run-q1.wandb", [(600, 2.8), (800, 2.5)], ended=False)
        assert only(import_runs(f"wandb:{tmp_path}"))["status"] == "unfinished"

    def test_tensorboard(self, tmp_path):
        writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter
        for name, started, logged in (("z", 100, [(500, 3.0), (1000, 9.0)]), ("a", 200, [(600, 2.8), (800, 2.5)])):
            with writer(str(tmp_path / name)) as events:
                for step, loss in logged:
                    events.add_scalar("val_loss", loss, step, walltime=started + step / 1e6)
            (file,) = (tmp_path / name).glob("*tfevents*")
            # The clock of a file is that of its first event, whatever its name says.
            content = file.read_bytes()
            skipped = 16 + int.from_bytes(content[:8], "little")
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run" / f"events.out.tfevents.{name}").write_bytes(content[skipped:])
            file.unlink()
        row = only(import_runs(f"tensorboard:{tmp_path / 'run'}"))
        assert (row["step"], row["loss"]) == (800, pytest.approx(2.5))


class Point:
    """A value as MLflow's client gives it."""

    def __init__(self, run_id, timestamp, step, value):
        self.run_id, self.timestamp, self.step, self.value = run_id, timestamp, step, value

    def to_dict(self):
        return vars(self)


class Client:
    """MLflow's client as far as histories need it: a store that answers for many runs, and questions one by one."""

    def __init__(self, points, together):
        self.points, self.asked = points, []
        store = {"get_metric_history_bulk": lambda *_: together} if together is not None else {}
        self._tracking_client = SimpleNamespace(store=SimpleNamespace(**store))

    def get_metric_history(self, run_id, name):
        self.asked.append((run_id, name))
        return [point for point in self.points if point.run_id == run_id]


class TestMlflowHistory:
    POINTS = (Point("r", 30, 3, 2.0), Point("r", 10, 1, 4.0), Point("r", 20, 2, 1.7976931348623157e308))

    def histories(self, client):
        run = SimpleNamespace(info=SimpleNamespace(run_id="r"), data=SimpleNamespace(metrics={"loss": 2.0}))
        return Histories(client, [run], ["loss"]).get("r", "loss")

    def test_values_come_in_the_order_of_their_clock_and_infinity_is_infinite(self):
        client = Client(self.POINTS, list(self.POINTS))
        found = self.histories(client)
        assert found.steps.tolist() == [1, 2, 3]
        assert found.values.tolist() == [4.0, math.inf, 2.0]
        assert client.asked == []

    @pytest.mark.parametrize("together", [None, [Point("r", 1, 1, 9.0)] * 25_000])
    def test_a_store_that_cannot_or_an_answer_that_may_be_cut_is_asked_one_by_one(self, together):
        client = Client(self.POINTS, together)
        assert len(self.histories(client)) == 3
        assert client.asked == [("r", "loss")]


class TestMlflowFolder:
    def test_the_older_store_of_files(self, tmp_path):
        place = tmp_path / "mlruns" / "123" / "abcdef0123456789"
        (place / "params").mkdir(parents=True)
        (place / "metrics" / "eval").mkdir(parents=True)
        (tmp_path / "mlruns" / "123" / "meta.yaml").write_text(
            "artifact_location: x\nexperiment_id: '123'\nname: sweep\n"
        )
        (place / "meta.yaml").write_text(
            "run_name: small\nrun_id: abcdef0123456789\nstatus: 3\nlifecycle_stage: active\n"
        )
        for name, value in SIZED.items():
            (place / "params" / name).write_text(str(value))
        (place / "metrics" / "eval" / "loss").write_text("1700 3.0 10\n1800 2.5 20\n1750 1.7976931348623157e+308 15\n")
        row = only(import_runs(f"mlflow:{tmp_path}", experiment="sweep"))
        assert (row["run"], row["status"], row["loss"], row["tokens"]) == ("small", "finished", 2.5, 20 * 512)
        with pytest.raises(RunsError, match=r"no experiment 'swep'.*Did you mean sweep"):
            import_runs(f"mlflow:{tmp_path}", experiment="swep")

    @pytest.mark.parametrize(
        "address", ["sqlite:///none.db", "none.db", "file:/none/mlruns", "sqlite:////nowhere/x.db"]
    )
    def test_a_mistyped_address_makes_nothing(self, tmp_path, monkeypatch, address):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(RunsError, match="there is no"):
            import_runs(f"mlflow:{address}")
        assert not list(tmp_path.iterdir())


def test_a_run_that_is_running_keeps_its_status_and_is_left_out_of_a_fit():

    sizes = np.geomspace(1e6, 1e8, 6)
    runs = [
        run(
            f"r{i}",
            {**SIZED, "n_params": float(size)},
            metrics={"val_loss": [(100, 2 + 30 / size**0.2)]},
            status="running" if i == 5 else "finished",
        )
        for i, size in enumerate(sizes)
    ]
    frame = rows(*runs).frame
    read = rung.read_runs(frame)
    assert len(read) == 5
    assert "'r5' (running)" in read.notes[0]
    assert len(rung.read_runs(frame, unfinished=True)) == 6


class TestDevices:
    @pytest.mark.parametrize(
        ("config", "sequences"),
        [
            ({"batch_size": 4, "devices": 8, "num_nodes": 4}, 128),
            ({"batch_size": 4, "devices": 8, "num_nodes": 4, "accumulate_grad_batches": 2}, 256),
            ({"micro_batch_size": 4, "grad_accum_steps": 8, "world_size": 16, "tensor_model_parallel_size": 4}, 128),
            ({"micro_batch_size": 4, "grad_accum_steps": 2, "gpus": 8, "nodes": 4}, 256),
            ({"micro_batch_size": 4, "grad_accum_steps": 2, "data_parallel_size": 4, "world_size": 16}, 32),
        ],
    )
    def test_devices_machines_and_models_that_are_split(self, config, sequences):
        found = rows(run(config={**config, "seq_len": 64}, metrics={"val_loss": curve([10])}))
        assert only(found)["tokens"] == 10 * 64 * sequences

    def test_machines_without_devices_leave_d_open(self):
        found = rows(run(config={"batch_size": 4, "num_nodes": 4, "seq_len": 64}, metrics={"val_loss": curve([10])}))
        assert "tokens" not in found.frame.columns

    def test_ranks_of_one_run_are_one_run(self):
        parts = [run(name=f"rank_{rank}/stderr", metrics={"loss": curve([10, 20])}) for rank in range(3)]
        found = rows(*parts)
        assert found.frame["run"].to_list() == ["rank_0/stderr"]
        assert "several_records" in codes(found)


@pytest.mark.parametrize(
    ("count", "stop", "status"), [(0, False, "unfinished"), (3, False, "finished"), (0, True, "finished")]
)
def test_early_stopping_that_was_set_is_not_early_stopping_that_happened(tmp_path, count, stop, status):
    state = {
        "global_step": 600,
        "max_steps": 2000,
        "log_history": [{"step": 600, "eval_loss": 2.0}],
        "stateful_callbacks": {
            "EarlyStoppingCallback": {
                "args": {"early_stopping_patience": 3},
                "attributes": {"early_stopping_patience_counter": count},
            },
            "TrainerControl": {"args": {"should_training_stop": stop}},
        },
    }
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    assert only(import_runs(f"trainer:{tmp_path}"))["status"] == status


def test_a_checkpoint_of_another_run_is_left_out(tmp_path):
    for place, step, end in ((".", 1000, 1000), ("checkpoint-2000", 2000, 4000)):
        (tmp_path / place).mkdir(exist_ok=True)
        state = {"global_step": step, "max_steps": end, "log_history": [{"step": step, "eval_loss": step / 500}]}
        (tmp_path / place / "trainer_state.json").write_text(json.dumps(state))
    assert only(import_runs(f"trainer:{tmp_path}"))["loss"] == 2.0


def test_a_limited_evaluation_does_not_replace_a_whole_one(tmp_path):
    for name, limit, score in (("2024-01-01", None, 0.6), ("2025-01-01", 10, 0.9)):
        content = {"results": {"t": {"acc,none": score}}, "model_name": "m", "config": {"limit": limit}}
        (tmp_path / f"results_{name}T00-00-00.0.json").write_text(json.dumps(content))
    table = {row["run"]: row["acc_t"] for row in import_runs(f"lm-eval:{tmp_path}").frame.to_dicts()}
    assert table == {"m (as it is)": 0.6, "m (limit=10)": 0.9}


def test_a_log_in_utf16_and_one_that_ran_out_of_memory(tmp_path):
    lines = "".join(f"iter {step}: loss {2 + 1 / step:.4f}, time 3.0ms\n" for step in (100, 200))
    (tmp_path / "a.log").write_bytes((lines + "torch.OutOfMemoryError: CUDA out of memory\n").encode("utf-16"))
    assert only(import_runs(f"log:{tmp_path}"))["status"] == "failed"
