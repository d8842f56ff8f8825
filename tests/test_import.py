"""Runs read from where people keep them; each sample is written by the real library."""

import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import polars as pl
import pytest

from rung.errors import RunsError
from rung.ladder import read_ladder
from rung.ladder.execution.orchestrate import execute_all, prepare
from rung.ladder.track import Track
from rung.ladder.training.tracking import make_tracker
from rung.runs.sources import ColumnOverrides
from rung.runs.sources.assemble import assemble as rows_of
from rung.runs.sources.registry import import_runs
from rung.runs.sources.tracked_run import Found, Metric, TrackedRun
from test_ladder import FILE, changed
from wandb_server import wandb_server

CONFIG = {"n_params": 12_000, "learning_rate": 0.01, "global_batch_size": 8, "seq_len": 64}


def losses(scale):
    return [(step, scale + 1 / step) for step in range(10, 210, 10)]


def tracked(name="a", config=None, **logged):
    metrics = {metric: Metric.of(pairs) for metric, pairs in logged.items()}
    return TrackedRun(name=name, config=CONFIG if config is None else config, logged=metrics)


def assemble(runs, where, overrides=None):
    return rows_of(Found(runs=runs), where, overrides or ColumnOverrides())


@contextmanager
def mlflow_server(place):
    """A real server on loopback over an SQLite store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    store = ["--backend-store-uri", f"sqlite:///{place}/runs.db", "--artifacts-destination", str(place)]
    server = subprocess.Popen(
        [sys.executable, *command, *store], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(240):
            time.sleep(0.25)
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):
                    break
            except OSError:
                assert server.poll() is None
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=20)


class TestRules:
    def test_a_held_out_loss_is_its_last_value(self):
        found = assemble([tracked(**{"eval/loss": losses(2.0), "train/loss": losses(1.0)})], "here")
        (row,) = found.frame.to_dicts()
        assert row["loss"] == pytest.approx(2.0 + 1 / 200)
        assert found.mapping["loss"] == "eval/loss, last value"
        assert row["tokens"] == 200 * 8 * 64
        assert found.mapping["tokens"] == "steps x global_batch_size x seq_len"
        assert row["params"] == 12_000

    def test_a_training_loss_is_a_mean_over_the_end(self):
        found = assemble([tracked(loss=losses(2.0))], "here")
        assert found.frame["loss"][0] == pytest.approx(2.0 + 1 / 200)
        many = [(step, float(step)) for step in range(101)]
        assert assemble([tracked(loss=many)], "here").frame["loss"][0] == pytest.approx(97.5)

    def test_a_metric_that_counts_tokens_is_taken_at_the_step_of_the_loss(self):
        run = tracked(**{"eval/loss": [(10, 3.0)], "throughput/total_tokens": [(5, 500.0), (15, 1500.0)]})
        assert assemble([run], "here").frame["tokens"][0] == 1000

    def test_a_usual_transformer_is_counted_from_its_shape(self):
        run = tracked(config={"model": {"x": 1}, "model.hidden_size": 64, "model.num_hidden_layers": 4}, loss=losses(1))
        found = assemble([run], "here")
        assert found.frame["params"][0] == 12 * 4 * 64**2
        assert "12 x model.num_hidden_layers x model.hidden_size^2" in found.mapping["params"]

    def test_of_a_restart_the_later_values_are_kept_and_it_is_said(self):
        logged = [(10, 3.0), (20, 2.5), (30, 9.0), (20, 2.4), (30, 2.2)]
        found = assemble([tracked(eval_loss=logged)], "here", ColumnOverrides(checkpoints=True))
        assert found.frame["loss"].to_list() == [3.0, 2.4, 2.2]
        assert "goes back from step 30 to 20" in found.warnings[0].text

    def test_gaps_and_values_that_are_no_numbers_are_said(self):
        logged = [*losses(2.0), (210, math.nan), (5000, 1.9)]
        found = assemble([tracked(eval_loss=logged)], "here")
        texts = " ".join(finding.text for finding in found.warnings)
        assert "not a finite number at 1 of 22 steps, first at step 210" in texts
        assert "no value of eval_loss between steps 200 and 5000" in texts
        assert found.frame["loss"][0] == 1.9

    def test_a_count_of_nothing_is_no_count(self):
        run = tracked(config={**CONFIG, "num_input_tokens_seen": 0}, eval_loss=losses(1))
        assert assemble([run], "here").frame["tokens"][0] == 200 * 8 * 64

    def test_a_run_without_the_named_metric_is_left_out_and_said(self):
        found = assemble([tracked(bpb=losses(1)), tracked("b", loss=losses(1))], "here", ColumnOverrides(loss="bpb"))
        assert found.frame["run"].to_list() == ["a"]
        assert "'b' of here has no bpb" in found.warnings[0].text

    def test_a_run_without_a_loss_is_named_and_the_others_stay(self):
        found = assemble([tracked(eval_loss=losses(1)), tracked("b", accuracy=losses(1))], "here")
        assert found.frame["run"].to_list() == ["a"]
        assert any("'b' of here has no loss" in finding.text for finding in found.warnings)

    @pytest.mark.parametrize(
        ("runs", "overrides", "said"),
        [
            ([], ColumnOverrides(), "here has no runs"),
            ([tracked(accuracy=losses(1))], ColumnOverrides(), "the logged metrics are accuracy. Name it: loss=NAME"),
            (
                [tracked(loss=losses(1))],
                ColumnOverrides(params="n_parms"),
                r"no run has a number 'n_parms'.*Did you mean n_params",
            ),
            (
                [tracked(loss=losses(1))],
                ColumnOverrides(loss="bpb"),
                "none of 1 runs has bpb; the logged metrics are loss",
            ),
        ],
    )
    def test_runs_without_a_loss_or_a_named_column_say_what_there_is(self, runs, overrides, said):
        with pytest.raises(RunsError, match=said):
            assemble(runs, "here", overrides)

    def test_what_no_run_says_is_asked_for(self):
        found = assemble([tracked(config={"dim_x": 3}, loss=losses(1))], "here")
        assert "Name it: --params NAME" in found.warnings[0].text


class TestTensorboard:
    def test_runs_of_event_files(self, tmp_path):
        from torch.utils.tensorboard import SummaryWriter

        for name in ("small", "large"):
            with SummaryWriter(str(tmp_path / name)) as writer:
                writer.add_text("settings", json.dumps(CONFIG))
                for step, value in losses(2.0):
                    writer.add_scalar("eval/loss", value, step)
        found = import_runs(f"tensorboard:{tmp_path}")
        assert found.frame["run"].to_list() == ["large", "small"]
        assert found.frame["params"].to_list() == [12_000, 12_000]
        assert found.frame["loss"][0] == pytest.approx(2.005)

    def test_a_restart_is_a_second_file(self, tmp_path):
        from torch.utils.tensorboard import SummaryWriter

        for first, last in ((1, 6), (4, 9)):
            with SummaryWriter(str(tmp_path)) as writer:
                for step in range(first, last):
                    writer.add_scalar("eval/loss", first + step / 100, step)
            time.sleep(1.1)
        found = import_runs(f"tensorboard:{tmp_path}", overrides=ColumnOverrides(checkpoints=True))
        assert found.frame["step"].to_list() == list(range(1, 9))
        assert found.frame["loss"][4] == pytest.approx(4.05)

    @pytest.mark.parametrize("parts", [("train", "validation"), ("training", "eval")])
    def test_folders_of_parts_are_one_run(self, tmp_path, parts):
        from torch.utils.tensorboard import SummaryWriter

        for part, scale in zip(parts, (1.0, 2.0), strict=True):
            with SummaryWriter(str(tmp_path / "run" / part)) as writer:
                for step, value in losses(scale):
                    writer.add_scalar("epoch_loss", value, step)
        (row,) = import_runs(f"tensorboard:{tmp_path}").frame.to_dicts()
        assert (row["run"], row["loss"]) == ("run", pytest.approx(2.005))

    @pytest.mark.parametrize("places", [("run1/train", "run1/eval_c4"), ("run1_train", "run1_val")])
    def test_folders_of_training_and_evaluation_are_one_run(self, tmp_path, places):
        from torch.utils.tensorboard import SummaryWriter

        for place, shift in zip(places, (-1.0, 0.0), strict=True):
            with SummaryWriter(str(tmp_path / place)) as writer:
                for step, value in losses(2.0):
                    writer.add_scalar("loss", value + shift, step)
        (row,) = import_runs(f"tensorboard:{tmp_path}").frame.to_dicts()
        assert (row["run"], row["loss"]) == ("run1", pytest.approx(2.005))

    def test_epochs_of_keras_are_no_steps(self, tmp_path):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(tmp_path / "run" / "validation")) as writer:
            for epoch in range(4):
                writer.add_scalar("epoch_loss", 3 - epoch / 10, epoch)
        found = import_runs(f"tensorboard:{tmp_path}", overrides=ColumnOverrides(batch_tokens="512"))
        assert not {"step", "tokens"} & set(found.frame.columns)

    def test_scalars_of_one_chart_are_one_run(self, tmp_path):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(tmp_path / "run")) as writer:
            for step, value in losses(2.0):
                writer.add_scalars("loss", {"train": value - 1, "val": value}, step)
                writer.add_scalar("lr", 0.1, step)
        (row,) = import_runs(f"tensorboard:{tmp_path}").frame.to_dicts()
        assert (row["run"], row["loss"]) == ("run", pytest.approx(2.005))

    def test_settings_are_those_of_the_run_above(self, tmp_path):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(tmp_path / "run")) as writer:
            for step, value in losses(2.0):
                writer.add_scalar("val_loss", value, step)
            writer.add_hparams({"n_params": 5e6, "global_batch_size": 4, "seq_len": 16}, {"hparam/val_loss": 2.0})
        (row,) = import_runs(f"tensorboard:{tmp_path}").frame.to_dicts()
        assert (row["params"], row["tokens"]) == (5e6, 200 * 64)

    @pytest.mark.parametrize("cut", [10, 200])
    def test_a_cut_file_says_what_was_lost(self, tmp_path, cut):
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(tmp_path)) as writer:
            for step, value in losses(2.0):
                writer.add_scalar("val_loss", value, step)
        (file,) = tmp_path.glob("*tfevents*")
        file.write_bytes(file.read_bytes()[:-cut])
        found = import_runs(f"tensorboard:{tmp_path}")
        assert found.frame["status"].to_list() == ["damaged"]
        assert "bytes cannot be read; its last step is" in found.warnings[0].text


def wandb_run(place, run_id=None):
    wandb = pytest.importorskip("wandb")
    return wandb.init(project="p", name="mine", id=run_id, resume="allow", dir=str(place), config={"model": CONFIG})


def finish(run):
    """End a run; its file is whole when the service that writes it has ended."""
    import wandb

    run.finish()
    wandb.teardown()


class TestWandb:
    @pytest.fixture
    def offline(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        run = wandb_run(tmp_path)
        for step, value in losses(2.0):
            run.log({"eval/loss": value}, step=step)
        finish(run)
        return tmp_path

    @pytest.mark.slow
    def test_an_offline_run(self, offline):
        found = import_runs(f"wandb:{offline}")
        (row,) = found.frame.to_dicts()
        assert (row["run"], row["params"], row["step"]) == ("mine", 12_000, 200)
        assert row["loss"] == pytest.approx(2.005)
        again = wandb_run(offline, run_id=next(offline.rglob("run-*.wandb")).stem.removeprefix("run-"))
        again.log({"eval/loss": 1.5}, step=300)
        finish(again)
        (row,) = import_runs(f"wandb:{offline}").frame.to_dicts()
        assert (row["step"], row["loss"]) == (300, 1.5)
        file = next(offline.rglob("run-*.wandb"))
        file.write_bytes(file.read_bytes()[:-40])
        assert len(import_runs(f"wandb:{offline}").frame) == 1

    def test_an_export(self, tmp_path):
        steps, values = zip(*losses(2.0), strict=True)
        columns = {"Step": steps, "a - eval/loss": values, "a - eval/loss__MIN": values, "b - eval/loss": values}
        pl.DataFrame(columns).write_csv(tmp_path / "export.csv")
        assert import_runs(f"wandb:{tmp_path / 'export.csv'}").frame["run"].to_list() == ["a", "b"]


@pytest.mark.slow
class TestWandbOnline:
    """W&B's own client, against a server on loopback that answers as theirs does."""

    RUNS = (
        {
            "id": "q1",
            "name": "small",
            "state": "finished",
            "config": {"model": CONFIG},
            "history": [
                {
                    "_step": row,
                    "_timestamp": 1e9 + row,
                    "train/global_step": 100 * (row + 1),
                    "eval/loss": 2 + 1 / (row + 1),
                }
                for row in range(5)
            ],
        },
        {
            "id": "q2",
            "name": "other",
            "state": "running",
            "config": {},
            "history": [{"_step": 7, "loss": 3.5}, {"_step": 8, "loss": "Infinity"}],
        },
    )

    @pytest.fixture
    def _server(self, monkeypatch):
        pytest.importorskip("wandb")
        with wandb_server("mine", self.RUNS) as address:
            monkeypatch.setenv("WANDB_BASE_URL", address)
            monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
            yield

    @pytest.mark.usefixtures("_server")
    def test_a_project(self, command):
        done = command("import", "wandb:team/mine", "-o", "runs.csv", "--json")
        assert done.returncode == 0, done.stderr
        rows = {row["run"]: row for row in json.loads(done.stdout)}
        assert (rows["small"]["step"], rows["small"]["loss"], rows["small"]["params"]) == (500, 2.2, 12_000)
        assert (rows["small"]["status"], rows["small"]["tokens"]) == ("finished", 500 * 8 * 64)
        assert rows["other"]["status"] == "diverged"

    @pytest.mark.usefixtures("_server")
    def test_a_project_that_is_not_there(self, command, tmp_path):
        done = command("import", "wandb:team/mnie", "-o", "runs.csv")
        assert done.returncode == 1
        assert "the project cannot be read" in done.stderr
        assert not list(tmp_path.iterdir())

    def test_a_server_that_does_not_answer(self, command):
        begun = time.monotonic()
        done = command(
            "import",
            "wandb:team/mine",
            env={**os.environ, "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "a" * 40},
        )
        assert time.monotonic() - begun < 25
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1


class TestTrainers:
    def test_the_last_state_of_hugging_faces_trainer(self, tmp_path):
        from transformers import GPT2Config, TrainerState

        place = tmp_path / "run"
        GPT2Config(n_embd=64, n_layer=2, n_head=2).save_pretrained(place)
        for step in (10, 20):
            state = TrainerState(global_step=step, max_steps=20)
            state.log_history = [{"loss": 5.0 / at, "step": at, "epoch": 0.1} for at in range(1, step + 1)] + [
                {"eval_loss": 3.0 - step / 20, "step": step, "epoch": 0.1}
            ]
            state.num_input_tokens_seen = step * 1000
            (place / f"checkpoint-{step}").mkdir()
            state.save_to_json(str(place / f"checkpoint-{step}" / "trainer_state.json"))
        (row,) = import_runs(f"trainer:{tmp_path}").frame.to_dicts()
        assert row["loss"] == 2.0
        assert row["step"] == 20
        assert row["tokens"] == 20_000
        assert row["params"] == 12 * 2 * 64**2

    def test_a_csv_that_is_none(self, tmp_path):
        (tmp_path / "empty.csv").write_text("")
        with pytest.raises(RunsError, match=r"empty\.csv is empty"):
            import_runs(f"csv:{tmp_path}")

    def test_a_csv_with_the_names_of_olmo_and_levanter(self, tmp_path):
        steps, values = zip(*losses(2.0), strict=True)
        olmo = {"_step": steps, "train/CrossEntropyLoss": values, "throughput/total_tokens": [s * 512 for s in steps]}
        pl.DataFrame(olmo).write_csv(tmp_path / "olmo.csv")
        levanter = {"_step": steps, "eval/loss": values, "throughput/total_tokens": [s * 64 for s in steps]}
        pl.DataFrame(levanter).write_csv(tmp_path / "levanter.csv")
        rows = {row["run"]: row for row in import_runs(f"csv:{tmp_path}").frame.to_dicts()}
        assert rows["olmo"]["tokens"] == 200 * 512
        assert rows["levanter"]["tokens"] == 200 * 64

    @pytest.mark.slow
    def test_results_of_the_evaluation_harness(self, tmp_path):
        tracker = pytest.importorskip("lm_eval.loggers").EvaluationTracker(output_path=str(tmp_path))
        tracker.general_config_tracker.model_source = "hf"
        tracker.general_config_tracker.model_name = "mine"
        tracker.general_config_tracker.model_name_sanitized = "mine"
        lambada = {"perplexity,none": 12.5, "acc,none": 0.4, "acc_stderr,none": 0.01, "alias": "lambada"}
        results = {
            "results": {"lambada": lambada, "gsm8k": {"exact_match,strict-match": 0.25}},
            "config": {"model_num_parameters": 12_000},
            "model_name": "mine",
        }
        tracker.save_results_aggregated(results=results, samples={})
        (row,) = import_runs(
            f"lm-eval:{tmp_path}", overrides=ColumnOverrides(loss="perplexity_lambada")
        ).frame.to_dicts()
        assert row["loss"] == pytest.approx(math.log(12.5))
        assert row["params"] == 12_000
        assert row["acc_lambada"] == 0.4
        (row,) = import_runs(f"lm-eval:{tmp_path}").frame.to_dicts()
        assert row["perplexity_lambada"] == 12.5
        assert row["exact_match_strict_match_gsm8k"] == 0.25


@pytest.mark.slow
class TestMlflow:
    def test_a_ladder_logged_to_a_real_server_comes_back_as_its_table(self, tmp_path, command):
        file = tmp_path / "ladder.toml"
        with mlflow_server(tmp_path) as address:
            track = f'[track]\nto = "mlflow"\naddress = "{address}"\nexperiment = "ladder"\n'
            file.write_text(changed(FILE, "[[rung]]", f"{track}\n[[rung]]"))
            ladder = read_ladder(file)
            stood = execute_all(prepare(ladder), ladder.launch, ladder.track)
            assert {one.status for one in stood} == {"done"}
            found = import_runs(f"mlflow:{address}", experiment="ladder")
            rows = {row["run"]: row for row in found.frame.to_dicts()}
            for rung, standing in zip(ladder.rungs, stood, strict=True):
                assert rows[rung.name]["loss"] == pytest.approx(standing.loss)
                assert rows[rung.name]["params"] == rung.params
                assert rows[rung.name]["tokens"] == rung.tokens
            done = command("import", f"mlflow:{address}", "--experiment", "ladder", "-o", "runs.csv")
            assert done.returncode == 0, done.stderr
            assert "configuration params" in done.stdout
            with pytest.raises(RunsError, match="no experiment 'laddr'; it has"):
                import_runs(f"mlflow:{address}", experiment="laddr")
            with pytest.raises(RunsError, match="has no runs"):
                import_runs(f"mlflow:{address}", experiment="Default")

    def test_a_server_that_is_not_there(self):
        with pytest.raises(RunsError, match=r"mlflow:http://127\.0\.0\.1:9 cannot be read"):
            import_runs("mlflow:http://127.0.0.1:9")


class TestTracking:
    def test_a_run_tells_tensorboard_and_comes_back(self, tmp_path):
        file = tmp_path / "ladder.toml"
        file.write_text(FILE)
        ladder = read_ladder(file)
        folders = prepare(ladder)
        track = Track(to="tensorboard", address=str(tmp_path / "events"))
        stood = execute_all(folders, ladder.launch, track)
        rows = {row["run"]: row for row in import_runs(f"tensorboard:{tmp_path / 'events'}").frame.to_dicts()}
        for rung, standing in zip(ladder.rungs, stood, strict=True):
            assert rows[rung.name]["loss"] == pytest.approx(standing.loss)
            assert rows[rung.name]["tokens"] == rung.tokens

    @pytest.mark.slow
    def test_a_run_tells_wandb_and_comes_back(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        file = tmp_path / "ladder.toml"
        file.write_text(changed(FILE, "width = [8, 16]", "width = 16"))
        ladder = read_ladder(file)
        (tmp_path / "kept").mkdir()
        track = Track(to="wandb", address=str(tmp_path / "kept"))
        (stood,) = execute_all(prepare(ladder), ladder.launch, track)
        (row,) = import_runs(f"wandb:{tmp_path / 'kept'}").frame.to_dicts()
        assert row["loss"] == pytest.approx(stood.loss)
        assert (row["run"], row["params"], row["tokens"]) == (stood.run, ladder.rungs[0].params, ladder.rungs[0].tokens)

    def test_a_tracker_that_is_not_known(self, tmp_path):
        from rung.errors import LadderError

        file = tmp_path / "ladder.toml"
        file.write_text(FILE)
        folder = prepare(read_ladder(file))[0]
        with pytest.raises(LadderError, match=r"'mlfow' is not known.*Did you mean mlflow"):
            Track(to="mlfow")
        assert make_tracker(Track(), folder, print) is None

    def test_a_tracker_that_answers_no_more_ends_the_telling_and_not_the_training(self):
        from rung.ladder.training.tracking import Tolerant

        class Gone:
            def log(self, _):
                raise ConnectionError("gone")

        said = []
        tracker = Tolerant(Gone(), "mlflow", said.append)
        tracker.log({})
        tracker.log({})
        tracker.end("done")
        assert said == ["mlflow no longer answers (gone); the run continues, and its folder records everything."]


class TestVerb:
    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("runs.csv", "is not a source; write KIND:PLACE"),
            ("tensorbord:x", "Did you mean tensorboard:?"),
            ("tensorboard:none", "there is no such folder"),
            ("trainer:none", "there is no such file or folder"),
            ("lm-eval:none", "there is no such file or folder"),
            ("wandb:none", "there is no such file or folder"),
            ("csv:none", "there is no such file or folder"),
            ("wandb:none.wandb", "cannot be read"),
        ],
    )
    def test_a_source_that_is_not_there_is_named(self, command, tmp_path, source, said):
        done = command("import", source, "-o", "out.csv")
        assert done.returncode == 1
        assert said in done.stderr
        assert not list(tmp_path.iterdir())
