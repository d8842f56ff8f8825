"""The pages of `rung app` beside TensorBoard's and Optuna's dashboard on the same runs, in headless Chromium.

    python benchmarks/app_peers.py --peers PYTHON

PYTHON is that of an environment with tensorboard, optuna and optuna-dashboard. A view is ready when what is named for it is visible; where it holds
curves, when more than 1,000 pixels of their canvas have a colour. Each is visited once, and then three times with an empty cache: seconds, the
median, and what was transferred until then. Neither peer has a law, a forecast, or the forecast of a run's end.
"""

import argparse
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np

from rung.ladder import read_ladder
from rung.ladder.training import RunFolder

SETS = {"many": (1000, 20), "long": (60, 200)}
"""Runs, and points of each."""

CURVES = """selector => {
  const seen = document.querySelector(selector);
  if (!seen || !seen.width) return false;
  const pen = new OffscreenCanvas(seen.width, seen.height).getContext("2d");
  pen.drawImage(seen, 0, 0);
  const at = pen.getImageData(0, 0, seen.width, seen.height).data;
  let coloured = 0;
  for (let i = 0; i < at.length; i += 4)
    coloured += at[i + 3] > 99 && Math.max(at[i], at[i + 1], at[i + 2]) - Math.min(at[i], at[i + 1], at[i + 2]) > 60;
  return coloured > 1000;
}"""
ROW = "runs-data-table tb-data-table-content-row"
OWN, THEIRS = "[data-plot] canvas", "line-chart .series-view canvas"
VIEWS = (
    ("first page", "many", "rung", "/", [".files a >> text=runs.csv"], ""),
    ("first page", "many", "tensorboard", "/", [f"{ROW} >> nth=0", "scalar-card"], ""),
    ("first page", "many", "optuna", "/dashboard", ["a >> text=many"], ""),
    ("list of 1,000 runs", "many", "rung", "/ladder?folder=ladder", ["[data-rows] tr >> nth=999"], OWN),
    ("list of 1,000 runs", "many", "tensorboard", "/", [f"{ROW} >> nth=999"], ""),
    ("list of 1,000 runs", "many", "optuna", "/dashboard/studies/1/trials", ["text=1000 Trials"], ""),
    ("60 curves of 200", "long", "rung", "/ladder?folder=ladder", ["[data-rows] tr >> nth=59"], OWN),
    ("60 curves of 200", "long", "tensorboard", "/", [f"{ROW} >> nth=59"], THEIRS),
    ("60 curves of 200", "long", "optuna", "/dashboard/studies/1", ["#graph-intermediate-values .scatterlayer .trace >> nth=59"], ""),
    ("60 ends, forecast", "long", "rung", "/ladder?folder=open", ["[data-rows] tr >> nth=59"], OWN),
    ("law and forecast", "many", "rung", "/fit?table=runs.csv&ask=1", ["#answer", "main svg >> nth=0", ".explorer input >> nth=0"], ""),
)  # fmt: skip
"""What is seen, of which set, by whom, where, what must be visible, and the canvas that must hold curves."""

MAKE_PEERS = """
import json, sys, time, optuna
from pathlib import Path
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
folder = Path(sys.argv[1])
for name, runs in json.loads((folder / "runs.json").read_text()).items():
    ranges = {key: optuna.distributions.FloatDistribution(1e-6, 1e13, log=True) for key in ("params", "tokens", "lr")}
    trials = []
    for run in runs:
        writer = EventFileWriter(str(folder / f"tensorboard-{name}" / run["run"]))
        for step, loss in enumerate(run["losses"]):
            value = summary_pb2.Summary.Value(tag="loss", simple_value=loss)
            writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=[value])))
        writer.close()
        given = {"params": run["params"], "tokens": run["tokens"][-1], "lr": run["lr"]}
        trials.append(optuna.trial.create_trial(params=given, distributions=ranges, value=run["losses"][-1], intermediate_values=dict(enumerate(run["losses"]))))
    optuna.create_study(study_name=name, storage=f"sqlite:///{folder}/optuna-{name}.db").add_trials(trials)
"""


def drawn(count, points):
    rng = np.random.default_rng(0)
    for index in range(count):
        params, lr, each = (float(np.exp(rng.uniform(*np.log(ends)))) for ends in ((1e7, 1e9), (3e-4, 7e-3), (5, 100)))
        tokens = params * each * (np.arange(points) + 1) / points
        losses = 1.8 + 400 / params**0.34 + 900 / tokens**0.31 + 0.01 * rng.standard_normal(points)
        yield {"run": f"m{index:04d}", "params": params, "lr": lr, "tokens": tokens.tolist(), "losses": losses.tolist()}


def make_own(folder, name, runs):
    """A table, and run folders as a ladder leaves them: finished, and some of them stopped after six tenths."""
    (folder / "one.toml").write_text(
        '[family]\nname = "gpt"\nhead_width = 8\ncontext = 128\n[corpus]\nname = "markov"\n[recipe]\nbatch_tokens = 65536\n'
        "[[rung]]\nwidth = [64]\ndepth = 8\nsteps = 1000\n"
    )
    one, place = read_ladder(folder / "one.toml").rungs[0], folder / f"rung-{name}"
    table = ["run,params,tokens,loss,lr"]
    for run in runs:
        points = len(run["losses"])
        table.append(f"{run['run']},{run['params']},{run['tokens'][-1]},{run['losses'][-1]},{run['lr']}")
        rung = replace(one, name=run["run"], steps=max(1, round(run["tokens"][-1] / 65536)))
        for kind, share in (("ladder", 1.0), ("open", 0.6))[: 1 + (name == "long")]:
            made = RunFolder(place / kind / run["run"])
            made.prepare(rung)
            lines = [
                {
                    "step": max(1, rung.steps * (at + 1) // points),
                    "tokens": rung.tokens * (at + 1) // points,
                    "phase": "final" if at + 1 == points else "constant",
                    "evaluation": {"loss": loss},
                }
                for at, loss in enumerate(run["losses"][: int(share * points)])
            ]
            made.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            made.say("done" if share == 1 else "stopped", **made.metrics_seal())
    (place / "runs.csv").write_text("\n".join(table) + "\n")


def memory(pid):
    """Resident memory of a process and of all below it [MB]."""
    every = [
        list(map(int, line.split()))
        for line in subprocess.check_output(["ps", "-eo", "pid=,ppid=,rss="], text=True).splitlines()
    ]
    tree = [pid]
    for one in tree:
        tree += [child for child, parent, _ in every if parent == one]
    return sum(size for one, _, size in every if one in tree) / 1024


@contextlib.contextmanager
def served(peer, name, folder, peers, port):
    """A server that answers, and the seconds until it did; of TensorBoard, until it knew all runs."""
    place, address, known = folder / f"{peer}-{name}", f"http://127.0.0.1:{port}", "/"
    if peer == "rung":
        state = tempfile.mkdtemp(dir=folder)
        command = [sys.executable, "-m", "rung.cli", "app", place, "--no-browser", "--port", port, "--state", state]
    elif peer == "tensorboard":
        command = [peers.parent / "tensorboard", "--logdir", place, "--host", "127.0.0.1", "--port", port]
        known = "/data/runs"
    else:
        command, known = [peers.parent / "optuna-dashboard", f"sqlite:///{place}.db", "--port", port], "/dashboard"
    begun = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError):
                found = urllib.request.urlopen(address + known, timeout=60).read()
                if peer != "tensorboard" or len(json.loads(found)) == SETS[name][0]:
                    break
            time.sleep(0.02)
        yield process, address, time.perf_counter() - begun
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def visit(browser, address, selectors, canvas):
    """Seconds until a view is ready, and kB transferred by then."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page, sizes = context.new_page(), []
    page.set_default_timeout(60_000)
    watching = context.new_cdp_session(page)
    watching.send("Network.enable")
    watching.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"] / 1000))
    begun = time.perf_counter()
    page.goto(address, wait_until="commit")
    for selector in selectors:
        page.locator(selector).wait_for()
    if canvas:
        page.wait_for_function(CURVES, arg=canvas)
    taken = time.perf_counter() - begun
    context.close()
    return taken, sum(sizes)


def main():
    from playwright.sync_api import sync_playwright

    options = argparse.ArgumentParser()
    options.add_argument("--peers", type=Path, required=True)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made, sync_playwright() as playwright:
        folder = Path(made)
        runs = {name: list(drawn(*size)) for name, size in SETS.items()}
        (folder / "runs.json").write_text(json.dumps(runs))
        subprocess.run([asked.peers, "-c", MAKE_PEERS, folder], check=True, stderr=subprocess.DEVNULL)
        for name, some in runs.items():
            make_own(folder, name, some)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"])  # fmt: skip
        port = 7100
        for name in SETS:
            for peer in ("rung", "tensorboard", "optuna"):
                port += 1
                with served(peer, name, folder, asked.peers, port) as (process, address, taken):
                    time.sleep(3)
                    idle = memory(process.pid)
                    for view, of, by, path, selectors, canvas in VIEWS:
                        if (of, by) == (name, peer):
                            first, _ = visit(browser, address + path, selectors, canvas)
                            seconds, sizes = zip(*(visit(browser, address + path, selectors, canvas) for _ in range(3)), strict=True)  # fmt: skip
                            print(f"{view:20} {peer:12} {statistics.median(seconds):6.2f} s {statistics.median(sizes):8.0f} kB; the first visit {first:.2f} s", flush=True)  # fmt: skip
                    print(f"{peer}, {name}: answers after {taken:.2f} s, {idle:.0f} MB, after the views {memory(process.pid):.0f} MB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
