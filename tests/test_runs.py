"""The table of runs: reading, naming, converting, selecting, and what is refused."""

import gzip
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import rung
from rung.errors import RunsError
from rung.runs import configurations, plausibility, read_runs, read_table, require_usable, swept
from rung.runs.settings import settings

FRAME = pl.DataFrame(
    {
        "run": ["a", "a", "b", "b", "c"],
        "step": [10, 20, 10, 20, 10],
        "params": [1e7, 1e7, 2e7, 2e7, 4e7],
        "tokens": [1e9, 2e9, 1e9, 2e9, 1e9],
        "loss": [3.5, 3.2, 3.3, 3.0, 3.1],
        "corpus": ["c4", "c4", "c4", "pile", "pile"],
    }
)


def written(folder, kind):
    file = folder / f"runs.{kind}"
    {"csv": FRAME.write_csv, "parquet": FRAME.write_parquet, "jsonl": FRAME.write_ndjson}[kind](file)
    return file


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_gives_the_same_table(tmp_path, kind):
    runs = read_runs(written(tmp_path, kind))
    assert runs.columns == FRAME.columns
    np.testing.assert_array_equal(runs.numbers("loss"), FRAME["loss"].to_numpy())


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_arrow(),
        pd.DataFrame(FRAME.to_dict(as_series=False)),
        pa.table(FRAME.to_dict(as_series=False)),
    ],
    ids=["polars", "lazy", "arrow", "pandas", "pyarrow"],
)
def test_every_frame_gives_the_same_table(frame):
    runs = read_runs(frame)
    np.testing.assert_array_equal(runs.numbers("loss"), FRAME["loss"].to_numpy())
    assert list(runs.texts("corpus")) == FRAME["corpus"].to_list()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *[("N", "params"), ("n_params", "params"), ("num_params", "params"), ("Parameters", "params")],
        *[("D", "tokens"), ("num_tokens", "tokens"), ("Train Tokens", "tokens")],
        *[("C", "flops"), ("Training FLOP", "flops"), ("compute", "flops")],
        *[
            ("val_loss", "loss"),
            ("nll", "loss"),
            ("Eval Loss", "loss"),
            ("learning_rate", "lr"),
            ("run_name", "run"),
        ],
    ],
)
def test_usual_names_are_recognised(name, column):
    assert read_runs(pl.DataFrame({name: [1.0, 2.0]})).mapping == {column: name}


@pytest.mark.parametrize(
    ("name", "column", "value", "expected", "said"),
    [
        ("perplexity", "loss", 20.0, math.log(20.0), "log(perplexity)"),
        ("bits_per_byte", "loss", 1.0, math.log(2), "bits_per_byte * log(2)"),
        ("log10_tokens", "tokens", 9.0, 1e9, "10^log10_tokens"),
        ("params_billion", "params", 7.0, 7e9, "params_billion * 1e9"),
        ("Model Size (B)", "params", 7.0, 7e9, '"Model Size (B)" * 1e9'),
        ("Tokens (T)", "tokens", 1.4, 1.4e12, '"Tokens (T)" * 1e12'),
    ],
)
def test_conversions_that_a_name_states_are_made_and_said(name, column, value, expected, said):
    runs = read_runs(pl.DataFrame({name: [value]}))
    assert runs.numbers(column)[0] == pytest.approx(expected)
    assert runs.mapping == {column: said}


@pytest.mark.parametrize(
    "content",
    [
        b"params,tokens,loss\n1e7, 2e9 ,3.5\n2e7,4e9, 3.2\n\n\n",
        b"\xef\xbb\xbfparams;tokens;loss\r\n1e7;2e9;3.5\r\n2e7;4e9;3.2\r\n",
    ],
    ids=["blanks", "byte order mark, semicolons, carriage returns"],
)
def test_what_people_export_is_read(tmp_path, content):
    (tmp_path / "runs.csv").write_bytes(content)
    runs = read_runs(tmp_path / "runs.csv")
    assert runs.numbers("tokens").tolist() == [2e9, 4e9]
    assert runs.numbers("loss").tolist() == [3.5, 3.2]


def test_numbers_that_python_writes_into_json_lines_are_read(tmp_path):
    (tmp_path / "runs.jsonl").write_text('{"params": 1e7, "loss": NaN}\n{"params": 2e7, "loss": 3.0}\n')
    assert np.isnan(read_runs(tmp_path / "runs.jsonl").numbers("loss")).tolist() == [True, False]


def test_pandas_columns_of_any_kind_come_through():
    rows = 4
    frame = pd.DataFrame(
        {
            "params": pd.array([1, 2, None, 4], dtype="Int64"),
            "loss": [3.0, np.nan, 2.0, 1.0],
            "family": ["a", np.nan, "b", "a"],
            "mixed": [1, "x", None, 2.5],
            "when": pd.Period("2020-01"),
            "objects": [object() for _ in range(rows)],
            "lists": [[1]] * rows,
        }
    )
    runs = read_runs(frame)
    assert runs.shown("params", 2) == runs.shown("loss", 1) == "missing"
    with pytest.raises(RunsError, match="row 2: family is missing"):
        runs.texts("family")
    require_usable(runs.where("params is not null"), ["params"])


def test_the_index_of_a_pandas_frame_is_columns_when_it_has_names():
    frame = pd.DataFrame({"N": [1.0, 2.0], "loss": [3.0, 2.0]}).set_index("N")
    assert read_runs(frame).numbers("params").tolist() == [1.0, 2.0]


def test_a_column_whose_name_is_no_word_stands_in_quotes():
    frame = pl.DataFrame({"Model Size": [7.0], "Tokens seen": [2.0]})
    runs = read_runs(frame, {"N": '"Model Size" * 1e9', "D": '"Tokens seen" * 1e9'})
    assert runs.numbers("params").tolist() == [7e9]
    assert "--map 'D=\"Tokens seen\"*1e9'" in plausibility(read_runs(frame, {"D": "Tokens seen"}))[0].text


def test_numbers_in_a_condition_may_have_a_suffix():
    runs = read_runs(FRAME)
    assert (
        len(runs.where("params >= 20M and tokens < 1.5B")) == len(runs.where("params >= 2e7 and tokens < 1.5e9")) == 2
    )
    assert len(runs.where("corpus <> '20M'")) == 5


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("params > 1e7 foo", "'foo' does not belong there"),
        ("params > 1 as big", "'big' does not belong there"),
        ("params", "must be of type Boolean"),
        ("loss in (select 1)", "a query inside a condition"),
        ("corpus > 3", "corpus holds text"),
    ],
)
def test_a_condition_that_means_something_else_is_refused(condition, message):
    with pytest.raises(RunsError) as error:
        read_runs(FRAME).where(condition)
    assert message in error.value.text
    assert "Write a condition like" in error.value.text


def test_a_users_names_and_formulas_win():
    frame = pl.DataFrame({"tokens": [1.0], "big": [2.0], "lgN": [7.0], "w": [3], "d": [4]})
    runs = read_runs(frame, {"D": "big*1e9", "N": "10^lgN", "run": "w,d"})
    assert runs.numbers("tokens")[0] == 2e9
    assert runs.numbers("params")[0] == 1e7
    assert runs.texts("run")[0] == "3/4"
    assert runs.mapping["tokens"] == "big * 1e9"


def test_selections_keep_the_rows_they_say_and_note_it():
    runs = read_runs(FRAME)
    assert list(runs.where("corpus = 'c4' and N > 1e7").numbers("loss")) == [3.3]
    last = runs.last()
    assert list(last.texts("run")) == ["a", "b", "c"]
    assert list(last.numbers("loss")) == [3.2, 3.0, 3.1]
    assert last.notes == ("2 of 5 rows left out by --last",)
    assert len(runs.drop_tokens(1e9)) == 2


def test_rows_keep_their_number_through_selections():
    assert read_runs(FRAME).where("corpus = 'pile'").row_name(1) == "the frame, row 5 ('c')"


def test_nonfinite_rows_go_only_when_asked():
    runs = read_runs(FRAME.with_columns(loss=pl.Series([3.5, None, float("nan"), 3.0, float("inf")])))
    kept = runs.drop_nonfinite(["loss"])
    assert list(kept.numbers("loss")) == [3.5, 3.0]
    assert kept.notes == ("3 of 5 rows without a finite number left out by --drop-nonfinite",)


def test_exact_repeats_are_left_out_and_said():
    runs = read_runs(pl.concat([FRAME, FRAME.head(1)])).without_repeats()
    assert len(runs) == 5
    assert runs.notes == ("1 row left out that repeats another in every column",)


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 1, 2), eager=True), 2),
        (pl.Series([True, False]), 2),
        (pl.Series([{"a": 1}, {"a": 2}]), 2),
        (pl.Series([[1], [2]]), 2),
        (pl.Series([[{"a": [1]}], [{"a": [2]}]]), 2),
        (pl.Series([[1], [1]]), 1),
        (pl.Series([{"a": 1}, {"a": 1}]), 1),
        (pl.Series(["x", "x"]), 1),
    ],
)
def test_rows_repeat_only_where_every_column_does(column, kept):
    frame = pl.DataFrame({"params": [1e7, 1e7], "loss": [3.0, 3.0]}).with_columns(column.alias("more"))
    assert len(read_runs(frame).without_repeats()) == kept


def test_rows_of_one_step_that_differ_go_only_when_asked():
    runs = read_runs(pl.concat([FRAME, FRAME.head(1).with_columns(loss=pl.lit(9.0))]))
    with pytest.raises(RunsError, match=r"row 6 \('a'\) repeats row 1 \(run and step the same"):
        require_usable(runs, ["params"])
    assert len(runs.drop_duplicates()) == 5


@pytest.mark.parametrize(
    ("columns", "code", "word"),
    [
        ({"loss": [3e9, 2.0]}, "implausible_loss", "Is it a perplexity?"),
        ({"tokens": [20.0, 300.0]}, "implausible_units", "billions"),
        ({"params": [7.0, 70.0]}, "implausible_units", "billions"),
        (
            {"params": [1e9], "tokens": [2e10], "flops": [1.2e18]},
            "implausible_flops",
            "0.01 times 6 x params x tokens",
        ),
        ({"params": [1e9], "tokens": [2e10], "flops": [1.2e23]}, "implausible_flops", "1K times"),
        ({"params": [1e7, 2e7] * 20, "step": list(range(40))}, "unnamed_runs", "--map run=COLUMN"),
    ],
)
def test_what_is_hard_to_believe_is_named(columns, code, word):
    (finding,) = plausibility(read_runs(pl.DataFrame(columns)))
    assert finding.code == code
    assert word in finding.text


def test_a_plain_table_raises_no_finding():
    assert plausibility(read_runs(FRAME.with_columns(flops=6 * pl.col("params") * pl.col("tokens")))) == ()


HOSTILE = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n \n", "is empty"),
    "header.csv": (b"params,tokens,loss\n", "holds no rows"),
    "binary.csv": (b"\x89PNG\r\n\x1a\n\0\0\0" * 40, "is not text"),
    "latin.csv": ("params,loss,ort\n1e7,3.0,M\u00fcnchen\n".encode("latin-1"), "line 2 holds bytes that are not UTF-8"),
    "ragged.csv": (b"params,loss\n1e7,3\n1e8,2,9,9\n", "line 3 has 4 fields, and the header (line 1) 2"),
    "empty.parquet": (b"", "is not Parquet"),
    "text.parquet": (b"params,loss\n1e7,3\n", "If it is text, name it .csv"),
    "twice.csv": (b"params,loss,loss\n1e7,3,3\n", "two columns 'loss'"),
    "empty.jsonl": (b"", "is empty"),
    "array.jsonl": (b"{}\n[1, 2]\n", "line 2 is not a JSON object"),
    "broken.jsonl": (b'{"params": 1e7, "loss"', "broken.jsonl, line 1 is not JSON"),
    "table.xlsx": (b"PK", "cannot be read as a spreadsheet"),
    "table.h5": (b"\x89HDF", "files of type '.h5' are not read"),
    "cut.csv.gz": (gzip.compress(b"params,loss\n1e7,3\n1e8,2.5\n")[:20], "cannot be read whole"),
    "zipped.csv": (b"PK\x03\x04rest", "is a ZIP archive or a spreadsheet"),
    "wide.csv": (b"params,1e18,3e18\n1e7,3,2.9\n2e7,3.1,2.8\n", "--wide C"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_table_is_refused(tmp_path, name):
    content, message = HOSTILE[name]
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RunsError) as error:
        read_runs(file)
    assert message in error.value.text
    assert name in error.value.text


def test_a_parquet_file_cut_in_half_is_refused(tmp_path):
    file = written(tmp_path, "parquet")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunsError, match="Is the file complete"):
        read_runs(file)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda r: read_runs("nowhere.csv"), "there is no such file"),
        (lambda r: read_runs("."), "is a folder"),
        (lambda r: read_runs(42), "cannot be read from a int"),
        (lambda r: read_runs(FRAME, {"D": "tokn"}), 'Did you mean "tokens"'),
        (lambda r: read_runs(FRAME, {"D": "tokens", "tokens": "step"}), "tokens is mapped a second time"),
        (lambda r: read_runs(FRAME, {"#row": "step"}), "Rung's own"),
        (lambda r: read_runs(FRAME.with_columns(pl.lit(1).alias("#row"))), "Rung's own"),
        (lambda r: read_runs(pl.scan_csv("nowhere.csv")), "the lazy frame cannot be read"),
        (lambda r: read_runs(pd.Series([1.0])), "cannot be read from a Series"),
        (lambda r: read_runs(pd.DataFrame([[1, 2]], columns=[0, "0"])), "two columns '0'"),
        (lambda r: read_runs(FRAME.drop("loss")).numbers("loss"), "--map loss=COLUMN"),
        (lambda r: read_runs(FRAME.with_columns(tokens=pl.lit(None))).drop_tokens(1), "tokens is missing"),
        (
            lambda r: read_runs(pl.concat([FRAME, FRAME.with_columns(loss=pl.lit(9.0))])).last(),
            "are both the last of their run",
        ),
        (lambda r: read_runs(FRAME, {"D": "tokens *"}), "neither a column of the frame nor a formula"),
        (lambda r: r.numbers("corpus"), "row 1 ('a'): corpus is 'c4', not a number (5 such rows)"),
        (lambda r: r.numbers("flops", "'C' in the formula"), "Map it: --map C=COLUMN"),
        (lambda r: r.where("corpus = "), "--where 'corpus = '"),
        (lambda r: r.where("corpse = 'c4'"), 'Did you mean "corpus"'),
        (lambda r: r.where("loss > 100"), "leaves none of the 5 rows"),
        (lambda r: r.where("loss + 1"), "--where 'loss + 1'"),
        (lambda r: r.drop_tokens(1e20), "leaves none"),
        (lambda r: read_runs(FRAME.drop("run")).last(), 'no column "run"'),
    ],
)
def test_what_a_table_cannot_do_is_said(use, message):
    with pytest.raises(RunsError) as error:
        use(read_runs(FRAME))
    assert message in error.value.text


def test_a_digest_follows_the_values_and_nothing_else():
    runs = read_runs(FRAME)
    assert runs.digest(["loss"]) == read_runs(FRAME.with_columns(other=pl.lit(1))).digest(["loss"])
    assert runs.digest(["loss"]) != runs.where("loss > 3.1").digest(["loss"])


def test_the_plural_of_the_verbs_is_one_word():
    assert rung.read_runs is read_runs


def test_a_conversion_reads_a_column_whose_name_is_no_symbol():
    runs = read_runs(pl.DataFrame({"Val Perplexity": [10.0, 20.0], "N": [1e7, 1e8]}))
    np.testing.assert_allclose(runs.numbers("loss"), np.log([10.0, 20.0]))


def test_a_run_that_is_missing_is_named():
    runs = read_runs(FRAME.with_columns(run=pl.Series(["a", None, "b", "b", "c"])))
    with pytest.raises(RunsError, match=r"row 2: run is missing .*is not null"):
        runs.run_index()


def test_the_last_row_is_by_number_and_needs_one():
    frame = pl.DataFrame({"run": ["a"] * 3, "step": ["9", "10", "100"], "loss": [3.0, 2.0, 1.0]})
    assert read_runs(frame).last().numbers("loss").tolist() == [1.0]
    with pytest.raises(RunsError, match=r"row 2 \('a'\): step is missing"):
        read_runs(frame.with_columns(step=pl.Series(["1", None, "2"]))).last()


def test_a_letter_that_is_a_column_and_a_symbol_is_not_guessed():
    frame = pl.DataFrame({"params": [1e7, 1e8], "N": [1.0, 2.0], "loss": [3.0, 2.0]})
    with pytest.raises(RunsError, match="N is a column of the frame and the symbol of params"):
        read_runs(frame, {"N": "params"}).where("N > 1")


def test_rows_that_only_a_wrong_run_name_makes_repeats_get_that_advice():
    frame = pl.DataFrame({"run": ["x", "x"], "step": [10, 10], "params": [1e7, 1e8], "loss": [3.0, 2.0]})
    with pytest.raises(RunsError, match=r"run=run,params|run.*params"):
        require_usable(read_runs(frame.with_columns(tokens=pl.Series([1e9, 2e9]))), ["params", "loss"])


def test_lists_and_bytes_are_no_numbers():
    with pytest.raises(RunsError, match="holds List"):
        read_runs(pl.DataFrame({"loss": [[1.0], [2.0]]})).numbers("loss")


def test_rows_of_weight_zero_and_missing_groups_go_with_a_note():
    runs = read_runs(FRAME.with_columns(w=pl.Series([0, 1, 1, 1, 0]), family=pl.Series(["a", None, "a", "b", "b"])))
    assert runs.drop_weightless("w").notes == ("2 of 5 rows left out by their weight of 0",)
    assert len(runs.drop_nonfinite(["loss"], ["family"])) == 4


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_header_says_what_separates_columns(tmp_path, separator):
    file = tmp_path / "runs.csv"
    FRAME.write_csv(file, separator=separator)
    assert read_runs(file).frame.drop("#row").equals(FRAME)


class TestSettings:
    """Sweeps over lr at each size, with two seeds of each setting, measured columns beside."""

    def runs(self, *, best=0.003):
        rng = np.random.default_rng(0)
        rows = [
            {"params": n, "tokens": 20 * n, "lr": lr, "min_lr": lr / 10, "batch_tokens": 2**19, "seed": seed}
            for n in (1e7, 1e8, 1e9, 4e9)
            for lr in (0.001, 0.003, 0.01)
            for seed in (0, 1)
        ]
        frame = pl.DataFrame(rows)
        loss = 2 + 100 / frame["params"].to_numpy() ** 0.3 + 0.1 * np.log(frame["lr"].to_numpy() / best) ** 2
        noise = 1e-3 * rng.standard_normal(len(rows))
        return frame.with_columns(loss=loss + noise, time_s=rng.uniform(1, 2, len(rows)))

    def test_measured_columns_and_seeds_set_nothing(self):
        assert settings(rung.read_runs(self.runs()).distinct) == ["params", "tokens", "lr", "min_lr", "batch_tokens"]

    def test_a_setting_that_names_a_part_of_the_data_is_one_and_a_mark_is_none(self):
        names = {
            "train_dataset": ["c4", "pile"],
            "val_score": [0.1, 0.2],
            "in_the_subset": [0, 1],
            "train_tokens_lr": [1, 2],
            "test_speed": [1, 2],
        }
        frame = pl.DataFrame({name: values * 6 for name, values in names.items()})
        assert settings(frame) == ["train_dataset", "train_tokens_lr"]

    def test_rows_that_differ_in_the_seed_alone_are_one_configuration(self):
        table = rung.read_runs(self.runs()).distinct
        assert len(np.unique(configurations(table, ["params"]))) == 12
        assert swept(table, ["params", "tokens"]) == {"lr": 4}

    def test_the_best_of_a_sweep_keeps_all_its_seeds(self):
        kept = rung.read_runs(self.runs()).best_of(["lr"])
        assert kept.frame["lr"].unique().to_list() == [0.003]
        assert len(kept) == 8
        assert (
            "8 of 24 rows kept by --best-of lr: the best of 4 configurations, of which 4 had a choice" in kept.notes[-1]
        )
        assert "edge" not in kept.notes[-1]

    def test_a_best_value_at_the_edge_is_named(self):
        kept = rung.read_runs(self.runs(best=0.01)).best_of(["lr"])
        assert "4 at the edge of lr, where the best value may lie beyond the sweep" in kept.notes[-1]

    def test_a_column_that_is_not_there(self):
        with pytest.raises(RunsError, match=r"best_of\(\) wd"):
            rung.read_runs(self.runs()).best_of(["wd"])

    def test_a_sweep_is_no_noise(self):
        """Without seeds, the differences of a sweep would count as those of repeated runs."""
        swept_runs = self.runs().filter(pl.col("seed") == 0)
        codes = {one.code for one in rung.fit(swept_runs, "E + A / N^alpha", draws=0).warnings}
        assert "swept_settings" in codes
        assert "lack_of_fit" not in codes


def test_a_row_whose_names_are_those_of_columns_is_no_header(tmp_path):
    """Models called c and n: letters that name compute and size elsewhere."""
    (tmp_path / "models.csv").write_text("id,parent\na,c\nb,a\nc,\n")
    table, _ = read_table(tmp_path / "models.csv")
    assert table.frame.columns == ["id", "parent"]
    assert table.frame.height == 3
    (tmp_path / "titled.csv").write_text("Runs, of March\nN,loss\n1e6,3.5\n2e6,3.2\n")
    table, _ = read_table(tmp_path / "titled.csv")
    assert table.frame.columns == ["N", "loss"]
