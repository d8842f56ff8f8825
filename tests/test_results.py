"""Results at the public door: a line, a summary, HTML, equality by value, and functions that take what users have."""

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import RungError
from rung.findings import Finding
from rung.messages import first_line
from rung.results import Summary, Table

LAW = "A / N^alpha + B / D^beta"


def table(rows=40, seed=0):
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e10), rows))
    tokens = params * np.exp(rng.uniform(np.log(5), np.log(300), rows))
    loss = (20 / params**0.12 + 40 / tokens**0.15) * np.exp(0.01 * rng.standard_normal(rows))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


@pytest.fixture(scope="module")
def fit():
    return rung.fit(table(), LAW, draws=0)


class TestLine:
    def test_the_repr_of_a_fit_is_one_line_with_law_coefficients_and_status(self, fit):
        assert repr(fit).startswith("<Fit custom: A=")
        assert "40 rows, converged>" in repr(fit)
        assert "\n" not in repr(fit)

    def test_every_result_has_a_line(self, fit):
        results = [
            rung.forecast(fit, N=1e10, D=1e12),
            rung.invert(fit, 1.2, N=1e10),
            rung.allocate(fit, flops=1e22),
            rung.backtest(table(), LAW),
            rung.tune(params=1e9, tokens=2e10),
            rung.density(fit, loss=1.2, params=1e9, tokens=1e11),
        ]
        for result in results:
            assert repr(result).startswith(f"<{type(result).__name__} ")
            assert "\n" not in repr(result)


class TestSummary:
    def test_the_summary_is_what_the_command_prints(self, command, tmp_path):
        table().write_csv(tmp_path / "runs.csv")
        fit = rung.fit(tmp_path / "runs.csv", LAW, draws=0)
        assert command("fit", "runs.csv", "--law", LAW, "--draws", 0, "-o", "fit.json").stdout == fit.summary() + "\n"
        answer = rung.forecast(tmp_path / "fit.json", N=1e10, D=1e12)
        assert command("forecast", "fit.json", "N=10B", "D=1T").stdout == answer.summary() + "\n"
        choice = rung.allocate(tmp_path / "fit.json", flops=1e22)
        assert command("allocate", "fit.json", "--flops", "1e22").stdout == choice.summary() + "\n"

    def test_a_notebook_gets_tables_and_warnings_as_html(self, fit):
        far = rung.forecast(fit, N=1e15, D=1e17)
        html = far._repr_html_()
        assert "<table>" in html
        assert "<code>far_extrapolation</code>" in html

    def test_html_shows_a_text_as_it_is(self):
        assert Summary(["a < b", Table(["<x>"], [["&"]])]).html() == (
            "<pre>a &lt; b</pre><table><thead><tr><th>&lt;x&gt;</th></tr></thead><tbody><tr><td>&amp;</td></tr></tbody></table>"
        )

    def test_columns_are_aligned_by_their_widest_cell(self):
        assert (
            Table(["name", "n"], [["a", "10"], ["long name", "9"]]).text()
            == "name        n\na          10\nlong name   9"
        )

    def test_a_long_name_does_not_widen_a_table_unless_two_would_look_alike(self):
        long, like = f"run-{'x' * 400}-end", f"run-{'x' * 300}-end"
        text = Table(["name", "n"], [[long, "10"], ["b", "9"]]).text()
        assert max(map(len, text.splitlines())) < 70
        assert "..." in text
        assert "-end" in text
        assert long in Table(["name", "n"], [[long, "10"], [like, "9"]]).text()
        assert long in Table(["name", "n"], [[long, "10"]]).html()


class TestEquality:
    def test_the_same_fit_twice_is_equal_and_another_seed_is_not(self, fit):
        assert fit == rung.fit(table(), LAW, draws=0)
        assert fit != rung.fit(table(), LAW, draws=0, seed=1)
        assert fit != "fit"

    def test_a_file_gives_the_same_value_back(self, fit, tmp_path):
        fit.write(tmp_path / "fit.json")
        assert rung.read_fit(tmp_path / "fit.json") == fit

    def test_forecasts_are_equal_by_value(self, fit):
        assert rung.forecast(fit, N=1e10, D=1e12) == rung.forecast(fit, N=1e10, D=1e12)
        assert rung.forecast(fit, N=1e10, D=1e12) != rung.forecast(fit, N=2e10, D=1e12)

    def test_a_result_cannot_be_a_key(self, fit):
        with pytest.raises(TypeError, match="unhashable"):
            hash(fit)


class TestPrediction:
    def test_predictions_are_the_law_at_the_rows(self, fit):
        v = fit.values
        rows = table(5, seed=1)
        wanted = v["A"] / rows["params"].to_numpy() ** v["alpha"] + v["B"] / rows["tokens"].to_numpy() ** v["beta"]
        assert fit.predict(rows) == pytest.approx(wanted)

    def test_residuals_are_measured_minus_fitted_on_the_scale_of_the_objective(self, fit):
        assert fit.residuals == pytest.approx(np.log(table()["loss"].to_numpy() / fit.predict(table())))

    def test_predictions_by_group(self):
        frame = pl.concat(
            [table().with_columns(kind=pl.lit("a")), table().with_columns(pl.col("loss") * 2, kind=pl.lit("b"))]
        )
        grouped = rung.fit(frame, "A[kind] / N^alpha + B / D^beta", draws=0)
        predicted = grouped.predict(frame)
        alone = [
            rung.forecast(grouped, N=row["params"], D=row["tokens"], kind=row["kind"]).value
            for row in frame[[3, 50]].to_dicts()
        ]
        assert predicted[[3, 50]] == pytest.approx(alone)
        with pytest.raises(RungError, match=r"give one of them: kind=a\|b"):
            grouped.predict(frame.with_columns(kind=pl.lit("c")))

    def test_a_row_without_a_value_is_nan(self):
        fit = rung.fit(table(), "E + A * log(D / N)", objective="squares", draws=0)
        rows = pl.DataFrame({"params": [1e9, 1e9], "tokens": [-1.0, 1e10]})
        assert np.isnan(fit.predict(rows)).tolist() == [True, False]

    def test_tables_of_results_are_frames(self, fit):
        assert fit.to_frame()["name"].to_list() == ["A", "alpha", "B", "beta", "params_exponent", "tokens_exponent"]
        assert rung.allocate(fit, flops=1e22).to_frame()["variable"].to_list() == ["params", "tokens"]
        assert rung.backtest(table(), LAW).to_frame().height >= 1


class TestDoor:
    """Every function takes what users have, and says in Python's words what it cannot take."""

    def test_functions_take_frames_and_paths(self, fit, tmp_path):
        first, second = table(), table(seed=3)
        first.write_csv(tmp_path / "a.csv")
        assert rung.compare(tmp_path / "a.csv", second.to_pandas()).along
        assert rung.next_runs(first, law=LAW, target="loss", targets=[{"N": 1e11, "D": 1e13}], budget=1e22).runs
        fit.write(tmp_path / "fit.json")
        assert rung.density(tmp_path / "fit.json", loss=1.2, params=1e9, tokens=1e11).size.value > 0

    @pytest.mark.parametrize(
        ("use", "message"),
        [
            (lambda fit: rung.fit(3), "cannot be read from an? int"),
            (lambda fit: rung.fit(table(), lambda n: n), "the law is a function. Give a formula"),
            (lambda fit: rung.allocate(fit, flops="1e24"), "the budget is '1e24', a str, and must be a number"),
            (lambda fit: rung.invert(fit, "2"), "loss is '2', a str, and must be a number"),
            (
                lambda fit: rung.forecast(table(), N=1e9, D=1e11),
                r"a fit is needed, and this is a DataFrame. Make one: rung.fit\(runs\)",
            ),
            (lambda fit: rung.fit(table(), LAW, level="0.9"), "level is '0.9', a str"),
            (lambda fit: rung.forecast(fit, N="many", D=1e11), "N='many' is not a number"),
            (lambda fit: rung.fit(table().drop("tokens"), LAW), r'Map it: read_runs\(\.\.\., \{"D": "COLUMN"\}\)'),
            (lambda fit: rung.fit(table().head(3), LAW), r'fix=\{"A": VALUE\}'),
        ],
    )
    def test_a_wrong_type_gives_one_clear_error_in_pythons_words(self, fit, use, message):
        with pytest.raises(RungError, match=message) as error:
            use(fit)
        assert "--" not in str(error.value)

    def test_a_finding_has_a_severity_a_remedy_and_pythons_words(self):
        finding = Finding("trade_off", "fix one (--fix beta=1.0).")
        assert finding.severity == "warning"
        assert finding.remedy
        assert str(finding) == 'fix one (fix={"beta": 1.0}).'
        assert Finding("of_another_version", "x").severity == "warning"

    def test_a_figure_is_drawn_on_given_axes(self, fit):
        from matplotlib.figure import Figure

        axes = Figure().subplots()
        rung.draw_figure(axes, fit)
        assert axes.get_xscale() == "log"
        assert axes.get_xlabel()
        assert axes.collections

    def test_pages_and_figures_take_the_rows_of_the_fit(self, fit, tmp_path):
        rung.draw_figure(tmp_path / "fit.png", fit, table())
        rung.write_page(tmp_path / "page.html", fit)
        assert (tmp_path / "fit.png").stat().st_size > 5000
        assert "<svg" in (tmp_path / "page.html").read_text()


class TestPlainValues:
    """The keys of JSON are a promise: programs read them."""

    def test_of_a_forecast(self, fit):
        found = rung.forecast(fit, N=1e10, D=1e12).to_dict()
        keys = "inputs value law_interval run_interval parts extrapolation_factor target level warnings"
        assert " ".join(found) == keys
        assert found["inputs"] == {"params": 1e10, "tokens": 1e12, "flops": 6e22}
        assert sum(found["parts"].values()) == pytest.approx(1.0)

    def test_of_an_inversion(self, fit):
        found = rung.invert(fit, 1.2, N=1e10).to_dict()
        assert found["solved_for"] == "tokens"
        assert found["value"] == found["solution"]["tokens"]
        assert found["solution"]["flops"] == pytest.approx(6e10 * found["value"])
        assert found["inputs"] == {"params": 1e10, "loss": 1.2}

    def test_of_a_backtest(self):
        found = rung.backtest(table(), LAW).to_dict()
        assert found["along"] == "C"
        assert set(found["cuts"][0]) >= {"at", "rows", "scored", "factor", "bias", "error", "inside"}

    def test_of_a_fit(self, fit):
        found = fit.to_dict()
        assert found["schema_version"] == 2
        assert list(found["coefficients"]["A"]) == ["value", "low", "high", "std_error"]
        assert found["coefficients"]["A"]["value"] == fit.values["A"]
        assert found["target"] == "loss"
        assert found["runs"] == found["rows"] == 40


@pytest.mark.parametrize(
    ("error", "line"),
    [(OSError("gone.\nmore"), "gone"), (TimeoutError(), "TimeoutError"), (ValueError(" \n "), "ValueError")],
)
def test_an_error_without_a_text_is_named_by_its_type(error, line):
    assert first_line(error) == line
