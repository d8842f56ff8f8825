"""The command line: what it prints, how it fails, and that a failure or an interrupt leaves files alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

import rung
import rung.cli
from rung.cli.commands import COMMANDS


def assert_refused(done, message, *, status=1):
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3 or status == 2
    assert done.stdout == ""


def test_help_lists_every_command(command):
    done = command("--help")
    assert done.returncode == 0
    assert not [name for name in COMMANDS if f"\n  {name} " not in done.stdout]


@pytest.mark.parametrize("name", [name for name, one in COMMANDS.items() if not one.target.endswith(":app")])
def test_help_explains_every_option_and_ends_with_two_examples(command, name):
    done = command(name, "--help")
    assert done.returncode == 0
    assert ("--json" in done.stdout) == (name != "app")  # an app answers in the browser
    assert done.stdout.rstrip().splitlines()[-2:] == [f"  {example}" for example in COMMANDS[name].examples]
    unexplained = [
        line for line in done.stdout.splitlines() if re.fullmatch(r"│ --[a-z-]+( [A-Z]+(\.\.\.)?)? +│", line)
    ]
    assert unexplained == []


def test_an_option_of_several_commands_has_one_text():
    """The help of --level, --seed, -o and --json comes from one place, whatever the command."""
    files = list(Path(rung.cli.__file__).parent.glob("*.py"))
    owners = [file.name for file in files if re.search(r'"--(json|output|figure|seed)"', file.read_text())]
    assert owners == ["options.py"]


def test_settings_of_the_project_are_used_and_printed(command, runs_csv, tmp_path):
    (tmp_path / "rung.toml").write_text('[fit]\ndraws = 0\nlaw = "A / N^alpha"\n')
    done = command("fit", runs_csv)
    assert done.returncode == 0
    assert "law        custom: A / N^alpha" in done.stdout
    assert "note: from rung.toml: --law A / N^alpha, --draws 0" in done.stderr
    assert "law        chinchilla" in command("fit", runs_csv, "--law", "chinchilla").stdout


def test_an_unknown_setting_is_named(command, runs_csv, tmp_path):
    (tmp_path / "rung.toml").write_text("[fit]\ndrawz = 0\n")
    done = command("fit", runs_csv)
    assert done.returncode == 2
    assert "drawz" in done.stderr


def test_several_tables_are_read_as_one(command, runs_csv, tmp_path):
    frame = pl.read_csv(runs_csv)
    frame.head(20).write_csv(tmp_path / "first.csv")
    frame.tail(-20).write_csv(tmp_path / "second.csv")
    whole = json.loads(command("fit", runs_csv, "--draws", 0, "--json").stdout)
    parts = json.loads(command("fit", "first.csv", "second.csv", "--draws", 0, "--json").stdout)
    assert parts["coefficients"]["E"] == pytest.approx(whole["coefficients"]["E"], rel=1e-6)
    assert parts["source"] == "first.csv + second.csv"
    one = command("fit", "first.csv", "second.csv", "--draws", 0, "--where", "table = 'second'", "--json")
    assert json.loads(one.stdout)["rows"] == frame.height - 20


def test_several_tables_of_one_name_are_refused(command, runs_csv):
    assert "is given twice" in command("fit", runs_csv, runs_csv).stderr


def test_a_fit_comes_through_a_pipe(command, runs_csv, tmp_path):
    command("fit", runs_csv, "--draws", 0, "-o", "fit.json")
    piped = command("forecast", "-", "N=7B", "D=1T", input=(tmp_path / "fit.json").read_text())
    assert piped.stdout == command("forecast", "fit.json", "N=7B", "D=1T").stdout


def test_the_level_of_a_forecast_is_its_own(command, runs_csv):
    command("fit", runs_csv, "--draws", 0, "-o", "fit.json")
    wide, narrow = (
        json.loads(command("forecast", "fit.json", "N=7B", "D=1T", "--level", level, "--json").stdout)["run_interval"]
        for level in (0.95, 0.5)
    )
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_fit_prints_what_was_read_and_the_coefficients(command, runs_csv):
    done = command("fit", runs_csv, "--draws", 50)
    assert done.returncode == 0
    assert "params = n_params, tokens = num_tokens, loss = val_loss" in done.stdout
    assert "alpha" in done.stdout
    assert "90 % interval" in done.stdout


def test_json_and_file_are_the_same_object(command, runs_csv, tmp_path):
    done = command("fit", runs_csv, "--draws", 50, "--json", "-o", "fit.json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "fit.json").read_text())


def test_from_table_to_forecast(command, runs_csv, tmp_path):
    command("fit", runs_csv, "--draws", 50, "-o", "fit.json")
    ahead = json.loads(command("forecast", "fit.json", "N=7B", "D=1.4e11", "--json").stdout)
    assert set(ahead) == {
        "inputs",
        "value",
        "law_interval",
        "run_interval",
        "parts",
        "extrapolation_factor",
        "target",
        "level",
        "warnings",
    }
    assert sum(ahead["parts"].values()) == pytest.approx(1)
    there = json.loads(command("forecast", "fit.json", "--loss", ahead["value"], "N=7B", "--json").stdout)
    assert there["value"] == pytest.approx(1.4e11, rel=1e-6)
    assert "extrapolation factor" in command("forecast", "fit.json", "N=7B", "D=1.4e11").stdout
    command("forecast", "fit.json", "N=1e8:1e10:3", "D=1e10:1e12:2", "-o", "grid.csv")
    assert pl.read_csv(tmp_path / "grid.csv").shape == (6, 9)


def test_a_table_comes_through_standard_input(command, runs_csv):
    done = command("fit", "-", "--draws", 0, input=runs_csv.read_text())
    assert done.returncode == 0
    assert "standard input" in done.stdout


def test_held_out_rows_stand_beside_their_forecasts(command, runs_csv):
    done = command("fit", runs_csv, "--draws", 50, "--hold-out", "n_params > 5e8", "--json")
    held = json.loads(done.stdout)["held_out"]
    assert held["points"]
    assert held["mean_absolute_relative_error"] < 0.05


def test_a_fit_with_held_out_rows_is_read_back(command, runs_csv, tmp_path):
    done = command("fit", runs_csv, "--draws", 50, "--hold-out", "n_params > 5e8", "--json", "-o", "fit.json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "fit.json").read_text())
    assert command("forecast", "fit.json", "N=7B", "D=1.4e11").returncode == 0


def test_a_grid_is_also_a_list_of_forecasts_and_warns(command, runs_csv):
    command("fit", runs_csv, "--draws", 50, "-o", "fit.json")
    done = command("forecast", "fit.json", "N=1e8:1e13:2", "D=1e10", "--json")
    near, far = json.loads(done.stdout)
    assert near["inputs"]["params"] == 1e8
    assert [w["code"] for w in far["warnings"]] == ["far_extrapolation"]
    assert "beyond the largest run" in done.stderr


def test_a_forecast_at_hardly_any_parameters_says_so_without_a_warning_of_numpy(command, runs_csv):
    command("fit", runs_csv, "--draws", 50, "-o", "fit.json")
    done = command("forecast", "fit.json", "N=1e-300", "D=1")
    assert "more than 1e308x beyond the smallest run" in done.stderr
    assert "RuntimeWarning" not in done.stderr


def test_rows_without_a_group_or_a_weight_go_when_asked(command, runs_csv):
    frame = pl.read_csv(runs_csv)
    family = pl.Series([None, "b"] + ["a", "b"] * ((len(frame) - 2) // 2))
    frame.with_columns(family=family, w=pl.Series([1.0] * (len(frame) - 1) + [0.0])).write_csv(runs_csv)
    law = ("--law", "E[family] + A / N^alpha + B / D^beta", "--draws", 0)
    assert_refused(command("fit", runs_csv, *law), "row 1: family is missing")
    done = command("fit", runs_csv, *law, "--drop-nonfinite", "--weights", "w")
    assert done.returncode == 0
    assert "1 of 40 rows without a finite number left out" in done.stdout
    assert "1 of 39 rows left out by their weight of 0" in done.stdout


def test_own_names_conditions_and_fixed_values(command, tmp_path, runs_csv):
    frame = pl.read_csv(runs_csv).rename({"n_params": "size", "num_tokens": "seen", "val_loss": "y"})
    frame.with_columns(size=pl.col("size") / 1e6).write_csv(tmp_path / "own.csv")
    done = command(
        *("fit", "own.csv", "--map", "N=size*1e6", "--map", "D=seen", "--target", "y"),
        *("--where", "y > 0", "--fix", "E=1.8", "--draws", 0, "--json"),
    )
    content = json.loads(done.stdout)
    assert "E" not in content["coefficients"]
    assert content["mapping"] == {"params": "size * 1e6", "tokens": "seen", "y": "y"}


def test_the_book_is_listed_and_shown(command):
    assert len(command("laws").stdout.splitlines()) >= 25
    assert "arXiv:2404.10102" in command("laws", "besiroglu-2024").stdout
    assert json.loads(command("laws", "kaplan-n", "--json").stdout)["constants"] == {
        "Nc": 8.8e13,
        "alpha": 0.076,
    }
    assert "linear in    A" in command("laws", "A / N^alpha").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "RunsError: nowhere.csv: there is no such file."),
        (["RUNS", "--map", "D=num_tokns"], 'Did you mean "num_tokens"'),
        (["RUNS", "--map", "D=num tokens"], "neither a column"),
        (["RUNS", "--map", "D"], "--map 'D': write NAME=VALUE."),
        (["RUNS", "--fix", "E=1", "--fix", "E=2"], "E is given a second time"),
        (["RUNS", "--hold-out", "los > 1"], "--hold-out 'los > 1'"),
        (["RUNS", "--law", "E + A / N^"], "FormulaError"),
        (["RUNS", "--law", "__import__('os').system('x')"], "does not belong in a formula"),
        (["RUNS", "--law", "E + sin(N)"], "unknown function 'sin'"),
        (["RUNS", "--law", "E + A"], "has no variable, only constants"),
        (["RUNS", "--law", "E + A / (N - N)"], "no finite value at any row"),
        (["RUNS", "--law", "(" * 10_000 + "N" + ")" * 10_000], "Shorten it"),
        (["RUNS", "--law", "N + " * 25_000 + "A"], "Shorten it"),
        (["RUNS", "--law", "chinchila"], "Did you mean chinchilla"),
        (["RUNS", "--target", "los"], 'Did you mean "loss"'),
        (["RUNS", "--fix", "E=much"], "is not a number"),
        (["RUNS", "--where", "loss >"], "--where"),
        (["RUNS", "--hold-out", "loss > 0"], "leaves no row to fit on"),
        (["RUNS", "-o", "fit.txt"], "use .json (the fit), .html (the page)"),
        (["RUNS", "-o", "nowhere/fit.json"], "there is no folder"),
        (["RUNS", "--figure", "fit.gif"], ".png, .svg or .pdf"),
        (["RUNS", "--drop-tokens", "many"], "is not a number"),
    ],
)
def test_what_is_wrong_with_a_fit_is_said_in_one_message(command, runs_csv, tmp_path, arguments, message):
    before = sorted(tmp_path.iterdir())
    assert_refused(command("fit", *(str(runs_csv) if a == "RUNS" else a for a in arguments)), message)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.drop("num_tokens"),
            'no column "tokens"; found model, n_params, val_loss. Map it: --map D=COLUMN.',
        ),
        (lambda f: f.with_columns(val_loss=pl.lit("low")), "row 1: loss is 'low', not a number"),
        (lambda f: f.with_columns(val_loss=pl.lit(0.0)), "loss is 0, and must be positive"),
        (lambda f: f.with_columns(val_loss=pl.lit(float("nan"))), "--drop-nonfinite"),
        (lambda f: f.with_columns(n_params=pl.lit(0)), "params is 0, and a count must be positive"),
        (lambda f: f.head(1), "5 coefficients cannot be fitted to 1 run"),
        (lambda f: f.head(4), "5 coefficients cannot be fitted to 4 rows"),
        (lambda f: f.head(0), "holds no rows"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_one_message(command, runs_csv, change, message, tmp_path):
    change(pl.read_csv(runs_csv)).write_csv(runs_csv)
    assert_refused(command("fit", runs_csv, "-o", "fit.json"), message)
    assert not (tmp_path / "fit.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit"],
        ["fit", "RUNS", "--lew", "x"],
        ["fit", "RUNS", "--draws", "many"],
        ["fitt", "RUNS"],
        ["forecast"],
    ],
)
def test_wrong_usage_ends_with_two(command, runs_csv, arguments):
    done = command(*(str(runs_csv) if a == "RUNS" else a for a in arguments))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["laws"], ["--help"], ["fit", "RUNS", "--draws", "0"]])
def test_a_full_disk_behind_standard_output_is_said(runs_csv, arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rung.cli", *(str(runs_csv) if a == "RUNS" else a for a in arguments)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("ReportError: the output cannot be written")
    assert "Traceback" not in done.stderr


def test_a_pipe_is_written_to_and_stays_a_pipe(command, runs_csv, tmp_path):
    pipe = tmp_path / "fit.json"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        done = command("fit", runs_csv, "--draws", 0, "-o", pipe)
        content, _ = reader.communicate(timeout=30)
    assert done.returncode == 0
    assert json.loads(content)["rows"] == 40
    assert pipe.is_fifo()


def test_a_map_that_nothing_reads_is_named(command, runs_csv):
    done = command("fit", runs_csv, "--draws", 0, "--map", "tokns=val_loss")
    assert "warning: --map tokns=val_loss: nothing reads tokns. Did you mean tokens?" in done.stderr
    assert (
        "nothing reads"
        not in command("fit", runs_csv, "--draws", 0, "--map", "size=n_params", "--where", "size > 1").stderr
    )


def test_held_out_rows_that_go_are_counted(command, runs_csv):
    frame = pl.read_csv(runs_csv).with_columns(
        val_loss=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("val_loss")
    )
    frame.write_csv(runs_csv)
    size = frame["n_params"][3]
    done = command("fit", runs_csv, "--draws", 0, "--hold-out", f"n_params >= {size!r}", "--drop-nonfinite")
    assert "1 of 40 rows without a finite number left out by --drop-nonfinite" in done.stdout


def test_a_misspelt_option_is_answered_with_the_nearest(command, runs_csv):
    assert "--law" in command("fit", runs_csv, "--lew", "x").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json", "N=1"], "rung fit RUNS -o nowhere.json"),
        (["runs.csv", "N=1"], "is not a fit in JSON"),
        (["fit.json", "N=7B"], "D is missing"),
        (["fit.json", "N=7B", "D=much"], "is not a number"),
        (["fit.json", "N=7B", "Q=1"], "'Q' is no variable"),
        (["fit.json", "N"], "write NAME=VALUE"),
        (["fit.json", "--loss", "0.5", "N=7B"], "irreducible loss"),
        (["fit.json", "N=1:2", "D=1e9"], "LOW:HIGH:COUNT"),
        (["fit.json", "N=1:9:1000", "D=1:9:1000"], "the largest has 100,000"),
        (["fit.json", "N=1:9:3", "D=1e9", "-o", "fit.json"], "name a .csv file"),
        (["fit.json", "family=x"], "'family' is no variable"),
        (
            ["fit.json", "N=7B", "D=1T", "--tokens-per-param", "20"],
            "gives two of N, D and C from one of them; N and D are given",
        ),
        (["fit.json", "N=7B", "--against", "1"], "rows of a table of plans"),
    ],
)
def test_what_is_wrong_with_a_forecast_is_said_in_one_message(command, runs_csv, tmp_path, arguments, message):
    named = {"N": "n_params", "D": "num_tokens", "loss": "val_loss"}
    rung.fit(rung.read_runs(runs_csv, named), draws=0).write(tmp_path / "fit.json")
    assert_refused(command("forecast", *arguments), message)


def test_debug_shows_the_traceback(command):
    done = command("fit", "nowhere.csv", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write into a read-only folder; test_report covers the check itself"
)
def test_a_folder_that_cannot_be_written_is_said_before_the_fit(command, runs_csv, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert_refused(command("fit", runs_csv, "-o", closed / "fit.json"), "is read-only")


@pytest.mark.parametrize("output", ["fit.json", "page.html"])
def test_an_interrupt_leaves_the_old_output_and_ends_within_seconds(runs_csv, tmp_path, output):
    file = tmp_path / output
    file.write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", "fit", str(runs_csv), "--draws", "2000000", "-o", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(1.5)
    assert process.poll() is None, "the fit must still be running to be interrupted"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert errors == "interrupted: every file is as it was, or written whole\n"
    assert "Traceback" not in errors
    assert file.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["runs.csv", output])


def test_a_reader_that_leaves_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m rung.cli laws | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
