"""Damage and impossible values: each is named, and what is left is right."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import rung
from planted import LADDER
from rung.errors import FitError, LadderError, PlanError, RunsError, WorthError
from rung.files import neutral_csv
from rung.ladder import read_ladder
from rung.ladder.execution import execute_all, folders_of, prepare, run_statuses
from rung.ladder.training import RunFolder
from rung.runs.cut_ends import End, end_of
from rung.runs.sources import ColumnOverrides, import_runs
from rung.worth.matched_runs import matched

N = ColumnOverrides(params="1e6")


class TestCutEnds:
    FIXED = tuple(f"{3 - 0.01 * index:.4f}" for index in range(30))

    @pytest.mark.parametrize(
        ("last", "above", "end"),
        [
            ("2.0", FIXED, End.CUT),
            ("2.", FIXED, End.CUT),
            ("2", FIXED[:5], End.CUT),
            ("2.09", FIXED[:5], End.SHORTER),
            ("2.0987", FIXED, End.WHOLE),
            ("2.5", ["3.12", "2.98", "2.7", "2.66"], End.WHOLE),
            ("2.5", ["3.12", "2.98", "2.71", "2.66"], End.SHORTER),
            ("2.172", ["2.1721881", "2.1690042", "2.1655510"], End.CUT),
            ("nan", FIXED, End.WHOLE),
            ("2.5", ["3.12", "2.98"], End.WHOLE),
        ],
    )
    def test_what_a_last_number_is(self, last, above, end):
        assert end_of(last, above) is end

    def table(self, path, end, rows=30):
        text = "run,params,tokens,loss\n" + "".join(
            f"r{i},{1e6 * (i + 1):.0f},{1e9 * (i + 1):.0f},{3 - 0.01 * i:.4f}\n" for i in range(rows)
        )
        path.write_text(text[: len(text) - 1 - end] if end is not None else text)
        return path

    def test_a_table_without_its_last_digits_loses_that_row_and_says_so(self, tmp_path):
        runs = rung.read_runs(self.table(tmp_path / "t.csv", 2))
        assert len(runs) == 29
        assert "line 31 of t.csv, its last one, has no end and is cut" in runs.notes[0]

    def test_a_line_with_cells_missing_is_left_out(self, tmp_path):
        runs = rung.read_runs(self.table(tmp_path / "t.csv", 9))
        assert len(runs) == 29
        assert "is left out" in runs.notes[0]

    @pytest.mark.parametrize("end", [0, None])
    def test_a_table_that_is_whole_keeps_its_last_row(self, tmp_path, end):
        runs = rung.read_runs(self.table(tmp_path / "t.csv", end))
        assert len(runs) == 30
        assert not runs.notes

    def test_a_last_row_of_a_person_is_kept_and_asked_about(self, tmp_path):
        (tmp_path / "h.csv").write_text(
            'params,note,loss\n1e7,"a, b",3.12\n2e7,"c, d",2.98\n3e7,"e, f",2.91\n4e7,none,2.5'
        )
        runs = rung.read_runs(tmp_path / "h.csv")
        assert runs.numbers("loss").tolist() == [3.12, 2.98, 2.91, 2.5]
        assert "is the file cut?" in runs.notes[0]

    def test_an_export_and_a_log(self, tmp_path):
        rows = "".join(f"{i},{i * 100},{3 - 0.01 * i:.4f}\n" for i in range(1, 41))
        (tmp_path / "m.csv").write_text("step,tokens,loss\n" + rows[:-3])
        found = import_runs(f"csv:{tmp_path / 'm.csv'}", overrides=N)
        assert found.frame["tokens"].item() == 3900
        assert [one.code for one in found.warnings if "is cut" in one.text] == ["damaged"]
        lines = "".join(f"step:{i * 100}/1000 val_loss:{3 - 0.01 * i:.4f} train_time:1ms\n" for i in range(1, 10))
        (tmp_path / "y.log").write_text(lines + "step:1000/1000 val_loss:2")
        cut = import_runs(f"log:{tmp_path / 'y.log'}", overrides=replace(N, batch_tokens="10"))
        assert (cut.frame["loss"].item(), cut.frame["status"].item()) == (pytest.approx(2.91), "unfinished")
        assert any("line 10" in one.text for one in cut.warnings)
        (tmp_path / "y.log").write_text(lines + "step:1000/1000 val_loss:2.8950 train_time:1ms")
        whole = import_runs(f"log:{tmp_path / 'y.log'}", overrides=replace(N, batch_tokens="10"))
        assert (whole.frame["loss"].item(), whole.frame["status"].item()) == (pytest.approx(2.895), "finished")


class TestValues:
    @pytest.mark.parametrize("step", ["1e300", "-1", "inf", "nan", "x"])
    def test_a_row_whose_step_is_none_is_left_out(self, tmp_path, step):
        (tmp_path / "s.csv").write_text(f"step,loss,tokens\n1,3,100\n{step},2.5,200\n3,2,300\n")
        found = import_runs(f"csv:{tmp_path / 's.csv'}", overrides=N)
        assert (found.frame["loss"].item(), found.frame["tokens"].item()) == (2, 300)
        assert any(one.code == "damaged" and step in one.text.lower().replace("+", "") for one in found.warnings)

    def test_rows_without_a_step_stay_beside_one_that_is_wrong(self, tmp_path):
        (tmp_path / "s.csv").write_text("step,loss,tokens,params\n,,,5e6\n1,3,100,\nx,2.5,200,\n3,2,300,\n")
        found = import_runs(f"csv:{tmp_path / 's.csv'}")
        assert found.frame["params"].item() == 5e6
        assert found.frame["tokens"].item() == 300

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_the_largest_float_is_infinity(self, tmp_path, kind):
        rows = [{"step": i, "tokens": 100 * i, "loss": 3 - 0.01 * i} for i in range(1, 50)]
        rows.append({"step": 50, "tokens": 5000, "loss": 1.7976931348623157e308})
        file = tmp_path / f"i.{kind}"
        if kind == "csv":
            pl.DataFrame(rows).write_csv(file)
        else:
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert import_runs(f"{kind}:{file}", overrides=N).frame["status"].item() == "diverged"

    def test_results_without_a_score_are_refused(self, tmp_path):
        (tmp_path / "results_x.json").write_text(json.dumps({"results": {"task": {"acc,none": ""}}, "model_name": "m"}))
        with pytest.raises(RunsError, match="no score that is a number"):
            import_runs(f"lm-eval:{tmp_path}")

    def test_a_run_without_a_size_among_others_is_named(self, tmp_path):
        experiment = tmp_path / "1"
        for name, settings in (("a", {"n_params": "1e6", "batch_tokens": "1024"}), ("b", {"batch_tokens": "1024"})):
            for folder in ("params", "metrics"):
                (experiment / name / folder).mkdir(parents=True)
            (experiment / name / "meta.yaml").write_text(f"run_name: {name}\nrun_id: {name}\nstatus: 3\n")
            for key, value in settings.items():
                (experiment / name / "params" / key).write_text(value)
            values = (f"{1700 + step} {3 - step / 100} {step}\n" for step in (10, 20, 30))
            (experiment / name / "metrics" / "val_loss").write_text("".join(values))
        (experiment / "meta.yaml").write_text("experiment_id: '1'\nname: sweep\n")
        found = import_runs(f"mlflow:{tmp_path}")
        (one,) = [finding for finding in found.warnings if finding.code == "no_params"]
        assert "run 'b': no N" in one.text
        assert found.frame["params"].to_list() == [1e6, None]

    def test_an_empty_database_stays_empty(self, tmp_path):
        file = tmp_path / "empty.db"
        file.touch()
        with pytest.raises(RunsError, match="no SQLite database"):
            import_runs(f"mlflow:sqlite:///{file}")
        assert file.stat().st_size == 0

    def test_texts_and_names_that_a_spreadsheet_would_run(self):
        text = neutral_csv(pl.DataFrame({"=HYPERLINK(1)": ["@x", "-1", "-y", "plain"], "n": [1.5, 2.0, 3.0, -4.0]}))
        assert text.splitlines() == ["'=HYPERLINK(1),n", "'@x,1.5", "-1,2.0", "'-y,3.0", "plain,-4.0"]


class TestOptions:
    def test_numbers_that_cannot_be(self, tmp_path, command):
        rng = np.random.default_rng(0)
        params = np.geomspace(1e7, 1e10, 12)
        frame = pl.DataFrame(
            {
                "params": params,
                "tokens": 20 * params,
                "loss": 1.8 + 400 / params**0.34 * np.exp(0.01 * rng.standard_normal(12)),
            }
        )
        law = "E + A / N^alpha"
        with pytest.raises(FitError, match="cuts is -1"):
            rung.select(frame, [law], cuts=-1)
        with pytest.raises(FitError, match="at most"):
            rung.fit(frame, law, draws=10**9)
        with pytest.raises(PlanError, match="seed"):
            rung.tune(params=1e9, tokens=2e10, seed=-1)
        for noise in (1e300, 1e-300, 0.0):
            with pytest.raises(PlanError, match="noise"):
                rung.next_runs(frame, law=law, budget=1e22, targets=[{"N": 1e11}], noise=noise)
        with pytest.raises(PlanError, match="positive"):
            rung.next_runs(frame, law=law, budget=1e22, targets=[{"N": 0.0}])
        with pytest.raises(FitError, match="too large for a number"):
            rung.backtest(frame, "A / N^alpha + N^1000")
        frame.write_csv(tmp_path / "t.csv")
        for arguments in (
            ("cost", "N=1e9", "D=1e9", "--hardware", "h100-sxm", "--accelerators", "inf"),
            ("cost", "N=1e9", "D=1e9", "--hardware", "h100-sxm", "--bytes-per-param", "1e300"),
            ("next", "t.csv", "--law", law, "--target", "N=1e11", "--flops", "1e22", "--most", "nan"),
        ):
            done = command(*arguments)
            assert done.returncode == 1
            assert "InternalError" not in done.stderr

    def test_toml_that_is_nested_too_deep(self, tmp_path, command):
        (tmp_path / "l.toml").write_text("a = " + "[" * 5000)
        for arguments in (
            ("ladder", "check", "l.toml"),
            ("laws", "x", "--laws", "l.toml"),
            ("cost", "N=1e9", "D=1e9", "--hardware", "x", "--hardware-file", "l.toml"),
        ):
            done = command(*arguments)
            assert "InternalError" not in done.stderr, done.stderr
            assert done.returncode in {1, 2}
        assert "nested too deep" in command("ladder", "check", "l.toml").stderr

    def test_a_size_is_nothing_to_compare(self):
        frame = pl.DataFrame({"params": [1e7, 1e8, 1e9], "loss": [3.0, 2.5, 2.2]})
        with pytest.raises(WorthError, match="how large a run is"):
            rung.compare(frame, frame.with_columns(loss=pl.col("loss") - 0.1), target="params")


def plain_matches(first, second):
    """The same scales by every pair, as long as memory allows."""
    logs = np.log(np.concatenate([first, second]))
    near = np.all(np.abs(logs[:, None] - logs[None]) < 0.02, axis=2)
    label = np.arange(len(logs))
    for _ in range(len(logs)):
        label = np.array([label[near[row]].min() for row in range(len(logs))])
    return {frozenset(np.flatnonzero(label == one).tolist()) for one in np.unique(label)}


def test_matched_scales_are_those_of_all_pairs():
    rng = np.random.default_rng(3)
    for columns in (1, 2):
        first, second = (
            np.exp(rng.choice(np.linspace(0, 1, 60), (40, columns)) + 0.004 * rng.standard_normal((40, columns)))
            for _ in range(2)
        )
        wanted = {
            (tuple(sorted(i for i in one if i < 40)), tuple(sorted(i - 40 for i in one if i >= 40)))
            for one in plain_matches(first, second)
        }
        found = {(tuple(match.first.tolist()), tuple(match.second.tolist())) for match in matched(first, second)}
        assert found == {one for one in wanted if one[0] and one[1]}


@pytest.fixture
def ladder(tmp_path):
    (tmp_path / "ladder.toml").write_text(LADDER)
    return read_ladder(tmp_path / "ladder.toml")


@pytest.fixture
def trained(ladder):
    pytest.importorskip("torch")
    folders = prepare(ladder)
    execute_all(folders, ladder.launch, ladder.track)
    return folders


class TestRunFolders:
    def test_metrics_of_a_finished_run_that_were_changed_are_no_result(self, trained, ladder):
        first, second = trained[:2]
        text = first.metrics_path.read_text()
        first.metrics_path.write_text(re.sub(r'"loss": (\d)\.', '"loss": 0.', text, count=1))
        states = {one.run: one for one in run_statuses(trained, proved=True)}
        assert states[first.path.name].status == "damaged"
        assert "not what the run wrote" in states[first.path.name].reason
        assert states[second.path.name].status == "done"
        again = execute_all(trained, ladder.launch, ladder.track)
        assert {one.run: one.status for one in again}[first.path.name] == "damaged"

    def test_a_finished_run_that_nothing_proves_must_have_its_last_line(self, trained):
        first = trained[0]
        lines = first.metrics_path.read_text().splitlines(keepends=True)
        (first.path / "state.json").write_text('{"status": "done"}')
        assert first.metrics()[-1]["phase"] == "final"
        first.metrics_path.write_text("".join(lines[:2]))
        with pytest.raises(LadderError, match="damaged"):
            first.metrics()

    def test_a_network_that_is_gone_is_said(self, trained):
        trained[0].model_path.unlink()
        first = next(iter(run_statuses(trained, proved=True)))
        assert (first.status, "model.safetensors, is gone" in first.reason) == ("done", True)

    def test_checkpoints_that_do_not_fit_are_set_aside_until_the_run_is_done(self, trained):
        folder = trained[0]
        tensors = folder.checkpoint_path(7)
        tensors.write_bytes(b"weights")
        tensors.with_suffix(".json").write_text("{}")
        (found,) = folder.checkpoints()
        folder.set_aside(found)
        assert (folder.path / "set-aside" / tensors.name).read_bytes() == b"weights"
        assert list(folder.checkpoints()) == []
        folder.clear_checkpoints()
        assert not (folder.path / "set-aside").exists()

    def test_a_lock_or_metrics_that_are_links_are_not_written_through(self, ladder, tmp_path):
        pytest.importorskip("torch")
        for name in ("lock", "metrics.jsonl"):
            folder = prepare(ladder)[0]
            other = tmp_path / f"other-{name}"
            other.write_text("precious")
            (folder.path / name).unlink(missing_ok=True)
            (folder.path / name).symlink_to(other)
            execute_all([folder], ladder.launch, ladder.track)
            assert other.read_text() == "precious"
            (folder.path / name).unlink()

    def test_metrics_that_are_a_folder_stop_no_other_run(self, trained):
        trained[0].metrics_path.unlink()
        trained[0].metrics_path.mkdir()
        states = [one.status for one in run_statuses(trained, proved=True)]
        assert states == ["damaged", *["done"] * (len(trained) - 1)]

    def test_a_status_that_is_no_text(self, trained):
        (trained[0].path / "state.json").write_text('{"status": ["x"]}')
        assert RunFolder(trained[0].path).status == "damaged"

    def test_the_rows_of_a_report_on_a_ladder_are_those_that_were_asked_for(self, trained, ladder, command):
        folders = folders_of(ladder.output)
        assert len(folders) == len(trained)
        done = command("report", ladder.output, "--law", "E + A / D^alpha", "--where", "tokens < 0", "-o", "p.html")
        assert (done.returncode, "leaves none" in done.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.8, 1.6, 2.4])
def test_an_interrupt_while_torch_is_imported_ends_in_a_sentence(tmp_path, after):
    pytest.importorskip("torch")
    (tmp_path / "l.toml").write_text(
        LADDER.replace("steps = 40", "steps = 100000").replace("checkpoint_s", 'launcher = "local"\ncheckpoint_s')
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", "ladder", "run", "l.toml"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        import os

        os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert "Traceback" not in said
    assert process.returncode == 130
