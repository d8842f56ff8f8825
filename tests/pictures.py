"""Pictures to look at: the app, a report and the documentation in a browser, wide, narrow and dark; every kind of figure.

`python tests/pictures.py` writes them into pictures/, and those that README and docs show into docs/. It needs Chromium
(`make browser`). Figures are drawn of the example runs, and of a published study where its table is there (RUNG_DATA).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from documents import BLOCK, ROOT, Step, data_folder, folder_with_examples, run, steps

OUT = ROOT / "pictures"
EXAMPLE = ROOT / "examples" / "python-stdlib" / "runs.csv"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WIDE, PHONE = (1100, "light"), (390, "dark")

VIEWS = {
    "home": "/",
    "table": "/table?table=runs.csv",
    "fit": "/fit?table=runs.csv&last=1&drop_tokens=2e5&law=A+/+N%5Ealpha+%2B+B+/+D%5Ebeta&ask=1&at-params=2M&at-tokens=40M",
    "wrong": "/fit?table=runs.csv&law=E+%2B+A+/+N%5E&ask=1",
    "select": "/select?table=runs.csv&last=1&drop_tokens=2e5",
    "backtest": "/backtest?table=runs.csv&last=1&drop_tokens=2e5",
    "allocate": "/allocate?table=runs.csv&last=1&drop_tokens=2e5&flops=1e15&hardware=h100-sxm&ask=1",
    "next": "/next?table=runs.csv&last=1&drop_tokens=2e5&flops=1e15&N=2M&D=40M&ask=1",
    "compare": "/compare?table=recipes.csv&by=recipe&names=control,treated&ask=1",
    "tune": "/tune?table=runs.csv&N=1B&D=20B&ask=1",
    "report": "/report?table=runs.csv&last=1&drop_tokens=2e5&ask=1",
    "cost": "/cost?N=7B&D=2T&hardware=h100-sxm&accelerators=64&price=2.5&ask=1",
    "ladder": "/ladder?folder=ladder",
    "papers": "/papers",
    "paper-checked": "/papers/of/basic",
}
"""Views of the app."""

SHOWN = {"fit": "app-fit.png", "ladder": "app-ladder.png"}
"""Views that README and docs show, each the first screen of it."""


SKILLS = (
    "predict",
    "pass-rate",
    "plateau",
    "frontier",
    "quality",
    "subset",
    "early",
    "compare",
    "preference",
    "learning-curve",
    "lineage",
)
"""Verbs whose figures docs/skill.md shows: each is drawn of the first command of the verb on that page."""


def skills() -> None:
    """The figures of docs/skill.md, by its own commands; those of published tables only where these are."""
    page = (ROOT / "docs" / "skill.md").read_text()
    with folder_with_examples() as folder:
        drawn = set()
        for step in (one for block in BLOCK.findall(page) for one in steps(block)):
            verb = step.command.split()[2 if " skill " in step.command else 1]
            if verb not in SKILLS or verb in drawn or (step.needs_data and not data_folder().is_dir()):
                continue
            drawn.add(verb)
            path = ROOT / "docs" / f"skill-{verb}.png"
            printed = run(Step(f"{step.command} --figure '{path}'", "", step.needs_data), Path(folder))
            print(path.name, printed.splitlines()[-1], file=sys.stderr)


def figures(table: Path, name: str, options: list[str], run: list[str], flops: str) -> None:
    """Every kind of figure of one table, by the commands."""
    fit = OUT / f"{name}.json"
    rung("fit", table, *options, "-o", fit, "--figure", OUT / f"{name}-fit.png")
    rung("forecast", fit, *run, "--figure", OUT / f"{name}-forecast.png")
    rung("backtest", table, *options, "--figure", OUT / f"{name}-backtest.png")
    rung("select", table, *options, "--figure", OUT / f"{name}-select.png")
    rung("allocate", fit, "--flops", flops, "--figure", OUT / f"{name}-allocate.png")
    rung("allocate", fit, "--flops", f"{flops}:{float(flops) * 1e3:g}:7", "--figure", OUT / f"{name}-frontier.png")
    rung("next", table, *options, "--target", ",".join(run), "--flops", flops, "--figure", OUT / f"{name}-next.png")
    rung("density", fit, "loss=1.0" if name == "example" else "loss=2.1", *run, "--figure", OUT / f"{name}-density.png")
    rung("report", fit, *run, "--flops", flops, "-o", OUT / f"{name}-report.html")


def rung(*arguments: object) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "rung.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        print(f"rung {' '.join(map(str, arguments))}\n{ran.stderr}", file=sys.stderr)


def prepared() -> Path:
    """A folder with the tables and a ladder that the views show."""
    from test_app import table_of_runs

    folder = Path(tempfile.mkdtemp())
    shutil.copy(EXAMPLE, folder / "runs.csv")
    table_of_runs(folder / "recipes.csv", recipes=True)
    text = (ROOT / "examples" / "python-stdlib" / "small.toml").read_text()
    text = text.replace("at = [1.0]", "at = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]")
    text = text.replace('output = "runs"', 'output = "ladder"').replace(
        "width = [8, 16, 24, 32]", "width = [16, 32, 48]"
    )
    (folder / "ladder.toml").write_text(text.replace("tokens = [1e5, 3e5, 1e6]", "tokens = [3e6]"))
    return folder


def photograph(browser: object, address: str, name: str, look: tuple[int, str], *, whole: bool = True) -> None:
    width, scheme = look
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_timeout(300)
    for _ in range(300):
        if not page.locator("[data-job]").count():
            break
        time.sleep(0.2)
    page.wait_for_timeout(400)
    page.screenshot(path=OUT / f"{name}-{width}-{scheme}.png", full_page=whole)
    if look == WIDE and name in SHOWN:
        page.screenshot(path=ROOT / "docs" / SHOWN[name])
    context.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    OUT.mkdir(exist_ok=True)
    skills()
    figures(
        EXAMPLE,
        "example",
        ["--last", "--drop-tokens", "2e5", "--law", "A / N^alpha + B / D^beta"],
        ["N=2M", "D=40M"],
        "1e15",
    )
    study = data_folder() / "chinchilla_epoch.csv"
    if study.exists():
        figures(study, "chinchilla", ["--where", "excluded_in_replication = 0"], ["N=70B", "D=1.4T"], "1e23")
    rung("tune", "N=1B", "D=20B", "--figure", OUT / "tune.png")
    rung("cost", "N=7B", "D=2T", "--hardware", "h100-sxm", "--figure", OUT / "cost.png")
    folder = prepared()
    rung("compare", folder / "recipes.csv", "--by", "recipe", "--figure", OUT / "compare.png")
    ladder = subprocess.Popen([sys.executable, "-m", "rung.cli", "ladder", "run", str(folder / "ladder.toml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    command = [sys.executable, "-m", "rung.cli", "app", str(folder), "--no-browser", "--state", str(folder / "state")]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = server.stderr.readline().strip().rstrip("/")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        time.sleep(20)  # until the ladder has curves with ends to forecast
        for name, path in {"ladder": VIEWS["ladder"], **VIEWS}.items():
            for look in (WIDE, PHONE):
                photograph(browser, address + path, name, look)
        rung("ladder", "status", folder / "ladder", "--figure", OUT / "ladder.png")
        for file in OUT.glob("*-report.html"):
            for look in (WIDE, PHONE, (1100, "dark")):
                photograph(browser, f"file://{file}", file.stem, look)
        site = ROOT / "site"
        for page in ("index", "fit", "api") if site.exists() else ():
            photograph(browser, f"file://{site / page}.html", f"site-{page}", WIDE, whole=False)
        browser.close()
    server.send_signal(signal.SIGINT)
    server.wait()
    ladder.terminate()
    ladder.wait()
    print(f"{len(list(OUT.glob('*.png')))} pictures in {OUT.name}/: look at them")


if __name__ == "__main__":
    main()
