"""Figures and pages, and writing files whole or not at all."""

import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

import rung
from rung.errors import ReportError
from rung.files import require_writable, write_all, write_text
from rung.forecasting import compare_held_out, split
from rung.report.figures.fit_data import FigureData
from test_fit import noisy


@pytest.fixture(scope="module")
def made():
    runs, held = split(rung.read_runs(noisy(60)), "N > 3e9")
    fit = rung.fit(runs, draws=100)
    return fit, runs, compare_held_out(fit, held)


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_figure_is_the_kind_that_its_name_says(tmp_path, made, kind, begins):
    file = tmp_path / f"fit.{kind}"
    rung.draw_figure(file, *made)
    assert file.read_bytes().startswith(begins)


def test_a_figure_is_the_same_each_time(tmp_path, made):
    rung.draw_figure(tmp_path / "one.svg", *made)
    rung.draw_figure(tmp_path / "two.svg", *made)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("law", ["E + A / N^alpha", "E[corpus] + A / N^alpha + B / D^beta", "kaplan-nd", "farseer"])
def test_every_kind_of_law_can_be_drawn(tmp_path, law):
    runs = rung.read_runs(noisy(40).with_columns(corpus=pl.Series(["a", "b"] * 20)))
    rung.draw_figure(tmp_path / "fit.png", rung.fit(runs, law, draws=0), runs)
    assert (tmp_path / "fit.png").stat().st_size > 10_000


def test_a_law_of_three_variables_is_drawn_against_the_measurement():
    rng = np.random.default_rng(0)
    runs = noisy(40).with_columns(width=pl.Series(rng.uniform(1, 2, 40)))
    table = rung.read_runs(runs)
    scene = FigureData.of(rung.fit(table, "E + A / N^alpha + B / D^beta + c * width", draws=0), table, None)
    assert scene.along is None
    assert list(scene.curves()) == []
    np.testing.assert_array_equal(scene.x, scene.law)


def test_compute_follows_size_and_data_along_a_line():
    table = rung.read_runs(noisy(40).with_columns(flops=6 * pl.col("params") * pl.col("tokens")))
    fit = rung.fit(table, "gadre-2024", draws=0)
    scene = FigureData.of(fit, table, None)
    assert {scene.along, scene.colour} == {"N", "D"}
    for _, x, y, shade in scene.curves():
        here = {scene.along: x, scene.colour: shade}
        np.testing.assert_allclose(y, fit.law.value(fit.values, {**here, "C": 6 * here["N"] * here["D"]}), rtol=1e-9)


def test_a_constant_target_is_drawn_flat(tmp_path):
    runs = rung.read_runs(noisy(20).with_columns(loss=pl.lit(3.0)))
    rung.draw_figure(tmp_path / "fit.svg", rung.fit(runs, draws=0), runs)
    assert "2.9" in (tmp_path / "fit.svg").read_text()


def test_groups_and_held_out_rows_are_drawn_together(tmp_path):
    table = rung.read_runs(noisy(60).with_columns(corpus=pl.Series(["a", "b"] * 30)))
    runs, held = split(table, "N > 3e9")
    fit = rung.fit(runs, "E[corpus] + A / N^alpha + B / D^beta", draws=50)
    compared = compare_held_out(fit, held)
    assert {point.levels["corpus"] for point in compared.points} == {"a", "b"}
    rung.write_page(tmp_path / "page.html", fit, runs, compared)
    assert "<th>corpus</th>" in (tmp_path / "page.html").read_text()


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, _tag, attributes):
        self.found += [value for name, value in attributes if name in {"src", "href"} and not value.startswith("#")]


def test_a_page_needs_no_network_and_holds_every_coefficient(tmp_path, made):
    fit, runs, held = made
    rung.write_page(tmp_path / "page.html", fit, runs, held)
    text = (tmp_path / "page.html").read_text()
    links = Links()
    links.feed(text)
    assert links.found == []
    assert not re.search(r"@import|<script|url\((?!#)", text)
    for name in fit.coefficients:
        assert f"<td>{name}</td>" in text
    assert fit.data_digest in text
    assert text.count('class="inside"') + text.count('class="outside"') == len(held.points)


def test_text_from_a_table_is_escaped(tmp_path):
    runs = rung.read_runs(noisy(20).with_columns(run=pl.format("<script>{}", pl.int_range(pl.len()))))
    rest, held = split(runs, "N > 3e9")
    fit = rung.fit(rest, draws=20)
    rung.write_page(tmp_path / "page.html", fit, rest, compare_held_out(fit, held))
    assert "<script" not in (tmp_path / "page.html").read_text()


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "result.json"
    write_text(file, "one")
    write_text(file, "two")
    assert file.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_several_files_are_written_or_none(tmp_path):
    (tmp_path / "old.json").write_text("old")
    with pytest.raises(ReportError, match="cannot be written"):
        write_all({tmp_path / "old.json": b"new", tmp_path / "nowhere" / "page.html": b"page"})
    assert (tmp_path / "old.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["old.json"]


def test_a_link_keeps_pointing_where_it_did(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_text(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"


@pytest.mark.parametrize("place", ["nowhere/result.json", "."])
def test_a_place_that_cannot_be_written_is_said(tmp_path, place):
    with pytest.raises(ReportError, match="cannot be written"):
        require_writable(tmp_path / place)
    with pytest.raises(ReportError, match="cannot be written"):
        write_text(tmp_path / place, "text")


def test_a_read_only_folder_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ReportError, match="is read-only"):
        require_writable(tmp_path / "result.json")
