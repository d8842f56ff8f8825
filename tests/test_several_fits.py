"""One law fitted to each level of a column, or to each of several targets."""

import json

import polars as pl
import pytest

import rung
from rung.fitting import read_any
from test_long_tables import LAW, long_table


@pytest.fixture
def families():
    """Two families whose laws differ in E alone, and one of too few runs."""
    one = long_table(60, 60)
    return pl.concat(
        [
            one.with_columns(family=pl.lit("a"), score=pl.col("loss") * 2),
            one.with_columns(family=pl.lit("b"), loss=pl.col("loss") * 1.5, score=pl.col("loss") * 3),
            one.head(3).with_columns(family=pl.lit("few"), score=pl.col("loss")),
        ]
    )


def test_each_level_is_fitted_alone(families):
    found = rung.fit_each(families, LAW, by="family", effort="quick")
    assert list(found.fits) == ["a", "b"]
    assert "5 coefficients cannot be fitted to 3" in found.failed["few"]
    alone = rung.fit(families.filter(pl.col("family") == "b"), LAW, effort="quick")
    assert found.fits["b"].values == alone.values
    assert found.fits["b"].values["E"] == pytest.approx(1.5 * found.fits["a"].values["E"], rel=1e-6)
    assert found.to_frame().columns[0] == "family"


def test_each_target_is_fitted_and_forecast(families, tmp_path):
    found = rung.fit_each(families.filter(pl.col("family") == "a"), LAW, targets=["loss", "score"], draws=0)
    path = tmp_path / "fits.json"
    found.write(path)
    assert read_any(path).fits.keys() == found.fits.keys()
    answer = rung.forecast_each(path, N=1e11, D=1e12)
    assert answer.forecasts["score"].value == pytest.approx(2 * answer.forecasts["loss"].value, rel=1e-6)
    assert answer.forecasts["loss"].run_interval == rung.forecast(found.fits["loss"], N=1e11, D=1e12).run_interval
    # Both lie as far beyond the runs; what holds for all is said once.
    assert [finding.code for finding in answer.warnings].count("far") <= 1


def test_the_commands_take_levels_and_targets(families, tmp_path, command):
    families.write_csv(tmp_path / "runs.csv")
    done = command("fit", "runs.csv", "--each", "family", "--effort", "quick", "-o", "fits.json", "-o", "fits.csv")
    assert "few: not fitted" in done.stdout
    assert pl.read_csv(tmp_path / "fits.csv")["family"].unique().sort().to_list() == ["a", "b"]
    asked = command("forecast", "fits.json", "N=1e11", "D=1e12", "--json")
    assert list(json.loads(asked.stdout)["forecasts"]) == ["a", "b"]
    done = command("fit", "runs.csv", "--target", "loss,score", "--where", "family = 'a'", "--draws", "0")
    assert "2 targets" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--each", "family", "--target", "loss,score"], "give one of the two"),
        (["--each", "family", "-o", "page.html"], "a page shows one fit"),
        (["--each", "family", "--hold-out", "params > 1e9"], "goes with one fit"),
        (["--each", "famly"], 'no column "famly"'),
        (["--target", "loss,scor"], "scor"),
    ],
)
def test_what_cannot_be_asked_of_several_fits(families, tmp_path, command, arguments, message):
    families.write_csv(tmp_path / "runs.csv")
    done = command("fit", "runs.csv", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_file_of_several_fits_is_no_single_fit(families, tmp_path):
    path = tmp_path / "fits.json"
    rung.fit_each(families, LAW, by="family", effort="quick").write(path)
    with pytest.raises(rung.FitError, match="holds several fits"):
        rung.read_fit(path)
