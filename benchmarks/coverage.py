"""How often 90 % intervals contain the truth, on planted laws: `python benchmarks/coverage.py`.

The truth is the Chinchilla surface of the replication, on designs drawn from it, with Gaussian noise and with resampled
residuals of the replication. The quantities are the coefficients, the law at 10 and 100 times the largest compute with 20
tokens per parameter, and a new run there, with and without model discrepancy. A second table has checkpoint rows with
noise that the rows of a run share, fitted by run and as if the rows were independent.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

import rung
from engine import table

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import planted as planted_runs

TRUTH = {"E": 1.81722, "A": 477.826, "alpha": 0.347310, "B": 2143.42, "beta": 0.367172}
"""Coefficients of the planted law."""


def surface(params, tokens):
    return TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]


def allocation(flops):
    """Params and tokens for a compute 6 N D, with 20 tokens per parameter."""
    params = (flops / 120) ** 0.5
    return params, 20 * params


class Tally:
    """How many intervals of each quantity contain its true value, of how many that are given."""

    def __init__(self):
        self.inside, self.given = Counter(), Counter()

    def add(self, name, interval, truth):
        low, high = interval
        if low is None and high is None:
            return
        self.given[name] += 1
        self.inside[name] += (low is None or low <= truth) and (high is None or truth <= high)

    def share(self, name):
        return f"{self.inside[name] / self.given[name]:.3f}" if self.given[name] else "-"


def judge(tally, runs, largest, noise, rng):
    """Count the intervals of one table; `largest` is the largest compute of its runs."""
    fit = rung.fit(runs, draws=0)
    statistical = rung.fit(runs, draws=0, interval="statistical")
    for name, truth in TRUTH.items():
        estimate = fit.coefficients[name]
        tally.add(name, (estimate.low, estimate.high), truth)
    for factor in (10, 100):
        params, tokens = allocation(factor * largest)
        exact = surface(params, tokens)
        measured = exact * np.exp(noise(1, rng)[0])
        default = rung.forecast(fit, N=params, D=tokens)
        tally.add(f"law {factor}x", default.law_interval, exact)
        tally.add(f"run {factor}x", default.run_interval, measured)
        tally.add(f"statistical run {factor}x", rung.forecast(statistical, N=params, D=tokens).run_interval, measured)


def planted(repeats):
    """Coverage for few and many runs, and for both kinds of noise."""
    source = table()
    params, tokens = source.numbers("params"), source.numbers("tokens")
    residuals = np.log(source.numbers("loss") / surface(params, tokens))
    largest = float(np.max(6 * params * tokens))
    kinds = {
        "resampled residuals": lambda count, rng: rng.choice(residuals, count),
        "Gaussian": lambda count, rng: np.std(residuals) * rng.standard_normal(count),
    }
    names = [*TRUTH, "law 10x", "law 100x", "run 10x", "run 100x", "statistical run 10x", "statistical run 100x"]
    print(f"| runs | noise | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for count in (60, 240):
        for kind, noise in kinds.items():
            tally = Tally()
            for seed in range(repeats):
                rng = np.random.default_rng(seed)
                rows = rng.choice(len(params), count, replace=False) if count < len(params) else np.arange(len(params))
                loss = surface(params[rows], tokens[rows]) * np.exp(noise(count, rng))
                runs = pl.DataFrame({"params": params[rows], "tokens": tokens[rows], "loss": loss})
                judge(tally, runs, largest, noise, rng)
            print(f"| {count} | {kind} | {' | '.join(tally.share(name) for name in names)} |", flush=True)


def checkpoints(repeats):
    """Coverage where the rows of a run share three quarters of the variance of their noise."""
    print("\n| 24 runs of 20 rows | E | alpha | beta | law 10x |\n|---|---|---|---|---|")
    tallies = {"by run": Tally(), "as if independent": Tally()}
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        params = np.repeat(np.exp(rng.uniform(np.log(5e7), np.log(5e9), 24)), 20)
        tokens = params * np.tile(np.geomspace(2, 100, 20), 24)
        noise = 0.009 * np.repeat(rng.standard_normal(24), 20) + 0.005 * rng.standard_normal(480)
        loss = surface(params, tokens) * np.exp(noise)
        frame = pl.DataFrame({"params": params, "tokens": tokens, "loss": loss})
        named = frame.with_columns(run=pl.Series(np.repeat(np.arange(24), 20).astype(str)))
        for name, runs in (("by run", named), ("as if independent", frame)):
            fit = rung.fit(runs, draws=0)
            for coefficient in ("E", "alpha", "beta"):
                estimate = fit.coefficients[coefficient]
                tallies[name].add(coefficient, (estimate.low, estimate.high), TRUTH[coefficient])
            size, data = allocation(10 * float(np.max(6 * params * tokens)))
            tallies[name].add("law 10x", rung.forecast(fit, N=size, D=data).law_interval, surface(size, data))
    for name, tally in tallies.items():
        print(f"| {name} | {' | '.join(tally.share(part) for part in ('E', 'alpha', 'beta', 'law 10x'))} |", flush=True)


def new_runs(repeats):
    """Coverage of a new run within the range of few and of many runs, by least squares of logarithms."""
    print("\n| runs | rows each | a new run within the range |\n|---|---|---|")
    for runs, rows in ((6, 1), (10, 1), (20, 1), (60, 1), (4, 20), (6, 20), (10, 20), (30, 20)):
        print(f"| {runs} | {rows} | {planted_runs.new_run_coverage(runs, rows, repeats):.2f} |", flush=True)


def selection(repeats):
    """How often the planted law is chosen or tied, and how often a plain power law gets more coefficients."""
    chosen = larger = 0
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        params = np.exp(rng.uniform(np.log(5e7), np.log(1.6e10), 80))
        tokens = params * np.exp(rng.uniform(np.log(2), np.log(200), 80))
        runs = pl.DataFrame(
            {
                "params": params,
                "tokens": tokens,
                "loss": surface(params, tokens) * np.exp(0.005 * rng.standard_normal(80)),
            }
        )
        found = rung.select(runs, ["chinchilla", "chinchilla-tied", "densing-loss", "kaplan-nd", "kaplan-floor"])
        tied = {ranked.fit.law.name for ranked in found.laws if ranked.tied}
        chosen += "chinchilla" in tied
        size = np.geomspace(1e6, 1e10, 40)
        plain = pl.DataFrame({"tokens": size, "loss": 40 * size**-0.12 * np.exp(0.005 * rng.standard_normal(40))})
        larger += rung.select(plain).chosen != "m1"
    print(
        f"\nselection: the planted law is chosen or tied in {chosen} of {repeats}; a larger law is chosen for a plain power law in {larger} of {repeats}"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--selections", type=int, default=100)
    arguments = parser.parse_args()
    planted(arguments.repeats)
    checkpoints(arguments.repeats)
    new_runs(arguments.repeats)
    selection(arguments.selections)


if __name__ == "__main__":
    main()
