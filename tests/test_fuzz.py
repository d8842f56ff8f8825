"""A part of the fuzzer, and what it found."""

import gzip

import polars as pl
import pytest

import rung
from fuzz import KINDS, fuzz
from rung.errors import RungError, RunsError
from rung.messages import printable, shortened


@pytest.mark.parametrize("kind", KINDS)
def test_no_odd_or_damaged_input_ends_in_a_traceback_or_a_silent_change(kind):
    tally = fuzz(25, seed=11, kinds=[kind])
    assert not tally.finds, "\n\n".join(tally.finds)


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n"])
def test_any_line_ends_also_mixed(tmp_path, ends):
    (tmp_path / "t.csv").write_bytes(f"params,loss{ends}1e6,3{ends}1e7,2\n".encode())
    assert rung.read_runs(tmp_path / "t.csv").numbers("loss").tolist() == [3, 2]


def test_selection_without_a_cut_or_a_criterion_takes_the_weights_of_published_studies(tmp_path):
    (tmp_path / "s.csv").write_text("params,loss\n1e6,3\n1e7,2\n1e8,1.5\n1e9,1.2\n")
    found = rung.select(tmp_path / "s.csv", ["E + A / N^alpha", "A / N^alpha"])
    assert [law.weight for law in found.laws] == [0.5, 0.5]
    assert "nothing here judges the laws" in found.headline()


def test_a_law_that_overflows_is_refused(tmp_path):
    (tmp_path / "s.csv").write_text("params,loss\n1e6,3\n1e7,2\n1e8,1.5\n1e9,1.2\n2e9,1.1\n")
    with pytest.raises(RungError, match="too large for a number"):
        rung.fit(tmp_path / "s.csv", "A / N^alpha + N^1000")


def test_sizes_that_span_more_than_a_number_holds(tmp_path):
    (tmp_path / "s.csv").write_text(
        "params,tokens,loss\n1e-300,1e8,3\n1e300,1e9,2.5\n1e7,1e8,2.9\n1e8,1e9,2.2\n1e9,1e10,2\n"
    )
    assert rung.select(tmp_path / "s.csv", ["A / N^alpha", "E + A / N^alpha"]).laws


@pytest.mark.parametrize("change", [('"value": ', '"value": 1'), ('"rows": ', '"rows": 1'), ('"seed": 0', '"seed": 7')])
def test_a_changed_fit_is_refused(tmp_path, runs_csv, change):
    fit = rung.fit(runs_csv, draws=0)
    file = tmp_path / "fit.json"
    fit.write(file)
    assert rung.read_fit(file) == fit
    file.write_text(file.read_text().replace(*change, 1))
    with pytest.raises(RungError, match="by their digest"):
        rung.read_fit(file)


def test_control_characters_do_not_reach_a_terminal(command, tmp_path):
    (tmp_path / "m.csv").write_text("run,step,val_loss\n\x1b[31mred,1,3\n=cmd(),1,2\n")
    done = command("import", "csv:m.csv", "-o", "out.csv")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\n'=cmd()," in (tmp_path / "out.csv").read_text()
    assert printable("a\x07\u202eb\n") == "a\\x07\\u202eb\n"
    assert len(shortened("x" * 100_000)) < 2000


def test_deep_nesting_is_no_traceback(tmp_path):
    (tmp_path / "f.json").write_text("[" * 100_000)
    (tmp_path / "t.jsonl").write_text('{"a":' * 100_000)
    with pytest.raises(RungError, match="nested too deeply"):
        rung.read_fit(tmp_path / "f.json")
    with pytest.raises(RunsError, match="nested too deeply"):
        rung.read_runs(tmp_path / "t.jsonl")


TABLES = {
    "title.csv": b"Results of May\n\nparams,loss\n1e7,3\n1e8,2\n",
    "padded.csv": b"A sweep,,\nparams,loss,x\n1e7,3,1\n1e8,2,1\n",
    "comment.csv": b"# made by hand\nparams,loss\n1e7,3\n1e8,2\n",
    "utf16.csv": "params,loss\n1e7,3\n1e8,2\n".encode("utf-16"),
    "utf16le.csv": "params,loss\n1e7,3\n1e8,2\n".encode("utf-16-le"),
    "packed.csv.gz": gzip.compress(b"params,loss\n1e7,3\n1e8,2\n"),
    "packed.jsonl.gz": gzip.compress(b'{"params":1e7,"loss":3}\n{"params":1e8,"loss":2}\n'),
    "units.csv": b"Params (M),loss\n10,3\n100,2\n",
    "unit_words.csv": b"model_size_b,loss\n0.01,3\n0.1,2\n",
    "suffix.csv": b"params,loss\n10M,3\n100M,2\n",
    "spaced.csv": b"params;loss\n10 000 000;3,0\n100 000 000;2,0\n",
    "commas.csv": b'params,loss\n"10,000,000",3\n"100,000,000",2\n',
    "points.csv": b"params;loss\n10.000.000;3,00\n100.000.000;2,00\n",
    "march.tsv": b"Sweep of March\n\nparams (M)\tloss\tnote\tlr\n10,000\t3,0\tx\t0,125\n100,000\t2,0\ty\t0,250\n",
    "dashes.csv": b"params,loss,note\n1e7,3,-\n1e8,2,x\n",
    "table.md": b"Our runs:\n\n| params | loss |\n|---:|---|\n| 10M | 3 |\n| 100M | **2** |\n\nThe end.\n",
    "letters.csv": b"n,params,loss\n1,1e7,3\n2,1e8,2\n",
    "letters_units.csv": b"N,params_m,loss\n1,10,3\n2,100,2\n",
    "nested.jsonl": b'{"params": 1e7, "loss": 3, "a": {"b": 1}}\n{"params": 1e8, "loss": 2, "a": {"b": "NaN"}}\n',
    "mixed.jsonl": b'{"params": 1e7, "loss": 3, "tags": ["a"]}\n{"params": 1e8, "loss": 2, "tags": 1}\n',
    "status.csv": b"params,loss,status\n1e7,3,finished\n1e8,2,finished\n1e9,9,running\n",
    "states.csv": b"params,loss,State\n1e7,3,done\n1e8,2,\n1e9,9,crashed\n",
    "twice.csv": b"params,loss\n1e7,3\n1e8,2\n1e8,2\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_people_share_them(tmp_path, name):
    (tmp_path / name).write_bytes(TABLES[name])
    read = rung.read_runs(tmp_path / name)
    read = read.without_repeats()
    assert read.numbers("params").tolist() == [1e7, 1e8]
    assert read.numbers("loss").tolist() == [3, 2]


def test_a_spreadsheet(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["params", "loss"])
    book.active.append([1e7, 3])
    book.active.append(["100M", 2])
    book.save(tmp_path / "t.xlsx")
    assert rung.read_runs(tmp_path / "t.xlsx").numbers("params").tolist() == [1e7, 1e8]


def test_a_wide_table(tmp_path):
    (tmp_path / "w.csv").write_text("params,1e18,3e18\n1e7,3.0,2.9\n1e8,2.5,\n")
    read = rung.read_runs(tmp_path / "w.csv", wide="C")
    assert sorted(zip(read.numbers("params"), read.numbers("flops"), read.numbers("loss"), strict=True)) == [
        (1e7, 1e18, 3.0),
        (1e7, 3e18, 2.9),
        (1e8, 1e18, 2.5),
    ]


def test_a_comma_that_may_be_either_is_asked_about(tmp_path):
    (tmp_path / "c.csv").write_text('params,loss\n1e7,"3,706"\n1e8,"3,500"\n')
    with pytest.raises(RunsError, match=r"may mean 3\.706 or 3706"):
        rung.read_runs(tmp_path / "c.csv").numbers("loss")


def test_the_remedy_of_a_text_works_for_its_column(tmp_path):
    (tmp_path / "r.csv").write_text("params,loss\n1e7,3\n1e8,2?\n1e9,1.5\n")
    runs = rung.read_runs(tmp_path / "r.csv")
    with pytest.raises(RunsError) as error:
        runs.numbers("loss")
    condition = error.value.text.partition('--where "')[2].rpartition('"')[0]
    assert runs.where(condition).numbers("loss").tolist() == [3, 1.5]


def test_scores_in_percent_are_recognised():
    runs = rung.read_runs(pl.DataFrame({"loss": [3.0, 2.0, 1.5], "acc": [20.0, 40.0, 60.0]}))
    assert "looks like percent" in rung.runs.plausibility(runs, "acc")[0].text
    shares = rung.read_runs(pl.DataFrame({"loss": [3.0, 2.0], "acc": [20.0, 40.0]}), {"acc": "acc/100"})
    assert shares.numbers("acc").tolist() == [0.2, 0.4]
    assert not rung.runs.plausibility(shares, "acc")


@pytest.mark.parametrize("verb", ["select", "compare", "next"])
def test_a_seed_below_zero_is_refused_by_every_verb(verb, runs_csv):
    control = rung.read_runs(runs_csv)
    treated = control.frame.select("model", "n_params", "num_tokens", "val_loss").with_columns(
        pl.col("model") + "b", pl.col("val_loss") * 0.99
    )
    calls = {
        "select": lambda seed: rung.select(runs_csv, ["A / N^alpha", "E + A / N^alpha"], seed=seed),
        "compare": lambda seed: rung.compare(control, treated, seed=seed),
        "next": lambda seed: rung.next_runs(runs_csv, budget=1e20, targets=[{"N": 1e11, "D": 1e12}], seed=seed),
    }
    calls[verb](0)
    with pytest.raises(RungError, match="seed is -1, and must be 0 or more"):
        calls[verb](-1)
