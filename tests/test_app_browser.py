"""The app and a report in a real Chromium: what a person does, the keyboard, and what axe-core finds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import rung
from planted import LADDER
from test_app import table_of_runs

expect = pytest.importorskip("playwright.sync_api").expect

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no Chromium: make browser installs Debian's, or CHROMIUM names one"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tables")
    table_of_runs(made / "runs.csv")
    table_of_runs(made / "odd.csv", renamed=True)
    table_of_runs(made / "recipes.csv", recipes=True)
    table_of_runs(made / "large.csv", rows=6000, noise=0.05)
    (made / "ladder.toml").write_text(LADDER)
    return made


@pytest.fixture(scope="module")
def address(folder, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    process = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", "app", str(folder), "--no-browser", "--state", str(state)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process.stderr.readline().strip().rstrip("/")
    process.send_signal(signal.SIGINT)
    process.wait(20)
    process.stderr.close()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield made
        made.close()


@pytest.fixture
def page(chromium, address):
    context = chromium.new_context(base_url=address, viewport={"width": 1100, "height": 900})
    made = context.new_page()
    broken = []
    made.on("pageerror", lambda error: broken.append(str(error)))
    made.set_default_timeout(20_000)
    yield made
    context.close()
    assert broken == []


def test_a_person_drops_a_table_corrects_it_fits_moves_the_target_and_comes_back(page, folder):
    page.goto("/")
    page.set_input_files("#file", folder / "odd.csv")
    page.wait_for_url("**/table?**")
    page.get_by_text("Not found: ").wait_for()
    page.fill("#m-params", "how_big")
    page.fill("#m-loss", "goodness")
    page.get_by_role("button", name="Read again").click()
    page.get_by_text("from how_big").wait_for()
    page.get_by_role("link", name="Fit", exact=True).click()
    page.fill("#f-law", "E + A / N^")
    page.get_by_text("expected a name").wait_for()
    caret = page.locator("[data-law-below]").inner_text()
    assert caret.splitlines()[1].endswith("^")
    page.fill("#f-law", "E + A / N^alpha + B / D^beta")
    page.get_by_role("button", name="Fit", exact=True).click()
    page.locator("svg").first.wait_for()
    slider = page.locator(".explorer input").first
    before = page.locator(".explorer .found").inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".explorer .found").inner_text() != before
    page.locator("#forecast .answer").wait_for()
    exact = page.locator("#forecast .answer").inner_text()
    assert "loss" in exact
    link = page.url
    assert "at-params=" in link
    page.goto("/")
    page.goto(link)
    assert page.locator("#forecast .answer").inner_text() == exact
    page.go_back()
    assert page.locator("#drop").is_visible()
    page.go_forward()
    assert page.locator("#forecast .answer").inner_text() == exact


def test_the_interpolated_forecast_is_near_the_exact_one(page):
    page.goto("/fit?table=runs.csv&ask=1")
    page.locator(".explorer").wait_for()
    for name, value in (("at-params", "7B"), ("at-tokens", "140B")):
        page.fill(f"[name={name}]", value)
    page.get_by_role("button", name="Forecast").click()
    expect(page.locator(".explorer output").first).to_have_text("7B")
    exact = re.search(r"loss ([\d.]+)", page.locator("#forecast .answer").inner_text())[1]
    between = re.search(r"loss ([\d.]+)", page.locator(".explorer .found").inner_text())[1]
    assert float(between) == pytest.approx(float(exact), rel=0.002)


def test_recipes_are_compared_and_runs_planned_and_kept(page):
    page.goto("/compare?table=recipes.csv")
    page.fill("#f-by", "recipe")
    page.fill("#f-names", "control,treated")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="What it is worth").wait_for()
    page.goto("/next?table=runs.csv")
    page.get_by_role("button", name="Plan").click()
    page.locator("#error-flops").wait_for()
    page.fill("#f-flops", "1e20")
    page.fill("#f-N", "7B")
    page.fill("#f-D", "140B")
    page.get_by_role("button", name="Plan").click()
    page.get_by_role("link", name="plan.toml").wait_for()
    with page.expect_download() as begun:
        page.get_by_role("link", name="plan.toml").click()
    assert "[[rung]]" in begun.value.path().read_text()


def test_a_fit_is_cancelled(page):
    page.goto("/fit?table=large.csv&law=farseer&ask=1")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    expect(page.locator("[data-job] progress")).to_have_count(0)
    expect(page.locator("#answer")).to_have_count(0)


def test_a_ladder_of_two_runs_is_watched_to_its_end(page):
    pytest.importorskip("torch")
    page.goto("/ladder?folder=ladder.toml")
    assert page.locator("[data-rows] tr").count() == 2
    page.get_by_role("button", name="Start or resume").click()
    expect(page.locator("[data-headline]")).to_have_text("2 runs: 2 done", timeout=120_000)
    assert page.locator("[data-plot] canvas").count() == 1
    page.get_by_role("link", name="Its table of runs").click()
    page.get_by_role("heading", name="What was recognised").wait_for()


def test_a_paper_is_searched(page, tmp_path):
    listing = {"papers": [{"title": "Centroids", "abstract": "A loss."}, {"title": "Rivers", "abstract": "Water."}]}
    (tmp_path / "list.json").write_text(json.dumps(listing))
    page.goto("/papers")
    page.set_input_files("#listing", tmp_path / "list.json")
    page.get_by_text("2 new").wait_for()
    page.goto("/papers")
    page.fill("#q", "water")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Rivers").wait_for()
    assert page.get_by_role("link", name="Centroids").count() == 0


def test_everything_can_be_reached_by_keyboard(page):
    page.goto("/fit?table=runs.csv&ask=1")
    page.locator("svg").first.wait_for()
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(() => { const at = document.activeElement; return at.tagName + ':' + (at.name || at.textContent || at.type || '').trim().slice(0, 30); })()"
            )
        )
    wanted = {
        "A:Which law",
        "INPUT:law",
        "SELECT:objective",
        "SUMMARY:Columns and rows",
        "BUTTON:Fit",
        "A:fit.json",
        "INPUT:at-params",
        "BUTTON:Zoom in",
    }
    assert wanted <= reached, wanted - reached
    assert any(one.startswith("INPUT:range") for one in reached)


def serious(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    ["/", "/table?table=runs.csv", "/fit?table=runs.csv&ask=1", "/fit?table=runs.csv&law=E%2B&ask=1", "/allocate?table=runs.csv&flops=1e22&ask=1",
     "/compare?table=recipes.csv&by=recipe&names=control,treated&ask=1", "/report?table=runs.csv&ask=1", "/cost", "/ladder?folder=ladder.toml", "/papers", "/papers/of/basic", "/nothing"],
)  # fmt: skip
def test_axe_finds_nothing_serious(chromium, address, path, scheme):
    context = chromium.new_context(
        base_url=address, color_scheme=scheme, bypass_csp=True, viewport={"width": 1100, "height": 900}
    )
    page = context.new_page()
    page.goto(path)
    expect(page.locator("[data-job]")).to_have_count(0, timeout=30_000)
    found = serious(page)
    context.close()
    assert found == []


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    runs = rung.read_runs(folder / "recipes.csv")
    fit = rung.fit(runs, "E[recipe] + A / N^alpha + B / D^beta")
    path = tmp_path_factory.mktemp("report") / "page.html"
    rung.write_report(path, rung.make_report(fit, runs))
    return path


class TestReport:
    @pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (390, "light"), (1100, "dark")])
    def test_axe_finds_nothing_serious_and_nothing_runs_out_of_the_page(self, chromium, report, width, scheme):
        context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        page = context.new_page()
        page.goto(f"file://{report}")
        found, over = serious(page), page.evaluate("document.documentElement.scrollWidth - innerWidth")
        context.close()
        assert found == []
        assert over <= 0

    def test_groups_are_hidden_the_figure_is_zoomed_and_findings_mark_runs(self, chromium, report):
        page = chromium.new_page(viewport={"width": 1100, "height": 900})
        page.goto(f"file://{report}")
        page.get_by_role("button", name="treated").first.click()
        assert page.locator("#runs-1").first.evaluate("node => node.style.display") == "none"
        svg = page.locator(".picture svg").first
        whole = svg.get_attribute("viewBox")
        box = svg.bounding_box()
        page.mouse.move(box["x"] + 80, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 240, box["y"] + 160)
        page.mouse.up()
        assert svg.get_attribute("viewBox") != whole
        page.get_by_role("button", name="Whole figure").first.click()
        assert svg.get_attribute("viewBox") == whole
        marks = page.locator("button.mark:not([hidden])")
        if marks.count():
            marks.first.click()
            assert page.locator(".ring").count() > 0
        page.close()

    def test_everything_is_there_without_a_script(self, chromium, report):
        context = chromium.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"file://{report}")
        assert page.locator("svg").count() >= 3
        assert page.locator("#checklist dt").count() > 5
        context.close()
