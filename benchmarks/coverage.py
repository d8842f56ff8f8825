"""How often 90 % intervals hold the truth, on planted laws: `python benchmarks/coverage.py`.

The truth is the Chinchilla surface of the replication, on designs drawn from it, with Gaussian noise and with the
replication's own residuals drawn again. Asked are the coefficients, the law at 10 and 100 times the largest compute with
20 tokens per parameter, and a new run there, with and without what laws stray by. Then checkpoint rows whose noise a run's
rows share, fitted as runs and as if every row were one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

import rung
from engine import table

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import planted as planted_runs

TRUTH = {"E": 1.81722, "A": 477.826, "alpha": 0.347310, "B": 2143.42, "beta": 0.367172}
LEVEL = 0.9


def surface(params, tokens):
    return TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]


def ahead(flops):
    params = (flops / 120) ** 0.5
    return params, 20 * params


class Tally:
    """Shares of intervals that hold their truth."""

    def __init__(self):
        self.held, self.given = {}, {}

    def add(self, name, interval, truth):
        low, high = interval
        if low is None and high is None:
            return
        self.given[name] = self.given.get(name, 0) + 1
        inside = (low is None or low <= truth) and (high is None or truth <= high)
        self.held[name] = self.held.get(name, 0) + inside

    def share(self, name):
        return f"{self.held.get(name, 0) / self.given[name]:.3f}" if self.given.get(name) else "-"


def judge(tally, runs, top, noise, rng, interval=None):
    fit = rung.fit(runs, draws=0, interval=interval)
    statistical = rung.fit(runs, draws=0, interval="statistical") if interval is None else fit
    for name, truth in TRUTH.items():
        estimate = fit.coefficients[name]
        tally.add(name, (estimate.low, estimate.high), truth)
    for factor in (10, 100):
        params, tokens = ahead(factor * top)
        exact = surface(params, tokens)
        measured = exact * np.exp(noise(1, rng)[0])
        usual = rung.forecast(fit, N=params, D=tokens)
        tally.add(f"law {factor}x", usual.law_interval, exact)
        tally.add(f"run {factor}x", usual.run_interval, measured)
        tally.add(f"statistical run {factor}x", rung.forecast(statistical, N=params, D=tokens).run_interval, measured)


def planted(repeats):
    """Coverage for few and many runs, and for both kinds of noise."""
    source = table()
    params, tokens = source.numbers("params"), source.numbers("tokens")
    residuals = np.log(source.numbers("loss") / surface(params, tokens))
    top = float(np.max(6 * params * tokens))
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
                judge(tally, runs, top, noise, rng)
            print(f"| {count} | {kind} | {' | '.join(tally.share(name) for name in names)} |", flush=True)


def checkpoints(repeats):
    """Rows of one run share three quarters of their noise's variance; fitted by run, and row by row."""
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
            far, data = ahead(10 * float(np.max(6 * params * tokens)))
            tallies[name].add("law 10x", rung.forecast(fit, N=far, D=data).law_interval, surface(far, data))
    for name, tally in tallies.items():
        print(f"| {name} | {' | '.join(tally.share(part) for part in ('E', 'alpha', 'beta', 'law 10x'))} |", flush=True)


def new_runs(repeats):
    """A new run within the range, from few runs and from many, by least squares of logarithms."""
    print("\n| runs | rows each | a new run within the range |\n|---|---|---|")
    for runs, rows in ((6, 1), (10, 1), (20, 1), (60, 1), (4, 20), (6, 20), (10, 20), (30, 20)):
        print(f"| {runs} | {rows} | {planted_runs.new_run_coverage(runs, rows, repeats):.2f} |", flush=True)


def selection(repeats):
    """How often the planted form is chosen or tied, and a plain power law is given a floor."""
    chosen = floored = 0
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
        floored += rung.select(plain).chosen != "m1"
    print(
        f"\nselection: the planted law is chosen or tied in {chosen} of {repeats}; a plain power law is given more in {floored} of {repeats}"
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
