"""The app and the report against the figures that they are held to: start, moving targets, load, memory, report size.

    python benchmarks/app.py [--seconds 60] [--people 50]

It serves a table of 1,000 runs, and lets many people at once move the target of a fit with 1,000 draws over HTTP.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2 as httpx
import numpy as np
import polars as pl

import rung


def table(path, rows):
    rng = np.random.default_rng(0)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), rows))
    tokens = params * np.exp(rng.uniform(np.log(5), np.log(100), rows))
    loss = (1.8 + 400 / params**0.34 + 900 / tokens**0.31) * np.exp(0.01 * rng.standard_normal(rows))
    pl.DataFrame({"run": [f"m{i}" for i in range(rows)], "params": params, "tokens": tokens, "loss": loss}).write_csv(
        path
    )


def memory(process):
    """Resident memory of the server and its workers [MB]."""
    listed = subprocess.run(["ps", "-o", "rss=", "--ppid", str(process.pid), "-p", str(process.pid)], capture_output=True, text=True, check=False)  # fmt: skip
    return sum(int(line) for line in listed.stdout.split()) / 1024


async def person(client, query, until, rng, times, errors, pause):
    while time.perf_counter() < until:
        await asyncio.sleep(rng.exponential(pause))
        at = {"at-params": f"{10 ** rng.uniform(9, 11):.6g}", "at-tokens": f"{10 ** rng.uniform(10, 12):.6g}"}
        begun = time.perf_counter()
        try:
            found = await client.get("/at", params={**query, **at})
            if found.status_code != 200 or "value" not in found.json():
                errors.append(found.text[:100])
        except httpx.HTTPError as error:
            errors.append(repr(error))
        times.append(time.perf_counter() - begun)


async def crowd(address, query, people, seconds, pause):
    times, errors = [], []
    until = time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=people + 5)
    async with httpx.AsyncClient(base_url=address, timeout=30, limits=limits) as client:
        rngs = np.random.default_rng(1).spawn(people)
        await asyncio.gather(*(person(client, query, until, rng, times, errors, pause) for rng in rngs))
    return np.array(times), errors


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--people", type=int, default=50)
    options.add_argument("--pause", type=float, default=1.0, help="mean time between two moves of a person [s]")
    asked = options.parse_args()
    folder = Path(tempfile.mkdtemp())
    table(folder / "runs.csv", 1000)
    table(folder / "large.csv", 5000)
    command = [sys.executable, "-m", "rung.cli", "app", str(folder), "--no-browser", "--state", str(folder / "state")]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    address = process.stderr.readline().strip().rstrip("/")
    started = time.perf_counter()
    httpx.get(address + "/")
    first = time.perf_counter()
    print(
        f"start line after {started - begun:.2f} s; first page {1000 * (first - started):.0f} ms after it (asked: 300)"
    )
    client = httpx.Client(base_url=address, timeout=120)
    query = {"table": "runs.csv", "ask": "1"}
    while "data-job" in client.get("/fit", params=query).text:
        time.sleep(0.2)
    alone = []
    for index in range(100):
        begun = time.perf_counter()
        client.get("/at", params={**query, "at-params": 1e9 * (1 + index / 10), "at-tokens": 2e11})
        alone.append(time.perf_counter() - begun)
    print(f"moving the target, one person: 95th percentile {1000 * np.percentile(alone, 95):.0f} ms (asked: 100)")
    before = memory(process)
    times, errors = asyncio.run(crowd(address, query, asked.people, asked.seconds, asked.pause))
    after = memory(process)
    print(
        f"{asked.people} people for {asked.seconds:g} s, a move every {asked.pause:g} s each: {len(times)} moves, {len(errors)} errors, "
        f"median {1000 * np.median(times):.0f} ms, 95th percentile {1000 * np.percentile(times, 95):.0f} ms (asked: 300); "
        f"memory {before:.0f} to {after:.0f} MB"
    )
    client.close()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    runs = rung.read_runs(folder / "large.csv")
    fit = rung.fit(runs)
    begun = time.perf_counter()
    page = folder / "page.html"
    rung.write_report(page, rung.make_report(fit, runs))
    print(
        f"report of 5,000 rows: {page.stat().st_size / 1e6:.2f} MB (asked: 1.5), made in {time.perf_counter() - begun:.1f} s"
    )
    interactive(page)
    print(
        f"rung[app] adds {len(packages({'app'}) - packages(set()))} packages: {', '.join(sorted(packages({'app'}) - packages(set())))}"
    )
    many_rows(folder)
    if errors:
        print(json.dumps(errors[:3]))


def packages(extras):
    """What an installation of Rung with extras brings."""
    from importlib.metadata import PackageNotFoundError, requires

    from packaging.requirements import Requirement

    def needed(name, wanted):
        try:
            listed = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            return
        for one in listed:
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in wanted or {""}):
                yield one

    found, waiting = set(), [("rung", frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        for one in needed(name, wanted | {""}):
            key = one.name.lower().replace("_", "-")
            if key not in found:
                found.add(key)
                waiting.append((one.name, frozenset(one.extras)))
    return found - {"rung"}


def many_rows(folder):
    """A fit of 200,000 checkpoint rows: the work, and its page in Chromium."""
    import shutil

    place = folder / "many"
    place.mkdir()
    rng = np.random.default_rng(0)
    params = np.repeat(np.exp(rng.uniform(np.log(1e7), np.log(1e9), 400)), 500)
    tokens = np.tile(np.geomspace(1e8, 2e10, 500), 400)
    loss = (1.8 + 400 / params**0.34 + 900 / tokens**0.31) * np.exp(0.01 * rng.standard_normal(len(params)))
    pl.DataFrame(
        {
            "run": np.repeat(np.arange(400), 500),
            "step": np.tile(np.arange(500), 400),
            "params": params,
            "tokens": tokens,
            "loss": loss,
        }
    ).write_csv(place / "many.csv")
    command = [sys.executable, "-m", "rung.cli", "app", str(place), "--no-browser", "--state", str(place / "state")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    address = process.stderr.readline().strip().rstrip("/") + "/fit?table=many.csv&ask=1"
    begun = time.perf_counter()
    while "data-job" in (text := httpx.get(address, timeout=60).text):
        time.sleep(0.2)
    work = time.perf_counter() - begun
    said = f"a fit of 200,000 rows: {work:.0f} s of work, page of {len(text) / 1e6:.1f} MB"
    if chromium := shutil.which("chromium"):
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])  # fmt: skip
            opened = browser.new_page()
            begun = time.perf_counter()
            opened.goto(address)
            opened.locator("svg").first.wait_for()
            said += f", its figure there after {time.perf_counter() - begun:.1f} s in Chromium"
            browser.close()
    print(said)
    process.send_signal(signal.SIGINT)
    process.wait(20)


def interactive(page):
    """Until the report answers, in Chromium where there is one."""
    import shutil

    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium here: the time until the report is interactive was not measured")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])  # fmt: skip
        found = []
        for _ in range(5):
            opened = browser.new_page()
            begun = time.perf_counter()
            opened.goto(f"file://{page}")
            opened.locator(".explorer input").first.wait_for()
            found.append(time.perf_counter() - begun)
            opened.close()
        print(f"interactive after {np.median(found):.2f} s in Chromium (asked: 1.5)")
        browser.close()


if __name__ == "__main__":
    main()
