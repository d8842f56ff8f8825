"""The ladder: the file, the folder, training, interruption, failure, the table and the verb."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import rung as package
from planted import LADDER as FILE
from rung.errors import LadderError
from rung.ladder import Rung, ladder_of, read_ladder, table
from rung.ladder.architectures.network import PairNet
from rung.ladder.architectures.registry import build_network
from rung.ladder.architectures.size import Size
from rung.ladder.architectures.two_tower.spec import TwoTower
from rung.ladder.execution.launcher import Job
from rung.ladder.execution.local import _work
from rung.ladder.execution.orchestrate import execute_all, folders_of, prepare, run_statuses
from rung.ladder.recipe import Recipe
from rung.ladder.training.run_folder import RunFolder
from rung.ladder.training.sealed import opened, sealed
from rung.ladder.training.trainer import Trainer, cached_gradients, train
from rung.ladder.training.worker import Work, work_on


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ladder.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def ladder(file):
    return read_ladder(file)


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


def curve(folder):
    """The metrics without their times."""
    return [{key: value for key, value in line.items() if key != "time_s"} for line in folder.metrics()]


def carried_out(ladder, **more):
    folders = prepare(ladder)
    return folders, execute_all(folders, replace(ladder.launch, **more), ladder.track)


class TestFile:
    def test_lists_mean_every_combination(self, file):
        file.write_text(changed(FILE, "depth = 1", "depth = [1, 2]\nseeds = [0, 1, 2]"))
        assert len({rung.name for rung in read_ladder(file).rungs}) == 12

    def test_what_a_rung_asks_for_is_what_is_planned(self, file):
        file.write_text(changed(FILE, "width = [8, 16]\ndepth = 1\nsteps = 40", "params = 2000\nflops = 1e9"))
        (rung,) = read_ladder(file).rungs
        assert rung.params == pytest.approx(2000, rel=0.6)
        assert rung.flops == pytest.approx(1e9, rel=0.05)

    def test_formulas_of_the_recipe_see_the_size_and_the_data(self, file):
        file.write_text(
            changed(changed(FILE, "batch_tokens = 64", 'batch_tokens = "8 * width"'), "ema = 0.9", 'lr = "1 / N"')
        )
        for rung in read_ladder(file).rungs:
            assert rung.recipe.lr == pytest.approx(1 / rung.params)
            assert rung.batch * 16 == 8 * rung.size.width

    def test_a_rung_reads_back_as_it_was_written(self, ladder):
        for rung in ladder.rungs:
            assert Rung.from_dict(json.loads(json.dumps(rung.to_dict())), "here") == rung

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('name = "gpt"', 'name = "gtp"', "no family 'gtp'.*Did you mean gpt"),
            ("head_width = 8", "head_widht = 8", r"unknown key 'head_widht'.*Did you mean head_width"),
            ("head_width = 8", 'head_width = "8"', "head_width is '8', not a whole number"),
            ('"markov"', '"markof"', "no corpus 'markof'.*Did you mean markov"),
            ('"markov"', '"series"', "learns from tokens, and the corpus 'series' gives series"),
            ("steps = 40", "stepz = 40", r"rung 1: unknown key 'stepz'.*Did you mean steps"),
            ("steps = 40", "", "give one of tokens, tokens_per_param, flops and steps; there is none"),
            ("steps = 40", "steps = 40\ntokens = 1e4", "there is tokens and steps"),
            ("steps = 40", "tokens = 10", "tokens = 10 means 10 tokens, less than one step of 64"),
            ('"markov"', '"text"\npth = "books"', "unknown key 'pth'.*Did you mean path"),
            ("width = [8, 16]", "width = 12", "rung 1: width = 12 cannot be built"),
            ("width = [8, 16]\ndepth = 1", "params = 3", "the smallest size of the family"),
            ("batch_tokens = 64", 'batch_tokens = "64 * wdth"', "has wdth; it may contain"),
            ("batch_tokens = 64", "batch_tokens = -64", "must be a positive number"),
            ("ema = 0.9", "ema = 2", "must lie between 0 and 1"),
            ("ema = 0.9", 'schedule = "cosin"', "one of constant-decay, cosine, constant"),
            ("threads = 1", 'launcher = "slurmm"', "Did you mean slurm"),
            ("[launch]", "[lanch]", r"unknown key 'lanch'.*Did you mean launch"),
            ("steps = 40", 'steps = 40\nname = "../up"', "cannot name a folder"),
            ("width = [8, 16]", "width = [8, 8]", "two runs would be named"),
            ("[[rung]]", "[rungs]", "unknown key 'rungs'"),
            ("[corpus]", "[corpus", "is not TOML"),
            ("width = [8, 16]\ndepth = 1", "params = -5", "params = -5 must not be negative"),
            ("width = [8, 16]", "width = []", "width is an empty list"),
            ("steps = 40", "steps = 40\nseed = 1\nseeds = [2]", "give seed or seeds, not both"),
            ("steps = 40", "steps = 40\nseed = -1", "seed = -1 must not be negative"),
            ("[family]", "output = 5\n[family]", "output is 5, not the name of a folder"),
            ("[family]", 'count = ["total"]\n[family]', "no count"),
            ("[launch]", '[track]\nto = "mlfow"\n[launch]', "Did you mean mlflow"),
        ],
    )
    def test_a_wrong_entry_of_a_ladder_file_is_named(self, file, old, new, said):
        file.write_text(changed(FILE, old, new))
        with pytest.raises(LadderError, match=said):
            read_ladder(file)
        assert not (file.parent / "ladder").exists()

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(LadderError, match="No such file"):
            read_ladder(tmp_path / "none.toml")


class TestSchedule:
    @pytest.mark.parametrize("schedule", ["constant-decay", "cosine", "constant"])
    def test_it_rises_to_the_peak_and_ends_where_it_should(self, schedule):
        recipe = Recipe(schedule=schedule, final=0.1)
        rates = [recipe.rate(step, 1000) for step in range(1000)]
        assert max(rates) == pytest.approx(1.0, abs=0.01)
        assert rates[0] == pytest.approx(1 / 50, rel=0.05)
        assert rates[-1] == pytest.approx(1.0 if schedule == "constant" else 0.1, abs=0.01)


class TestTraining:
    def test_it_learns_and_stays_above_the_entropy(self, ladder):
        rung = replace(ladder.rungs[1], steps=250, batch=16, recipe=replace(ladder.rungs[1].recipe, ema=0.0))
        trainer = train(rung)
        loss = trainer.evaluate()["loss"]
        assert trainer.floors["loss"] < loss < 0.95 * np.log(16)

    def test_the_optimizer_is_torchs_adamw(self, ladder):
        rung = replace(ladder.rungs[0], recipe=replace(ladder.rungs[0].recipe, weight_decay=0.1, clip=0.0, ema=0.0))
        own, other = Trainer(rung), Trainer(rung)
        recipe = rung.recipe
        matrices = [weight for weight in other.weights if weight.ndim >= 2]
        vectors = [weight for weight in other.weights if weight.ndim < 2]
        theirs = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=recipe.lr,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.eps,
        )
        for step in range(5):
            own.advance()
            batch = other._tensors(other.data.batch(rung.key, step * rung.batch, rung.batch))
            theirs.zero_grad()
            other.net.losses(batch)[0].backward()
            for group in theirs.param_groups:
                group["lr"] = recipe.lr * recipe.rate(step, rung.steps)
            theirs.step()
        for mine, reference in zip(own.weights, other.weights, strict=True):
            assert torch.allclose(mine, reference, atol=1e-6)

    def test_micro_batches_give_the_gradient_of_the_batch(self, ladder):
        rung = replace(ladder.rungs[0], recipe=replace(ladder.rungs[0].recipe, clip=0.0, ema=0.0))
        parted = replace(rung, recipe=replace(rung.recipe, micro_batch=2))
        for mine, other in zip(train(rung).weights, train(parted).weights, strict=True):
            assert torch.allclose(mine, other, atol=1e-4)

    def test_bf16_and_sgd_train_too(self, ladder):
        rung = replace(ladder.rungs[0], steps=100)
        for more in ({"precision": "bf16"}, {"optimizer": "sgd", "lr": 0.5, "weight_decay": 0.01}):
            trainer = train(replace(rung, recipe=replace(rung.recipe, ema=0.0, **more)))
            assert trainer.evaluate()["loss"] < np.log(16)

    def test_the_average_of_weights_is_what_is_evaluated(self, ladder):
        trainer = Trainer(ladder.rungs[0])
        before = trainer.evaluate()["loss"]
        for _ in range(5):
            trainer.advance()
        weights = [weight.detach().clone() for weight in trainer.weights]
        averaged = trainer.evaluate()["loss"]
        assert averaged != before
        assert all(torch.equal(mine, kept) for mine, kept in zip(trainer.weights, weights, strict=True))


class TestCachedGradients:
    """The loss over a batch of 64 pairs in parts of 8, in float64."""

    @pytest.fixture
    def towers(self):
        torch.manual_seed(0)
        made = TwoTower(inputs=12, embedding_width=8)
        net = build_network(made, Size(16, 2)).double()
        pairs = tuple(torch.randn(64, 12, dtype=torch.float64) for _ in range(2))
        return net, pairs

    @staticmethod
    def gradients(net):
        return torch.cat([weight.grad.ravel() for weight in net.parameters()])

    def test_they_are_those_of_the_whole_batch(self, towers):
        net, pairs = towers
        assert isinstance(net, PairNet)
        loss = net.losses(pairs)[0]
        loss.backward()
        whole = self.gradients(net)
        net.zero_grad()
        cached = cached_gradients(net, list(zip(*(part.split(8) for part in pairs), strict=True)))
        assert abs(float(cached) - loss.item()) < 1e-12
        assert (self.gradients(net) - whole).abs().max() < 1e-10

    def test_adding_up_the_losses_of_the_parts_is_another_gradient(self, towers):
        net, pairs = towers
        net.losses(pairs)[0].backward()
        whole = self.gradients(net)
        net.zero_grad()
        for part in zip(*(part.split(8) for part in pairs), strict=True):
            (net.losses(part)[0] / 8).backward()
        assert torch.nn.functional.cosine_similarity(whole, self.gradients(net), dim=0) < 0.99

    def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_batch(self, towers):
        net, pairs = towers

        def saved(count):
            sizes = []

            def keep(tensor):
                sizes[-1] += tensor.numel()
                return tensor

            embed = net.embed

            def counted(part):
                sizes.append(0)
                with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                    return embed(part)

            net.embed = counted
            cached_gradients(net, list(zip(*(part[:count].split(8) for part in pairs), strict=True)))
            net.embed = embed
            return max(sizes)

        assert saved(16) == saved(64)


class TestRun:
    def test_every_run_is_done_and_gives_its_rows(self, ladder):
        folders, stood = carried_out(ladder)
        assert {one.status for one in stood} == {"done"}
        frame = table(folders)
        last = frame.filter(frame["phase"] == "final")
        assert last["run"].to_list() == [rung.name for rung in ladder.rungs]
        assert last["params"].to_list() == [rung.params for rung in ladder.rungs]
        assert last["flops"].to_list() == [rung.flops for rung in ladder.rungs]
        assert (last["floor"] < last["loss"]).all()
        assert all(folder.model_path.exists() for folder in folders)
        assert not list(folders[0].path.glob("checkpoint-*"))

    def test_its_table_can_be_fitted(self, ladder, tmp_path):
        folders, _ = carried_out(ladder)
        table(folders).write_csv(tmp_path / "runs.csv")
        found = package.fit(package.read_runs(tmp_path / "runs.csv"), "A / D^alpha", draws=0)
        assert found.values["alpha"] > 0

    def test_what_is_done_is_not_done_again(self, ladder):
        folders, _ = carried_out(ladder)
        before = folders[0].metrics_path.stat().st_mtime_ns
        carried_out(ladder)
        assert folders[0].metrics_path.stat().st_mtime_ns == before

    def test_a_run_that_fails_is_recorded_and_the_others_go_on(self, file):
        file.write_text(changed(FILE, "steps = 40", "steps = 40\nlr = [0.01, 1e9]"))
        folders, stood = carried_out(read_ladder(file))
        failed = [one for one in stood if one.status == "failed"]
        assert len(failed) == 2
        assert all("the training loss is" in one.reason for one in failed)
        assert sum(one.status == "done" for one in stood) == 2
        assert len(table(folders)["run"].unique()) == 2

    def test_memory_that_is_out_is_a_reason(self, ladder):
        folder = prepare(ladder)[0]

        def no_memory(*_):
            raise torch.OutOfMemoryError("CUDA out of memory")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "advance", no_memory)
            assert work_on(folder, Work(launch=ladder.launch)) == "failed"
        assert "out of memory" in folder.state()["reason"]
        assert "micro_batch" in folder.state()["reason"]
        assert work_on(folder, Work(launch=ladder.launch)) == "done"

    def test_a_folder_of_another_run_is_refused_and_nothing_is_made(self, file, tmp_path):
        carried_out(read_ladder(file))
        shutil.rmtree(tmp_path / "ladder" / "d1-w8-n40-s0")
        file.write_text(changed(FILE, "ema = 0.9", "ema = 0.5"))
        with pytest.raises(LadderError, match=r"another run of that name: recipe\.ema is 0\.9 there, 0\.5 here"):
            prepare(read_ladder(file))
        assert not (tmp_path / "ladder" / "d1-w8-n40-s0").exists()

    def test_other_code_does_not_continue_a_run_without_the_option(self, ladder):
        folder = prepare(ladder)[0]
        path = folder.path / "rung.json"
        content = opened(path, "")
        path.write_text(sealed({**content, "code": {**content["code"], "ladder": "0" * 16}}))
        with pytest.raises(LadderError, match="started by other code"):
            execute_all([folder], ladder.launch, ladder.track)
        (stood,) = execute_all([folder], ladder.launch, ladder.track, any_code=True)
        assert stood.status == "done"

    def test_a_batch_that_no_memory_holds_is_refused_with_its_activations(self, ladder):
        from rung.ladder.training import activation_bytes, require_possible

        require_possible(ladder.rungs, ladder.launch)
        huge = replace(ladder.rungs[0], batch=10**12)
        with pytest.raises(LadderError, match=r"activations of one pass.*micro_batch"):
            require_possible([huge], ladder.launch)
        # In small parts its activations fit, and the batch itself still does not.
        small = replace(huge, recipe=replace(huge.recipe, micro_batch=8))
        assert activation_bytes(small) == 68 * 8 * 16 * huge.size.width * huge.size.depth
        with pytest.raises(LadderError, match="the batch"):
            require_possible([small], ladder.launch)
        require_possible([replace(small, batch=10**4)], ladder.launch)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("depth = 1", 'depth = 1\nname = "' + "n" * 300 + '"', "a name of 300"),
            ("[family]", 'output = "a\\u0000b"\n[family]', "NUL"),
        ],
    )
    def test_names_that_no_folder_can_have(self, file, old, new, said):
        file.write_text(changed(changed(FILE, "width = [8, 16]", "width = 8"), old, new))
        with pytest.raises(LadderError, match=said):
            read_ladder(file)

    def test_a_folder_that_a_kill_left_empty_is_no_hindrance(self, ladder):
        (ladder.output / ladder.rungs[0].name).mkdir(parents=True)
        _, stood = carried_out(ladder)
        assert {one.status for one in stood} == {"done"}

    def test_a_startup_error_that_nobody_read_is_forgotten_once_the_run_is_done(self, ladder):
        folders = prepare(ladder)
        folders[0].record_startup_error("an old reason")
        said = []
        stood = execute_all(folders, ladder.launch, ladder.track, say=said.append)
        assert [(one.status, one.reason) for one in stood] == [("done", None)] * 2
        assert said == []

    def test_two_writers_are_one_too_many(self, ladder):
        folder = prepare(ladder)[0]
        with (
            folder.writing(),
            pytest.raises(LadderError, match=f"process {os.getpid()} on"),
            folder.writing(patience_s=0.1),
        ):
            pass
        assert folder.status == "planned"

    def test_unique_tokens_are_all_that_is_seen(self, tmp_path):
        (tmp_path / "text").mkdir()
        for number in range(40):
            (tmp_path / "text" / f"{number}.txt").write_text(f"{number} " * 200)
        content = {
            "family": {"name": "gpt", "head_width": 8, "context": 16},
            "corpus": {"name": "text", "path": str(tmp_path / "text")},
            "recipe": {"batch_tokens": 64},
            "rung": [{"width": 8, "steps": 10, "unique_tokens": 160}],
        }
        trainer = Trainer(ladder_of(content, "here", tmp_path).rungs[0])
        assert trainer.data.unique_items == 10


class TestInterruption:
    def interrupted(self, ladder, after):
        """A run stopped after so many steps, with a checkpoint."""
        folder = prepare(ladder)[1]
        left = iter([False] * (after - 1))
        assert work_on(folder, Work(launch=ladder.launch, stop=lambda: next(left, True))) == "stopped"
        return folder

    @pytest.fixture
    def whole(self, ladder, tmp_path):
        """The curve of the run that nothing interrupts."""
        folder = prepare(replace(ladder, output=tmp_path / "whole"))[1]
        work_on(folder, Work(launch=ladder.launch))
        return curve(folder)

    @pytest.mark.parametrize("after", [1, 7, 20, 39])
    def test_the_curve_is_that_of_the_uninterrupted_run(self, ladder, whole, after):
        folder = self.interrupted(ladder, after)
        assert folder.status == "stopped"
        assert work_on(folder, Work(launch=ladder.launch)) == "done"
        assert curve(folder) == whole

    @pytest.mark.parametrize("prefix", ["rng/", "chance/"])
    def test_the_rng_state_is_restored_also_under_its_name_of_version_0_1(self, ladder, prefix):
        trainer = Trainer(ladder.rungs[0])
        trainer.advance()
        state = {name.replace("rng/", prefix): value.clone() for name, value in trainer.state().items()}
        assert f"{prefix}cpu" in state
        drawn = torch.rand(5)
        torch.manual_seed(99)
        trainer.restore(state, 1)
        assert torch.equal(torch.rand(5), drawn)

    def test_what_was_logged_after_the_checkpoint_is_logged_once(self, ladder, whole):
        folder = self.interrupted(ladder, 20)
        with folder.metrics_path.open("ab") as metrics:
            metrics.write(b'{"step": 25, "train_loss": 1.0}\n{"step": 30, "tra')
        assert folder.last_metrics()["step"] == 25
        work_on(folder, Work(launch=ladder.launch))
        assert curve(folder) == whole

    @pytest.mark.parametrize("damage", ["half", "flipped", "missing", "manifest"])
    def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(self, ladder, whole, damage):
        folder = self.interrupted(ladder, 30)
        latest = max(folder.path.glob("checkpoint-*.safetensors"))
        content = latest.read_bytes()
        if damage == "half":
            latest.write_bytes(content[: len(content) // 2])
        elif damage == "flipped":
            latest.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        elif damage == "missing":
            latest.unlink()
        else:
            latest.with_suffix(".json").write_text('{"step": 30')
        said = []
        assert work_on(folder, Work(launch=ladder.launch, say=said.append)) == "done"
        assert len(said) == 1
        assert str(latest) in said[0]
        assert curve(folder) == whole

    def test_damaged_checkpoints_do_not_push_whole_ones_out(self, ladder, whole):
        folder = self.interrupted(ladder, 30)
        for damaged in folder.path.glob("checkpoint-*.safetensors"):
            damaged.write_bytes(b"")
        left = iter([False] * 11)
        said = []
        assert work_on(folder, Work(launch=ladder.launch, stop=lambda: next(left, True), say=said.append)) == "stopped"
        assert len(said) == 2
        assert next(folder.checkpoints()).step == 12
        assert next(folder.checkpoints()).whole
        work_on(folder, Work(launch=ladder.launch))
        assert curve(folder) == whole

    def test_a_run_keeps_the_threads_that_it_started_with(self, ladder, whole):
        folder = self.interrupted(ladder, 20)
        work_on(folder, Work(launch=replace(ladder.launch, threads=0)))
        assert folder.state()["threads"] == 1
        assert curve(folder) == whole

    def test_another_corpus_is_refused(self, tmp_path):
        place = tmp_path / "text"
        place.mkdir()
        for number in range(40):
            (place / f"{number}.txt").write_text(f"{number} " * 200)
        content = {
            "family": {"name": "gpt", "head_width": 8, "context": 16},
            "corpus": {"name": "text", "path": "text"},
            "rung": [{"width": 8, "steps": 10, "batch_tokens": 64.0}],
        }
        folder = prepare(ladder_of(content, "here", tmp_path / "runs", tmp_path))[0]
        left = iter([False] * 4)
        work_on(folder, Work(stop=lambda: next(left, True)))
        (place / "more.txt").write_text("something else " * 50)
        with pytest.raises(LadderError, match="the corpus is not what it was"):
            work_on(folder, Work())
        (place / "more.txt").unlink()
        assert work_on(folder, Work()) == "done"
        (place / "more.txt").write_text("something else " * 50)
        content["rung"].append({"width": 16, "steps": 10, "batch_tokens": 64.0})
        with pytest.raises(LadderError, match="one table would mix the two"):
            prepare(ladder_of(content, "here", tmp_path / "runs", tmp_path))
        assert len(list((tmp_path / "runs").glob("*/rung.json"))) == 1

    @pytest.mark.parametrize("damage", [b"garbage\n", None])
    def test_metrics_that_are_not_what_a_finished_run_wrote_are_named_and_block_no_other(self, ladder, damage):
        folders, _ = carried_out(ladder)
        metrics = folders[0].metrics_path
        content = metrics.read_bytes()
        metrics.write_bytes(damage + content if damage else content.replace(b'"step": 1', b'"step": 7', 1))
        said = []
        found = table(folders, said.append)
        assert set(found["run"]) == {folder.path.name for folder in folders[1:]}
        assert "damaged" in said[0]
        with pytest.raises(LadderError, match=r"metrics\.jsonl.*damaged"):
            table(folders[:1])

    @pytest.mark.parametrize("change", ["cut", "removed", "flipped", "garbage"])
    def test_damaged_metrics_of_a_stopped_run_are_trained_again_to_the_same_numbers(self, ladder, whole, change):
        folder = prepare(ladder)[1]
        left = iter([False] * 25)
        assert work_on(folder, Work(launch=ladder.launch, stop=lambda: next(left, True))) == "stopped"
        content = folder.metrics_path.read_bytes()
        changed_to = {
            "cut": content[:50],
            "flipped": content.replace(b"train_loss", b"train_lost", 1),
            "garbage": b"x" + content,
        }
        if change == "removed":
            folder.metrics_path.unlink()
        else:
            folder.metrics_path.write_bytes(changed_to[change])
        said = []
        assert work_on(folder, Work(launch=ladder.launch, say=said.append)) == "done"
        assert "metrics.jsonl" in said[0]
        assert curve(folder) == whole

    @pytest.mark.parametrize(
        "damage", ["", "{", "[]", "5", '{"status": "done"', '{"status": "donee"}', '{"status": 5}']
    )
    def test_a_damaged_state_is_named_and_recovered_from_the_other_files(self, ladder, damage):
        folders, _ = carried_out(ladder)
        measured = folders[0].metrics_path.read_bytes()
        (folders[0].path / "state.json").write_text(damage)
        (standing, *others) = run_statuses(folders)
        assert (standing.status, "damaged" in standing.reason) == ("damaged", True)
        assert {one.status for one in others} == {"done"}
        again = execute_all(folders, ladder.launch, ladder.track)
        assert {one.status for one in again} == {"done"}
        # Its times are those of the first training: what was done is not done again.
        assert folders[0].metrics_path.read_bytes() == measured

    @pytest.mark.parametrize("damage", ["", "[]", None])
    def test_a_damaged_rung_file_blocks_no_other_run(self, ladder, damage):
        folders = prepare(ladder)
        path = folders[0].path / "rung.json"
        path.write_text(path.read_text().replace('"steps": ', '"steps": 1') if damage is None else damage)
        said = []
        statuses = execute_all(folders, ladder.launch, ladder.track, say=said.append)
        assert [one.status for one in statuses] == ["damaged", *["done"] * (len(folders) - 1)]
        assert "rung.json is damaged" in said[0]

    def test_a_changed_seal_of_a_checkpoint_is_noticed(self, ladder, whole):
        folder = prepare(ladder)[1]
        left = iter([False] * 25)
        work_on(folder, Work(launch=ladder.launch, stop=lambda: next(left, True)))
        manifest = max(folder.path.glob("checkpoint-*.json"))
        content = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**content, "step": content["step"] - 3}))
        said = []
        assert work_on(folder, Work(launch=ladder.launch, say=said.append)) == "done"
        assert "damaged or incomplete" in said[0]
        assert curve(folder) == whole

    @pytest.mark.parametrize("lost", ["sealed", "seal"])
    def test_a_seal_that_was_cut_out_is_noticed(self, tmp_path, lost):
        path = tmp_path / "state.json"
        path.write_text(sealed({"status": "done"}))
        content = json.loads(path.read_text())
        assert opened(path, "") == {"status": "done"}
        path.write_text(json.dumps({key: value for key, value in content.items() if key != lost}))
        with pytest.raises(LadderError, match="is damaged"):
            opened(path, "")
        path.write_text(json.dumps({"status": "done"}))
        assert opened(path, "") == {"status": "done"}

    def test_a_run_begins_from_the_weights_of_a_finished_one(self, ladder, file, tmp_path):
        folder = prepare(ladder)[0]
        work_on(folder, Work(launch=ladder.launch))
        whole = folder.metrics()[-1]["evaluation"]["loss"]
        (name,) = (one.name for one in ladder.rungs if one.name == folder.path.name)
        text = file.read_text()
        start = f'from = "{folder.path}"\n'
        more = text.replace("[recipe]\n", f"[recipe]\n{start}") if "[recipe]" in text else f"[recipe]\n{start}{text}"
        (tmp_path / "more.toml").write_text(more)
        rung = next(one for one in read_ladder(tmp_path / "more.toml").rungs if one.name == name)
        assert Trainer(rung).evaluate()["loss"] == pytest.approx(whole, abs=1e-6)
        assert train(rung).evaluate()["loss"] != pytest.approx(whole, abs=1e-6)
        apart = replace(rung, family=replace(rung.family, options={**rung.family.options, "rope_base": 77.0}))
        with pytest.raises(LadderError, match="has another network: rope_base is"):
            Trainer(apart)
        (tmp_path / "start.toml").write_text(more.replace("from =", "start ="))
        with pytest.raises(LadderError, match=r"unknown key 'start'\. Did you mean from"):
            read_ladder(tmp_path / "start.toml")
        (tmp_path / "none.toml").write_text(more.replace(str(folder.path), "nowhere"))
        with pytest.raises(LadderError, match="from = 'nowhere': there is no finished run"):
            read_ladder(tmp_path / "none.toml")

    def test_a_pipe_in_place_of_a_state_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "state.json")
        with pytest.raises(LadderError, match="it is no file"):
            opened(tmp_path / "state.json", "")

    def test_metrics_that_are_a_link_are_not_written_through(self, ladder, tmp_path):
        folder = prepare(ladder)[0]
        (tmp_path / "precious").write_text("mine")
        folder.metrics_path.symlink_to(tmp_path / "precious")
        with pytest.raises(LadderError, match="is a link"):
            work_on(folder, Work(launch=ladder.launch))
        assert (tmp_path / "precious").read_text() == "mine"

    def test_a_long_last_line_is_found(self, ladder):
        folder = prepare(ladder)[0]
        folder.metrics_path.write_text('{"step": 1}\n' + json.dumps({"step": 2, "x": "y" * 9000}) + "\n")
        assert folder.last_metrics()["step"] == 2

    def test_a_disk_that_is_full_leaves_a_run_that_goes_on(self, ladder, whole):
        folder = prepare(ladder)[1]
        real = RunFolder.write_manifest
        with pytest.MonkeyPatch.context() as patch:

            def full(self, checkpoint):
                if checkpoint.step >= 20:
                    raise OSError(28, "No space left on device")
                real(self, checkpoint)

            patch.setattr(RunFolder, "write_manifest", full)
            with pytest.raises(OSError, match="No space left"):
                work_on(folder, Work(launch=ladder.launch))
        assert folder.status == "stopped"
        assert work_on(folder, Work(launch=ladder.launch)) == "done"
        assert curve(folder) == whole
        assert not list(folder.path.glob("checkpoint-*"))

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_a_killed_command_is_taken_up(self, file, whole, tmp_path, number):
        file.write_text(changed(FILE, "width = [8, 16]", "width = 16"))
        arguments = [sys.executable, "-m", "rung.cli", "ladder", "run", str(file)]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        place = tmp_path / "ladder" / "d1-w16-n40-s0"
        until = time.monotonic() + 60
        while not list(place.glob("checkpoint-*.json")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert "lost" not in told
        assert number == signal.SIGKILL or "stopped: d1-w16-n40-s0 at step" in told or process.returncode == 0
        assert process.returncode in ({-signal.SIGKILL} if number == signal.SIGKILL else {130, 0}), told
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert curve(RunFolder(place)) == whole

    @pytest.mark.slow
    def test_a_hundred_kills_lose_nothing(self, tmp_path):
        """kill -9 of a trainer at random moments, until it is done, over and over; of one in five the last checkpoint is cut in half."""
        toml = changed(changed(FILE, "width = [8, 16]", "width = 16"), "steps = 40", "steps = 1200")
        file = tmp_path / "ladder.toml"
        file.write_text(changed(toml, "checkpoint_s = 0", "checkpoint_s = 0.02"))
        ladder = read_ladder(file)
        reference = prepare(replace(ladder, output=tmp_path / "whole"))[0]
        work_on(reference, Work(launch=ladder.launch))
        want = curve(reference)
        context = torch.multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["rung.ladder.training.worker"])
        job = Job(launch=ladder.launch, keep=tmp_path / "kept")
        rng = np.random.default_rng(0)
        kills = cuts = 0
        while kills < 100:
            shutil.rmtree(tmp_path / "ladder", ignore_errors=True)
            folder = prepare(ladder)[0]
            while folder.status != "done":
                process = context.Process(target=_work, args=(folder.path, job, 0))
                process.start()
                process.join(timeout=float(rng.uniform(0.05, 1.0)))
                if process.is_alive():
                    process.kill()
                    process.join()
                    kills += 1
                    latest = max(folder.path.glob("checkpoint-*.safetensors"), default=None)
                    if latest and rng.random() < 0.2:
                        latest.write_bytes(latest.read_bytes()[: latest.stat().st_size // 2])
                        cuts += 1
            assert curve(folder) == want
        assert cuts > 5


class TestProgress:
    def test_a_bar_for_each_run_at_work_and_one_for_all(self, ladder):
        from rich.console import Console

        from rung.cli.progress import Bars

        folders = prepare(ladder)
        bars = Bars(folders, Console(file=io.StringIO()))
        with folders[0].writing():
            folders[0].say("running")
            for _ in range(3):
                bars.look()
            assert [task.description for task in bars.bars.tasks] == ["2 runs", ladder.rungs[0].name]
        carried_out(ladder)
        bars.look()
        (whole,) = bars.bars.tasks
        assert whole.completed == pytest.approx(1.0)


class TestWithoutTorch:
    def test_a_ladder_is_read_counted_and_checked(self, file):
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from rung.ladder import read_ladder\n"
            f"print(*[(rung.params, rung.flops) for rung in read_ladder({str(file)!r}).rungs])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class TestVerb:
    def test_check_prints_what_would_be_trained(self, file, command):
        done = command("ladder", "check", file, "--no-timing")
        assert done.returncode == 0
        assert "d1-w16-n40-s0" in done.stdout
        assert "2 runs" in done.stdout
        timed = json.loads(command("ladder", "check", file, "--json").stdout)
        assert all(row["time_s"] > 0 for row in timed["runs"])

    def test_run_status_and_table(self, file, command, tmp_path):
        done = command("ladder", "run", file, "-o", "runs.csv")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "runs.csv").read_text().count("final") == 2
        assert command("ladder", "status", "ladder").stdout.count("done") == 2
        rows = json.loads(command("ladder", "table", "ladder", "--last", "--json").stdout)
        assert [row["phase"] for row in rows] == ["final", "final"]

    def test_failed_runs_end_with_status_1_and_resume_tries_them_once_more(self, file, command):
        file.write_text(changed(FILE, "steps = 40", "steps = 40\nlr = 1e9"))
        done = command("ladder", "run", file)
        assert done.returncode == 1
        assert "2 of 2 runs are not done" in done.stderr
        again = command("ladder", "resume", "ladder")
        assert again.returncode == 1
        assert "failed" in again.stdout

    @pytest.mark.parametrize(
        ("arguments", "said", "code"),
        [
            (("run", "none.toml"), "No such file", 1),
            (("status", "none"), "there is no such folder of runs", 1),
            (("run", "ladder.toml", "-o", "runs.txt"), "use .csv", 1),
            (("rnu", "ladder.toml"), "Did you mean", 2),
            (("run", "ladder.toml", "--wrkers", "2"), "--wrkers", 2),
            (("run", "ladder.toml", "--launcher", "slrm"), "Did you mean slurm", 1),
        ],
    )
    @pytest.mark.usefixtures("file")
    def test_a_wrong_command_says_why_and_ends_with_its_code(self, command, tmp_path, arguments, said, code):
        done = command("ladder", *arguments)
        assert done.returncode == code
        assert said in done.stderr + done.stdout
        assert not (tmp_path / "ladder").exists()

    def test_a_plan_of_runs_is_a_ladder_that_trains(self, runs_csv, command, tmp_path):
        plan = (
            "next",
            runs_csv,
            "--target",
            "N=1B,D=20B",
            "--budget",
            "1e10",
            "--box",
            "N=3K:6K,D=10K:20K",
            "--most",
            "2",
        )
        done = command(*plan, "-o", "plan.toml")
        assert done.returncode == 0, done.stderr
        ladder = read_ladder(tmp_path / "plan.toml")
        assert len(ladder.rungs) == 2
        small = command(*plan[:-4], "--box", "N=100:200,D=10K:20K", "-o", "small.toml")
        assert small.returncode == 1
        assert "the ladder's family cannot train the plan" in small.stderr
        assert not (tmp_path / "small.toml").exists()
        (tmp_path / "like.toml").write_text(FILE)
        assert command(*plan, "-o", "alike.toml", "--like", "like.toml").returncode == 0
        alike = read_ladder(tmp_path / "alike.toml")
        assert {rung.corpus.name for rung in alike.rungs} == {"markov"}
        _, stood = carried_out(alike)
        assert {one.status for one in stood} == {"done"}

    def test_what_keeps_a_run_from_beginning_is_said_once_and_is_no_failure(self, file, command):
        file.write_text(changed(FILE, "threads = 1", 'threads = 1\ndevice = "cuda:9"\nlauncher = "local"'))
        done = command("ladder", "run", file)
        assert done.returncode == 1
        assert done.stderr.count("was not trained: device = 'cuda:9'") == 2
        assert "takes them up" not in done.stderr
        assert "lost" not in done.stderr
        assert "failed" not in done.stdout

    def test_folders_of_a_ladder_file_that_was_not_started(self, file):
        with pytest.raises(LadderError, match="none of its 2 runs has been started"):
            folders_of(file)
