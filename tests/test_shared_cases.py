"""Small inputs after public reports, with their right answers, where the folder of cases lies beside the published tables."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

import rung
from conftest import data_folder
from rung.errors import RunsError
from rung.runs.sources import ColumnOverrides, import_runs

CASES = data_folder().parent / "cases"
TABLES = CASES / "tables"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the folder of cases {CASES} is not there")


def row(source, **overrides):
    (found,) = import_runs(source, overrides=ColumnOverrides(**overrides)).frame.to_dicts()
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("csv:na_nan.csv", {"loss": 2.2}),
        ("csv:na_NA.csv", {"loss": 2.2}),
        ("csv:div_NaN.csv", {"status": "diverged"}),
        ("csv:restart_dead.csv", {"loss": 2.25, "step": 800}),
        ("csv:tokens_reset.csv", {"tokens": 1e6}),
        ("trainer:trainer_null", {"loss": 3.0}),
    ],
)
def test_one_run(source, expected):
    kind, _, name = source.partition(":")
    found = row(f"{kind}:{TABLES / name}")
    assert {column: found[column] for column in expected} == expected


def test_a_held_out_loss_is_taken_and_the_others_named():
    found = import_runs(f"csv:{TABLES / 'marin.csv'}")
    assert "eval/paloma" in found.mapping["loss"]
    assert any(finding.code == "several_losses" for finding in found.warnings)


def test_the_batch_of_one_device_gives_no_tokens():
    found = import_runs(f"trainer:{TABLES / 'trainer_accumulation'}")
    assert "tokens" not in found.frame.columns
    assert any("--batch-tokens" in finding.text for finding in found.warnings)
    assert row(f"trainer:{TABLES / 'trainer_accumulation'}", batch_tokens="512")["tokens"] == 40 * 512


def test_experts():
    found = row(f"trainer:{TABLES / 'trainer_moe'}")
    assert found["params"] == pytest.approx(1.45e9, rel=0.01)
    assert found["params_active"] == pytest.approx(394e6, rel=0.01)


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("csv:lightning_logs", ["version_0", "version_1", "version_2"]),
        ("csv:RunCap.csv", ["m1", "m2", "m3"]),
        ("csv:csv_empty", ["m0", "m1", "m2", "m3", "m4"]),
        ("trainer:trainer_cut", ["sweep_a", "sweep_b", "sweep_c"]),
        ("wandb:wandb_chart_gs.csv", ["m-60M", "m-120M"]),
    ],
)
def test_several_runs(source, runs):
    kind, _, name = source.partition(":")
    assert import_runs(f"{kind}:{TABLES / name}").frame["run"].to_list() == runs


def test_a_ladder_with_a_run_that_diverged():
    read = rung.read_runs(import_runs(f"csv:{TABLES / 'ladder_div'}").frame)
    assert len(read) == 4
    assert "'m3' (diverged)" in read.notes[0]


@pytest.mark.parametrize("name", ["suffix.csv", "us_thousand.csv", "n_index.csv", "d_depth.csv"])
def test_tables(name):
    read = rung.read_runs(TABLES / name)
    assert read.numbers("params")[0] == 5e7
    assert read.numbers("tokens")[0] == 1e9
    assert read.numbers("tokens").max() == 1e10


def test_nested_entries():
    read = rung.read_runs(TABLES / "nested.jsonl", {"N": "config.n_params", "D": "summary.tokens"})
    assert read.numbers("params")[0] == 5e7


@pytest.mark.parametrize("name", ["cr.csv", "ty.jsonl"])
def test_what_was_a_traceback(name):
    try:
        assert rung.fit(TABLES / name, "A / N^a", draws=0).rows == 3
    except RunsError as error:
        assert "row 2: params is" in error.text  # noqa: PT017  # one of the two is refused


def test_scores_in_percent():
    read = rung.read_runs(TABLES / "acc_pct.csv", {"loss": "task_loss"})
    assert "looks like percent" in rung.runs.plausibility(read, "acc")[0].text


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    for package in ("wandb", "mlflow", "tensorboard", "lm_eval"):
        if find_spec(package) is None:
            pytest.skip(f"{package}, which writes a store, is not installed")
    place = tmp_path_factory.mktemp("stores")
    subprocess.run([sys.executable, CASES / "write_stores.py", place], check=True, capture_output=True, timeout=300)
    return place


@pytest.mark.slow
class TestStores:
    """Stores that the real libraries write."""

    def test_the_trainers_own_step(self, stores):
        frame = import_runs(f"wandb:{stores / 'wandb_own_step'}").frame
        assert frame["step"].to_list() == [10_000, 10_000]
        assert frame["tokens"].to_list() == [10_000 * 256 * 1024] * 2

    def test_accumulation(self, stores):
        assert row(f"wandb:{stores / 'wandb_accumulated'}")["tokens"] == 20_000 * 12 * 40 * 1024

    def test_names_that_look_like_others(self, stores):
        frame = import_runs(f"wandb:{stores / 'wandb_names'}").frame
        assert frame["params"].to_list() == [1.3e8, 1.3e8]
        assert frame["tokens"].to_list() == [1000 * 256 * 1024] * 2

    def test_mlflow(self, stores):
        frame = import_runs(f"mlflow:sqlite:///{stores / 'mlflow.db'}", experiment="sweep").frame
        rows = {one["run"]: one for one in frame.to_dicts()}
        assert rows["infinite"]["status"] == "diverged"
        assert rows["human"]["params"] == 1.3e8
        assert len(rows) == 4

    def test_tensorboard(self, stores):
        rows = {one["run"]: one for one in import_runs(f"tensorboard:{stores / 'tensorboard'}").frame.to_dicts()}
        assert (rows["restarted"]["loss"], rows["restarted"]["step"]) == (2.25, 800)
        assert rows["settings"]["params"] == 1.3e8
        assert len(rows) == 2

    def test_harness(self, stores):
        import math

        frame = import_runs(f"lm-eval:{stores / 'harness'}").frame
        assert len(frame) == 3
        middle = frame.filter(frame["run"] == "lab/middle").to_dicts()[0]
        assert (middle["acc_piqa"], middle["acc_arc_easy"]) == (0.62, 0.43)
        losses = import_runs(
            f"lm-eval:{stores / 'harness'}", overrides=ColumnOverrides(loss="perplexity_lambada_openai")
        )
        assert losses.frame["loss"].to_list() == pytest.approx([math.log(90), math.log(35)])


def test_unique_tokens_beyond_what_was_read():
    fit = rung.fit(TABLES / "repeat.csv", "muennighoff-2023", draws=0)
    found = {name: one.value for name, one in fit.coefficients.items()}
    assert found["E"] == pytest.approx(1.88, abs=0.005)
    assert found["alpha"] == pytest.approx(0.354, abs=0.001)
    assert found["RD"] == pytest.approx(14.9, abs=0.1)
    assert "in 12 rows U is above D and counts as D: a run sees no more tokens than it reads" in fit.notes[-1]


def test_an_optimum_at_the_edge_of_the_sweep():
    found = rung.tune(TABLES / "lr_edge.csv", params=3e9, tokens=6e10)
    assert found.own is None
    assert not any(one.rule.startswith("own") for one in found.proposals)
    (finding,) = (one for one in found.warnings if one.code == "edge_optimum")
    assert "in 5 of 5 grids" in finding.text
    assert "the best lr lies below 0.012" in finding.text


def test_recipes_of_one_law_with_other_allocations():
    found = rung.compare(TABLES / "cmpE.csv", TABLES / "cmpF.csv")
    assert found.better is None
    assert all(one.value == pytest.approx(1, abs=0.03) for one in found.constant)


def test_a_selection_from_rows_that_judge_no_law(tmp_path):
    (tmp_path / "five.csv").write_text("\n".join((TABLES / "marin4447.csv").read_text().splitlines()[:6]) + "\n")
    found = rung.select(tmp_path / "five.csv")
    # The law without a floor is not chosen for having the fewest coefficients.
    assert found.chosen == "m2"
    low, high = rung.forecast_selection(found, C=1e23).run_interval
    assert low < 2.234 < high


def test_a_selection_from_one_cut():
    found = rung.select(TABLES / "marin4447.csv")
    assert all(one.weight > 0.2 for one in found.laws)
    low, high = rung.forecast_selection(found, C=1e23).run_interval
    assert low < 2.234 < high
