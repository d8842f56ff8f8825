"""How often 90 % intervals hold the truth, on planted surfaces: `python benchmarks/coverage.py`."""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

import rung

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import planted

TRUTH = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}


def surface(params, tokens):
    return TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]


def table(runs, noise, rng):
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e9), runs))
    tokens = params * np.exp(rng.uniform(np.log(2), np.log(200), runs))
    loss = surface(params, tokens) * np.exp(noise * rng.standard_normal(runs))
    return pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def coverage(runs, noise, repeats, draws):
    """Shares of the repeats in which each interval holds its truth; the forecast is at 10 times the size and the data."""
    held = dict.fromkeys(["E", "alpha", "beta", "law", "run"], 0)
    given = dict.fromkeys(held, 0)
    params, tokens = 1e10, 4e11
    expected = surface(params, tokens)
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        fit = rung.fit(table(runs, noise, rng), draws=draws, seed=seed)
        ahead = rung.forecast(fit, N=params, D=tokens)
        measured = expected * np.exp(noise * rng.standard_normal())
        ends = {name: (fit.coefficients[name].low, fit.coefficients[name].high) for name in ("E", "alpha", "beta")}
        ends |= {"law": ahead.law_interval, "run": ahead.run_interval}
        truth = {**TRUTH, "law": expected, "run": measured}
        for name, (low, high) in ends.items():
            if low is not None and high is not None:
                given[name] += 1
                held[name] += low <= truth[name] <= high
    return held, given


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--draws", type=int, default=300)
    arguments = parser.parse_args()
    print("| runs | noise | E | alpha | beta | the law at 10x | a new run at 10x |\n|---|---|---|---|---|---|---|")
    for runs, noise in ((120, 0.01), (30, 0.01), (12, 0.005)):
        held, given = coverage(runs, noise, arguments.repeats, arguments.draws)
        shares = [f"{held[name] / given[name]:.2f} of {given[name]}" if given[name] else "none" for name in held]
        print(f"| {runs} | {100 * noise:g} % | {' | '.join(shares)} |", flush=True)
    print("\n| runs | rows each | a new run within the range |\n|---|---|---|")
    for runs, rows in ((6, 1), (10, 1), (20, 1), (60, 1), (4, 20), (6, 20), (10, 20), (30, 20)):
        print(f"| {runs} | {rows} | {planted.new_run_coverage(runs, rows, arguments.repeats):.2f} |", flush=True)


if __name__ == "__main__":
    main()
