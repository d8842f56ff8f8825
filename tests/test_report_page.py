"""The report: one file in which the answer comes first, that needs no network, and in which hostile text stays text."""

import json
import re
from html import unescape

import numpy as np
import polars as pl
import pytest

import rung
from rung.report import Asked, make_report, report_text

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


def table(rows=60):
    rng = np.random.default_rng(0)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), rows))
    tokens = params * np.exp(rng.uniform(np.log(5), np.log(50), rows))
    loss = (1.8 + 400 / params**0.34 + 1500 / tokens**0.37) * np.exp(0.003 * rng.standard_normal(rows))
    names = [HOSTILE, *(f"r{row}" for row in range(rows - 1))]
    return pl.DataFrame({"run": names, "params": params, "tokens": tokens, "loss": loss})


@pytest.fixture(scope="module")
def made():
    runs = rung.read_runs(table())
    fit = rung.fit(runs, "E + A / N^alpha + B / D^beta", draws=0)
    asked = Asked(inputs={"N": 7e9, "D": 1.4e11}, flops=6e21, command="rung report runs.csv")
    return fit, make_report(fit, runs, asked)


def test_the_answer_comes_first_and_everything_else_in_order(made):
    _, report = made
    text = report_text(report)
    assert report.answers[0].startswith("At params 7B, tokens 140B")
    assert "comes out at" in report.answers[0]
    anchors = [section.anchor for section in report.sections]
    assert anchors == [
        *("law", "target", "backtest", "allocation", "selection", "coefficients", "findings", "checklist", "read"),
        "reproduce",
    ]
    places = [text.index(f'<section id="{anchor}">') for anchor in ("law", "target", "backtest", "allocation")]
    assert text.index('id="answer"') < min(places)
    assert places == sorted(places)


def test_the_same_report_is_the_same_page_and_loads_nothing(made):
    fit, report = made
    again = make_report(
        fit, rung.read_runs(table()), Asked(inputs={"N": 7e9, "D": 1.4e11}, flops=6e21, command="rung report runs.csv")
    )
    text = report_text(report)
    assert text == report_text(again)
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_names_that_are_markup_stay_text(made):
    text = report_text(made[1])
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    points = re.search(r'data-points="([^"]+)"', text)[1]
    assert json.loads(unescape(points))["runs-0"][0].startswith(HOSTILE)


def test_a_law_of_the_book_has_a_report_without_intervals():
    report = make_report("besiroglu-2024", asked=Asked(inputs={"N": 70e9, "D": 1.4e12}))
    assert report.title == "besiroglu-2024 with published constants"
    assert report.answers[0].endswith("the runs do not determine its interval.")


def test_the_grid_holds_what_forecast_says(made):
    fit, report = made
    text = report_text(report)
    grid = json.loads(unescape(re.search(r'data-grid="([^"]+)"', text)[1]))
    sizes = [len(one["values"]) for one in grid["variables"]]
    assert [one["name"] for one in grid["variables"]] == ["params", "tokens"]
    for index in ((0, 0), (4, 9), (20, 20)):
        params, tokens = (one["values"][at] for one, at in zip(grid["variables"], index, strict=True))
        found = rung.forecast(fit, N=params, D=tokens)
        at = index[0] * sizes[1] + index[1]
        assert grid["grids"][0]["value"][at] == pytest.approx(found.value, rel=1e-4)
        assert grid["grids"][0]["run_high"][at] == pytest.approx(found.run_interval[1], rel=1e-3)


def test_every_picture_has_words_and_its_data(made):
    text = report_text(made[1])
    pictures = re.findall(r'role="img" aria-label="([^"]*)"', text)
    assert len(pictures) == 5
    assert all(pictures)
    assert text.count("<textarea readonly") == 5


def test_without_a_question_it_asks_for_ten_times_the_largest_run():
    frame = table()
    report = make_report(rung.fit(frame, "E + A / N^alpha + B / D^beta", draws=0))
    largest = float((6 * frame["params"] * frame["tokens"]).max())
    asked = re.search(r"flops ([\d.e+]+)", report.answers[0])[1]
    assert float(asked) == pytest.approx(10 * largest, rel=0.01)


@pytest.mark.slow
def test_a_law_of_one_variable_has_no_allocation():
    report = make_report(rung.fit(table(), "E + A / N^alpha", draws=0))
    assert "allocation" not in [section.anchor for section in report.sections]
    assert "target" in [section.anchor for section in report.sections]


@pytest.mark.slow
def test_five_thousand_rows_fit_into_a_page_of_a_megabyte_and_a_half():
    fit = rung.fit(table(5000), "E + A / N^alpha + B / D^beta", draws=0)
    assert len(report_text(make_report(fit, rung.read_runs(table(5000))))) < 1.5e6


@pytest.mark.slow
def test_the_command(command, tmp_path):
    table().write_csv(tmp_path / "runs.csv")
    done = command("report", tmp_path / "runs.csv", "N=7B", "D=140B", "--flops", "6e21", "-o", tmp_path / "p.html")
    assert done.returncode == 0, done.stderr
    assert "At params 7B" in (tmp_path / "p.html").read_text()
    command("fit", tmp_path / "runs.csv", "--draws", "0", "-o", tmp_path / "fit.json")
    assert command("report", tmp_path / "fit.json", "-o", tmp_path / "q.html").returncode == 0
    refused = command("report", tmp_path / "fit.json", "--law", "kaplan-nd", "-o", tmp_path / "r.html")
    assert refused.returncode == 1
    assert "is fitted already" in refused.stderr
    assert command("report", "-o", tmp_path / "r.html").returncode == 1
    assert not (tmp_path / "r.html").exists()


def test_a_finding_marks_the_runs_that_it_names():
    rng = np.random.default_rng(0)
    params, tokens = (np.exp(rng.uniform(low, low + 4, 40)) for low in (16, 20))
    loss = 1.8 + 400 / params**0.34 + 900 / tokens**0.31
    loss[[7, 20]] *= 1.2
    frame = pl.DataFrame(
        {
            "run": [f"m{i}" for i in range(40)],
            "recipe": ["a", "b"] * 20,
            "params": params,
            "tokens": tokens,
            "loss": loss * np.exp(0.002 * rng.standard_normal(40)),
        }
    )
    runs = rung.read_runs(frame)
    fit = rung.fit(runs, "E[recipe] + A / N^alpha + B / D^beta", draws=0)
    text = report_text(make_report(fit, runs))
    points = json.loads(unescape(re.search(r'data-points="([^"]+)"', text)[1]))
    marked = [json.loads(unescape(found)) for found in re.findall(r'data-marks="([^"]+)"', text)]
    named = {
        points[group][place].partition(":")[0] for one in marked for group, places in one.items() for place in places
    }
    assert {"m7", "m20"} <= named
    findings = text[text.index('id="findings"') :]
    assert all(re.search(rf"\b{int(name[1:]) + 1}\b", findings) or name in findings for name in named)
