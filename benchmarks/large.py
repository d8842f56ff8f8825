"""Tables of many rows: time and memory of a whole fit: `python benchmarks/large.py`."""

import subprocess
import sys
import time

import numpy as np
import polars as pl

import rung
from measure import peak_memory

LAW = "E + A / N^alpha + B / D^beta"
JOBS = {
    "10,000 rows of 100 runs": (10_000, 100, 1000, LAW),
    "100,000 rows of 1000 runs": (100_000, 1000, 1000, LAW),
    "1,000,000 rows of 1000 runs": (1_000_000, 1000, 0, LAW),
    "10,000 rows, E of each of 50 families": (10_000, 500, 0, "E[family] + A / N^alpha + B / D^beta"),
}
"""Rows, runs, draws and law of each table."""


def table(rows, runs):
    """A planted table of checkpoint rows."""
    rng = np.random.default_rng(0)
    run = np.arange(rows) * runs // rows
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e10), runs))[run]
    tokens = np.exp(rng.uniform(np.log(1e9), np.log(1e12), rows))
    loss = (1.8 + 480 / params**0.35 + 2100 / tokens**0.37) * np.exp(0.01 * rng.standard_normal(rows))
    names = pl.Series(run).cast(pl.String)
    return pl.DataFrame({"run": names, "family": run % 50, "params": params, "tokens": tokens, "loss": loss})


def measure(name):
    rows, runs, draws, law = JOBS[name]
    frame = table(rows, runs)
    started, cpu = time.perf_counter(), time.process_time()
    fit = rung.fit(frame, law, draws=draws)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"| {name} | {draws} | {cpu:.1f} | {wall:.1f} | {peak_memory():.0f} | {fit.starts_agreed} of {fit.starts_tried} |",
        flush=True,
    )


def main():
    if sys.argv[1:]:
        measure(sys.argv[1])
        return
    print("| table | draws | CPU s | wall s | peak MB | starts agree |\n|---|---|---|---|---|---|", flush=True)
    for name in JOBS:
        # Each job has a process of its own, because peak memory is measured per process.
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main()
